"""Powers and indices of formulas: small type above and below a line, as distinct from footnote marks."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlx_tutor.extract.content import WORD_GAP, Run

Level = Literal["", "^", "_"]
# Names before which a raised number is a power; after other words it is the mark of a footnote.
NAMES = frozenset("sin cos tan log ln exp km cm mm dm nm kg ft".split())
BRACKETS = " ()[]{}|⎛⎜⎝⎞⎟⎠⎡⎢⎣⎤⎥⎦⎧⎨⎩⎫⎬⎭∑∏∫"
WORD = re.compile(r"(?:^|[\s(\[“\"'-])([^\W\d_]*[a-zà-ÿ][^\W\d_]+)[\"”’)\]]*$")
ORDINAL = re.compile(r"(?:st|nd|rd|th|er|re|e|o|a|ª|º|TM|SM|®|™)\b")


@dataclass(slots=True)
class Piece:
    """Neighbouring runs of one level; `gap` is the space before them, in points."""

    text: str
    level: Level
    x: float
    end: float
    gap: float
    runs: list[Run]


def join_runs(runs: Sequence[Run]) -> str:
    """The text of runs on one line, in reading order; powers as x^2 and e^{-x}, indices as x_1."""
    size, baseline = _find_baseline(runs)
    if not any(run.text.strip(BRACKETS) for run in runs if not _find_level(run, size, baseline)):
        # Large brackets hang from another height.
        runs = [replace(run, y=baseline) for run in runs]
    pieces = _make_pieces(runs, size, baseline)
    text, base_end = "", runs[0].x
    for i, piece in enumerate(pieces):
        gap = piece.x - base_end
        if piece.level and gap < 0.25 * size:
            # A script may have scripts of its own.
            script = join_runs(piece.runs) if len(piece.runs) > 1 else piece.text
            text = _attach(text, script.replace(" ", ""), piece.level)
        else:
            # Scripts have some space around them.
            needed = (0.25 if i and (piece.level or pieces[i - 1].level) else WORD_GAP) * size
            text += (" " if i and piece.gap > needed and not text.endswith(" ") else "") + piece.text
            base_end = piece.end
    return text.replace("L^ATEX", "LaTeX")


def _find_baseline(runs: Sequence[Run]) -> tuple[float, float]:
    """The largest type with more than a few characters, and the height of most of them."""
    weights: Counter[float] = Counter()
    for run in runs:
        weights[round(run.size, 1)] += len(run.text.strip())
    size = max(size for size, weight in weights.items() if weight >= 0.2 * weights.total())
    heights: Counter[float] = Counter()
    for run in runs:
        if round(run.size, 1) == size:
            heights[run.y] += len(run.text.strip())
    return size, heights.most_common(1)[0][0]


def _make_pieces(runs: Sequence[Run], size: float, baseline: float) -> list[Piece]:
    pieces: list[Piece] = []
    for run in runs:
        level, last = _find_level(run, size, baseline), pieces[-1] if pieces else None
        gap = run.x - last.end if last else 0.0
        if last and last.level == level and gap > -0.3 * size:
            # Scripts hold no words: gaps in them are space around signs.
            is_apart = not level and gap > WORD_GAP * size and not last.text.endswith(" ")
            last.text += (" " if is_apart else "") + run.text
            last.end = run.end
            last.runs.append(run)
        else:
            pieces.append(Piece(run.text, level, run.x, run.end, gap, [run]))
    return pieces


def _is_base(text: str) -> bool:
    """Whether a text ends in something that a script may belong to."""
    last = text.rstrip()[-1:]
    return bool(last) and (last.isalnum() or last in ")]}|∇∂∆" or unicodedata.combining(last) > 0)


def _find_level(run: Run, size: float, baseline: float) -> Level:
    if run.size > 0.85 * size:
        return ""
    rise = run.y - baseline
    return "^" if rise > 0.15 * size else "_" if rise < -0.06 * size else ""


def _attach(text: str, script: str, level: str) -> str:
    """A script after its base."""
    base = text.rstrip()
    if script in ("◦", "°") and level == "^":
        return f"{base}°"
    word = WORD.search(base)
    is_mark = level == "^" and ((word and word[1] not in NAMES) or ORDINAL.fullmatch(script) or not script.strip("′″"))
    if is_mark or not _is_base(base):
        return text + script
    return f"{base}{level}{script if len(script) == 1 else f'{{{script}}}'}"
