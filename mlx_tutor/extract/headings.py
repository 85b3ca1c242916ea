"""Which lines of a document are headings, and of what level."""

import re
from collections import Counter
from collections.abc import Sequence

from mlx_tutor.extract.joining import BULLET
from mlx_tutor.extract.segments import Line
from mlx_tutor.extract.shape import ENDS_SENTENCE

HEADING_RATIO = 1.12
NO_HEADING = (0.0, False)
WORD = re.compile(r"[^\W\d_]{3,}|\b[A-Z]{2}\b|[\u3040-\u9fff\uac00-\ud7af]{2}")


def find_headings(lines: Sequence[Line], body: float, outline: Sequence[tuple[int, int, str]]) -> list[int | None]:
    """The level of each line that is (part of) a heading: from the outline if listed there, else from its type."""
    keys = [_heading_key(line, body) for line in lines]
    listed = _find_listed(lines, outline)
    _drop_front_matter(lines, keys, listed)
    for i, line in enumerate(lines):
        # Bold cells in a row of a table without rules are not headings.
        beside = [other for other in lines[max(0, i - 2) : i + 3] if other is not line and other.page == line.page]
        if keys[i][1] and any(abs(other.y - line.y) < 0.5 * line.size for other in beside):
            keys[i] = NO_HEADING
    ranked = sorted({key for key in keys if key[0] > 0}, key=lambda key: (-key[0], key[1]))
    depths: dict[tuple[float, bool], Counter[int]] = {}
    for i, depth in listed.items():
        depths.setdefault(keys[i], Counter())[depth] += 1
    levels: dict[tuple[float, bool], int] = {}
    level = 0
    for key in ranked:
        level = depths[key].most_common(1)[0][0] if key in depths else level + 1
        levels[key] = level
    return [listed.get(i, levels.get(key)) for i, key in enumerate(keys)]


def _drop_front_matter(lines: Sequence[Line], keys: list[tuple[float, bool]], listed: dict[int, int]) -> None:
    """Drop authors and dates below a title: their type is used nowhere else, and no text follows."""
    first = range(1, min(10, len(lines) - 1))
    for key in {keys[i] for i in first if keys[i][0] > 0}:
        places = [i for i, other in enumerate(keys) if other == key]
        if all(
            i in first
            and i not in listed
            and lines[i].page == lines[0].page
            and max(keys[:i])[0] > key[0]
            and (keys[i + 1][0] > 0 or lines[i + 1].size == lines[i].size)
            for i in places
        ):
            for i in places:
                keys[i] = NO_HEADING


def _find_listed(lines: Sequence[Line], outline: Sequence[tuple[int, int, str]]) -> dict[int, int]:
    """The lines that are titles in the outline, with their depth; a title may take up to three lines."""
    titles = {(page, _squeeze(title)): depth for depth, page, title in outline if _squeeze(title)}
    listed: dict[int, int] = {}
    for i, line in enumerate(lines):
        text = ""
        for j in range(i, min(i + 3, len(lines))):
            if lines[j].page != line.page or lines[j].kind != "text" or abs(lines[j].size - line.size) > 0.5:
                break
            text += _squeeze(lines[j].text)
            if (depth := titles.get((line.page, text))) is not None and i not in listed:
                listed.update(dict.fromkeys(range(i, j + 1), depth))
    return listed


def _squeeze(text: str) -> str:
    """Letters and digits only, without a section number in front."""
    text = re.sub(
        r"^(?:chapter|section|part|appendix)?\s*(?:\d+|[A-Z]\b|[IVX]+\b)(?:\.\d+)*[.:]?\s+", "", text, flags=re.I
    )
    return "".join(c for c in text.lower() if c.isalnum())


def _heading_key(line: Line, body: float) -> tuple[float, bool]:
    """What sets a heading apart: larger type, or a short bold line of the body's size."""
    letters = sum(c.isalpha() for c in line.text)
    # Large brackets and sum signs are not headings.
    is_words = bool(WORD.search(line.text)) and 2 * letters > len(line.text.replace(" ", "")) and len(line.text) < 200
    if line.kind != "text" or not is_words or BULLET.match(line.text):
        return NO_HEADING
    is_sentence = bool(ENDS_SENTENCE.search(line.text)) and len(line.text) > 50
    if line.size >= (1.3 if is_sentence else HEADING_RATIO) * body:
        return line.size, False
    bold = line.bold and line.size >= 0.95 * body and len(line.text) < 90 and not ENDS_SENTENCE.search(line.text)
    return (line.size, True) if bold else NO_HEADING
