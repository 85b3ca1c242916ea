"""What an answer looks like, counted."""

import re
from collections import Counter
from dataclasses import dataclass

LATEX = re.compile(r"\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|(?<![\\$\w])\$(?=[^\s$])[^$\n]*[^\s$]\$(?![\w$])", re.DOTALL)
STEP = re.compile(r"^\s*(?:[-*•]\s+|\d+[.)]\s+|step \d+\b)", re.IGNORECASE | re.MULTILINE)
FENCE = re.compile(r"^\s*```", re.MULTILINE)
RELATED = re.compile(r"related concepts?\W*\n(?P<list>(?:\s*(?:[-*•]|\d+[.)])\s+.+(?:\n|$))+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Style:
    """Counts over one answer.

    latex_formulas: `$...$`, `$$...$$`, `\\(...\\)` and `\\[...\\]`. steps: lines that begin with a bullet, a number
    or "Step n", the related concepts not counted. code_blocks: fenced. related_concepts: entries of a list under
    that heading. repeated_4grams: share of runs of four words that occurred before in the answer.
    """

    latex_formulas: int
    steps: int
    code_blocks: int
    related_concepts: int
    repeated_4grams: float


def count_style(text: str) -> Style:
    """Count what `Style` names."""
    related = RELATED.search(text)
    without = text if related is None else text[: related.start()] + text[related.end() :]
    return Style(
        latex_formulas=len(LATEX.findall(text)),
        steps=len(STEP.findall(without)),
        code_blocks=(len(FENCE.findall(text)) + 1) // 2,
        related_concepts=0 if related is None else len(related["list"].strip().split("\n")),
        repeated_4grams=measure_repetition(text),
    )


def measure_repetition(text: str, size: int = 4) -> float:
    """Share of word n-grams that already occurred in the text, from 0 to 1; 0 for a text shorter than `size` words."""
    words = text.lower().split()
    grams = Counter(zip(*(words[i:] for i in range(size)), strict=False))
    return sum(count - 1 for count in grams.values()) / grams.total() if grams else 0.0
