"""How well an answer teaches: clarity, concepts, support by the course, level; and what the model costs to run.

Readability by the formulas of Flesch (1948) and Kincaid et al. (1975), which were fitted to English: where the course
is in another language they are left out. Syllables are pyphen's places of hyphenation, which are a few too few. What an
endless sentence or a list of single words gives beyond Flesch's scale of 0 to 100, or below the first school year, is
taken for its end: one such answer would outweigh a hundred others in a mean.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import mean, quantiles
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.evaluation.answers import Question
from mlx_tutor.evaluation.bootstrap import Sample, score_percent, score_ratio
from mlx_tutor.evaluation.engagement import measure_engagement
from mlx_tutor.evaluation.guards import SourceText
from mlx_tutor.evaluation.metrics import Measure
from mlx_tutor.evaluation.style import FENCED, LATEX, count_style, list_related
from mlx_tutor.generate import generate_answer
from mlx_tutor.languages.detect import detect_language
from mlx_tutor.languages.table import match_labels
from mlx_tutor.models import LoadedModel, count_weights
from mlx_tutor.records import Message, split_question
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.text import split_lines

MEASURES = (
    Measure("ease", "reading ease", 0, 1, "Flesch reading ease, 0 to 100: 60 to 70 is plain, below 30 hard to read"),
    Measure("sentence_words", "words a sentence", 0, 1, "mean length of a sentence or list entry"),
    Measure("steps", "steps present %", 1, 1, "share with two or more steps, where the reference has them"),
    Measure("coverage", "concepts covered %", 1, 1, "share of the reference's key concepts that the answer names"),
    Measure(
        "grounding", "grounded %", 1, 1, "share of statements that a sentence of the course supports, by its words"
    ),
    Measure("level", "level fits %", 1, 1, "share of answers whose reading grade is right for who is taught"),
    Measure("asks", "asks back %", 0, 1, "share that ask the student something, other than the question again"),
    Measure("invites", "invites %", 0, 1, "share whose last two sentences invite a next step, or ask"),
    Measure("addresses", "addresses %", 1, 1, "share that use half of the content words of the question"),
    Measure("copied", "word for word %", 0, 1, "share of runs of eight words that stand in the course"),
)
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
LABELS = re.compile(
    rf"^\s*(?:{'|'.join(map(match_labels, ('steps', 'answer', 'related')))})\s*[:：]", re.IGNORECASE | re.MULTILINE
)
# Reading grades (Flesch-Kincaid, years of American school) that fit what course.grade_level says, first match first.
LEVELS = (
    (r"kindergarten|primary|elementary", 0, 6),
    (r"middle school|junior high", 5, 9),
    (r"high school|secondary|gymnasium|a-level", 7, 13),
    (r"undergraduate|bachelor|college|freshman|sophomore", 8, 16),
    (r"graduate|master|ph\.?d|doctora|university|expert|professional", 9, 20),
)
GRADE = re.compile(r"\b(?:grade|year|class)\s*(\d{1,2})\b|\b(\d{1,2})(?:st|nd|rd|th) grade\b", re.IGNORECASE)
# Questions answered one by one to measure the speed a user sees.
TIMED = 3


@dataclass(frozen=True, slots=True)
class CourseText:
    """What is known about a course besides its rows.

    `sources` is its text in any pieces; `find_concepts` gives the concepts that a text names; `find_support` takes an
    answer and its question, and gives how many statements of the answer the course supports and how many were checked.
    `write_prompt` is the chat with the passages that search brings for a question, None where nothing can be searched;
    `agrees` says whether a sentence leaves the numbers of a reference as they are and does not say the opposite.
    """

    sources: Sequence[str]
    grade_level: str
    find_concepts: Callable[[str], Sequence[str]]
    find_support: Callable[[str, str], tuple[int, int]]
    write_prompt: Callable[[LoadedModel, str], list[Message]] | None = None
    agrees: Callable[[str, str], bool] = lambda sentence, reference: True


@cache
def _load_hyphenation() -> Any:
    from pyphen import Pyphen

    return Pyphen(lang="en_US")


@cache
def count_syllables(word: str) -> int:
    """Syllables of an English word, at least one."""
    return len(_load_hyphenation().positions(word.lower())) + 1


@dataclass(frozen=True, slots=True)
class Readability:
    """Flesch reading ease (0 to 100), Flesch-Kincaid grade in school years (0 or more), and words a sentence."""

    ease: float
    grade: float
    sentence_words: float


def measure_readability(text: str) -> Readability | None:
    """Of the prose of an answer, without code, formulas and the labels of its parts; None below three words."""
    prose = LABELS.sub("\n", LATEX.sub(" ", FENCED.sub("\n", text)))
    sentences = [words for part in split_lines(prose) if (words := WORD.findall(part))]
    words = [word for sentence in sentences for word in sentence]
    if len(words) < 3:
        return None
    length = len(words) / len(sentences)
    syllables = sum(map(count_syllables, words)) / len(words)
    ease, grade = 206.835 - 1.015 * length - 84.6 * syllables, 0.39 * length + 11.8 * syllables - 15.59
    return Readability(min(max(ease, 0.0), 100.0), max(grade, 0.0), length)


def find_level(grade_level: str, references: Sequence[str]) -> tuple[float, float, str]:
    """Lowest and highest reading grade that fit, and why.

    As easy as the easiest tenth of the references is never too easy; the highest is what the recipe's grade level
    allows, or the hardest tenth of the references where it names none that is known.
    """
    grades = [found.grade for text in references if (found := measure_readability(text)) is not None]
    tenths = quantiles(grades, n=10, method="inclusive") if len(grades) > 1 else [-10.0, 30.0]
    if match := GRADE.search(grade_level):
        grade = int(match[1] or match[2])
        return min(tenths[0], grade - 2), grade + 2, f"course.grade_level {grade_level!r}"
    for pattern, low, high in LEVELS:
        if re.search(pattern, grade_level, re.IGNORECASE):
            return min(tenths[0], low), high, f"course.grade_level {grade_level!r}"
    return tenths[0], tenths[-1], "the reference answers, but for a tenth at either end"


def find_wanted(question: Question, course: CourseText) -> list[str]:
    """The key concepts of a reference: those that it lists or names, but for those that the question names.

    A passage above the question names them too, and does not answer it.
    """
    named = [*list_related(question.reference), *course.find_concepts(question.reference)]
    asked = split_question(question.text)[1]
    return [name for name in dict.fromkeys(map(str.lower, named)) if not names_concept(asked, name)]


def names_concept(text: str, name: str) -> bool:
    """Whether a text has a concept's name as whole words, in singular or plural."""
    return re.search(rf"(?<!\w){re.escape(name.rstrip('s'))}s?(?!\w)", text, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class TeachingScorer:
    """What is the same for all answers of an evaluation."""

    course: CourseText
    text: SourceText
    language: str
    level: tuple[float, float, str]


def make_scorer(course: CourseText, references: Sequence[str]) -> TeachingScorer:
    """Prepare the measures for a course."""
    language = detect_language("\n".join(course.sources or references))
    return TeachingScorer(course, SourceText(course.sources), language, find_level(course.grade_level, references))


def measure_teaching(scorer: TeachingScorer, question: Question, text: str) -> dict[str, tuple[float, float]]:
    """Of each of `MEASURES` a sum and what it is divided by, for one answer; (0, 0) where it says nothing."""
    readable = measure_readability(text) if scorer.language == "en" else None
    low, high, _ = scorer.level
    wanted = find_wanted(question, scorer.course)
    supported, checked = scorer.course.find_support(text, question.text)
    copied = scorer.text.find_copied(text, question.text).share if scorer.course.sources else None
    engaged = measure_engagement(split_question(question.text)[1], text, scorer.language)
    has_steps = count_style(question.reference).steps >= 2
    found: dict[str, tuple[float, float]] = {
        "steps": (float(count_style(text).steps >= 2), 1) if has_steps else (0, 0),
        "coverage": (sum(names_concept(text, name) for name in wanted), len(wanted)),
        "grounding": (supported, checked),
        "copied": (0, 0) if copied is None else (copied, 1),
        **{key: (float(is_so), 1) for key, is_so in engaged.items()},
        "ease": (0, 0),
        "sentence_words": (0, 0),
        "level": (0, 0),
    }
    if readable is not None:
        found["ease"], found["sentence_words"] = (readable.ease, 1), (readable.sentence_words, 1)
        found["level"] = (float(low <= readable.grade <= high), 1)
    return found


def sample_teaching(measured: Sequence[dict[str, tuple[float, float]]]) -> dict[str, Sample]:
    """The statistics of every measure over answers."""
    plain = {"ease", "sentence_words"}
    return {
        measure.key: Sample(
            np.array([of_answer[measure.key] for of_answer in measured], float),
            score_ratio if measure.key in plain else score_percent,
        )
        for measure in MEASURES
    }


def show_teaching(measured: dict[str, tuple[float, float]]) -> dict[str, float | None]:
    """The measures of one answer as numbers; shares from 0 to 1."""
    return {key: round(part / whole, 4) if whole else None for key, (part, whole) in measured.items()}


def measure_speed(loaded: LoadedModel, questions: Sequence[Question], settings: GenerateSettings) -> dict[str, float]:
    """The speed a user sees who asks one question after another: means over the first few.

    Tokens a second once it writes, seconds to the first token, peak memory and weights in GB.
    """
    mx.clear_cache()
    mx.reset_peak_memory()
    answers = [generate_answer(loaded, question.messages, settings) for question in questions[:TIMED]]
    return {
        "tokens_per_second": mean(answer.tokens_per_second for answer in answers),
        "first_token_seconds": mean(answer.first_token_seconds for answer in answers),
        "peak_memory_gb": mx.get_peak_memory() / 1e9,
        "weights_gb": count_weights(loaded.model) / 1e9,
    }
