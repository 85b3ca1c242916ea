"""The lines of a document as headings and paragraphs."""

import re
from collections.abc import Sequence
from dataclasses import replace

from mlx_tutor.extract.headings import find_headings
from mlx_tutor.extract.joining import BULLET, NUMBERED, SOFT_HYPHENS, count_words, join_code, join_paragraph, join_table
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.segments import Line
from mlx_tutor.extract.shape import (
    ENDS_SENTENCE,
    FOOTNOTE,
    Shape,
    find_body_size,
    find_column,
    find_edges,
    find_median_gap,
    mark_asides,
)
from mlx_tutor.records import Block


class Composer:
    """Takes the lines of a document in order, and gives headings and blocks to a builder."""

    def __init__(self, builder: SectionBuilder, shape: Shape) -> None:
        self.builder, self.shape = builder, shape
        self.paragraph: list[Line] = []
        self.aside: list[Line] = []
        self.heading: list[Line] = []
        self.level = 0
        # Tables, captions and footnotes, kept until the paragraph that they interrupt ends.
        self.waiting: list[Block] = []

    def add_heading(self, line: Line, level: int) -> None:
        """Add the first or a further line of a heading."""
        if not (self.heading and level == self.level and _follows(self.heading[-1], line)):
            self.close()
            if self.heading and level <= self.level:
                # Nothing is below it: a label in a picture, a cell, the text of a cover.
                self._add_text(self.heading)
            elif self.heading:
                self._open_section()
            self.heading, self.level = [], level
        self.heading.append(line)

    def add_text(self, line: Line) -> None:
        """Add a line of running text or of code."""
        self._open_section()
        if self.paragraph and self._goes_on(line):
            self.paragraph.append(line)
            return
        self.close()
        self.paragraph.append(line)

    def add_aside(self, line: Line) -> None:
        """Add a line of a caption, a footnote or a margin."""
        if self.aside and (_starts_paragraph(self.aside, line, self.shape) or FOOTNOTE.match(line.text)):
            self._close_aside()
        self.aside.append(line)

    def add_table(self, line: Line) -> None:
        """Add a table; the rest of a table that continues on the next page is joined to its first part."""
        self._close_aside()
        text = join_table(line, self.shape.vocabulary)
        blocks = self.waiting or (self.builder.blocks if not self.paragraph else [])
        last = blocks[-1] if blocks else None
        head = text.split("\n")[:2]
        if last and last.kind == "table" and last.page == line.page - 1 and last.text.split("\n")[:2] == head:
            self.waiting = self.waiting or [self.builder.blocks.pop()]
            self.waiting[-1] = replace(last, text="\n".join([last.text, *text.split("\n")[2:]]))
        else:
            self.waiting.append(Block("table", text, page=line.page))

    def close(self) -> None:
        """End the open paragraph, then add what was kept until its end."""
        if self.paragraph:
            if self.paragraph[0].kind == "code":
                self.builder.add_block(Block("code", join_code(self.paragraph), page=self.paragraph[0].page))
            else:
                self._add_text(self.paragraph)
            self.paragraph = []
        self._close_aside()
        if self.waiting:
            self._open_section()
        for block in self.waiting:
            self.builder.add_block(block)
        self.waiting = []

    def finish(self) -> None:
        """End the document."""
        self.close()
        if self.heading:
            self._add_text(self.heading)

    def _open_section(self) -> None:
        if self.heading:
            self.builder.add_heading(self.level, join_paragraph(self.heading, self.shape.vocabulary))
            self.heading = []

    def _add_text(self, lines: Sequence[Line]) -> None:
        self.builder.add_block(Block("text", join_paragraph(lines, self.shape.vocabulary), page=lines[0].page))

    def _close_aside(self) -> None:
        if self.aside:
            self.waiting.append(
                Block("text", join_paragraph(self.aside, self.shape.vocabulary), page=self.aside[0].page)
            )
            self.aside = []

    def _goes_on(self, line: Line) -> bool:
        last = self.paragraph[-1]
        if "code" in (last.kind, line.kind):
            return last.kind == line.kind and last.page == line.page and 0 < last.y - line.y < 3 * line.size
        ended = bool(ENDS_SENTENCE.search(last.text))
        if line.text[0].islower():
            hyphenated = bool(re.search(rf"\w[-{SOFT_HYPHENS}]$", last.text))
            if hyphenated or (not ended and (self.waiting or self.aside)):
                return True
        if ended and any(block.kind == "table" for block in self.waiting):
            return False
        return not _starts_paragraph(self.paragraph, line, self.shape)


