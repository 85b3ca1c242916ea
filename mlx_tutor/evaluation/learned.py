"""Which facts of a course base and tuned model know, asked closed-book in words that no row trained.

A fact is recited when the model prefers its answer to those of other facts in every wording (multiple choice by
likelihood, `choice.py`), or when it says it: the better of two tests that fail in different ways, since a weak model
prefers what it cannot say yet. It is known when it is also right in kinds of questions that no row has (`kinds.py`).
Options begin with the words of the right answer up to its verb, and have its term taken out; else repeating the
question would be enough to find it.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlx_tutor.errors import DatasetError
from mlx_tutor.evaluation.answers import Question, Reply
from mlx_tutor.evaluation.bootstrap import Array, compute_p_value
from mlx_tutor.evaluation.choice import Choice, find_margin, write_choice
from mlx_tutor.evaluation.metrics import UnicodeTokenizer
from mlx_tutor.languages.defining import ARTICLE, find_asked
from mlx_tutor.languages.table import read_language
from mlx_tutor.models import render_tokens
from mlx_tutor.records import GAP, REVERSE, TRUE_FALSE, Message, describe_place
from mlx_tutor.text import split_lines
from mlx_tutor.training.batches import TokenRow

# Kinds of rows that ask for more or for less than a fact.
NO_FACT = frozenset("explain summary title code output refusal unanswerable recall".split())
# In words.
LONGEST_ANSWER, LONGEST_QUESTION = 60, 120
WORDINGS_PER_FACT = 2
# The right answer and three others: one in four by chance.
OPTIONS = 4
# Two answers that share so many of their words may be the same fact.
ALIKE = 0.6
# Words in common with the reference, F1, from which on an answer says it (as SQuAD counts, Rajpurkar et al., 2016).
SAID = 0.5
MOST_TOKENS = 160

DEFINITION = re.compile(
    r"^(?:(?:what is meant by|what (?:is|are|was|were)|define|describe|explain|how would you explain"
    r"|give a (?:short )?definition of) (?:the term )?(?P<term>[^?.,:;“”]{2,60}?)(?: to a classmate)?"
    r"|what (?:do|does)(?: the term)? (?P<named>[^?.,:;“”]{2,60}?) mean)\s*[?.]$",
    re.IGNORECASE,
)
# "What are the prerequisites for it?" asks for no definition.
PHRASE = re.compile(r"\b(?:for|in|to|at|on|available|offered)\b", re.IGNORECASE)
VERB = re.compile(
    r"^(?P<lead>.{2,80}?\b(?:is|are|was|were|means|denotes?|describes?|measures?|refers? to|consists? of))\s+(?=\S)"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A question of the course with its answer; `wordings` stand nowhere in the training rows.

    `lead` is how the answer begins and `rest` how it goes on, without the term. `trained` says whether training saw
    the fact in other words. `term` is what a definition is of, else empty; `before` is what the row writes before the
    answer, as "Answer:".
    """

    question: str
    answer: str
    kind: str
    term: str
    place: str
    origin: dict[str, Any]
    trained: bool
    system: tuple[Message, ...]
    wordings: tuple[str, ...]
    before: str
    lead: str
    rest: str

    def write_messages(self, wording: str) -> list[Message]:
        """The chat that asks for this fact."""
        return [*self.system, {"role": "user", "content": wording}]

    @property
    def left_out(self) -> str:
        """The kind of question that is left to training (`build --from-learned`), whether any row has it or not.

        By the answer alone: it stays the same from run to run.
        """
        kinds = (REVERSE, TRUE_FALSE, GAP)
        return kinds[int(hashlib.sha256(_fold(self.answer).encode()).hexdigest(), 16) % len(kinds)]


