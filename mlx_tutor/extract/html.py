"""HTML to sections: what a reader of the page reads, as Markdown's readable text.

Markdown comes through here too, as its parser renders it, so that HTML inside Markdown is no special case.
"""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from mlx_tutor.extract.dialects import GONE
from mlx_tutor.extract.fences import name_language
from mlx_tutor.extract.frames import (
    holds_no_table,
    is_frame,
    is_script_formula,
    list_classes,
    read_code,
    read_picture,
    write_formula,
)
from mlx_tutor.extract.mathml import write_mathml
from mlx_tutor.extract.navigation import ANCHOR, END_LINK, LINK, LINKS, is_anchored, is_navigation
from mlx_tutor.extract.roles import find_role, is_title
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.files import mend_surrogates
from mlx_tutor.records import ENTRY, Block

# Elements whose content is not meant for readers.
DROPPED = frozenset(
    "script style head template noscript nav iframe object svg canvas audio video button input select textarea".split()
)
# Inline elements.
INLINE = frozenset(
    "a abbr acronym b bdi bdo big br cite code data del dfn em font i img ins kbd label mark math nobr q ruby s samp "
    "small span strike strong sub sup time tt u var wbr".split()
)
BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu ol optgroup option p pre search section "
    "summary table tbody td tfoot th thead title tr ul".split()
)
KNOWN = DROPPED | INLINE | BLOCKS | frozenset("area base col colgroup embed link map meta param source track".split())
# Nesting depth; what is deeper becomes plain text.
DEEPEST = 150
# What holds a line of text.
LINES = INLINE | {"p", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "td", "th"}
# Items of a list that are paragraphs with a sign, as Word writes them.
ITEM = re.compile(r"[•·▪◦‣●]\s+(?=\S)")
# Around what a cell of a notebook printed.
OUTPUT = frozenset("jp-OutputArea output_area cell_output cell-output output_text".split())
# Tags that a text about sets and types may seem to open.
LETTERS = frozenset("abiqsu")
TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]*)((?:\s[^<>]*|/)?)>")
# Links between a footnote and its mark, and from a heading to itself.
BACK, NOTE = re.compile(r"\S*#\S+"), re.compile(r"\[?\d+\]?|\[[a-z]{1,2}\]|[↑↩¶#§*†‡]\ufe0e?|")
PART = re.compile(r"\(?[a-h][.)]\s+\S")
LANGUAGE = re.compile(r"(?:^|\s)(?:lang(?:uage)?-|sourceCode\s+|highlight-(?:source-)?|hl-|brush:\s*)([\w+#.-]+)")


def add_html(
    builder: SectionBuilder,
    html: str,
    *,
    cell: int | None = None,
    finish: Callable[[str], str] = lambda text: text,
    finish_code: Callable[[str], str] = lambda text: text,
) -> str:
    """Add the headings and blocks of HTML; returns its title, "" where it has none.

    `finish` and `finish_code` are applied to text and code last; `cell` is set on the blocks.
    """
    from lxml import html as parser
    from lxml.etree import ParserError

    # XML declarations name the encoding of bytes, and control characters make the parser stop.
    clean = re.sub(r"\A\s*<\?xml[^>]*\?>", "", re.sub(r"[\x00-\x08\x0b\x0e-\x1f]", "", mend_surrogates(html)))
    try:
        root = parser.document_fromstring(clean, parser=parser.HTMLParser(huge_tree=True, remove_comments=True))
    except ParserError:
        # Only comments and blanks.
        return ""
    title = " ".join((root.findtext("head/title") or "").split())
    walker = _Walker(builder, cell, finish, finish_code)
    walker.walk(root)
    walker.flush()
    return title


def escape_unknown_tags(html: str, closed: Set[str]) -> str:
    """`vector<int>` and `a<b>c` are text, not tags: an unknown name, or a letter, that is not among `closed`."""

    def escape(match: re.Match[str]) -> str:
        slash, name, rest = match[1], match[2].lower(), match[3]
        is_known = name in KNOWN and (name not in LETTERS or rest)
        is_tag = is_known or slash or name in closed or rest.endswith("/") or "=" in rest
        return match[0] if is_tag else match[0].replace("<", "&lt;")

    return TAG.sub(escape, html)


