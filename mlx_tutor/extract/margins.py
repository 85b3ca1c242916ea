"""Leaving out line numbers beside a text or a listing."""

import re
from collections.abc import Iterator, Sequence

from mlx_tutor.extract.segments import Line

NUMBER = re.compile(r"\d{1,4}")
# Fewer numbers are those of a list or of table rows.
LEAST_NUMBERS, LEAST_NUMBERS_CODE = 5, 3
STEPS = (1, 2, 3, 5, 10)


def drop_line_numbers(segments: Sequence[Line]) -> list[Line]:
    """The segments of a page without line numbers.

    Line numbers are in a column outside the text, grow by a constant step, and most lines between them have one.
    A table whose rows are numbered has cells beside its numbers, not lines of text.
    """
    numbers = [segment for segment in segments if NUMBER.fullmatch(segment.text)]
    if len(numbers) < LEAST_NUMBERS_CODE:
        return list(segments)
    dropped: set[int] = set()
    for column in _find_columns(numbers):
        for counted in _find_sequences(column):
            if _counts_lines(counted, segments):
                dropped |= {id(number) for number in counted}
    return [segment for segment in segments if id(segment) not in dropped]


def _find_columns(numbers: Sequence[Line]) -> Iterator[list[Line]]:
    """Numbers aligned at the left or the right, from the top; of two groups that overlap, the larger."""
    for end in ("end", "x"):
        left = sorted(numbers, key=lambda number: float(getattr(number, end)))
        group: list[Line] = []
        for number in left:
            if group and getattr(number, end) - getattr(group[-1], end) > 0.2 * number.size:
                yield sorted(group, key=lambda other: -other.y)
                group = []
            group.append(number)
        if group:
            yield sorted(group, key=lambda other: -other.y)


def _find_sequences(column: Sequence[Line]) -> Iterator[list[Line]]:
    """Sequences of numbers that grow by a constant step; each listing begins a new one."""
    sequence: list[Line] = []
    for number in column:
        if len(sequence) > 1:
            step = int(sequence[1].text) - int(sequence[0].text)
            if int(number.text) - int(sequence[-1].text) != step or step not in STEPS:
                yield sequence
                sequence = sequence[-1:] if int(number.text) - int(sequence[-1].text) in STEPS else []
        sequence.append(number)
    yield sequence


def _counts_lines(numbers: Sequence[Line], segments: Sequence[Line]) -> bool:
    if len(numbers) < LEAST_NUMBERS_CODE:
        return False
    step = int(numbers[1].text) - int(numbers[0].text)
    top, bottom = numbers[0].y + 0.5 * numbers[0].size, numbers[-1].y - 0.5 * numbers[-1].size
    known = {id(number) for number in numbers}
    others = [other for other in segments if id(other) not in known and bottom < other.y < top and other.text]
    left, right = min(number.x for number in numbers), max(number.end for number in numbers)
    # They have a strip to themselves: left of the text, between columns, or right of the text.
    after, before = [other for other in others if other.x > right], [other for other in others if other.end < left]
    if len(after) + len(before) < len(others):
        return False
    others = after or before
    beside = [[other for other in others if abs(other.y - number.y) < 0.4 * other.size] for number in numbers]
    first = [row[0] for row in beside if row]
    if len(first) < 0.8 * len(numbers):
        return False
    if all(other.kind == "code" for other in first):
        return True
    lines = {round(other.y) for other in others}
    single = sum(len(row) == 1 for row in beside)
    length = sum(len(other.text) for other in first) / len(first)
    return (
        len(numbers) >= LEAST_NUMBERS
        and single > 0.7 * len(first)
        and length > 25
        and step * len(numbers) > 0.6 * len(lines)
    )
