"""Joining accents to their letters, where a page draws the two apart.

TeX's older fonts have no é: they draw ´, move back and draw e. Position tells which accent belongs to which letter.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from mlx_tutor.extract.characters import COMBINING, is_accent
from mlx_tutor.extract.content import Run

DOTLESS = str.maketrans("ıȷ", "ij")


def compose_accents(runs: Sequence[Run]) -> list[Run]:
    """The runs, with each accent joined to the letter that it overlaps; an accent comes as a run of its own."""
    composed: list[Run] = []
    before = list(runs)
    # From the end, so that of two accents before a letter the nearer one comes first.
    while before:
        run = before.pop()
        accent = run.text.strip()
        if is_accent(accent):
            last, following = (before[-1] if before else None), (composed[-1] if composed else None)
            over_last = _reach_back(run, last) if last else 0.0
            over_next = _reach_forward(run, following) if following else 0.0
            if following and over_next > 0 and over_next >= over_last:
                start = len(run.text) - len(run.text.lstrip())
                letter = _compose(following.text.lstrip()[0], accent)
                text = run.text[:start] + letter + following.text.lstrip()[1:]
                composed[-1] = replace(following, text=text, spaced=following.spaced or run.spaced)
                continue
            if last and over_last > 0:
                before[-1] = replace(last, text=last.text[:-1] + _compose(last.text[-1], accent))
                # A space after the accent belongs after the letter.
                before[-1] = replace(before[-1], text=before[-1].text + " " * run.text.endswith(" "))
                continue
        composed.append(run)
    return composed[::-1]


def _compose(letter: str, accent: str) -> str:
    return unicodedata.normalize("NFC", letter.translate(DOTLESS) + COMBINING.get(accent, accent))


def _reach_forward(accent: Run, other: Run) -> float:
    """How far an accent reaches over the first letter of the run after it, as a share of its width; else 0."""
    width = accent.end - accent.x
    if not other.text.lstrip()[:1].isalpha() or not _is_beside(accent, other) or width <= 0:
        return 0.0
    share = (accent.end - other.x) / width
    # A wide letter begins before its accent.
    return share if share > 0.4 and other.x > accent.x - 0.6 * accent.size else 0.0


def _reach_back(accent: Run, other: Run) -> float:
    """How far an accent reaches over the last letter of the run before it, as a share of its width; else 0."""
    width = accent.end - accent.x
    if not other.text[-1:].isalpha() or not _is_beside(accent, other):
        return 0.0
    if width <= 0.01 * accent.size:
        # Without a width it stands over the letter before it.
        return float(abs(accent.x - other.end) < accent.size)
    share = (other.end - accent.x) / width
    return share if share > 0.4 and other.end > accent.end - 0.4 * accent.size else 0.0


def _is_beside(accent: Run, other: Run) -> bool:
    return accent.turn == other.turn and abs(accent.y - other.y) < 0.6 * max(accent.size, other.size)
