"""Grading a typed answer against the course's by its words, with the reason."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlx_tutor.evaluation.metrics import score_rouge
from mlx_tutor.languages.defining import find_term
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.chat.support import NUMBER
from mlx_tutor.study.quiz.questions import Reference, StudyQuestion, read_output
from mlx_tutor.study.search.words import TERM, find_negation, fold, list_small_words, list_stems

Verdict = Literal["right", "partly", "wrong"]
# Share of the key concepts that makes an answer right, and partly right; of a long reference, ENOUGH concepts count as
# all. Of 207 glossary definitions worded apart from their books this calls 77 % right and 11 % partly right, of another
# term's definition 1 % and 8 % (bench_quiz).
RIGHT, PARTLY, ENOUGH = 0.5, 0.25, 6
# An answer with nearly all concepts but without the "not" says the opposite; a shorter one may lack that clause.
NEARLY_ALL = 0.75
# An answer in nearly the course's own words is right.
SAME_WORDS = 0.7
# Function words of a sentence.
_CARRIERS = """
use used uses using make makes made call called calls means give gives given take takes one ones thing things way
ways type types kind kinds form forms term terms refer refers describe describes define defined defines consist consists
example many much more most other others each every any some all such same certain various often usually only just
because since whether while during through within without however therefore get gets set per
method methods problem process technique approach presence state situation
"""
CARRIERS = frozenset(_CARRIERS.split())
QUOTED = re.compile(r"“[^”]*”")


@dataclass(frozen=True, slots=True)
class Grade:
    """A verdict and its reason.

    `named` and `missing` are the key concepts of the reference that the answer has and has not; `remark` says what
    else counted. `rouge1` and `rougeL` are those of `evaluate`, F1 from 0 to 1. `reference` is the answer of the
    course that comes closest.
    """

    verdict: Verdict
    share: float
    named: tuple[str, ...]
    missing: tuple[str, ...]
    remark: str
    rouge1: float
    rougeL: float
    reference: Reference


def grade_answer(question: StudyQuestion, answer: str) -> Grade:
    """Grade against each reference; the best grade counts.

    What a program prints is compared line by line. Any other answer is right when it names at least RIGHT of the key
    concepts of the reference that the question does not name itself, in any form of the words, or says nearly the
    same words in the same order; one that misses a number of the reference, or negates what the reference does not,
    is partly right at best. These are measures of words: right words in a wrong sentence pass, and right sentences
    in other words fail. So a grade is a proposal.
    """
    answer = clean_text(answer).strip()
    grade = _grade_output if question.is_output else _grade_prose
    order: tuple[Verdict, ...] = ("wrong", "partly", "right")
    grades = [grade(question, reference, answer) for reference in question.references]
    return max(grades, key=lambda found: (order.index(found.verdict), found.share))


def _grade_prose(question: StudyQuestion, reference: Reference, answer: str) -> Grade:
    asked = find_term(question.text) or QUOTED.sub(" ", question.text)
    language = question.language
    concepts = list_concepts(reference.answer, question.concepts, asked, language)
    said = list_stems([answer], language)[0]
    named = tuple(name for name, stems in concepts if stems <= said)
    missing = tuple(name for name, stems in concepts if not stems <= said)
    share = min(1.0, len(named) / min(len(concepts), ENOUGH)) if concepts else 0.0
    rouge1, rouge_l = _score(reference.answer, answer)
    # One of two could be chance.
    enough = RIGHT if len(concepts) > 2 else 1.0
    verdict: Verdict = "right" if share >= enough or rouge_l >= SAME_WORDS else "partly" if share >= PARTLY else "wrong"
    remark = ""
    if verdict != "wrong":
        lost = sorted(set(NUMBER.findall(reference.answer)) - set(NUMBER.findall(answer)))
        negated, negates = (bool(find_negation(text, language)) for text in (reference.answer, answer))
        if lost:
            verdict, remark = "partly", f"the number {lost[0]} is missing"
        elif negates and not negated:
            verdict, remark = "partly", "you negate what the course does not"
        elif negated and not negates and share >= NEARLY_ALL:
            verdict, remark = "partly", "the course negates what you do not"
    return Grade(verdict, share, named, missing, remark, rouge1, rouge_l, reference)


def _grade_output(question: StudyQuestion, reference: Reference, answer: str) -> Grade:
    printed, typed = (_list_lines(read_output(text)) for text in (reference.answer, answer))
    hits = sum(a == b for a, b in zip(printed, typed, strict=False))
    share = hits / max(len(printed), len(typed), 1)
    verdict: Verdict = "right" if share == 1 else "partly" if share >= PARTLY else "wrong"
    remark = f"{hits} of {len(printed)} lines are as printed"
    if len(typed) != len(printed):
        remark += f"; you gave {len(typed)}"
    return Grade(verdict, share, (), (), remark, *_score("\n".join(printed), "\n".join(typed)), reference)


def _list_lines(text: str) -> list[str]:
    """Lines without trailing spaces, and with one kind of quotation marks."""
    lines = [" ".join(line.replace('"', "'").split()) for line in text.strip().split("\n")]
    return [re.sub(r"\s*([,:()\[\]{}])\s*", r"\1", line) for line in lines if line]


def _score(reference: str, answer: str) -> tuple[float, float]:
    scores = score_rouge([reference], [answer])
    return scores["rouge1"][0], scores["rougeL"][0]


def list_concepts(
    reference: str, related: Sequence[str], asked: str, language: str = "en"
) -> list[tuple[str, set[str]]]:
    """The key concepts of an answer, each with the stems that name it, in the order of the text.

    They are the course's concepts that stand in it, of one word or several, and the other content words; nothing of
    what is asked, nor words that only carry a sentence, unless nothing else is left.
    """
    text = reference.replace("**", "")
    places: list[tuple[int, int, str]] = []
    for concept in sorted(related, key=len, reverse=True):
        match = re.search(rf"(?<!\w){re.escape(concept)}s?(?!\w)", text, re.IGNORECASE)
        if match and all(match.end() <= start or match.start() >= end for start, end, _ in places):
            places.append((match.start(), match.end(), match.group()))
    taken = tuple(places)
    for match in TERM.finditer(text):
        if all(match.end() <= start or match.start() >= end for start, end, _ in taken):
            places.append((match.start(), match.end(), match.group()))
    # A run without spaces between words is as many concepts as the index has words in it.
    names = [piece for _, _, name in sorted(places) for piece in _cut_name(name)]
    stems = list_stems([asked, *names], language)
    carriers = CARRIERS | list_small_words(language)
    telling: dict[frozenset[str], str] = {}
    carrying: dict[frozenset[str], str] = {}
    for name, found in zip(names, stems[1:], strict=True):
        if new := frozenset(found - stems[0]):
            (carrying if name.lower() in carriers else telling).setdefault(new, name)
    return [(name, set(found)) for found, name in (telling or carrying).items()]


def _cut_name(name: str) -> list[str]:
    pieces = fold(name).split()
    return [name] if " " in name or len(pieces) == 1 else pieces