def list_facts(splits: Mapping[str, Sequence[dict[str, Any]]], language: str = "en") -> list[Fact]:
    """Every fact of the rows, once, in the order of the course.

    Args:
        splits: The rows of train, valid and test, by these names.
        language: That of the course, in which other questions than for a definition are asked anew.
    """
    own = read_language(language) or read_language("en")
    rephrased = own.questions["rephrased"] if own else ()
    asked = {_fold(turn["content"]) for row in splits["train"] for turn in row["messages"] if turn["role"] == "user"}
    trained = {_fold(found[1]) for row in splits["train"] if (found := _read_fact(row)) is not None}
    facts: dict[str, Fact] = {}
    for split, rows in splits.items():
        for line, row in enumerate(rows, 1):
            found = _read_fact(row)
            if found is None or _fold(found[1]) in facts:
                continue
            question, answer, kind = found
            code, term = _find_term(question) if kind in ("concept", "definition", "") else ("", "")
            lead, rest = _cut_answer(answer, term or _find_subject(question, answer))
            if not rest:
                continue
            origin = row.get("origin") or {}
            heading = tuple(origin.get("heading") or ())
            place = describe_place(origin.get("source") or "", origin.get("page"), origin.get("cell"), heading)
            place += f", row {origin['row']}" if origin.get("row") else ""
            table = read_language(code)
            of_terms = table.questions.get("definition_exam", ()) if table else ()
            wordings = [wording.format(term=term) for wording in of_terms] or [w.format(question) for w in rephrased]
            unseen = [wording for wording in wordings if _fold(wording) not in asked]
            facts[_fold(answer)] = Fact(
                question=question,
                answer=answer,
                kind=kind,
                term=term,
                place=place or f"{split}.jsonl, line {line}",
                origin={key: origin.get(key) for key in ("source", "section", "page", "cell")},
                trained=_fold(answer) in trained,
                system=tuple(turn for turn in row["messages"][:1] if turn["role"] == "system"),
                wordings=tuple(unseen[:WORDINGS_PER_FACT]),
                before=_find_before(row["messages"][-1]["content"], answer),
                lead=lead,
                rest=rest,
            )
    return sorted((fact for fact in facts.values() if fact.wordings), key=_order)


def _order(fact: Fact) -> tuple[Any, ...]:
    origin = fact.origin
    return (origin["source"] or "", origin["page"] or origin["cell"] or 0, origin["section"] or 0, fact.place)


def _read_fact(row: dict[str, Any]) -> tuple[str, str, str] | None:
    """Question, answer and kind of a row that states a fact."""
    qa = row.get("qa_pair") or {}
    turns = [turn for turn in row["messages"] if turn["role"] != "system"]
    if len(turns) != 2 or qa.get("context") or qa.get("type") in NO_FACT or "code" in qa.get("type", ""):
        return None
    question, answer = qa.get("question") or turns[0]["content"], (qa.get("answer") or turns[1]["content"]).strip()
    count = UnicodeTokenizer().tokenize
    short = 2 <= len(count(answer)) <= LONGEST_ANSWER and len(count(question)) <= LONGEST_QUESTION
    return (question, answer, qa.get("type", "")) if short and "\n" not in answer and "```" not in question else None


def _find_term(question: str) -> tuple[str, str]:
    """The language of a question for a definition, and its term; empty of another question."""
    if match := DEFINITION.match(question):
        term = match["term"] or match["named"]
        return ("", "") if PHRASE.search(term) else ("en", term)
    return find_asked(question) or ("", "")


def _find_subject(question: str, answer: str) -> str:
    """The words that begin an answer and occur in its question, such as the name that was asked about."""
    words, subject = answer.split(), ""
    for count in range(1, len(words)):
        begin = " ".join(words[:count])
        if begin.lower() not in question.lower():
            break
        subject = begin
    return subject if len(subject) > 3 else ""


def _cut_answer(answer: str, term: str) -> tuple[str, str]:
    """The beginning of an answer, up to its verb, and the rest without the term."""
    name = ARTICLE.sub("", term)
    pattern = re.compile(rf"(?<!\w)(?:(?:an?|the)\s+)?{re.escape(name)}s?(?!\w)", re.IGNORECASE) if name else None
    verb = VERB.match(answer)
    if pattern is None or verb is None or not pattern.search(verb["lead"]):
        return "", answer if pattern is None else pattern.sub("it", answer)
    return verb["lead"], pattern.sub("it", answer[verb.end() :])


