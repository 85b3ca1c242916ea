"""Fractions, roots and sums with limits: formulas in two dimensions, written on one line."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mlx_tutor.extract.content import Run
from mlx_tutor.extract.drawings import Box
from mlx_tutor.extract.matrices import OPERATORS, PIECES, SIGNS, compose_matrices
from mlx_tutor.extract.scripts import join_runs

INTEGRALS = "∫∬∭∮"
NAMES = frozenset(("lim", "max", "min", "sup", "inf", "arg max", "arg min"))
WORD = re.compile(r"[^\W\d_]{4,}")
# What needs no brackets as numerator or denominator: a number, a letter with its power, a function call.
PLAIN = re.compile(r"(?:[\w.,′!∂∇∆]|[\^_](?:\w|\{[^{}]*\}))+(?:\([^()]*\))?|√?\([^()]*\)|√\w")


def compose_formulas(runs: Sequence[Run], bars: Sequence[Box]) -> list[Run]:
    """The runs of an upright page, with each sum and its limits, each fraction, root and matrix as one run.

    Args:
        runs: In the order in which the page draws them.
        bars: Thin rules of the page: those of fractions and roots, and others.
    """
    composed = compose_matrices(_compose_limits(list(runs), bars), bars)
    # A fraction inside another has the shorter bar.
    for bar in sorted(bars, key=lambda bar: bar[2] - bar[0]):
        composed = _compose_root(composed, bar) or _compose_fraction(composed, bar) or composed
    return compose_matrices(composed)


def _compose_limits(runs: list[Run], bars: Sequence[Box]) -> list[Run]:
    sizes = Counter[float]()
    for run in runs:
        sizes[run.size] += len(run.text)
    for operator in [run for run in runs if run.text.strip() in OPERATORS | NAMES and run.turn == 0]:
        size = operator.size
        # The sign may be larger than the text, and a script may be more than a letter.
        body = max((other for other, count in sizes.items() if count >= 0.2 * sizes.total()), default=size)
        script = 0.85 * min(size, body)
        small = [run for run in runs if run.turn == 0 and run.size <= script]
        is_name = operator.text.strip() in NAMES
        above = _find_limit(operator, [run for run in small if 0.2 * size < run.y - operator.y < 1.3 * size])
        deepest = (1.2 if is_name else 2.5) * size
        below = _find_limit(operator, [run for run in small if 0.5 * size < operator.y - run.y < deepest])
        if is_name:
            above = []
        elif not above and not below:
            above, below = _find_scripts(operator, small)
        if not above and not below:
            continue
        text = operator.text.strip() + "".join(
            f"{mark}{_brace(join_runs(limit))}" for mark, limit in (("_", below), ("^", above)) if limit
        )
        used = {id(run) for run in above + below}
        whole = replace(operator, text=f"{text} ", end=max(run.end for run in [operator, *above, *below]))
        if not is_name:
            others = [run for run in runs if id(run) not in used]
            whole = replace(whole, y=_find_height(whole, others, bars, operator.end - operator.x))
        runs = [whole if run is operator else run for run in runs if id(run) not in used]
    return runs


def _find_limit(operator: Run, runs: Sequence[Run]) -> list[Run]:
    """Those on one line, without gaps, centred on the operator."""
    size, middle = operator.size, (operator.x + operator.end) / 2
    near = [run for run in runs if operator.x - 2 * size < run.x and run.end < operator.end + 2 * size]
    for first in sorted(near, key=lambda run: abs((run.x + run.end) / 2 - middle)):
        line = _grow(first, near, size)
        if abs((line[0].x + line[-1].end) / 2 - middle) < 0.3 * size:
            return line
    return []


def _find_scripts(operator: Run, runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Those above and below to the right of an operator, as in a line of text."""
    size, start = operator.size, operator.end - 0.3 * operator.size
    # Large integrals slant, and hang far down.
    deepest, furthest = (2.7, 0.6) if operator.text.strip() in INTEGRALS else (1.5, 0.3)
    after = [run for run in runs if run.x > start and -0.5 < (operator.y - run.y) / size < deepest]
    rows: dict[int, list[Run]] = {}
    for run in sorted(after, key=lambda run: (-run.y, run.x)):
        if run.x < operator.end + furthest * size:
            rows.setdefault(round(run.y), _grow(run, after, size))
    if len(rows) == 1:
        ((height, row),) = rows.items()
        return ([], row) if operator.y - height > 0.6 * size else (row, [])
    return (rows.pop(min(rows)), rows.pop(max(rows)))[::-1] if len(rows) == 2 else ([], [])


def _grow(first: Run, runs: Sequence[Run], size: float) -> list[Run]:
    """A run and those that continue it to the left and right on its line."""
    row = sorted((run for run in runs if abs(run.y - first.y) < 0.35 * size), key=lambda run: run.x)
    start = end = next(i for i, run in enumerate(row) if run is first)
    while start and row[start].x - row[start - 1].end < 0.3 * size:
        start -= 1
    while end + 1 < len(row) and row[end + 1].x - row[end].end < 0.3 * size:
        end += 1
    return row[start : end + 1]


