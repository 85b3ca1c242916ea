"""The blocks of a document as HTML: paragraphs, lists, tables, code and what it printed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup

from mlx_tutor.records import Block
from mlx_tutor.study.reader.inline import Spans, write_inline, write_text

# A part of an exercise, "a) ...", is an item that shows its own mark.
ITEM = re.compile(r"(?P<indent> *)(?:(?P<marker>[-•*–]|\d{1,4}[.)]) +(?=\S)|(?=\(?[a-h][.)] +\S))")
RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+\s*")
EDGE = re.compile(r"(?<!\\)\|")
# Highlighting more takes longer than it helps.
LONGEST_CODE = 20_000


def write_block(block: Block, spans: Spans = ()) -> Markup:
    """A block as HTML, with `spans` of its text marked; what may be wider than the page can be reached by keys."""
    if block.kind == "table":
        return write_table(block.text, spans)
    if block.kind == "output":
        return Markup('<pre class="output" tabindex="0">{}</pre>').format(write_text(block.text, spans, 0))
    if block.kind == "code":
        named = Markup('<span class="language">{}</span>').format(block.language) if block.language else Markup("")
        return Markup('<div class="code">{}<pre tabindex="0"><code>{}</code></pre></div>').format(
            named, _write_code(block, spans)
        )
    return write_lines(block.text, spans)


def _write_code(block: Block, spans: Spans) -> Markup:
    if spans or not block.language or len(block.text) > LONGEST_CODE:
        return write_text(block.text, spans, 0)
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(block.language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return write_text(block.text, (), 0)
    return Markup(highlight(block.text, lexer, HtmlFormatter(nowrap=True)))


def _place_lines(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line in text.split("\n"):
        yield at, line
        at += len(line) + 1


def write_table(text: str, spans: Spans) -> Markup:
    """A table of `| a | b |` lines; a first line without any text is no heading."""
    head, body = Markup(""), Markup("")
    for number, (at, line) in enumerate(_place_lines(text)):
        if number == 1 and RULE.fullmatch(line):
            continue
        tag = "th" if number == 0 else "td"
        cells = list(_split_row(line))
        row = Markup("").join(_write_cell(tag, at + start, cell, spans) for start, cell in cells)
        if number == 0 and any(cell.strip() for _, cell in cells):
            head = Markup("<thead><tr>{}</tr></thead>").format(row)
        elif number:
            body += Markup("<tr>{}</tr>").format(row)
    return Markup('<div class="scroll" tabindex="0"><table>{}<tbody>{}</tbody></table></div>').format(head, body)


def _split_row(line: str) -> Iterator[tuple[int, str]]:
    """The cells of a row, each with where it begins."""
    edges = [found.start() for found in EDGE.finditer(line)]
    begun = [] if line.startswith("|") else [-1]
    ended = [] if line.endswith("|") and len(edges) > 1 else [len(line)]
    for left, right in pairwise([*begun, *edges, *ended]):
        yield left + 1, line[left + 1 : right]


def _write_cell(tag: str, at: int, cell: str, spans: Spans) -> Markup:
    inner = cell.strip()
    shown = write_inline(inner, spans, at + cell.index(inner) if inner else at).replace("\\|", "|")
    return Markup(f"<{tag}>{{}}</{tag}>").format(shown)


@dataclass(slots=True)
class _Item:
    """A line of a list with the lines that go on in it and the items below it."""

    indent: int
    marker: str
    lines: list[Markup]
    items: list["_Item"] = field(default_factory=list)


def write_lines(text: str, spans: Spans = ()) -> Markup:
    """Paragraphs and lists; a formula over several lines stays whole."""
    if text.startswith(("$$", "\\[", "\\begin{")) or ("\n" not in text and not ITEM.match(text)):
        return Markup("<p>{}</p>").format(write_inline(text, spans))
    parts: list[Markup | list[_Item]] = []
    open_items: list[_Item] = []
    for at, line in _place_lines(text):
        found = ITEM.match(line)
        if found is None:
            shown = write_inline(line.strip(), spans, at + len(line) - len(line.lstrip()))
            if open_items and line.startswith(" "):
                open_items[-1].lines.append(shown)
            else:
                open_items = []
                parts.append(Markup("<p>{}</p>").format(shown))
            continue
        item = _Item(
            len(found["indent"]), found["marker"] or "", [write_inline(line[found.end() :], spans, at + found.end())]
        )
        while open_items and open_items[-1].indent >= item.indent:
            open_items.pop()
        if open_items:
            open_items[-1].items.append(item)
        elif parts and isinstance(parts[-1], list):
            parts[-1].append(item)
        else:
            parts.append([item])
        open_items.append(item)
    return Markup("").join(_write_list(part) if isinstance(part, list) else part for part in parts)


def _write_list(items: list[_Item]) -> Markup:
    """Items as a list; one of numbers keeps them, and parts of an exercise have the mark that they begin with."""
    is_numbered = items[0].marker[:1].isdigit()
    rows = Markup("").join(
        Markup("<li{}>{}{}</li>").format(
            Markup(' value="{}"').format(item.marker[:-1]) if item.marker[:1].isdigit() and is_numbered else "",
            Markup("<br>").join(item.lines),
            _write_list(item.items) if item.items else "",
        )
        for item in items
    )
    kind = "<ol>{}</ol>" if is_numbered else "<ul>{}</ul>" if items[0].marker else '<ul class="parts">{}</ul>'
    return Markup(kind).format(rows)