def add_lines(builder: SectionBuilder, lines: Sequence[Line], outline: Sequence[tuple[int, int, str]] = ()) -> None:
    """Add the headings, paragraphs, code and tables in the lines of a document.

    `outline` holds level, page and title of the document's own table of contents.
    """
    lines = [line for line in lines if line.text]
    shape = Shape(find_body_size(lines), find_median_gap(lines), count_words(lines), find_edges(lines))
    lines = mark_asides(lines, shape)
    composer = Composer(builder, shape)
    for line, level in zip(lines, find_headings(lines, shape.body, outline), strict=True):
        if line.kind == "aside":
            composer.add_aside(line)
        elif line.kind == "table":
            composer.add_table(line)
        elif level:
            composer.add_heading(line, level)
        else:
            composer.add_text(line)
    composer.finish()


def _follows(above: Line, line: Line) -> bool:
    """Whether this line continues a heading."""
    return above.page == line.page and 0 < above.y - line.y < 1.6 * above.size


def _begins_item(line: Line) -> bool:
    return bool(BULLET.match(line.text) or NUMBERED.match(line.text))


def _starts_paragraph(paragraph: Sequence[Line], line: Line, shape: Shape) -> bool:
    last, gap = paragraph[-1], shape.gap
    left, right = shape.edges.get(find_column(last), (last.x, last.end))
    ended = bool(ENDS_SENTENCE.search(last.text))
    in_list = _begins_item(paragraph[0])
    # A line is short if the first word of the next one would have fitted on it.
    word = (line.end - line.x) * (len(line.text.split(" ", 1)[0]) + 1) / len(line.text)
    short = right - last.end > word + 0.5 * last.size
    if _begins_item(line):
        # The items of a list stay in one block.
        if in_list:
            return last.page == line.page and last.y - line.y > 2.2 * max(gap, line.size)
        # A line may begin with the number that ends a sentence: "... on page / 13. Without it ..."
        return ended or short or not NUMBERED.match(line.text)
    distance = last.y - line.y
    indent = line.x - shape.edges.get(find_column(line), (line.x, 0.0))[0]
    indented = 0.8 * line.size < indent < 4 * line.size
    if last.page != line.page or distance <= 0:
        # A new column or page.
        return (short or indented) and (ended or line.text[:1].isupper())
    if distance > 1.3 * max(gap, 0.9 * line.size):
        return True
    if in_list:
        item = next(other for other in reversed(paragraph) if _begins_item(other) or other is paragraph[0])
        # A line further left than the text of the item is not part of it, unless the item began in another column.
        outside = line.x <= item.x - 1 or (line.x < item.x + 1 and ended)
        return outside and item.page == line.page and item.y > line.y
    start = min(other.x for other in paragraph if other.page == line.page and abs(other.x - last.x) < 36)
    indented = line.x > start + 0.8 * line.size or (len(paragraph) == 1 and indented)
    # References have hanging indents.
    hangs = len(paragraph) > 1 and paragraph[1].x > start + 0.8 * line.size and line.x < start + 1
    # A line that ends early without a full stop belongs to a list, an address or a formula.
    broken = last.end < left + 0.6 * (right - left) and not line.text[0].islower()
    return (ended and (short or hangs or indented)) or (short and (indented or broken))
