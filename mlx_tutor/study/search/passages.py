"""Cutting documents into passages, each a run of neighbouring blocks or a part of a long one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlx_tutor.records import Document, Section
from mlx_tutor.study.search.words import UNSPACED
from mlx_tutor.text import split_sentences

# Words of a passage: at least MIN_WORDS where the section has them, at most MAX_WORDS.
MIN_WORDS, PIECE_WORDS, MAX_WORDS = 80, 120, 200
# Of a passage that mostly asks.
ASKING_WEIGHT = 0.5
# As passages are measured; what is longer than any word (encoded data) counts as several.
WORD = re.compile(rf"[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]{{1,60}}")
# Behind a number it is the number of an item.
SENTENCE_END = re.compile(r"(?<!\d)[.?!](?=\s|$)")


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of neighbouring blocks, or a part of a long one. `text` stands in its section's text as it is.

    `section` is the index of the section in its document; `places` says at which offset of `text` which page and
    cell begin; `score` is the search's, the higher the better.
    """

    source: str
    section: int
    heading: tuple[str, ...]
    text: str
    places: tuple[tuple[int, int | None, int | None], ...]
    score: float = 0.0

    def find_place(self, offset: int = 0) -> tuple[int | None, int | None]:
        """Page and cell at `offset`."""
        _, page, cell = [place for place in self.places if place[0] <= offset][-1]
        return page, cell


def place_sentences(text: str, language: str = "en") -> Iterator[tuple[int, str]]:
    """The sentences of a text, each an exact piece of it, with their offsets; a line break ends one too."""
    position = 0
    for part in text.split("\n"):
        for sentence in split_sentences(part.lstrip(". "), language) if part.strip(". ") else ():
            start = text.index(sentence, position)
            position = start + len(sentence)
            yield start, sentence


def weigh_text(text: str) -> float:
    """Less for a list of questions: it names what is asked about, and holds no answer."""
    ends = SENTENCE_END.findall(text)
    return ASKING_WEIGHT if 2 * ends.count("?") > len(ends) else 1.0


def count_words(text: str) -> int:
    """The number of words of a text."""
    return sum(1 for _ in WORD.finditer(text))


def cut_units(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence; one longer than a piece may be is cut between words."""
    for start, sentence in place_sentences(text):
        words = list(WORD.finditer(sentence))
        if len(words) <= PIECE_WORDS:
            yield start, start + len(sentence)
            continue
        for first in range(0, len(words), PIECE_WORDS):
            last = words[min(first + PIECE_WORDS, len(words)) - 1]
            yield start + words[first].start(), start + last.end()


def cut_pieces(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of pieces of a block, of at most PIECE_WORDS words each."""
    if count_words(text) <= PIECE_WORDS:
        yield 0, len(text)
        return
    begun, ended, size = 0, 0, 0
    for start, end in cut_units(text):
        words = count_words(text[start:end])
        if size and size + words > PIECE_WORDS:
            yield begun, ended
            size = 0
        if not size:
            begun = start
        ended, size = end, size + words
    if size:
        yield begun, ended


def cut_section(source: str, number: int, section: Section) -> Iterator[Passage]:
    """The passages of one section, in order."""
    pieces: list[tuple[int, int, int | None, int | None]] = []
    offset = 0
    for block in section.blocks:
        pieces += [(offset + a, offset + b, block.page, block.cell) for a, b in cut_pieces(block.text)]
        offset += len(block.text) + 2
    text = section.text
    groups: list[list[tuple[int, int, int | None, int | None]]] = []
    sizes: list[int] = []
    for piece in pieces:
        size = count_words(text[piece[0] : piece[1]])
        if groups and (sizes[-1] < MIN_WORDS or sizes[-1] + size <= PIECE_WORDS):
            groups[-1].append(piece)
            sizes[-1] += size
        else:
            groups.append([piece])
            sizes.append(size)
    if len(groups) > 1 and sizes[-1] < MIN_WORDS and sizes[-2] + sizes[-1] <= MAX_WORDS:
        last = groups.pop()
        groups[-1] += last
    for group in groups:
        start, end = group[0][0], group[-1][1]
        places = tuple((a - start, page, cell) for a, _, page, cell in group)
        yield Passage(source, number, section.heading, text[start:end], places)


def list_passages(documents: Iterable[Document]) -> Iterator[Passage]:
    """All passages of the documents, in order."""
    for document in documents:
        for number, section in enumerate(document.sections):
            yield from cut_section(document.source, number, section)
