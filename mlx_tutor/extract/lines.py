"""Runs of a page to printed lines and tables, in the order of reading.

The order is that in which the page draws, mended where it is known to differ: bullets drawn after their items,
columns drawn line by line across the page, text along the margin.
"""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from mlx_tutor.extract.characters import RIGHT_TO_LEFT, clean_characters, order_line
from mlx_tutor.extract.content import WIDE_GAP, WORD_GAP, Run, is_cell_gap

# Share of the page's height at either end where running headers and footers stand.
EDGE = 0.1
PAGE_NUMBER = re.compile(
    r"(?:page\s*)?[-–—|\s]*(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:/|of)\s*\d{1,4})?[-–—|\s]*", re.IGNORECASE
)
# What may stand alone to the left of an item: symbol fonts draw bullets at private places, and the bullet of
# Helvetica and Times comes out of pypdf as 7f.
BULLETS = "•●▪■◦‣∙·○–—*\x7f\uf0b7\uf0a7\uf0d8\uf076-"
LABEL = re.compile(rf"(?:[{BULLETS}]|\(?(?:\d{{1,2}}|[A-Za-z]|[ivx]{{1,4}})[.)]|\[\d{{1,3}}\])")
EQUATION_NUMBER = re.compile(r"\(\w{0,3}\.?\d+(?:\.\d+)*[a-z]?\)")
# Cells with more characters than this on average are columns of prose.
LONGEST_CELLS = 150


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line, or a table. `x`, `end`, `y` (upwards), `size` and page `height` are in points.

    "code" is set in a typewriter face. An "aside" (footnote, caption, text along the margin) does not belong to the
    text around it. `rows` holds the lines of each cell of a table.
    """

    text: str
    x: float
    end: float
    y: float
    size: float
    bold: bool
    page: int
    height: float
    kind: Literal["text", "code", "aside", "table"] = "text"
    rows: tuple[tuple[tuple[str, ...], ...], ...] = ()


Cell = list[Line]


def make_lines(runs: Sequence[Run], page: int, width: float, height: float) -> list[Line]:
    """The lines and tables of one page; `width` and `height` are those of the page as it is stored."""
    turns = Counter[int]()
    for run in runs:
        turns[run.turn] += len(run.text.strip())
    main = turns.most_common(1)[0][0] if turns else 0
    lines: list[Line] = []
    for turn in sorted(turns, key=lambda turn: turn != main):
        segments = list(_make_segments([run for run in runs if run.turn == turn], page, width if turn % 2 else height))
        if turn == main:
            lines += _join_segments(find_tables(attach_labels(segments)))
        else:
            lines += [replace(line, kind="aside") for line in _join_segments(segments)]
    return lines


def _make_segments(runs: Sequence[Run], page: int, height: float) -> Iterator[Line]:
    """Runs that follow each other on a baseline without a wide gap."""
    # Where spaces are drawn as characters, a gap without one is no gap between words.
    spaced = sum(" " in run.text for run in runs) > 0.3 * len(runs)
    group: list[Run] = []
    for run in runs:
        if not run.text.strip():
            if group:
                group[-1] = replace(group[-1], text=group[-1].text + " ")
            continue
        if group:
            last = group[-1]
            size = max(last.size, run.size, 1.0)
            gap = run.x - last.end
            if RIGHT_TO_LEFT.search(run.text) and run.x < last.x:
                gap = min(other.x for other in group) - run.end
            if abs(run.x - last.x) < 0.1 * size and abs(run.y - last.y) < 0.1 * size and run.text == last.text:
                # Drawn twice to look bold.
                continue
            has_space = last.text.endswith(" ") or run.text.startswith(" ")
            wide = gap > WIDE_GAP * size if has_space else is_cell_gap(gap, size, max(last.space, run.space))
            wide = wide or (spaced and not has_space and gap > 0.2 * size)
            if abs(run.y - group[0].y) > 0.45 * size or gap <= -size or wide:
                yield _make_line(group, page, height)
                group = []
        group.append(run)
    if group:
        yield _make_line(group, page, height)


def _make_line(group: Sequence[Run], page: int, height: float) -> Line:
    if any(RIGHT_TO_LEFT.search(run.text) for run in group):
        group = sorted(group, key=lambda run: run.x)
    text = group[0].text
    for last, run in pairwise(group):
        # Scripts have room around them.
        needed = WORD_GAP if abs(last.size - run.size) < 0.1 * run.size else 0.25
        is_apart = run.x - last.end > needed * max(last.size, run.size)
        text += (" " if is_apart and not text.endswith(" ") else "") + run.text
    weights: Counter[tuple[float, bool]] = Counter()
    for run in group:
        weights[round(run.size, 1), run.bold] += len(run.text.strip())
    (size, bold), _ = weights.most_common(1)[0]
    heavy = sum(weight for (_, is_bold), weight in weights.items() if is_bold)
    # Superscripts do not move the baseline.
    baseline = max(group, key=lambda run: (round(run.size, 1) == size, -group.index(run)))
    return Line(
        text=order_line(clean_characters(text)),
        x=min(run.x for run in group),
        end=max(run.end for run in group),
        y=baseline.y,
        size=size,
        bold=bold and heavy > 0.9 * weights.total(),
        page=page,
        height=height,
        kind="code" if all(run.mono for run in group) else "text",
    )


def attach_labels(segments: Sequence[Line]) -> list[Line]:
    """Segments with bullets and item numbers before the text that they stand beside."""
    kept = [segment for segment in segments if segment.text]
    for label in [segment for segment in kept if segment.kind == "text" and LABEL.fullmatch(segment.text)]:
        beside = [
            other
            for other in kept
            if abs(other.y - label.y) < 0.45 * max(label.size, other.size)
            and -0.1 * other.size < other.x - label.end < 3 * other.size
            and other is not label
        ]
        if beside:
            item = min(beside, key=lambda other: other.x)
            at = next(i for i, other in enumerate(kept) if other is item)
            kept[at] = replace(item, text=f"{label.text} {item.text}", x=label.x)
            kept = [other for other in kept if other is not label]
    return kept


def _join_segments(segments: Sequence[Line]) -> Iterator[Line]:
    """Neighbours on one baseline as one line, unless the gap is wide."""
    line: Line | None = None
    for segment in segments:
        if line is not None:
            gap = segment.x - line.end
            is_beside = abs(segment.y - line.y) < 0.45 * max(line.size, segment.size)
            if is_beside and -line.size < gap < 4 * line.size and "table" not in (line.kind, segment.kind):
                kind = line.kind if line.kind == segment.kind else "text"
                line = replace(line, text=f"{line.text} {segment.text}", end=max(line.end, segment.end), kind=kind)
                continue
            yield line
        line = segment
    if line is not None:
        yield line


def find_tables(segments: Sequence[Line]) -> list[Line]:
    """Segments with the cells of each table put together; rows of prose in columns are put column by column."""
    found: list[Line] = []
    rows: list[list[Cell]] = []
    for row in _make_rows(_stack_cells(segments)):
        if rows and not (_is_next_row(rows[-1], row) and (len(row) > 1 or _is_in_column(row[0], rows))):
            found += _close_table(rows)
            rows = []
        if rows or len(row) > 1:
            rows.append(row)
        else:
            found += row[0]
    return found + list(_close_table(rows))


def _is_in_column(cell: Cell, rows: Sequence[Sequence[Cell]]) -> bool:
    """Whether a cell that stands alone reaches into no more than one column."""
    left, right = _left(cell), _right(cell)
    starts = [_left(other) for row in rows for other in row if len(row) > 1]
    ends = [_right(other) for row in rows for other in row if len(row) > 1]
    return not any(left + cell[0].size < x < right for x in starts) and min(starts) - 1 < left < max(ends)


def _stack_cells(segments: Sequence[Line]) -> Iterator[Cell]:
    """Segments below each other, as the lines of a cell (or of a whole column of text)."""
    cell: Cell = []
    for segment in segments:
        if cell:
            last = cell[-1]
            aligned = (
                abs(segment.x - cell[0].x) < 0.5 * last.size
                or abs(segment.end - last.end) < 0.1 * last.size
                or abs(segment.x + segment.end - last.x - last.end) < 0.2 * last.size
            )
            step = last.y - segment.y
            # Lines of one cell have one distance; what comes after more room is another cell.
            regular = len(cell) < 2 or abs(step - (cell[-2].y - last.y)) < 0.1 * last.size
            if not (aligned and regular and abs(segment.size - last.size) < 0.6 and 0 < step < 1.75 * last.size):
                yield cell
                cell = []
        cell.append(segment)
    if cell:
        yield cell


def _left(cell: Cell) -> float:
    return min(line.x for line in cell)


def _right(cell: Cell) -> float:
    return max(line.end for line in cell)


def _top(row: Sequence[Cell]) -> float:
    return max(cell[0].y + 0.8 * cell[0].size for cell in row)


def _bottom(row: Sequence[Cell]) -> float:
    return min(cell[-1].y - 0.2 * cell[-1].size for cell in row)


def _make_rows(cells: Iterator[Cell]) -> Iterator[list[Cell]]:
    """Cells beside each other."""
    row: list[Cell] = []
    for cell in cells:
        if row:
            beside = _left(cell) > _right(row[-1]) + WORD_GAP * cell[0].size
            if not (beside and _top([cell]) > _bottom(row) and _bottom([cell]) < _top(row)):
                yield row
                row = []
        row.append(cell)
    if row:
        yield row


def _is_next_row(above: Sequence[Cell], row: Sequence[Cell]) -> bool:
    size = row[0][0].size
    gap = _bottom(above) - _top(row)
    left, right = (min(cell[0].x for cell in r) for r in (above, row))
    return -0.5 * size < gap < 1.5 * size and abs(left - right) < 25 * size and abs(above[0][0].size - size) < 2


def _close_table(rows: list[list[Cell]]) -> Iterator[Line]:
    """The rows as a table, if they are one; what stands alone below is none of it."""
    last = max((i for i, row in enumerate(rows) if len(row) > 1), default=-1)
    table, rest = rows[: last + 1], rows[last + 1 :]
    columns = _find_columns(table) if len(table) > 1 else []
    if columns:
        yield from _make_table(table, columns)
    else:
        rest = rows
    yield from (line for row in rest for cell in row for line in cell)


def _find_columns(rows: Sequence[Sequence[Cell]]) -> list[tuple[float, float]]:
    """Left and right end of each column; empty when the rows do not line up."""
    most = max(len(row) for row in rows)
    if sum(len(row) > 1 for row in rows) < 0.6 * len(rows):
        return []
    columns: list[tuple[float, float]] = []
    for row in (row for row in rows if len(row) == most):
        spans = [(_left(cell), _right(cell)) for cell in row]
        columns = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(columns or spans, spans, strict=True)]
    apart = all(left[1] <= right[0] for left, right in pairwise(columns))
    aligned = all(_is_aligned([row[i] for row in rows if len(row) == most]) for i in range(most))
    # Two cells of a row in one column are words of a text; two rows of two cells say too little.
    distinct = all(len({_find_column(cell, columns) for cell in row}) == len(row) for row in rows)
    equations = most == 2 and all(EQUATION_NUMBER.fullmatch(row[-1][-1].text) for row in rows if len(row) > 1)
    is_table = apart and aligned and distinct and not equations and (len(rows) > 2 or most > 2)
    return columns if is_table else []


def _is_aligned(cells: Sequence[Cell]) -> bool:
    """Whether most cells of a column agree in their left end, right end or middle, as words of a text do not."""
    lefts, ends = [_left(cell) for cell in cells], [_right(cell) for cell in cells]
    tolerance = 0.35 * cells[0][0].size
    return any(
        sum(abs(place - statistics.median(places)) < tolerance for place in places) >= 0.8 * len(places)
        for places in (lefts, ends, [(a + b) / 2 for a, b in zip(lefts, ends, strict=True)])
    )


def _make_table(rows: Sequence[Sequence[Cell]], columns: Sequence[tuple[float, float]]) -> Iterator[Line]:
    cells = [cell for row in rows for cell in row]
    length = sum(len(line.text) for cell in cells for line in cell) / len(cells)
    if length > LONGEST_CELLS or _is_prose(rows, columns):
        places = [(_find_column(cell, columns), cell) for cell in cells]
        for column in range(len(columns)):
            yield from (line for place, cell in places if place == column for line in cell)
        return
    grid: list[tuple[tuple[str, ...], ...]] = []
    for row in rows:
        texts: list[tuple[str, ...]] = [()] * len(columns)
        for cell in row:
            texts[_find_column(cell, columns)] += tuple(line.text for line in cell)
        grid.append(tuple(texts))
    lines = [line for cell in cells for line in cell]
    yield replace(
        lines[0],
        text=" ".join(line.text for line in lines),
        x=min(line.x for line in lines),
        end=max(line.end for line in lines),
        bold=False,
        kind="table",
        rows=tuple(grid),
    )


def _find_column(cell: Cell, columns: Sequence[tuple[float, float]]) -> int:
    """The column that a cell reaches into most; the first of those that it spans."""
    left, right = _left(cell), _right(cell)
    return max(range(len(columns)), key=lambda i: min(right, columns[i][1]) - max(left, columns[i][0]))


def _is_prose(rows: Sequence[Sequence[Cell]], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether these are columns of running text that the page draws line by line."""
    single = [row for row in rows if all(len(cell) == 1 for cell in row)]
    if len(columns) > 3 or len(single) < 8 or len(single) < 0.9 * len(rows):
        return False
    lengths = sorted(len(cell[0].text) for row in single for cell in row)
    return lengths[len(lengths) // 2] > 25


def drop_running_lines(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Pages without running headers, footers and page numbers.

    A line at the edge of a page runs when the same words, digits aside, stand at the same height on several
    pages; a bare page number counts on a single page.
    """
    places: Counter[tuple[str, int]] = Counter()
    edges = [[line for line in page if _is_at_edge(line, page)] for page in pages]
    for edge in edges:
        places.update({_place(line) for line in edge})
    filled = sum(1 for page in pages if page)
    # Left and right pages may differ, so a third of the pages is enough in a long document.
    enough = 2 if filled < 6 else max(3, filled // 3)
    kept = []
    for page, edge in zip(pages, edges, strict=True):
        running = [line for line in edge if places[_place(line)] >= enough]
        running += [line for line in page if PAGE_NUMBER.fullmatch(line.text) and _is_page_number(line, page)]
        kept.append([line for line in page if line not in running])
    # Pages that say the same and nothing else have a text, not a header.
    return kept if any(kept) else [list(page) for page in pages]


def _is_page_number(line: Line, page: Sequence[Line]) -> bool:
    """Whether a number stands alone above or below all else, where page numbers stand."""
    others = [other.y for other in page if other is not line and abs(other.y - line.y) > 0.5 * line.size]
    alone = not others or line.y < min(others) - 1.2 * line.size or line.y > max(others) + 1.2 * line.size
    return (alone or _is_at_edge(line, page)) and not 2 * EDGE * line.height < line.y < (1 - 2 * EDGE) * line.height


def _place(line: Line) -> tuple[str, int]:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.text.lower()), round(line.y / 6)


def _is_at_edge(line: Line, page: Sequence[Line]) -> bool:
    heights = sorted({round(other.y) for other in page})
    outermost = round(line.y) <= heights[min(1, len(heights) - 1)] or round(line.y) >= heights[max(-2, -len(heights))]
    return outermost and not EDGE * line.height < line.y < (1 - EDGE) * line.height
