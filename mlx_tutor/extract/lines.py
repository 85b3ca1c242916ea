"""The runs of a page as printed lines and tables, in reading order.

The order is that in which the page draws, corrected where it is known to differ: bullets drawn after their items,
columns drawn line by line across the page, text in the margin.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mlx_tutor.extract.accents import compose_accents
from mlx_tutor.extract.content import Run
from mlx_tutor.extract.drawings import Box
from mlx_tutor.extract.formulas import compose_formulas
from mlx_tutor.extract.labels import attach_labels, attach_shapes
from mlx_tutor.extract.margins import drop_line_numbers
from mlx_tutor.extract.segments import Line, join_segments, make_segments
from mlx_tutor.extract.tables import find_tables

# Share of the page's height, at top and bottom, for running headers and footers.
EDGE = 0.1
PAGE_NUMBER = re.compile(
    r"(?:page\s*)?[-–—|\s]*(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:/|of)\s*\d{1,4})?[-–—|\s]*", re.IGNORECASE
)


def make_lines(
    runs: Sequence[Run], page: int, width: float, height: float, shapes: Sequence[Box] = (), bars: Sequence[Box] = ()
) -> list[Line]:
    """The lines and tables of one page; `width` and `height` are those of the page as it is stored."""
    turns = Counter[int]()
    runs = compose_formulas(compose_accents(runs), bars)
    for run in runs:
        turns[run.turn] += len(run.text.strip())
    main = turns.most_common(1)[0][0] if turns else 0
    lines: list[Line] = []
    for turn in sorted(turns, key=lambda turn: turn != main):
        segments = list(make_segments([run for run in runs if run.turn == turn], page, width if turn % 2 else height))
        if turn == main:
            segments = drop_line_numbers(segments)
            if turn == 0:
                segments = attach_shapes(segments, shapes)
            lines += join_segments(find_tables(attach_labels(segments)))
        else:
            lines += [replace(line, kind="aside") for line in join_segments(segments)]
    return lines


def drop_running_lines(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Pages without running headers, footers and page numbers.

    A line at the edge of a page is a running line if the same words, digits aside, are at the same height on several
    pages; a bare page number counts even on a single page.
    """
    places: Counter[tuple[str, int]] = Counter()
    edges = [[line for line in page if _is_at_edge(line, page)] for page in pages]
    for edge in edges:
        places.update({_place(line) for line in edge})
    filled = sum(1 for page in pages if page)
    # Left and right pages may differ, so in a long document a third of the pages is enough.
    enough = 2 if filled < 6 else max(3, filled // 3)
    kept = []
    for page, edge in zip(pages, edges, strict=True):
        running = [line for line in edge if places[_place(line)] >= enough]
        running += [line for line in page if PAGE_NUMBER.fullmatch(line.text) and _is_page_number(line, page)]
        kept.append([line for line in page if line not in running])
    # On pages that hold nothing else, the line is the text, not a header.
    return kept if any(kept) else [list(page) for page in pages]


def _is_page_number(line: Line, page: Sequence[Line]) -> bool:
    """Whether a number stands alone above or below everything else, where page numbers are."""
    others = [other.y for other in page if other is not line and abs(other.y - line.y) > 0.5 * line.size]
    alone = not others or line.y < min(others) - 1.2 * line.size or line.y > max(others) + 1.2 * line.size
    return (alone or _is_at_edge(line, page)) and not 2 * EDGE * line.height < line.y < (1 - 2 * EDGE) * line.height


def _place(line: Line) -> tuple[str, int]:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.text.lower()), round(line.y / 6)


def _is_at_edge(line: Line, page: Sequence[Line]) -> bool:
    heights = sorted({round(other.y) for other in page})
    outermost = round(line.y) <= heights[min(1, len(heights) - 1)] or round(line.y) >= heights[max(-2, -len(heights))]
    return outermost and not EDGE * line.height < line.y < (1 - EDGE) * line.height