def _is_in_line(element: Any) -> bool:
    """Whether an element of an unknown name stands in a line of text, as components of web pages do."""
    parent = element.getparent()
    return parent is not None and parent.tag in LINES and not any(child.tag in BLOCKS for child in element.iter())


@dataclass(slots=True)
class _List:
    """An open list: the number of its next item (0: bullets), and its lines so far."""

    number: int
    marker: str = ""


@dataclass(slots=True)
class _Walker:
    """Collects text until an element ends it; a list is one block with a line for each item."""

    builder: SectionBuilder
    cell: int | None
    finish: Callable[[str], str]
    finish_code: Callable[[str], str]
    text: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    depth: int = 0
    # What the next paragraph explains.
    term: str = ""
    # Whether the open list only links to places on its own page.
    is_contents: bool = True
    # The open exercise or solution.
    role: str | None = None

    def walk(self, element: Any) -> None:
        """Add an element and what it contains, without the text after it."""
        name = element.tag if isinstance(element.tag, str) else ""
        if name and is_script_formula(element):
            self.text.append(write_formula(element, element.text or ""))
        if not name or name in DROPPED or is_frame(element):
            return
        if self.depth > DEEPEST:
            self.text.append(f" {element.text_content()} ")
        elif name in INLINE or (name not in KNOWN and _is_in_line(element)):
            self.text.append(self._write_inline(element, name))
        elif not self.lists and (kind := find_role(element)) and not (kind == "exercise" and self.role):
            self._walk_role(element, kind)
        elif re.fullmatch(r"h[1-6]", name):
            self._add_heading(element, int(name[1]))
        elif name == "pre":
            self._add_code(element)
        elif name == "table":
            self._add_table(element)
        elif name in ("ul", "ol", "menu", "dir"):
            self._add_list(element, name)
        elif name == "li":
            self._add_item(element)
        else:
            self._end_text()
            self._walk_children(element)
            if name == "dt" and (term := self._take_text().rstrip(": ")):
                self.term += f"{term}: "
            self._end_text()

    def _walk_role(self, element: Any, kind: str) -> None:
        """Add an exercise, or the solution of the last one; a title that says nothing else is left out."""
        self.flush()
        self.builder.exercises += kind == "exercise"
        before, self.role = self.role, f"{kind} {self.builder.exercises}"
        self.depth += 1
        self.text.append(element.text or "")
        for child in element:
            if not is_title(child):
                self.walk(child)
            self.text.append(child.tail or "")
        self.depth -= 1
        self.flush()
        self.role = before

    def _walk_children(self, element: Any) -> None:
        self.depth += 1
        self.text.append(element.text or "")
        for child in element:
            self.walk(child)
            self.text.append(child.tail or "")
        self.depth -= 1

    def _write_inline(self, element: Any, name: str) -> str:  # noqa: PLR0911
        if name == "br":
            return " "
        if name == "a" and BACK.fullmatch(element.get("href", "")) and NOTE.fullmatch(element.text_content().strip()):
            return GONE
        if name == "img":
            formula = read_picture(element)
            if not formula:
                self.builder.add_picture(self.finish_code(element.get("src", "")), self.finish(element.get("alt", "")))
            return formula or GONE
        if name == "del":
            return GONE
        if name == "math":
            found = element.xpath(".//*[local-name()='annotation'][contains(@encoding, 'tex')]")
            tex = found[0].text_content() if found else element.get("alttext") or write_mathml(element)
            return write_formula(element, tex)
        if name in ("code", "samp", "kbd", "tt"):
            code = element.text_content()
            ticks = "``" if "`" in code else "`"
            pad = " " if "`" in code else ""
            return f"{ticks}{pad}{code}{pad}{ticks}" if code.strip() else code
        if self.depth > DEEPEST:
            return str(element.text_content())
        self.depth += 1
        inner = element.text or ""
        inner += "".join(f"{self._write_child(child)}{child.tail or ''}" for child in element)
        self.depth -= 1
        if name in ("b", "strong") and inner.strip() and "**" not in inner:
            head, tail = inner[: len(inner) - len(inner.lstrip())], inner[len(inner.rstrip()) :]
            return f"{head}**{inner.strip()}**{tail}"
        if name == "a" and element.get("href"):
            mark = ANCHOR if element.get("href").startswith("#") else ""
            return f"{LINK}{mark}{LINKS.sub('', inner)}{END_LINK}"
        if name == "q":
            return f"“{inner}”"
        if name in ("sup", "sub"):
            return GONE if inner == GONE else write_script("^" if name == "sup" else "_", inner.strip())
        return inner

    def _write_child(self, child: Any) -> str:
        name = child.tag if isinstance(child.tag, str) else ""
        if name and is_script_formula(child):
            return write_formula(child, child.text or "")
        if not name or name in DROPPED:
            return ""
        if is_frame(child):
            return GONE
        # A block inside a line, such as a `<div>` in a link, is part of its text.
        return (
            self._write_inline(child, name)
            if name in INLINE or name not in KNOWN
            else f" {self._write_inline(child, name)} "
        )

    def _take_text(self, *, keep_links: bool = False) -> str:
        text, self.text = "".join(self.text), []
        return clean_spaces(text if keep_links else LINKS.sub("", text))

    def _end_text(self) -> None:
        """Make the collected text a paragraph, or a line of a list; its pictures stand below."""
        self._add_text()
        if not (self.lists or self.lines):
            self.builder.place_pictures()

    def _add_text(self) -> None:
        marked = self._take_text(keep_links=True)
        text = LINKS.sub("", marked)
        if not text or is_navigation(marked):
            return
        term, self.term = self.term, ""
        text = term + text
        if not self.lists and ITEM.match(text):
            self.lines.append(ITEM.sub("- ", text, count=1))
            self.is_contents = False
            return
        if not self.lists:
            self._flush_lines()
            self._add("text", text, is_entry=bool(term))
            return
        current = self.lists[-1]
        self.is_contents = self.is_contents and is_anchored(marked)
        # A part of an exercise, "a) ...", has its own mark.
        marker = "" if current.marker == "- " and PART.match(text) else current.marker or "  "
        self.lines.append("  " * (len(self.lists) - 1) + marker + text)
        current.marker = ""

    def flush(self) -> None:
        """End the open paragraph or list."""
        self._end_text()
        self._flush_lines()
        self.builder.place_pictures()

    def _flush_lines(self) -> None:
        if self.lines:
            lines, self.lines = self.lines, []
            is_contents, self.is_contents = self.is_contents, True
            if is_contents and len(lines) > 1:
                return
            # Text after code inside an item begins a block.
            self._add("text", dedent("\n".join(lines)).lstrip(" "))

    def _add(self, kind: Any, text: str, language: str | None = None, *, is_entry: bool = False) -> None:
        finish = self.finish if kind in ("text", "table") else self.finish_code
        role = self.role or (ENTRY if is_entry else None)
        self.builder.add_block(Block(kind, finish(text), None, self.cell, language, role))

    def _add_heading(self, element: Any, level: int) -> None:
        self.flush()
        self._walk_children(element)
        heading = self._take_text().replace("**", "")
        if heading and self.role:
            self._add("text", heading)
        elif heading:
            self.builder.add_heading(level, self.finish(heading))

    def _add_list(self, element: Any, name: str) -> None:
        self._end_text()
        if not self.lists:
            self.flush()
        start = str(element.get("start", "1"))
        self.lists.append(_List((int(start) if start.isdigit() else 1) if name == "ol" else 0))
        self._walk_children(element)
        self._end_text()
        self.lists.pop()
        if not self.lists:
            self.flush()

    def _add_item(self, element: Any) -> None:
        self._end_text()
        if self.lists:
            current = self.lists[-1]
            current.marker = f"{current.number}. " if current.number else "- "
            current.number += 1 if current.number else 0
        self._walk_children(element)
        self._end_text()

    def _add_code(self, element: Any) -> None:
        self.flush()
        is_output = any(list_classes(each) & OUTPUT for each in list(element.iterancestors())[:4])
        language = None if is_output else find_language(element)
        if text := read_code(element):
            self._add("output" if is_output else "code", text, language)

    def _add_table(self, element: Any) -> None:
        self.flush()
        for caption in element.findall("caption"):
            self.walk(caption)
        rows = [] if holds_no_table(element) else self._read_rows(element)
        width = max(map(len, rows), default=0)
        if width > 1:
            rows = [[*row, *[""] * (width - len(row))] for row in rows]
            lines = ["|" + "".join(f" {cell} |" if cell else " |" for cell in row) for row in rows]
            self._add("table", "\n".join([lines[0], f"|{'---|' * width}", *lines[1:]]))
            self.builder.place_pictures()
            return
        # A table of one column is a frame around its content.
        for cell in element.iter("td", "th"):
            if not is_frame(cell):
                self._walk_children(cell)
                self.flush()

    def _read_rows(self, table: Any) -> list[list[str]]:
        """The cells; a cell that spans rows or columns goes into the first column of each of its rows."""
        rows: list[list[str]] = []
        spans: dict[int, tuple[int, str]] = {}
        for row in table.iter("tr"):
            if next(row.iterancestors("table")) is not table:
                continue
            cells: list[str] = []
            for cell in row.iterchildren("td", "th"):
                while len(cells) in spans:
                    self._repeat(cells, spans)
                text = clean_spaces(LINKS.sub("", self._write_inline(cell, cell.tag))).replace("|", "\\|")
                across, down = (int(cell.get(name)) if (cell.get(name) or "").isdigit() else 1 for name in SPANS)
                if 1 < down < 1000:
                    spans[len(cells)] = (down - 1, text)
                cells += [text, *[""] * (min(across, 100) - 1)]
            while len(cells) in spans:
                self._repeat(cells, spans)
            if any(cells):
                rows.append(cells)
        return rows

    @staticmethod
    def _repeat(cells: list[str], spans: dict[int, tuple[int, str]]) -> None:
        left, text = spans.pop(len(cells))
        if left > 1:
            spans[len(cells)] = (left - 1, text)
        cells.append(text)


