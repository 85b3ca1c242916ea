"""Matrices, cases and systems of equations: rows between tall brackets, written on one line as `(a, b; c, d)`.

TeX positions a tall bracket by its upper end, as one sign or a stack of pieces, centred on its rows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from mlx_tutor.extract.content import Run
from mlx_tutor.extract.drawings import Box
from mlx_tutor.extract.scripts import join_runs

# The bracket that a piece, or a whole sign, belongs to.
LEFT = {**dict.fromkeys("(⎛⎜⎝", "("), **dict.fromkeys("[⎡⎢⎣", "["), **dict.fromkeys("{⎧⎨⎩", "{"), "⌊": "⌊", "⌈": "⌈"}
RIGHT = {**dict.fromkeys(")⎞⎟⎠", ")"), **dict.fromkeys("]⎤⎥⎦", "]"), **dict.fromkeys("}⎫⎬⎭", "}"), "⌋": "⌋", "⌉": "⌉"}
BARS, BRACE_PIECE = {"⏐": "|", "‖": "‖", "∥": "‖"}, "⎪"
# Signs that stand in front of what they run over.
OPERATORS = frozenset("∑∏∐⋃⋂⨁⨂⋁⋀∫∬∭∮")
SIGNS = LEFT | RIGHT | BARS | {BRACE_PIECE: BRACE_PIECE}
PIECES = frozenset("⎛⎜⎝⎡⎢⎣⎧⎨⎩⎞⎟⎠⎤⎥⎦⎫⎬⎭⏐⎪‖∥")
# Heights of TeX's one-piece signs, of a piece that ends a stack, and of a piece of a bar, in type sizes.
HEIGHTS = (1.2, 1.8, 2.4, 3.0)
END_PIECE, BAR_PIECE = 1.8, 0.6
# Half the height of a letter: how far the middle of a formula is above its baseline.
AXIS = 0.25
# Space between the cells of a row, and between the columns of cases.
CELL_GAP, CASE_GAP = 0.7, 4.0
ENTRIES = re.compile(r"(?:[−-]?(?:\d[\d.,/]*|[^\W\d_])(?:[_^](?:\w|\{[^{}]*\}))*(?:\s+|$)){2,}")
DOTS = re.compile(r"[.·\s]+")


@dataclass(frozen=True, slots=True)
class Bracket:
    """A tall bracket: its sign, its parts, and where it begins and ends; `bottom` is None if unknown."""

    sign: str
    runs: tuple[Run, ...]
    x: float
    end: float
    top: float
    bottom: float | None

    @property
    def size(self) -> float:
        """Its size of type."""
        return self.runs[0].size


def compose_matrices(runs: Sequence[Run], bars: Sequence[Box] = ()) -> list[Run]:
    """The runs of an upright page, with rows between tall brackets as one run.

    Brackets around one of the `bars`, as around a fraction, are left for a later call without bars.
    """
    composed = runs = list(_split_signs(runs))
    brackets = list(_find_brackets(runs))
    # Inner brackets first.
    for left, right in sorted(_pair_brackets(brackets), key=lambda pair: _width(*pair)):
        known = {id(run) for run in composed}
        whole = all(id(run) in known for bracket in (left, right) if bracket for run in bracket.runs)
        end = right.x if right else float("inf")
        if whole and not any(left.x <= x < end and left.top - 3 * left.size < y < left.top for x, y, _, _ in bars):
            composed = _compose(composed, left, right)
    return composed if bars else _write_alone(composed, brackets)


def _write_alone(runs: list[Run], brackets: Sequence[Bracket]) -> list[Run]:
    """The runs, with each remaining bracket in pieces as one sign, on the line that it is centred on."""
    known = {id(run) for run in runs}
    for bracket in brackets:
        if len(bracket.runs) > 1 and all(id(run) in known for run in bracket.runs):
            height = (bracket.top + (bracket.bottom or bracket.top)) / 2 - AXIS * bracket.size
            parts = {id(run) for run in bracket.runs[1:]}
            sign = replace(bracket.runs[0], text=bracket.sign, y=height)
            runs = [sign if run is bracket.runs[0] else run for run in runs if id(run) not in parts]
    return runs


def _width(left: Bracket, right: Bracket | None) -> float:
    return right.end - left.x if right else float("inf")


def _find_brackets(runs: Sequence[Run]) -> Iterator[Bracket]:
    signs = [run for run in runs if run.turn == 0 and run.text.strip() in SIGNS]
    stacks: list[list[Run]] = []
    for run in sorted(signs, key=lambda run: (round(run.x), -run.y)):
        above = stacks[-1][-1] if stacks else None
        if above and _is_next(above, run):
            stacks[-1].append(run)
        else:
            stacks.append([run])
    for stack in stacks:
        first, last = stack[0], stack[-1]
        texts = {run.text.strip() for run in stack}
        depth = (BAR_PIECE if texts <= BARS.keys() else END_PIECE) * last.size
        bottom = last.y - depth if texts <= PIECES else None
        sign = SIGNS[min(texts - {BRACE_PIECE}, default=BRACE_PIECE)]
        if sign != BRACE_PIECE and (bottom is not None or _hangs(first, runs)):
            yield Bracket(sign, tuple(stack), first.x, max(run.end for run in stack), first.y, bottom)


def _is_next(above: Run, run: Run) -> bool:
    """Whether a piece is the next one below another of the same bracket."""
    texts = {above.text.strip(), run.text.strip()}
    is_same = len({SIGNS[text] for text in texts - {BRACE_PIECE}}) < 2
    return texts <= PIECES and is_same and abs(above.x - run.x) < 0.1 * run.size and 0 < above.y - run.y < 2 * run.size


def _split_signs(runs: Sequence[Run]) -> Iterator[Run]:
    """The runs, with brackets that are drawn as one text, as between two matrices, split."""
    for run in runs:
        text = run.text.strip()
        if len(text) > 1 and set(text) <= SIGNS.keys() and _hangs(run, runs):
            width = (run.end - run.x) / len(text)
            yield from (
                replace(run, text=sign, x=run.x + i * width, end=run.x + (i + 1) * width) for i, sign in enumerate(text)
            )
        else:
            yield run


def _hangs(sign: Run, runs: Sequence[Run]) -> bool:
    """Whether nothing beside a bracket is on its baseline, as text is beside a bracket of normal size."""
    return not any(
        run is not sign
        and run.turn == 0
        and abs(run.y - sign.y) < 0.3 * sign.size
        and run.size > 0.85 * sign.size
        and (abs(run.x - sign.end) < 0.8 * sign.size or abs(sign.x - run.end) < 0.8 * sign.size)
        and run.text.strip() not in SIGNS
        for run in runs
    )


def _pair_brackets(brackets: Sequence[Bracket]) -> Iterator[tuple[Bracket, Bracket | None]]:
    """Pairs of left and right brackets of the same height; a brace without a partner is that of cases."""
    taken: set[int] = set()
    for left in sorted(brackets, key=lambda bracket: bracket.x):
        if id(left) in taken or left.sign in RIGHT.values():
            continue
        level = [other for other in brackets if other.x > left.x and abs(other.top - left.top) < 0.1 * left.size]
        depth = 0
        partner = None
        for other in sorted(level, key=lambda bracket: bracket.x):
            if id(other) in taken:
                continue
            if other.sign in BARS.values():
                if other.sign == left.sign:
                    partner = other
                    break
            elif other.sign in RIGHT.values():
                if not depth:
                    partner = other if left.sign not in BARS.values() else None
                    break
                depth -= 1
            else:
                depth += 1
        if partner is not None:
            taken |= {id(left), id(partner)}
            yield left, partner
        elif left.sign == "{":
            yield left, None


def _compose(runs: list[Run], left: Bracket, right: Bracket | None) -> list[Run]:
    signs = {id(run) for bracket in (left, right) if bracket for run in bracket.runs}
    others = [run for run in runs if id(run) not in signs and run.turn == 0 and run.text.strip()]
    best: tuple[int, float, list[list[Run]]] | None = None
    heights = [h * left.size for h in HEIGHTS] if left.bottom is None else [left.top - left.bottom]
    # The next line of a derivation may have brackets at the same position.
    below = [
        run.y
        for run in others
        if run.text.strip() in SIGNS and abs(run.x - left.x) < 0.5 * left.size and run.y < left.top - 1
    ]
    for height in [height for height in heights if left.top - height > max(below, default=-float("inf"))]:
        rows = _find_rows(others, left, right, left.top - height)
        if any(all(run.text[:1] in OPERATORS for run in row) for row in rows):
            # A sum, drawn from its upper end, and no row of its own.
            continue
        is_open = any(run.text.strip() in SIGNS and _hangs(run, others) for row in rows for run in row)
        if is_open or len(rows) < (1 if right else 2) or left.top - _find_baseline(rows[0]) < 0.3 * left.size:
            continue
        middle = (_find_baseline(rows[0]) + _find_baseline(rows[-1])) / 2 + AXIS * left.size
        miss = abs(left.top - height / 2 - middle)
        if miss < 0.45 * left.size and (best is None or (-len(rows), miss) < best[:2]):
            best = -len(rows), miss, rows
    if best is None:
        return runs
    rows = best[2]
    inside = [run for row in rows for run in row]
    text = join_runs(rows[0]).strip() if len(rows) == 1 else "; ".join(map(_write_row, rows))
    text = left.sign + text + (right.sign if right else "")
    parts = [*left.runs, *(right.runs if right else ()), *inside]
    end = right.end if right else max(run.end for run in inside)
    power = _find_power(others, right) if right else []
    if power:
        text, end = f"{text}^{{{join_runs(power).replace(' ', '')}}}", max(run.end for run in power)
        parts += power
    middle = (_find_baseline(rows[0]) + _find_baseline(rows[-1])) / 2
    known = {id(run) for run in parts}
    beside = [
        run
        for run in others
        if id(run) not in known
        and abs(run.y - middle) < 0.5 * left.size
        and run.size > 0.85 * left.size
        and (-1 < left.x - run.end < 2 * left.size or -1 < run.x - end < 2 * left.size)
    ]
    height = min(beside, key=lambda run: abs(run.y - middle)).y if beside else middle
    whole = replace(left.runs[0], text=text, end=end, y=height)
    first = next(i for i, run in enumerate(runs) if id(run) in known)
    return [whole if i == first else run for i, run in enumerate(runs) if i == first or id(run) not in known]


def _find_power(runs: Sequence[Run], right: Bracket) -> list[Run]:
    """The superscript after a bracket, at its upper end."""
    found: list[Run] = []
    end = right.end
    for run in sorted(runs, key=lambda run: run.x):
        is_raised = 0 <= right.top - run.y < 0.9 * right.size and run.size < 0.85 * right.size
        if is_raised and -0.1 * right.size < run.x - end < 0.2 * right.size:
            found.append(run)
            end = run.end
    return found


def _find_baseline(row: Sequence[Run]) -> float:
    """The baseline of a row: that of its largest type; for dots, their middle."""
    if all(DOTS.fullmatch(run.text) for run in row):
        return (min(run.y for run in row) + max(run.y for run in row)) / 2
    return max(row, key=lambda run: (run.size, len(run.text))).y


def _find_rows(runs: Sequence[Run], left: Bracket, right: Bracket | None, bottom: float) -> list[list[Run]]:
    """Runs inside a bracket, row by row from the top, each in reading order."""
    size = left.size
    end = right.x + 0.1 * size if right else float("inf")
    inside = [run for run in runs if left.end - 0.3 * size < run.x and run.end < end + 0.2 * size]
    inside = [run for run in inside if bottom - 0.1 * size < run.y < left.top + 0.1 * size]
    largest = max((run.size for run in inside), default=size)
    rows: list[list[Run]] = []
    for run in sorted(inside, key=lambda run: -run.y):
        if rows and rows[-1][-1].y - run.y < 0.5 * size:
            rows[-1].append(run)
        else:
            rows.append([run])
    # Powers and indices belong to the row beside them; a separate row of small type is further away.
    for row in [row for row in rows if all(run.size <= 0.85 * largest for run in row)]:
        near = min(
            (other for other in rows if any(run.size > 0.85 * largest for run in other)),
            key=lambda other: abs(_find_baseline(other) - row[0].y),
            default=row,
        )
        if near is not row and abs(_find_baseline(near) - row[0].y) < 0.6 * size:
            near += row
            rows.remove(row)
    rows = [sorted(row, key=lambda run: run.x) for row in rows]
    return rows if right else _cut_cases(rows, left)


def _cut_cases(rows: Sequence[list[Run]], left: Bracket) -> list[list[Run]]:
    """What belongs to the rows of a brace without a partner: an equation number is further away."""
    edge = left.end
    for run in sorted((run for row in rows for run in row), key=lambda run: run.x):
        if run.x - edge > CASE_GAP * left.size:
            break
        edge = max(edge, run.end)
    return [cut for row in rows if (cut := [run for run in row if run.x < edge])]


def _write_row(row: Sequence[Run]) -> str:
    if all(DOTS.fullmatch(run.text) for run in row):
        return ", ".join(_write_dots(cell) for cell in _cut_cells(row))
    cells = [join_runs(cell).strip() for cell in _cut_cells(row)]
    # Narrow columns are drawn as one text.
    cells = [", ".join(cell.split()) if ENTRIES.fullmatch(cell) else cell for cell in cells]
    return ", ".join(cell.rstrip(",;") for cell in cells if cell.strip(",; "))


def _write_dots(cell: Sequence[Run]) -> str:
    places = [run.x for run in cell]
    return "⋮" if max(places) - min(places) < 0.1 * cell[0].size else "⋱"


def _cut_cells(row: Sequence[Run]) -> Iterator[list[Run]]:
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(row), 1) if b.x - a.end > CELL_GAP * a.size)]
    for _, group in groupby(range(len(row)), key=lambda i: sum(start <= i for start in starts)):
        yield [row[i] for i in group]
