"""What the HTML reports of runs, comparisons and ratings share: style, page, tables and figures.

A report is one file that needs no network, reads well in light and dark, and prints. Its templates lie in `templates/`;
they escape whatever models, sources and users wrote.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

PACKAGE = "mlx_tutor.evaluation"


@cache
def open_templates(package: str) -> Environment:
    """The templates of a package and those that all pages share, with autoescape."""
    loader = ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, PACKAGE))])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def render_page(template: str, values: Mapping[str, Any], package: str = PACKAGE) -> str:
    """A whole page; `values` are texts, numbers and tables, and what `draw` made."""
    return open_templates(package).get_template(template).render(values).lstrip()


def draw(name: str, *values: Any, file: str = "parts.html.j2", package: str = PACKAGE) -> Markup:
    """A cell or picture of a page, drawn by the macro of that name."""
    module = open_templates(package).get_template(file).module
    return Markup(getattr(module, name)(*values).strip())


def write_value(estimate: Mapping[str, float] | None, digits: int) -> str:
    """`0.412 (0.380 to 0.441)`, or a dash where nothing could be measured."""
    if estimate is None:
        return "-"
    value, low, high = (f"{estimate[key]:,.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def write_short(estimate: Mapping[str, float] | None, digits: int) -> str:
    """`0.412 ±0.031`, half the interval on either side, where there is little room."""
    if estimate is None:
        return "-"
    return f"{estimate['value']:,.{digits}f} ±{(estimate['high'] - estimate['low']) / 2:,.{digits}f}"


def write_difference(difference: Mapping[str, Any], digits: int) -> tuple[str, str, str]:
    """Difference, interval and verdict."""
    value, low, high = (f"{difference[key]:+,.{digits}f}" for key in ("value", "low", "high"))
    return value, f"{low} to {high}", difference["verdict"]


def write_shares(shares: Mapping[str, float]) -> str:
    """`teaching 62 %, neither 38 %`; a mean as a number."""
    if "mean" in shares:
        return f"{shares['mean']:.0f}"
    return ", ".join(f"{label} {100 * share:.0f} %" for label, share in shares.items() if share)
