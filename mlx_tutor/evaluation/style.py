"""The form of an answer: length, lists, formulas, repetition and manner, counted."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mlx_tutor.languages.table import match_labels

LATEX = re.compile(r"\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|(?<![\\$\w])\$(?=[^\s$])[^$\n]*[^\s$]\$(?![\w$])", re.DOTALL)
STEP = re.compile(r"^\s*(?:[-*•]\s+|\d+[.)]\s+|step \d+\b)", re.IGNORECASE | re.MULTILINE)
FENCE = re.compile(r"^\s*```", re.MULTILINE)
RELATED = re.compile(
    rf"(?:related concepts?|{match_labels('related')})\W*\n(?P<list>(?:\s*(?:[-*•]|\d+[.)])\s+.+(?:\n|$))+)",
    re.IGNORECASE,
)
FENCED = re.compile(r"^\s*```.*?(?:^\s*```|\Z)", re.DOTALL | re.MULTILINE)
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
CHUNK_ENDS = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)")
TEACHING = re.compile(
    r"\b(?:you|your|let's|let us|try|notice|remember|first|next|now|for example|to see (?:why|how))\b|\?", re.IGNORECASE
)
ACADEMIC = re.compile(
    r"\b(?:thus|hence|therefore|moreover|furthermore|whereas|respectively|consequently|denoted?"
    r"|is (?:defined|given) (?:as|by)|can be (?:shown|expressed|written)|in general|we)\b",
    re.IGNORECASE,
)
DERIVATION = re.compile(
    r"\b(?:deriv\w+|pro(?:of|ve[ns]?)|theorem|lemma|equations?|substitut\w+|differentiat\w+|integrat\w+|solv(?:e|es|ing)"
    r"|yields?|it follows|let \w+ (?:be|denote))\b|(?<![=<>!])=(?!=)",
    re.IGNORECASE,
)
INTUITION = re.compile(
    r"\b(?:intuiti\w+|imagin\w+|think of|picture|like an?|as if|for (?:example|instance)|in other words|means that|idea"
    r"|analog\w+|suppose|such as)\b",
    re.IGNORECASE,
)
PLAIN_MATH = re.compile(r"\w\s*[=<>≤≥≈≠±×÷√∑∫^]\s*[\w(-]|\d\s*(?:\+|/|\*{1,2})\s*\d|\d - \d|[√∑∫]")
# A longer paragraph is not bite-sized.
CHUNK_WORDS = 60


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


@dataclass(frozen=True, slots=True)
class Aspect:
    """One line of the style table: its labels, of which each answer has one, and how the label is found."""

    name: str
    labels: tuple[str, ...]
    definition: str


ASPECTS = (
    Aspect(
        "response style",
        ("teaching", "academic", "neither"),
        "teaching: more words that speak to the reader (you, let's, try, notice, first, next, a question mark) than "
        "words of a paper (thus, hence, moreover, is defined as, can be shown, we); academic: fewer",
    ),
    Aspect(
        "mathematics",
        ("LaTeX", "plain", "none"),
        "LaTeX: at least one formula between dollar signs, \\( \\) or \\[ \\]; plain: none, but an equation or a "
        "calculation in ordinary characters",
    ),
    Aspect(
        "structure",
        ("steps", "paragraphs"),
        "steps: two or more lines that begin with a bullet, a number or Step n, the related concepts not counted",
    ),
    Aspect(
        "focus",
        ("derivation", "intuition", "neither"),
        "derivation: more marks of one (an equals sign, derive, proof, theorem, substitute, yields, it follows) than "
        "marks of intuition (imagine, think of, for example, in other words, means that, idea); intuition: fewer",
    ),
    Aspect(
        "answer pattern",
        ("chunks", "lecture"),
        f"chunks: no paragraph, bullet or step is longer than {CHUNK_WORDS} words; lecture: one is",
    ),
    Aspect(
        "related concepts",
        ("listed", "embedded", "none"),
        "listed: a list under that heading; embedded: no such list, but a related concept of the reference answer "
        "stands in the text",
    ),
)


def label_style(text: str, reference: str) -> dict[str, str]:
    """The label of each of `ASPECTS` for one answer, as their definitions say; token counts come from the generation.

    They are counts of forms, and the words are English ones: a text in another language has no response style and no
    focus here. None of them says that an answer is right.

    Args:
        reference: The answer of the test row, for its related concepts.
    """
    related = RELATED.search(text)
    body = text if related is None else text[: related.start()] + text[related.end() :]
    counted = count_style(text)
    formulas = counted.latex_formulas
    math = "LaTeX" if formulas else "plain" if PLAIN_MATH.search(FENCED.sub("", body)) else "none"
    longest = max((len(chunk.split()) for chunk in CHUNK_ENDS.split(body)), default=0)
    concepts = map(re.escape, list_related(reference))
    embedded = any(re.search(rf"(?<!\w){concept}(?!\w)", body, re.IGNORECASE) for concept in concepts)
    return {
        "response style": _pick(TEACHING, ACADEMIC, body, ("teaching", "academic")),
        "mathematics": math,
        "structure": "steps" if counted.steps >= 2 else "paragraphs",
        "focus": _pick(DERIVATION, INTUITION, body, ("derivation", "intuition")),
        "answer pattern": "chunks" if longest <= CHUNK_WORDS else "lecture",
        "related concepts": "listed" if counted.related_concepts else "embedded" if embedded else "none",
    }


def _pick(one: re.Pattern[str], other: re.Pattern[str], text: str, labels: tuple[str, str]) -> str:
    balance = len(one.findall(text)) - len(other.findall(text))
    return labels[0] if balance > 0 else labels[1] if balance < 0 else "neither"


def list_related(text: str) -> list[str]:
    """The related concepts that an answer lists."""
    related = RELATED.search(text)
    lines = [] if related is None else related["list"].strip().split("\n")
    return [name for line in lines if (name := BULLET.sub("", line).strip())]


def summarize_style(texts: Sequence[str], references: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each aspect, the share of the answers under each label."""
    labels = [label_style(text, reference) for text, reference in zip(texts, references, strict=True)]
    return {
        aspect.name: {
            label: sum(found[aspect.name] == label for found in labels) / len(labels) for label in aspect.labels
        }
        for aspect in ASPECTS
    }
