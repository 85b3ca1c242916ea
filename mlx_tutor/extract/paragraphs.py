"""Lines of a page to headings and paragraphs: what belongs together, joined; what was hyphenated, whole."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.records import Block

LIGATURES = str.maketrans(
    {
        "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st",
        "\xa0": " ", "\u2002": " ", "\u2003": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "\t": " ",
    }
)  # fmt: skip
# Symbol fonts draw bullets at private places, and the bullet of Helvetica and Times comes out of pypdf as 7f.
BULLET = re.compile(r"^(?:[•●▪■◦‣∙·○–—*\x7f\uf0b7\uf0a7\uf0d8\uf076-]|o(?= [A-Z]))\s+(?=\S)")
NUMBERED = re.compile(r"^\(?\d{1,2}[.)]\s+(?=\S)")
ENDS_SENTENCE = re.compile(r"[.!?:;][\"'”’)\]]*$")
HEADING_RATIO = 1.12
# A soft or typographic hyphen at the end of a line was put there by hyphenation and by nothing else.
SOFT_HYPHENS = "\u00ad\u2010"


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line. `x`, `y` (upwards), `size` and page `height` are in points."""

    text: str
    x: float
    y: float
    size: float
    bold: bool
    page: int
    height: float


def clean_characters(text: str) -> str:
    """Ligatures as letters, odd spaces as one space; formulas and their characters stay as they are."""
    return re.sub(r" {2,}", " ", text.translate(LIGATURES).replace("\n", " ")).strip()


def add_lines(builder: SectionBuilder, lines: Sequence[Line]) -> None:
    """Add the headings and paragraphs that the lines of a document make."""
    lines = [line for line in lines if line.text]
    body = find_body_size(lines)
    gap = find_median_gap(lines)
    lengths = _usual_lengths(lines)
    levels = _rank_headings(lines, body)
    vocabulary = count_words(lines)
    paragraph: list[Line] = []

    def close() -> None:
        if paragraph:
            builder.add_block(Block("text", join_paragraph(paragraph, vocabulary), page=paragraph[0].page))
            paragraph.clear()

    heading: list[Line] = []
    for line in lines:
        level = levels.get(_heading_key(line, body))
        if heading and not (level == levels[_heading_key(heading[0], body)] and _follows(heading[-1], line)):
            builder.add_heading(levels[_heading_key(heading[0], body)], join_paragraph(heading, vocabulary))
            heading = []
        if level is not None:
            close()
            heading.append(line)
            continue
        if paragraph and _starts_paragraph(paragraph, line, gap, lengths):
            close()
        paragraph.append(line)
    if heading:
        builder.add_heading(levels[_heading_key(heading[0], body)], join_paragraph(heading, vocabulary))
    close()


def find_body_size(lines: Sequence[Line]) -> float:
    """The size most characters have."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def find_median_gap(lines: Sequence[Line]) -> float:
    """The usual distance of two neighbouring lines of running text."""
    pairs = pairwise(lines)
    gaps = [a.y - b.y for a, b in pairs if a.page == b.page and 0 < a.y - b.y < 3 * a.size and a.size == b.size]
    return statistics.median(gaps) if gaps else 0.0


def _usual_lengths(lines: Sequence[Line]) -> dict[float, float]:
    """Characters in a full line, by size of type."""
    lengths: dict[float, list[int]] = {}
    for line in lines:
        lengths.setdefault(line.size, []).append(len(line.text))
    return {size: sorted(values)[int(0.75 * (len(values) - 1))] for size, values in lengths.items()}


def _heading_key(line: Line, body: float) -> tuple[float, bool]:
    """What sets a heading apart: larger type, or a short bold line of the body's size."""
    larger = line.size >= HEADING_RATIO * body
    bold = line.bold and line.size >= 0.95 * body and len(line.text) < 90 and not ENDS_SENTENCE.search(line.text)
    return (line.size, False) if larger else (line.size if bold else 0.0, bold)


def _rank_headings(lines: Sequence[Line], body: float) -> dict[tuple[float, bool], int]:
    """Levels of the kinds of heading in a document, largest type first."""
    keys = {
        _heading_key(line, body)
        for line in lines
        if len(line.text) < 200 and any(c.isalpha() for c in line.text) and not BULLET.match(line.text)
    }
    ranked = sorted((key for key in keys if key[0] > 0), key=lambda key: (-key[0], key[1]))
    return {key: level for level, key in enumerate(ranked, 1)}


