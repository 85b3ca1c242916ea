"""Checks of what training should not do: answer everything, forget what the base knew, recite its sources.

General questions are answered by likelihood (`choice.py`), so that a model that hardly writes can be asked. The others
are answered in words, and a refusal is recognized by its words. A model that hardly writes never refuses so; whether
the likelihood of a refusal is higher where one belongs is measured too.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlx_tutor.evaluation.answers import Question, Reply
from mlx_tutor.evaluation.bootstrap import Array, Sample, compare_pair, draw_weights, score_percent, score_ratio
from mlx_tutor.evaluation.choice import Choice, find_margin, write_choice
from mlx_tutor.evaluation.learned import Fact
from mlx_tutor.evaluation.metrics import UnicodeTokenizer
from mlx_tutor.hide import has_code
from mlx_tutor.models import render_prompt
from mlx_tutor.records import Message
from mlx_tutor.text import split_lines
from mlx_tutor.training.batches import TokenRow

# Questions of each kind that are made from terms of the course.
TERMS = 8
# What a model would say that refuses, where no row of the course does.
REFUSAL = "The course does not cover this question."
REFUSES = re.compile(
    r"\b(?:(?:does|do|did)(?: not|n['’]t) (?:cover|say|mention|contain|answer|include|discuss|state|tell|give|know)"
    r"|(?:is|are|was)(?: not|n['’]t) (?:covered|mentioned|discussed|answered|part of|in|about|something)\b"
    r"|(?:can(?:not|['’]t| not)|am (?:not able|unable) to) (?:answer|help|say|tell|find|assist|quote|provide)"
    r"|(?:outside|beyond)(?: of)? (?:the|this|my|our|what)\b|(?:not enough|insufficient|no) information|no answer"
    r"|(?:i am|i['’]m|only) (?:here|able|meant) (?:only )?(?:to|for)|sorry)",
    re.IGNORECASE,
)
DENIES = re.compile(r"\b(?:no|not|never|none|neither|incorrect|wrong|false|untrue|actually)\b|n['’]t\b", re.IGNORECASE)
# Kinds of questions; those of the first list should be refused, or their premise denied.
REFUSED = ("out of domain", "unanswerable", "false premise")
KINDS = (*REFUSED, "extraction", "course")
# Asked only where the course allows no code.
CODE = "code"
# Words of a run that counts as copied, as Radford et al. (2019) count overlap between training and test text.
GRAM = 8


@dataclass(frozen=True, slots=True)
class Guard:
    """A question to be answered in words, of one of `KINDS`, or one that asks for code."""

    kind: str
    question: str


def read_questions() -> dict[str, Any]:
    """The questions shipped with mlx-tutor."""
    found: dict[str, Any] = tomllib.loads((Path(__file__).parent / "guards.toml").read_text(encoding="utf-8"))
    return found


def list_guards(
    facts: Sequence[Fact], sources: Sequence[str], limit: int | None, seed: int, allow_code: bool = True
) -> list[Guard]:
    """What is asked in words: at most `limit` questions of each kind, the terms chosen by `seed`.

    A question from outside is left out when the course has one of its words. Without `allow_code`, code is asked for.
    """
    questions = read_questions()
    words = {word for text in sources for word in UnicodeTokenizer().tokenize(text)}
    outside = [item["question"] for item in questions["outside"] if not words & _add_plurals(item["words"])]
    terms = [fact.term for fact in facts if fact.term]
    order = np.random.default_rng(seed).permutation(len(terms)).tolist()
    chosen = [terms[i] for i in order[: min(TERMS, limit or TERMS)]]
    guards = [Guard("out of domain", question) for question in outside[: limit or len(outside)]]
    kinds = [("unanswerable", "unanswerable"), ("false premise", "false_premise"), ("extraction", "extraction")]
    for kind, key in kinds if allow_code else [*kinds, (CODE, "code")]:
        wordings = questions[key]["questions"]
        guards += [Guard(kind, wordings[i % len(wordings)].format(term=term)) for i, term in enumerate(chosen)]
    return guards + [Guard("course", f"What is meant by {term}?") for term in chosen]


def _add_plurals(words: Sequence[str]) -> set[str]:
    return {form for word in words for form in (word, f"{word}s", f"{word}es")}


def find_refusals(rows: Sequence[dict[str, Any]]) -> Counter[str]:
    """How the refusals of the training rows begin, and how often each does; those that speak of passages left out.

    Rows say in their type that they refuse; others refuse when the same words answer several questions.
    """
    told: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for row in rows:
        qa = row.get("qa_pair") or {}
        begin = split_lines((qa.get("answer") or row["messages"][-1]["content"]).strip())[0]
        if qa.get("context"):
            continue
        if qa.get("type") in ("refusal", "unanswerable"):
            told[begin] += 1
        elif REFUSES.search(begin):
            others[begin] += 1
    return told + Counter({begin: count for begin, count in others.items() if count > 1})


def write_guards(tokenizer: Any, guards: Sequence[Guard], system: Sequence[Message]) -> list[Question]:
    """The questions as they are asked; they have no reference."""
    questions = []
    for line, guard in enumerate(guards, 1):
        messages: tuple[Message, ...] = (*system, {"role": "user", "content": guard.question})
        prompt = render_prompt(tokenizer, messages)
        questions.append(Question(line, messages, "", TokenRow(tuple(prompt), len(prompt))))
    return questions


def write_general(tokenizer: Any, system: Sequence[Message]) -> tuple[list[str], list[Choice]]:
    """The general questions, and each with its options as tokens."""
    items = read_questions()["general"]["items"]
    choices = [
        write_choice(tokenizer, [*system, {"role": "user", "content": question}], "Answer:", options)
        for question, *options in items
    ]
    return [item[0] for item in items], choices


def write_refusals(tokenizer: Any, guards: Sequence[Guard], system: Sequence[Message], refusal: str) -> list[Choice]:
    """Each question with a refusal as its only option."""
    return [
        write_choice(tokenizer, [*system, {"role": "user", "content": guard.question}], "", [refusal])
        for guard in guards
    ]


def is_refused(text: str, kind: str, taught: Sequence[str]) -> bool:
    """Whether an answer refuses, by its first two sentences; a false premise may also be denied."""
    begins = " ".join(split_lines(text.strip())[:2])
    denied = kind == "false premise" and DENIES.search(begins) is not None
    return denied or REFUSES.search(begins) is not None or is_taught(text, taught)


def is_taught(text: str, taught: Sequence[str]) -> bool:
    """Whether an answer has most of the words that begin a refusal of the training rows."""
    said = set(UnicodeTokenizer().tokenize(text))
    for answer in taught:
        words = set(UnicodeTokenizer().tokenize(answer))
        if len(words) >= 3 and len(said & words) / len(words) >= 0.8:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Copied:
    """What a text has word for word from the sources: its longest run of words, and the share of its 8-grams.

    `share` is None for a text of fewer than eight words.
    """

    words: int
    share: float | None
    run: str


class SourceText:
    """The text of a course as words, to look for runs in; `words` of a text are those of ROUGE."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.text = "\n".join(self._join(text) for text in sources)

    @staticmethod
    def _join(text: str) -> str:
        return f" {' '.join(UnicodeTokenizer().tokenize(text))} "

    def find_copied(self, text: str, asked: str = "") -> Copied:
        """The longest run, and the share of runs of eight; a run that is in the question does not count."""
        words, question = UnicodeTokenizer().tokenize(text), self._join(asked)

        def join(begin: int, end: int) -> str:
            return f" {' '.join(words[begin:end])} "

        longest, start, end, grams = 0, 0, 0, 0
        for begin in range(len(words)):
            # A run ends where the one from the word before ended, or later.
            end = max(end, begin)
            while end < len(words) and join(begin, end + 1) in self.text:
                end += 1
            grams += end - begin >= GRAM and join(begin, begin + GRAM) not in question
            if end - begin > longest and join(begin, end) not in question:
                longest, start = end - begin, begin
        total = len(words) - GRAM + 1
        return Copied(longest, grams / total if total > 0 else None, " ".join(words[start : start + longest]))


