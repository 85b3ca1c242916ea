"""Answers that raters found good, as training rows: `mlx-tutor build --from-ratings`."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlx_tutor.dataset.admit import Admission
from mlx_tutor.dataset.balance import normalize
from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.mining.language import dangles, points_back
from mlx_tutor.dataset.tables.imports import write_metadata
from mlx_tutor.files import hash_value
from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.languages.words import list_stopwords
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Document, Example, Message, Origin, QaPair
from mlx_tutor.workspace import Course, find_language

# An answer is worth learning from this mean over raters and criteria upwards.
GOOD = 4.0
# A thumb up.
BEST = 5.0
METHOD = "rating"


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """The best answer that raters saw to a question. `place` is the source and section of the row that asked it."""

    pair: int
    question: str
    answer: str
    score: float
    place: tuple[str, int] | None


def read_rated(course: Course, criteria: Sequence[str]) -> list[RatedAnswer]:
    """Of each question with a single turn, the best answer, when raters gave it 4 or more in the mean.

    Only raters who gave a score for each of the criteria count. The tables are those of `mlx_tutor.evaluation.rate`.
    Answers that got a thumb up on the web page come after them, for questions that nobody rated.
    """
    if not find_journal(course).is_file():
        return []
    rated = _read_ratings(course, criteria)
    known = {answer.question for answer in rated}
    return [*rated, *(answer for answer in _read_liked(course) if answer.question not in known)]


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None


def _read_liked(course: Course) -> list[RatedAnswer]:
    """Answers with a thumb up and none down, the newest to each question that can be asked by itself.

    The table is that of `mlx_tutor.study.chat.thumbs`.
    """
    with open_journal(course, "") as connection:
        if not _has_table(connection, "thumbs"):
            return []
        thumbs = connection.execute("SELECT * FROM thumbs ORDER BY id").fetchall()
    language = find_language(course) or "en"
    disliked = {(row["question"], row["answer"]) for row in thumbs if not row["liked"]}
    liked = {}
    for row in thumbs:
        question, answer = row["question"].strip(), row["answer"].strip()
        if answer and (row["question"], row["answer"]) not in disliked and _stands_alone(question, language):
            liked[question] = RatedAnswer(row["id"], question, answer, BEST, None)
    return list(liked.values())


def _stands_alone(question: str, language: str) -> bool:
    """Whether a question names what it is about; "And why is that?" was asked of the answer before it."""
    words = set(normalize(question).split()) - list_stopwords(language)
    return bool(words) and not points_back(question, language) and not dangles(question, language)


def _read_ratings(course: Course, criteria: Sequence[str]) -> list[RatedAnswer]:
    with open_journal(course, "") as connection:
        if not _has_table(connection, "ratings"):
            return []
        pairs = connection.execute("SELECT * FROM rated_pairs ORDER BY id").fetchall()
        ratings = connection.execute("SELECT pair, model, rater, criterion, score FROM ratings").fetchall()
    given: dict[tuple[int, str], dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in ratings:
        if row["criterion"] in criteria:
            given[row["pair"], row["model"]][row["rater"]][row["criterion"]] = row["score"]
    best: dict[str, RatedAnswer] = {}
    for pair in pairs:
        turns: list[Message] = [turn for turn in json.loads(pair["messages"]) if turn["role"] != "system"]
        for model in ("tuned", "base"):
            whole = [scores for scores in given[pair["id"], model].values() if len(scores) == len(criteria)]
            if not whole or len(turns) != 1 or not pair[model].strip():
                continue
            score = sum(sum(scores.values()) / len(scores) for scores in whole) / len(whole)
            place = None if pair["source"] is None else (pair["source"], pair["section"])
            found = RatedAnswer(pair["id"], turns[0]["content"], pair[model], score, place)
            known = best.get(found.question)
            if score >= GOOD and (known is None or score > known.score):
                best[found.question] = found
    return list(best.values())


def hash_rated(answers: Sequence[RatedAnswer]) -> str:
    """A fingerprint of what `pick_rated` chooses from."""
    return hash_value([(answer.question, answer.answer, answer.place) for answer in answers])


def pick_rated(
    answers: Sequence[RatedAnswer],
    recipe: Recipe,
    documents: Sequence[Document],
    splits: Mapping[str, Sequence[Example]],
    count_tokens: Callable[[Sequence[Message]], int],
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """Rated answers as training rows, and those that must not become any, each with its reason.

    No rated answer goes to validation or test, and none to training that `Admission` refuses.
    """
    if not answers:
        return [], []
    admission = Admission(recipe, documents, splits, count_tokens)
    metadata = write_metadata(recipe.course, {})
    kept: list[Example] = []
    dropped: list[tuple[Example, str]] = []
    for answer in answers:
        qa = QaPair(answer.question, (), answer.answer, "rated", ())
        # The section is the pair's number in the journal: the row belongs to no section of the course.
        origin = Origin("journal.sqlite", answer.pair, None, None, (), METHOD, answer.answer)
        example = Example(write_messages(qa, recipe.course), origin, qa, metadata)
        if (reason := admission.refuse(example, answer.place)) is not None:
            dropped.append((example, f"rated, but {reason}"))
        else:
            kept.append(example)
    return kept, dropped
