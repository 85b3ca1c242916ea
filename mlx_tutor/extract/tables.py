"""Finding tables on a page by the position of their cells."""

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from mlx_tutor.extract.content import CELL_GAP, WORD_GAP
from mlx_tutor.extract.segments import Line

EQUATION_NUMBER = re.compile(r"\(\w{0,3}\.?\d+(?:\.\d+)*[a-z]?\)")
# Cells with more characters than this on average are prose in columns.
LONGEST_CELLS = 150

Cell = list[Line]


def find_tables(segments: Sequence[Line]) -> list[Line]:
    """Segments with the cells of each table put together; prose in columns is ordered column by column."""
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
    """Whether a cell alone on its line reaches into no more than one column."""
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
            # The lines of a cell are equally far apart; after a wider gap, another cell begins.
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
    """The rows as a table, if they are one; single cells at the end are not part of it."""
    last = max((i for i, row in enumerate(rows) if len(row) > 1), default=-1)
    table, rest = rows[: last + 1], rows[last + 1 :]
    columns = _find_columns(table) if len(table) > 1 else []
    if columns:
        yield from _make_table(table, columns)
    else:
        rest = rows
    yield from (line for row in rest for cell in row for line in cell)


def _find_columns(rows: Sequence[Sequence[Cell]]) -> list[tuple[float, float]]:
    """Left and right end of each column; empty if the rows do not line up."""
    most = max(len(row) for row in rows)
    if sum(len(row) > 1 for row in rows) < 0.6 * len(rows):
        return []
    columns: list[tuple[float, float]] = []
    for row in (row for row in rows if len(row) == most):
        spans = [(_left(cell), _right(cell)) for cell in row]
        columns = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(columns or spans, spans, strict=True)]
    apart = all(left[1] <= right[0] for left, right in pairwise(columns))
    aligned = all(_is_aligned([row[i] for row in rows if len(row) == most]) for i in range(most))
    # Two cells of a row in one column are words of a text; two rows of two cells are too few to tell.
    distinct = all(len({_find_column(cell, columns) for cell in row}) == len(row) for row in rows)
    equations = most == 2 and all(EQUATION_NUMBER.fullmatch(row[-1][-1].text) for row in rows if len(row) > 1)
    # A single full row is a line of text with gaps, unless others begin where its cells begin.
    full = sum(len(row) >= min(most, 3) for row in rows)
    is_table = apart and aligned and distinct and not equations and (len(rows) > 2 or most > 2)
    return columns if is_table and full > 1 and _has_gutters(rows, columns) else []


def _has_gutters(rows: Sequence[Sequence[Cell]], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether no cell reaches across a gap between columns that is hardly wider than a gap between words."""
    for (_, left), (right, _) in pairwise(columns):
        size = rows[0][0][0].size
        crossed = any(_left(cell) < left - 1 and _right(cell) > right + 1 for row in rows for cell in row)
        if crossed and right - left < CELL_GAP * size:
            return False
    return True


def _is_aligned(cells: Sequence[Cell]) -> bool:
    """Whether most cells of a column share their left end, right end or middle, unlike words of a text."""
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
    """The column that a cell overlaps most; the first of those that it spans."""
    left, right = _left(cell), _right(cell)
    return max(range(len(columns)), key=lambda i: min(right, columns[i][1]) - max(left, columns[i][0]))


def _is_prose(rows: Sequence[Sequence[Cell]], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether these are columns of running text, drawn line by line."""
    single = [row for row in rows if all(len(cell) == 1 for cell in row)]
    if len(columns) > 3 or len(single) < 8 or len(single) < 0.9 * len(rows):
        return False
    lengths = sorted(len(cell[0].text) for row in single for cell in row)
    return lengths[len(lengths) // 2] > 25
