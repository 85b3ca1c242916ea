"""HTML to sections: what a reader of the page reads, as Markdown's readable text.

Markdown comes through here too, as its parser renders it, so that HTML inside Markdown is no special case.
"""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.dialects import GONE
from mlx_tutor.extract.mathml import write_mathml
from mlx_tutor.extract.navigation import ANCHOR, END_LINK, LINK, LINKS, is_anchored, is_navigation
from mlx_tutor.extract.roles import find_role, is_title
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.text import decode_bytes
from mlx_tutor.files import mend_surrogates
from mlx_tutor.records import ENTRY, Block, Section

# Elements whose content is not meant for readers.
DROPPED = frozenset(
    "script style head template noscript nav iframe object svg canvas audio video button input select textarea".split()
)
# What surrounds the text of a page.
FRAME_ROLES = frozenset(["navigation", "banner", "search", "contentinfo"])
FRAME_CLASSES = frozenset(
    "breadcrumb breadcrumbs wy-breadcrumbs pagination pager prev-next-area prev-next-footer bd-sidebar sphinxsidebar "
    "toctree-wrapper skip-link edit-this-page navbar page-toc quarto-title-breadcrumbs nav-footer md-footer".split()
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
# Tags that a text about sets and types may seem to open.
LETTERS = frozenset("abiqsu")
TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]*)((?:\s[^<>]*|/)?)>")
# Links between a footnote and its mark, and from a heading to itself.
BACK, NOTE = re.compile(r"\S*#\S+"), re.compile(r"\[?\d+\]?|[↑↩¶#§*†‡]\ufe0e?|")
PART = re.compile(r"\(?[a-h][.)]\s+\S")
CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w-]{2,30})", re.IGNORECASE)
LANGUAGE = re.compile(r"(?:^|\s)(?:lang(?:uage)?-|sourceCode\s+|highlight-(?:source-)?|brush:\s*)([\w+#.-]+)")


def read_html(path: Path) -> tuple[str, tuple[Section, ...]]:
    """An .html file; scripts, styles and menus are left out."""
    builder = SectionBuilder()
    title = add_html(builder, decode_html(path.read_bytes()))
    title = title or builder.find_title(path.stem)
    sections = builder.finish(title)
    if not sections:
        raise CorpusError("empty: no text in it")
    return title, sections


def decode_html(data: bytes) -> str:
    """The text of a page, in the encoding that the page names."""
    named = CHARSET.search(data[:4096])
    return decode_bytes(data, named[1].decode("ascii") if named else "")


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


def is_frame(element: Any) -> bool:
    """Whether an element belongs to the site around the page, by its role or class."""
    return element.get("role") in FRAME_ROLES or not FRAME_CLASSES.isdisjoint((element.get("class") or "").split())


def _is_in_line(element: Any) -> bool:
    """Whether an element of an unknown name stands in a line of text, as components of web pages do."""
    parent = element.getparent()
    return (
        parent is not None and parent.tag in ("p", *INLINE) and not any(child.tag in BLOCKS for child in element.iter())
    )


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
        if name in ("img", "wbr"):
            return GONE if name == "img" else ""
        if name == "math":
            found = element.xpath(".//*[local-name()='annotation'][contains(@encoding, 'tex')]")
            tex = " ".join((found[0].text_content() if found else write_mathml(element)).split())
            frame = element.getparent()
            box = f"{frame.get('data-type', '')} {frame.get('class', '')}".split() if frame is not None else []
            dollars = "$$" if element.get("display") == "block" or "equation" in box else "$"
            return f"{dollars}{tex}{dollars}" if tex else ""
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
        if name in ("sup", "sub"):
            return GONE if inner == GONE else write_script("^" if name == "sup" else "_", inner.strip())
        return inner

    def _write_child(self, child: Any) -> str:
        name = child.tag if isinstance(child.tag, str) else ""
        if not name or name in DROPPED:
            return ""
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
        """Make the collected text a paragraph, or a line of a list."""
        marked = self._take_text(keep_links=True)
        text = LINKS.sub("", marked)
        if not text or is_navigation(marked):
            return
        term, self.term = self.term, ""
        text = term + text
        if not self.lists:
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
        if self.lines:
            lines, self.lines = self.lines, []
            is_contents, self.is_contents = self.is_contents, True
            if is_contents and len(lines) > 1:
                return
            # Text after code inside an item begins a block.
            self._add("text", dedent("\n".join(lines)).lstrip(" "))

    def _add(self, kind: Any, text: str, language: str | None = None, *, is_entry: bool = False) -> None:
        finish = self.finish_code if kind == "code" else self.finish
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
        text = element.text_content().strip("\n").rstrip()
        if text.strip():
            self._add("code", text, find_language(element))

    def _add_table(self, element: Any) -> None:
        self.flush()
        for caption in element.findall("caption"):
            self.walk(caption)
        rows = self._read_rows(element)
        width = max(map(len, rows), default=0)
        if width > 1:
            rows = [[*row, *[""] * (width - len(row))] for row in rows]
            lines = ["|" + "".join(f" {cell} |" if cell else " |" for cell in row) for row in rows]
            self._add("table", "\n".join([lines[0], f"|{'---|' * width}", *lines[1:]]))
            return
        # A table of one column is a frame around its content.
        for cell in element.iter("td", "th"):
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
    return f"{sign}{text}" if re.fullmatch(r"[\w.*+-]+|" + "\ue000\\d+\ue001", text) else f"{sign}({text})"


def find_language(element: Any) -> str | None:
    """The language that a `<pre>`, its `<code>` or the element around it names."""
    around = [element, *element.iter("code"), *list(element.iterancestors())[:2]]
    for each in around:
        if (name := each.get("data-lang") or each.get("data-language")) or (
            (match := LANGUAGE.search(each.get("class", ""))) and (name := match[1])
        ):
            return str(name).lower()
    return None


def clean_spaces(text: str) -> str:
    """The text on one line, without a blank before punctuation where something was removed."""

    def join(match: re.Match[str]) -> str:
        gap = match[0]
        follows = text[match.end() : match.end() + 1]
        return " " if gap.strip(GONE) and not (GONE in gap and follows in ".,;:)") else ""

    # Brackets around a removed citation are removed too.
    text = re.sub(rf"\(\s*{GONE}\s*\)", GONE, text)
    return re.sub(rf"[\s{GONE}]+", join, text).strip()
