"""The typical size, spacing and margins of a document, and the lines set apart from its text."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from mlx_tutor.extract.segments import Line

ENDS_SENTENCE = re.compile(r"[.!?:;][\"'”’)\]]*$")
CAPTION = re.compile(
    r"^(?:figure|fig\.?|table|algorithm|listing|exhibit|chart)\s*[\dA-Z]+(?:[.–-]\d+)*\s*[.:|–—]", re.IGNORECASE
)
FOOTNOTE = re.compile(r"^(?:\d{1,2}|[*†‡§¶]+)\s*(?=[^\W\d_]|[\"“‘(])")

# Left and right end of a column, by page, size and place.
Edges = dict[tuple[int, int, int], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What is typical of a document: the type size of its text, the distance of its lines, its words and columns."""

    body: float
    gap: float
    vocabulary: Counter[str]
    edges: Edges


def find_body_size(lines: Sequence[Line]) -> float:
    """The size that most characters have."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def find_median_gap(lines: Sequence[Line]) -> float:
    """The median distance of neighbouring lines of running text."""
    pairs = pairwise(lines)
    gaps = [a.y - b.y for a, b in pairs if a.page == b.page and 0 < a.y - b.y < 3 * a.size and a.size == b.size]
    return statistics.median(gaps) if gaps else 0.0


def find_edges(lines: Sequence[Line]) -> Edges:
    """Where lines of text begin and end, by page, size and column.

    Where lines begin, in steps of 36 points, tells their column; a few longer lines across a column do not count.
    """
    columns: dict[tuple[int, int, int], list[Line]] = {}
    for line in lines:
        if line.kind == "text":
            page, size, place = find_column(line)
            for step in (-1, 0, 1):
                columns.setdefault((page, size, place + step), []).append(line)
    return {
        key: (min(line.x for line in column), sorted(line.end for line in column)[-1 - len(column) // 10])
        for key, column in columns.items()
    }


def find_column(line: Line) -> tuple[int, int, int]:
    """The key of the column that a line begins in."""
    return line.page, round(line.size), round(line.x / 36)


def mark_asides(lines: Sequence[Line], shape: Shape) -> list[Line]:
    """The lines, with captions and footnotes marked as asides."""
    marked: list[Line] = []
    lowest: dict[int, float] = {}
    for line in lines:
        if line.kind == "text" and line.size > 0.93 * shape.body:
            lowest[line.page] = min(lowest.get(line.page, line.y), line.y)
    for line in lines:
        last = marked[-1] if marked else None
        distance = last.y - line.y if last and last.page == line.page else 0.0
        follows = bool(last and last.size == line.size and 0 < distance < 1.3 * max(shape.gap, line.size))
        is_small = line.size <= 0.93 * shape.body
        at_foot = is_small and line.y < lowest.get(line.page, 0.0)
        is_aside = (
            (bool(CAPTION.match(line.text)) and not (follows and last and last.kind == "text"))
            or (at_foot and bool(FOOTNOTE.match(line.text)))
            or (follows and last is not None and last.kind == "aside" and last.bold == line.bold)
        )
        marked.append(replace(line, kind="aside") if is_aside and line.kind == "text" else line)
    return marked
