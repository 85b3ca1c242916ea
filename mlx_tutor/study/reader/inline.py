"""A line of a document as HTML: bold type, code, formulas as MathML, and marks over a passage.

Documents hold what was read of the files, no HTML; all of it is escaped here.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from mlx_tutor.study.chat.markdown import FORMULA
from mlx_tutor.text import strip_controls

# Start and end of what is marked in a text.
Spans = Sequence[tuple[int, int]]

PIECE = re.compile(
    rf"(?P<code>(?<!`)(?P<ticks>`{{1,3}})(?!`)(?P<inner>.+?)(?<!`)(?P=ticks)(?!`))"
    rf"|\*\*(?P<bold>(?=\S)(?:(?!\*\*).)+?(?<=\S))\*\*|(?P<formula>{FORMULA.pattern})",
    re.DOTALL,
)
DELIMITERS = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
# What says something to LaTeX alone, and what MathML's converter calls by another name.
LATEX_ONLY = re.compile(r"\\(?:label|require|tag|notag|nonumber)\*?(?:\{[^{}]*\})?")
RENAMED = (("{split}", "{aligned}"), ("{eqnarray", "{align"), ("{multline", "{gather"))
COMMANDS = ((re.compile(r"\\cr(?![A-Za-z])"), r"\\\\"), (re.compile(r"\\[mh]box(?![A-Za-z])"), r"\\text"))
# Words with formulas in them.
WORDS = re.compile(r"\\text\{[^{}]*\}")
# Without the numbers that it would give from one on in each formula.
NUMBERED = re.compile(r"(?<=\{)(equation|align|gather|alignat|flalign)(?=\})")
# Longer "formulas" are a dollar gone astray.
LONGEST_FORMULA = 4000


def write_inline(text: str, spans: Spans = (), offset: int = 0) -> Markup:
    """`text` as HTML; `spans` are marked, counted in a text in which it begins at `offset`."""
    return Markup("").join(_write_pieces(text, spans, offset))


def _write_pieces(text: str, spans: Spans, offset: int) -> Iterator[Markup]:
    end = 0
    for piece in PIECE.finditer(text):
        start = piece.start()
        yield write_text(text[end:start], spans, offset + end)
        end = piece.end()
        if piece["bold"]:
            inner = write_inline(piece["bold"], spans, offset + piece.start("bold"))
            yield Markup("<strong>{}</strong>").format(inner)
        elif piece["code"]:
            inner = write_text(piece["inner"].strip() or piece["inner"], (), 0)
            yield _mark(Markup("<code>{}</code>").format(inner), start, end, spans, offset)
        else:
            yield _mark(write_formula(piece["formula"]), start, end, spans, offset)
    yield write_text(text[end:], spans, offset + end)


def write_text(text: str, spans: Spans, offset: int) -> Markup:
    """Text that is nothing more, with its part of `spans` marked."""
    shown, end = Markup(""), 0
    for begin, stop in sorted(spans):
        start, until = max(begin - offset, end), min(stop - offset, len(text))
        if start < until:
            marked = Markup("<mark>{}</mark>").format(_clean(text[start:until]))
            shown += _clean(text[end:start]) + marked
            end = until
    return shown + _clean(text[end:])


def _clean(text: str) -> Markup:
    return escape(strip_controls(text))


def _mark(shown: Markup, start: int, end: int, spans: Spans, offset: int) -> Markup:
    """What cannot be marked in part is marked as a whole."""
    touched = any(begin < offset + end and offset + start < stop for begin, stop in spans)
    return Markup("<mark>{}</mark>").format(shown) if touched else shown


def write_formula(formula: str) -> Markup:
    """A formula with its delimiters as MathML; as it is written where the converter does not know it."""
    inner, display = formula, True
    for left, right, is_block in DELIMITERS:
        if formula.startswith(left):
            inner, display = formula[len(left) : -len(right)], is_block
            break
    found = convert_formula(inner.strip(), display)
    if found is None:
        return Markup('<code class="tex">{}</code>').format(_clean(formula))
    kind = Markup('class="display" tabindex="0"' if display else 'class="math"')
    return Markup("<span {}>{}</span>").format(kind, Markup(found))


@cache
def make_converter() -> Any:
    """The converter of LaTeX to MathML; None where its package is not installed."""
    try:
        from math_core import LatexToMathML
    except ImportError:
        return None
    return LatexToMathML(allow_unreliable_rendering=True, fancy_error=False, annotation=True)


def convert_formula(latex: str, display: bool) -> str | None:
    """MathML of a formula; None where it cannot be made."""
    converter = make_converter()
    if converter is None or not latex or len(latex) > LONGEST_FORMULA:
        return None
    from math_core import LatexError

    text = LATEX_ONLY.sub("", strip_controls(latex))
    for name, known in RENAMED:
        text = text.replace(name, known)
    for pattern, known in COMMANDS:
        text = pattern.sub(known, text)
    text = WORDS.sub(lambda words: re.sub(r"\$([^$]*)\$", r"}\1\\text{", words[0]), NUMBERED.sub(r"\1*", text))
    try:
        found: str = converter.convert_with_local_state(text, displaystyle=display)
    except LatexError:
        return None
    return found