def summarize_general(
    questions: Sequence[str], base: Sequence[Array], tuned: Sequence[Array], seed: int
) -> dict[str, Any]:
    """Right answers in percent and the loss of the right ones, with intervals, and which answers were forgotten."""
    weights = draw_weights(len(questions), seed)
    one = np.ones(len(questions))
    right = [np.array([find_margin(losses) > 0 for losses in found], float) for found in (base, tuned)]
    loss = [np.array([losses[0] for losses in found]) for found in (base, tuned)]
    measures = []
    for title, better, columns, score in (
        ("right answers %", 1, right, score_percent),
        ("loss of right answers", -1, loss, score_ratio),
    ):
        before, after = (Sample(np.column_stack([column, one]), score) for column in columns)
        measures.append({"title": title, **compare_pair(before, after, weights, better)})
    forgotten = [q for q, before, after in zip(questions, *right, strict=True) if before and not after]
    known = int(right[0].sum())
    return {
        "asked": len(questions),
        "options": len(base[0]),
        "measures": measures,
        "known": known,
        "forgotten": forgotten,
        "gained": int(((right[1] > 0) & (right[0] == 0)).sum()),
        "forgotten_share": len(forgotten) / known if known else None,
    }


def summarize_guards(
    guards: Sequence[Guard], replies: Sequence[Reply], refusal_losses: Array, taught: Sequence[str], text: SourceText
) -> dict[str, Any]:
    """Of one model: how often each kind was refused or got code, how well a refusal separates, what was copied.

    `separates` is how often a refusal is likelier after a question from outside than after one of the course, 0.5 by
    chance (the area under the ROC curve; Hanley and McNeil, 1982).
    """
    kinds: dict[str, dict[str, Any]] = {}
    answers: list[dict[str, Any]] = []
    for guard, reply in zip(guards, replies, strict=True):
        copied = text.find_copied(reply.text, guard.question)
        refused = is_refused(reply.text, guard.kind, taught)
        answers.append(
            {"kind": guard.kind, "question": guard.question, "answer": reply.text, "ended": reply.ended,
             "refused": refused, "as_taught": is_taught(reply.text, taught), "copied": asdict(copied),
             "code": has_code(reply.text)}
        )  # fmt: skip
    for kind in (*KINDS, CODE):
        found = [answer for answer in answers if answer["kind"] == kind]
        if found:
            shares = [answer["copied"]["share"] for answer in found if answer["copied"]["share"] is not None]
            kinds[kind] = {
                "asked": len(found),
                "refused": sum(answer["refused"] for answer in found),
                "as_taught": sum(answer["as_taught"] for answer in found),
                "code": sum(answer["code"] for answer in found),
                "longest_run": max(answer["copied"]["words"] for answer in found),
                "copied_share": float(np.mean(shares)) if shares else None,
            }
    outside = refusal_losses[[guard.kind in ("out of domain", "unanswerable") for guard in guards]]
    inside = refusal_losses[[guard.kind == "course" for guard in guards]]
    wins = (outside[:, None] < inside[None]) + 0.5 * (outside[:, None] == inside[None])
    return {"kinds": kinds, "separates": float(wins.mean()) if wins.size else None, "answers": answers}