SPANS = ("colspan", "rowspan")


def write_script(sign: str, text: str) -> str:
    """`10^3` and `H_2` for superscripts and subscripts; the letters of `1st` stay as they are."""
    if not text or (sign == "^" and re.fullmatch(r"(?:st|nd|rd|th|er|e|re|o|a|TM|SM|®|™)", text)):
        return text
    # A sign ends a charge, `2-`, or begins an exponent, `-1`; within one it would seem to end it.
    is_one = re.fullmatch(r"[+−-]?[\w.]+|[\w.]*[*+−-]+|" + "\ue000\\d+\ue001", text)
    return f"{sign}{text}" if is_one else f"{sign}({text})"


def find_language(element: Any) -> str | None:
    """The language that a `<pre>`, its `<code>` or the element around it names."""
    around = [element, *element.iter("code"), *list(element.iterancestors())[:2]]
    for each in around:
        if (name := each.get("data-lang") or each.get("data-language")) or (
            (match := LANGUAGE.search(each.get("class", ""))) and (name := match[1])
        ):
            return name_language(str(name))
    return None


def clean_spaces(text: str) -> str:
    """The text on one line, without a blank before punctuation where something was removed."""

    def join(match: re.Match[str]) -> str:
        gap = match[0]
        follows = text[match.end() : match.end() + 1]
        return " " if gap.strip(GONE) and not (GONE in gap and follows in ".,;:)") else ""

    # Brackets around a removed citation are removed too.
    text = re.sub(rf"\(\s*{GONE}\s*\)", GONE, text.replace("\xad", ""))
    return re.sub(rf"[\s{GONE}]+", join, text).strip()