def _find_height(operator: Run, runs: Sequence[Run], bars: Sequence[Box], width: float) -> float:
    """The height of what follows an operator: TeX hangs large signs, `width` points wide, from another height."""
    size = operator.size
    for left, bottom, _, _ in bars:
        if -0.3 * size < left - operator.end < 0.8 * size and -0.2 * size < operator.y - bottom < 1.6 * size:
            # A fraction, whose bar is above the baseline of the formula.
            return bottom - 0.25 * size
    following = [
        run
        for run in runs
        if -0.1 * size < run.x - operator.end < size
        and run.size > 0.85 * size
        and -2 * size < operator.y - run.y < 1.4 * size
        and run.turn == 0
    ]
    nearest = min(following, key=lambda run: run.x, default=operator)
    if nearest.text.strip() in SIGNS and nearest.y > operator.y:
        # A tall bracket hangs too. The sign is centred on the formula; the large one is wider.
        return operator.y - (0.95 if width > 1.2 * size else 0.75) * size
    following = [run for run in following if operator.y - run.y > -0.2 * size]
    return min(following, key=lambda run: run.x, default=operator).y


def _compose_fraction(runs: Sequence[Run], bar: Box) -> list[Run] | None:
    """The runs, with those above and below a bar as one; None if the bar is not that of a fraction."""
    left, bottom, right, _ = bar
    inside = [run for run in runs if run.turn == 0 and left - 1.5 < run.x and run.end < right + 1.5]
    tallest = max((run.size for run in inside), default=0.0)
    above = [run for run in inside if 0 < run.y - bottom < 1.3 * tallest]
    below = [run for run in inside if 0.35 * run.size < bottom - run.y < 1.5 * run.size]
    if not above or not below:
        return None
    # What is further away is another line.
    size = max(run.size for run in above + below)
    lowest, highest = min(run.y for run in above), max(run.y for run in below)
    above = [run for run in above if run.y < lowest + 0.8 * size]
    below = [run for run in below if run.y > highest - 0.8 * size]
    used = {id(run) for run in above + below}
    others = [run for run in runs if id(run) not in used and run.turn == 0 and run.text.strip()]
    others = [run for run in others if run.text.strip() not in PIECES]
    for part in (above, below):
        start, end = min(run.x for run in part), max(run.end for run in part)
        is_central = abs(start + end - left - right) < 0.6 * size
        goes_on = any(
            abs(run.y - part[0].y) < 0.2 * size and run.x < end + 0.5 * size and start - 0.5 * size < run.end
            for run in others
        )
        if not is_central or goes_on:
            return None
    width = max(max(run.end for run in part) - min(run.x for run in part) for part in (above, below))
    if right - left > width + 0.6 * size:
        return None
    beside = [
        run
        for run in others
        if abs(run.y + 0.25 * run.size - bottom) < 0.15 * run.size
        and (-2 < left - run.end < 1.2 * run.size or -2 < run.x - right < 1.2 * run.size)
    ]
    texts = [join_runs(sorted(part, key=lambda run: run.x)).strip() for part in (above, below)]
    if not beside and (WORD.search(" ".join(texts)) or max(map(len, texts)) > 12):
        # Table rules and underlines have no formula beside them.
        return None
    text = "/".join(part if PLAIN.fullmatch(part) else f"({part})" for part in texts)
    main = max(beside, key=lambda run: run.size, default=None)
    size = main.size if main else size
    whole = replace(above[0], text=text, x=left, end=right, y=main.y if main else bottom - 0.25 * size, size=size)
    return _put(runs, above + below, whole)


def _compose_root(runs: Sequence[Run], bar: Box) -> list[Run] | None:
    """The runs, with a root and what is below its bar as one; None if there is no root."""
    left, bottom, right, _ = bar
    signs = [run for run in runs if run.text.strip() == "√" and abs(run.end - left) < 1.5 and run.turn == 0]
    inside = [run for run in runs if run.turn == 0 and left - 1 < run.x and run.end < right + 1.5]
    content = [run for run in inside if 0.2 * run.size < bottom - run.y < 1.8 * run.size]
    if not signs or not content:
        return None
    sign = min(signs, key=lambda run: abs(run.y - bottom))
    text = join_runs(sorted(content, key=lambda run: run.x)).strip()
    if not any(character.isalnum() for character in text):
        # Large brackets hang from the bar; what they enclose is further down.
        return None
    main = max(content, key=lambda run: run.size)
    text = f"√{text}" if len(text) == 1 else f"√({text})"
    return _put(runs, [sign, *content], replace(main, text=text, x=sign.x, end=right))


def _put(runs: Sequence[Run], parts: Sequence[Run], whole: Run) -> list[Run]:
    """The runs with one in place of several, at the position of the first of them."""
    known = {id(part) for part in parts}
    first = next(i for i, run in enumerate(runs) if id(run) in known)
    return [whole if i == first else run for i, run in enumerate(runs) if i == first or id(run) not in known]


def _brace(text: str) -> str:
    text = text.replace(" ", "")
    return text if len(text) == 1 else f"{{{text}}}"