def _follows(above: Line, line: Line) -> bool:
    """Whether a heading goes on in this line."""
    return above.page == line.page and 0 < above.y - line.y < 1.6 * above.size


def _starts_paragraph(paragraph: Sequence[Line], line: Line, gap: float, lengths: dict[float, float]) -> bool:
    last = paragraph[-1]
    ended = bool(ENDS_SENTENCE.search(last.text))
    in_list = bool(BULLET.match(paragraph[0].text) or NUMBERED.match(paragraph[0].text))
    if BULLET.match(line.text) or NUMBERED.match(line.text):
        # Items of one list stay one block.
        if in_list:
            return last.page == line.page and last.y - line.y > 2.2 * max(gap, line.size)
        # A sentence may end in a number that its line begins with: "... on page / 13. Without it ..."
        return ended or not NUMBERED.match(line.text) or len(last.text) < 0.7 * lengths.get(last.size, 0)
    distance = last.y - line.y
    if last.page == line.page and distance > 0:
        if distance > 1.3 * max(gap, 0.9 * line.size):
            return True
        if in_list:
            # What stands further left than the text of the item is no part of it.
            return line.x <= paragraph[0].x - 1 or (line.x < paragraph[0].x + 1 and ended)
        indented = line.x > min(other.x for other in paragraph) + 0.8 * line.size
        return ended and (indented or len(last.text) < 0.7 * lengths.get(last.size, 0))
    # A new column or page: a sentence goes on there, a paragraph seldom does.
    short = len(last.text) < 0.8 * lengths.get(last.size, 0)
    return (ended and (short or line.text[:1].isupper())) or (short and line.text[:1].isupper())


def count_words(lines: Sequence[Line]) -> Counter[str]:
    """Words of the document that no line end cuts, in lower case: the dictionary for undoing hyphenation."""
    words: Counter[str] = Counter()
    for line in lines:
        inner = line.text.lower().split()
        if inner and inner[-1][-1:] in f"-{SOFT_HYPHENS}":
            inner = inner[:-1]
        for word in inner:
            words[word.strip(".,;:!?()[]\"'“”‘’")] += 1
    return words


def join_paragraph(lines: Sequence[Line], vocabulary: Counter[str]) -> str:
    """The lines as one paragraph; items of a list keep lines of their own, each with "- " or its number."""
    text = ""
    for line in lines:
        if match := BULLET.match(line.text):
            text += ("\n" if text else "") + "- " + line.text[match.end() :]
        elif text and NUMBERED.match(line.text) and NUMBERED.match(lines[0].text):
            text += "\n" + line.text
        elif not text:
            text = line.text
        else:
            text = join_words(text, line.text, vocabulary)
    return re.sub(f"[{SOFT_HYPHENS[0]}]", "", text).replace(SOFT_HYPHENS[1], "-")


def join_words(text: str, following: str, vocabulary: Counter[str]) -> str:
    """`text` and the next line; a word cut by a hyphen is made whole, a hyphenated word keeps its hyphen."""
    if text[-1:] in SOFT_HYPHENS and following[:1].isalpha():
        return text[:-1] + following
    match = re.search(r"([^\W\d_]+)-$", text)
    if not match or not following[:1].isalpha():
        # A dash or a formula's minus at the end of a line.
        keep = text.endswith("-") and len(text) > 1 and text[-2].isalnum() and following[:1].isalnum()
        return text + following if keep else f"{text} {following}"
    left = match[1].lower()
    right = re.split(r"[\W\d_]", following, maxsplit=1)[0]
    return text[:-1] + following if is_one_word(left, right, vocabulary) else text + following


def is_one_word(left: str, right: str, vocabulary: Counter[str]) -> bool:
    """Whether `left` and `right` are halves of one word, by what the document says elsewhere."""
    if right[:1].isupper():
        return False
    whole, hyphenated = vocabulary[left + right], vocabulary[f"{left}-{right}"]
    if whole or hyphenated:
        return whole >= hyphenated
    # Two words that both stand alone elsewhere are a compound: well-known, cost-benefit.
    return not (vocabulary[left] and vocabulary[right] and len(left) > 2 and len(right) > 2)
