"""A document cut into parts of a length to read, and where a passage stands in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mlx_tutor.records import Block, Document
from mlx_tutor.study.reader.inline import Spans

# Characters of a part; a section is not cut unless it alone is three times as long.
PART = 40_000


@dataclass(frozen=True, slots=True)
class Placed:
    """A block with its section, what of its text is marked, and its number in the section, from 1."""

    section: int
    block: Block
    spans: Spans = ()
    number: int = 0


@dataclass(slots=True)
class Part:
    """What is shown at once; `page` is that of a PDF, whose parts are its pages."""

    page: int | None = None
    blocks: list[Placed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of characters of the text of a section."""

    section: int
    start: int
    end: int


def has_pages(document: Document) -> bool:
    """Whether its parts are pages: a PDF's are."""
    return PurePosixPath(document.source).suffix.lower() == ".pdf"


def find_passage(document: Document, text: str, section: int | None = None) -> Passage | None:
    """The first place where `text` stands word for word, in the section `section` if it is there."""
    numbers = range(len(document.sections))
    for number in [section, *numbers] if section in numbers else numbers:
        start = document.sections[number].text.find(text) if text and number is not None else -1
        if start >= 0 and number is not None:
            return Passage(number, start, start + len(text))
    return None


def place_blocks(document: Document, passage: Passage | None = None) -> Iterator[Placed]:
    """All blocks in order, those of the passage with what is marked."""
    for number, section in enumerate(document.sections):
        at = 0
        for place, block in enumerate(section.blocks, 1):
            end = at + len(block.text)
            spans: list[tuple[int, int]] = []
            if passage is not None and passage.section == number and passage.start < end and at < passage.end:
                spans = [(max(passage.start - at, 0), min(passage.end - at, len(block.text)))]
            yield Placed(number, block, spans, place)
            at = end + 2


def cut_parts(document: Document, passage: Passage | None = None) -> list[Part]:
    """The parts of a document: of a PDF its pages in order, of others runs of sections."""
    placed = list(place_blocks(document, passage))
    if has_pages(document):
        pages: dict[int, Part] = {}
        for item in placed:
            page = item.block.page or 1
            pages.setdefault(page, Part(page)).blocks.append(item)
        return [pages[page] for page in sorted(pages)]
    parts, size, last = [Part()], 0, 0
    for item in placed:
        if size > (PART if item.section != last else 3 * PART):
            parts.append(Part())
            size = 0
        parts[-1].blocks.append(item)
        size, last = size + len(item.block.text), item.section
    return parts


def find_part(
    parts: Sequence[Part], *, page: int | None = None, cell: int | None = None, section: int | None = None
) -> int:
    """The number of the part with the passage that is marked, else with that page, cell or section; else the first."""

    def is_wanted(item: Placed) -> bool:
        wanted = (page, item.block.page), (cell, item.block.cell), (section, item.section)
        return any(value is not None for value, _ in wanted) and all(a is None or a == b for a, b in wanted)

    for fits in (lambda item: bool(item.spans), is_wanted):
        for number, part in enumerate(parts):
            if any(map(fits, part.blocks)):
                return number
    return 0