def _find_before(content: str, answer: str) -> str:
    """The text before the answer on its line: `Answer:`, or nothing."""
    start = content.rfind(answer)
    return content[content.rfind("\n", 0, start) + 1 : start].strip() if start > 0 else ""


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def choose_facts(facts: Sequence[Fact], limit: int | None, seed: int) -> list[int]:
    """Indices of all facts, or of `limit` chosen by `seed`, in their order.

    Raises:
        DatasetError: fewer facts than a question has options.
    """
    if len(facts) < OPTIONS:
        raise DatasetError(
            f"The rows state {len(facts)} facts that could be asked, and {OPTIONS} are needed. Add course files with "
            "definitions, or leave --learned out."
        )
    if limit is None or limit >= len(facts):
        return list(range(len(facts)))
    chosen: list[int] = np.random.default_rng(seed).choice(len(facts), limit, replace=False).tolist()
    return sorted(chosen)


def pick_options(facts: Sequence[Fact], index: int) -> list[str]:
    """The rest of a fact's answer, then those of near facts."""
    return [facts[i].rest for i in (index, *find_near(facts, index))]


def find_near(facts: Sequence[Fact], index: int) -> list[int]:
    """The facts whose answers are the wrong options of a question.

    They are of its kind, and near: those that share most words with the question, and among them those of like length.
    All were trained or all were not, since what was trained is likelier, whatever the question. Where there are too few
    such facts, others help out.
    """
    fact = facts[index]
    right, asked = split_words(fact.rest), split_words(f"{fact.question} {fact.lead}")
    ranked = []
    for i, other in enumerate(facts):
        words = split_words(other.rest)
        if i == index or not words or len(words & right) / len(words | right) >= ALIKE:
            continue
        other_kind = (other.kind, bool(other.lead)) != (fact.kind, bool(fact.lead))
        unlike = other_kind + (other.trained != fact.trained)
        ranked.append((unlike, other_kind, -len(words & asked), abs(len(other.rest) - len(fact.rest)), i))
    near: dict[str, int] = {}
    for *_, i in sorted(ranked):
        if facts[i].rest != fact.rest:
            near.setdefault(facts[i].rest, i)
    return list(near.values())[: OPTIONS - 1]


def split_words(text: str) -> set[str]:
    """Content words: four letters or more, cut to six so that most forms of a word agree."""
    words = UnicodeTokenizer().tokenize(text)
    return {word[:6] for word in words if len(word) > 3 or not word.isascii() or word.isdigit()}


def find_common(facts: Sequence[Fact]) -> set[str]:
    """Words of many answers (a tenth of them, at least five): they only show that the form is known."""
    counts = Counter(word for fact in facts for word in split_words(fact.answer))
    return {word for word, count in counts.items() if count >= max(5, len(facts) / 10)}


def measure_said(text: str, fact: Fact, common: set[str]) -> float:
    """How much of a fact's answer is in the best sentence of a text: F1 of words.

    Words of the question and `common` ones are left out: they say nothing of whether this answer is known.
    """
    asked = split_words(" ".join([fact.question, *fact.wordings])) | common
    wanted = split_words(fact.answer) - asked
    best = 0.0
    for sentence in split_lines(text):
        said = split_words(sentence) - asked
        if wanted and (shared := len(said & wanted)):
            best = max(best, 2 * shared / (len(said) + len(wanted)))
    return best


