"""What the HTML reports of runs, comparisons and ratings share: style, page, tables and figures.

A report is one file that needs no network, reads well in light and dark, and prints. Functions take text that is
ready for HTML where they say so; whatever models, sources and users wrote goes through `escape` first.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d8dee6; --page: #fff; --card: #f5f7fa;
  --base: #6b7a8c; --adapter: #1f5fbf; --fused: #b4460b; --good: #16703c; --bad: #b42318; --mark: #ffe9a8; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa7b8; --line: #333d4a;
  --page: #12161c; --card: #1b212a; --base: #9aa7b8; --adapter: #6ea8ff; --fused: #ff9a5c; --good: #5fd38d;
  --bad: #ff8a80; --mark: #5c4a12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 66rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.lead { font-size: 1.1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
.interval { color: var(--soft); font-size: .85rem; }
.better { color: var(--good); font-weight: 600; } .worse { color: var(--bad); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
img { width: 100%; max-width: 48rem; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; }
figure { margin: 1.2rem 0 0; }
.wide table { min-width: 38rem; }
svg line { stroke-width: 2; } svg .axis { stroke: var(--line); stroke-width: 1; }
svg .base { stroke: var(--base); fill: var(--base); } svg .adapter { stroke: var(--adapter); fill: var(--adapter); }
svg .fused { stroke: var(--fused); fill: var(--fused); }
svg .rest { fill: var(--card); stroke: var(--line); } svg .part { fill: var(--adapter); }
.tight { white-space: nowrap; }
details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; }
.name.base { color: var(--base); } .name.adapter { color: var(--adapter); } .name.fused { color: var(--fused); }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; }
.answers > div { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; }
.answers h4 { margin: 0 0 .3rem; font-size: .85rem; }
.answers .whole { grid-column: 1 / -1; } .answers p { margin: 0 0 .4rem; }
.answers .text + p { margin-top: .4rem; } .question { margin: 0 0 .6rem; }
.columns { grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); }
.badges { margin: .5rem 0 0; display: flex; flex-wrap: wrap; gap: .3rem; }
.badge { border: 1px solid var(--line); border-radius: 9px; padding: 0 .5rem; font-size: .78rem; color: var(--soft); }
mark { background: var(--mark); color: inherit; border-radius: 3px; padding: 0 .1em; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .92rem; }
@media screen and (max-width: 46rem) { .columns { grid-template-columns: 1fr; } }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
  table { font-size: .8rem; } th, td { padding-right: .5rem; } .interval { font-size: .72rem; }
  td:first-child .interval { display: inline-block; min-width: 9rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } .scroll { overflow: visible; }
  mark { background: none; text-decoration: underline; } h2, h3 { break-after: avoid; }
  tr, figure, .answers:not(.columns) > div { break-inside: avoid; } a { color: inherit; } }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def write_page(title: str, parts: Sequence[str]) -> str:
    """A whole page of ready HTML parts; the title is plain text."""
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))


def escape(value: Any) -> str:
    """Text for HTML, inside an attribute too."""
    return html.escape(str(value), quote=True)


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


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", numbers: bool = True) -> str:
    """A table of ready HTML cells below its caption; with `numbers`, all columns but the first stand at the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kind = ' class="number"' if numbers else ""
        return "".join(f"<{tag}{kind if i else ''}>{cell}</{tag}>" for i, cell in enumerate(row))

    above = f'<p class="soft">{escape(caption)}</p>' if caption else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'{above}<div class="scroll{"" if numbers else " wide"}"><table><thead><tr>{cells("th", headings)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def write_facts(facts: Sequence[tuple[str, Any]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts)}</dl>"


def write_name(label: str) -> str:
    return f'<span class="name {escape(label)}">{escape(label)}</span>'


def draw_intervals(values: Mapping[str, Mapping[str, float] | None]) -> str:
    """A line from low to high with a dot at the value, one below the other for each model, on one scale."""
    found = {label: value for label, value in values.items() if value is not None}
    if not found:
        return ""
    low, high = min(value["low"] for value in found.values()), max(value["high"] for value in found.values())
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(8 + 164 * (value - low) / span, 1)

    parts = []
    for i, (label, value) in enumerate(found.items()):
        y, kind = 8 + 11 * i, escape(label)
        left, right, middle = (place(value[key]) for key in ("low", "high", "value"))
        parts.append(f'<line class="axis" x1="4" y1="{y}" x2="176" y2="{y}"/>')
        parts.append(f'<line class="{kind}" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>')
        parts.append(f'<circle class="{kind}" cx="{middle}" cy="{y}" r="3.5"/>')
    height = 5 + 11 * len(found)
    return f'<svg width="180" height="{height}" viewBox="0 0 180 {height}" aria-hidden="true">{"".join(parts)}</svg>'