def write_questions(tokenizer: Any, facts: Sequence[Fact]) -> list[Question]:
    """Each fact in its first wording, to be answered in words."""
    questions = []
    for line, fact in enumerate(facts, 1):
        messages = fact.write_messages(fact.wordings[0])
        tokens, offset = render_tokens(tokenizer, [*messages, {"role": "assistant", "content": fact.answer}])
        questions.append(Question(line, tuple(messages), fact.answer, TokenRow(tuple(tokens), offset)))
    return questions


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What one model knows of one fact: the margin of its answer in each wording, and how much of it it says.

    `kinds` are its margins in kinds of questions that no row has. It is recited when it is right in new wordings of
    what rows ask, and known when it is right in those kinds too.
    """

    margins: tuple[float, ...]
    said: float
    text: str
    kinds: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_recited(self) -> bool:
        return min(self.margins) > 0 or self.said >= SAID

    @property
    def is_known(self) -> bool:
        return self.is_recited and all(margin > 0 for margin in self.kinds.values())


def write_choices(tokenizer: Any, facts: Sequence[Fact], indices: Sequence[int]) -> list[Choice]:
    """The chosen facts, each in each of its wordings."""
    choices = []
    for i in indices:
        fact, options = facts[i], pick_options(facts, i)
        lead = " ".join(part for part in (fact.before, fact.lead) if part)
        choices += [write_choice(tokenizer, fact.write_messages(w), lead, options) for w in fact.wordings]
    return choices


def measure_knowledge(
    facts: Sequence[Fact],
    losses: Sequence[Array],
    replies: Sequence[Reply],
    common: set[str],
    kinds: Sequence[Mapping[str, float]] = (),
) -> list[Knowledge]:
    """What a model knows of facts: `losses` of the options of `write_choices`, and what it said to each fact.

    `kinds` are the margins of each fact in other kinds of questions, from `read_probes`.
    """
    margins = iter([find_margin(of_options) for of_options in losses])
    return [
        Knowledge(
            tuple(next(margins) for _ in fact.wordings), measure_said(reply.text, fact, common), reply.text, of_fact
        )
        for fact, reply, of_fact in zip(facts, replies, kinds or [{}] * len(facts), strict=True)
    ]


def sort_facts(facts: Sequence[Fact], base: Sequence[Knowledge], tuned: Sequence[Knowledge]) -> dict[str, Any]:
    """The four lists, what they count, and whether more was learned than unlearned.

    `by_training` counts apart the facts that training saw, in other words, and those that it never saw.
    """
    names = {(True, True): "known before", (False, True): "learned", (False, False): "not learned"}
    lists: dict[str, list[dict[str, Any]]] = {"known before": [], "learned": [], "not learned": [], "unlearned": []}
    trained: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(lists, 0))
    for fact, before, after in zip(facts, base, tuned, strict=True):
        name = names.get((before.is_known, after.is_known), "unlearned")
        trained["trained" if fact.trained else "held out"][name] += 1
        lists[name].append(
            {
                "question": fact.question,
                "answer": fact.answer,
                "asked": list(fact.wordings),
                "place": fact.place,
                **fact.origin,
                "trained": fact.trained,
                # Of few kinds, none can be left out.
                "left_out": "" if fact.left_out in after.kinds else fact.left_out,
                "base": _show_knowledge(before),
                "tuned": _show_knowledge(after),
            }
        )
    counts = {name: len(found) for name, found in lists.items()}
    return {
        "counts": counts,
        "by_training": dict(trained),
        "p_value": compute_p_value(counts["learned"], counts["unlearned"]),
        "by_test": {"base": _count_tests(base), "tuned": _count_tests(tuned)},
        "lists": lists,
    }


def _count_tests(found: Sequence[Knowledge]) -> dict[str, int]:
    return {"preferred": sum(min(k.margins) > 0 for k in found), "said": sum(k.said >= SAID for k in found)}


def _show_knowledge(knowledge: Knowledge) -> dict[str, Any]:
    margins = [round(margin, 4) for margin in knowledge.margins]
    kinds = {kind: round(margin, 4) for kind, margin in knowledge.kinds.items()}
    found = {"margins": margins, "said": round(knowledge.said, 3), "text": knowledge.text}
    return {**found, "kinds": kinds, "recited": knowledge.is_recited}
