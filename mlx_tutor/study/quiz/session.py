"""The quiz: which question comes next, and what the journal keeps of the answers.

When a question comes back is up to FSRS (Ye et al., KDD 2022: "A Stochastic Shortest Path Algorithm for Optimizing
Spaced Repetition Scheduling"), by the package fsrs with its default parameters.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlx_tutor.dataset.mining.language import rank
from mlx_tutor.errors import TutorError
from mlx_tutor.journal import begin_upgrade, open_journal
from mlx_tutor.study.quiz.grade import Grade, Verdict
from mlx_tutor.study.quiz.questions import StudyQuestion
from mlx_tutor.workspace import Course

QUESTIONS = """
CREATE TABLE IF NOT EXISTS quiz_questions (
    owner TEXT NOT NULL, key TEXT NOT NULL, card TEXT NOT NULL, due TEXT NOT NULL, verdict TEXT NOT NULL,
    aside INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (owner, key)
);
"""
SCHEMA = f"""{QUESTIONS}
CREATE TABLE IF NOT EXISTS quiz_answers (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, key TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    reference TEXT NOT NULL, place TEXT NOT NULL, proposed TEXT NOT NULL, verdict TEXT NOT NULL, share REAL NOT NULL,
    owner TEXT NOT NULL DEFAULT ''
);
"""
# When nothing else is left, what is due so soon is asked again at once, as Anki does.
AHEAD = timedelta(minutes=20)
MAX_ANSWER = 10_000


@dataclass(frozen=True, slots=True)
class QuizProgress:
    """How far a course is learned: counts of its questions, and when the next one is due (None: none is waiting).

    `due` are those to be asked now, `waiting` those that come back later; `wrong` are those of both whose last answer
    was not right, `aside` those never to be asked.
    """

    questions: int
    new: int
    due: int
    waiting: int
    wrong: int
    aside: int
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class QuestionState:
    """What the journal knows of a question: its last verdict, when it is due, and whether it was put aside."""

    verdict: Verdict
    due: datetime
    is_aside: bool
    is_asked: bool


def check_scheduler() -> None:
    """Raise TutorError where the scheduling package is missing."""
    try:
        import fsrs  # noqa: F401
    except ImportError as err:
        raise TutorError("The quiz needs the package fsrs. Install it with: pip install 'mlx-tutor[cards]'") from err


def open_quiz(course: Course) -> AbstractContextManager[sqlite3.Connection]:
    """The journal with the tables of the quiz; `owner` is a browser at a shared page, "" the user of this machine."""
    return open_journal(course, SCHEMA, upgrade=_upgrade)


def _upgrade(journal: sqlite3.Connection) -> None:
    """What was learned before the tables had owners is the local user's."""
    if not begin_upgrade(journal, "quiz_questions", "owner"):
        return
    journal.execute("ALTER TABLE quiz_answers ADD COLUMN owner TEXT NOT NULL DEFAULT ''")
    journal.execute("ALTER TABLE quiz_questions RENAME TO quiz_questions_without_owner")
    journal.execute(QUESTIONS)
    journal.execute(
        "INSERT INTO quiz_questions SELECT '', key, card, due, verdict, aside FROM quiz_questions_without_owner"
    )
    journal.execute("DROP TABLE quiz_questions_without_owner")


def _read_states(course: Course, owner: str) -> dict[str, sqlite3.Row]:
    with open_quiz(course) as journal:
        found = journal.execute("SELECT * FROM quiz_questions WHERE owner = ?", (owner,))
        return {row["key"]: row for row in found}


def read_states(course: Course, owner: str = "") -> dict[str, QuestionState]:
    """The state of every question that was asked or put aside, by its key."""
    with open_quiz(course) as journal:
        found = journal.execute("SELECT DISTINCT key FROM quiz_answers WHERE owner = ?", (owner,))
        answered = {row["key"] for row in found}
    return {
        key: QuestionState(row["verdict"], _read_due(row), bool(row["aside"]), key in answered)
        for key, row in _read_states(course, owner).items()
    }


def list_due(
    course: Course, questions: Sequence[StudyQuestion], owner: str = ""
) -> list[tuple[StudyQuestion, QuestionState]]:
    """The questions that were asked and not put aside, the longest due first, then those that come back."""
    states = read_states(course, owner)
    waiting = [(question, states[question.key]) for question in questions if question.key in states]
    return sorted((pair for pair in waiting if not pair[1].is_aside), key=lambda pair: pair[1].due)


def pick_question(
    course: Course,
    questions: Sequence[StudyQuestion],
    last: str | None = None,
    now: datetime | None = None,
    owner: str = "",
) -> tuple[StudyQuestion, bool] | None:
    """The next question, and whether it is new; None when there is nothing to ask now.

    What is due comes first, the longest due before the others; then new ones, in a fixed random order, those about
    which compare two things last, since several answers to them may be good; then what is due
    within AHEAD.

    Args:
        last: Key of the question asked before, which comes again at once only when nothing else is left.
        now: In UTC; default: the clock.
    """
    now = now or datetime.now(UTC)
    states = _read_states(course, owner)
    known = {question.key: question for question in questions}
    waiting = sorted((_read_due(row), key) for key, row in states.items() if key in known and not row["aside"])
    due = [key for time, key in waiting if time <= now]
    new = sorted(known.keys() - states.keys(), key=lambda key: (known[key].kind == "comparison", rank(key)))
    soon = [key for time, key in waiting if now < time <= now + AHEAD]
    order = [*due, *new, *soon]
    if not order:
        return None
    key = next((key for key in order if key != last), order[0])
    return known[key], key not in states


def _read_due(row: sqlite3.Row) -> datetime:
    return datetime.fromisoformat(row["due"])


def store_answer(
    course: Course,
    question: StudyQuestion,
    answer: str,
    grade: Grade,
    verdict: Verdict,
    now: datetime | None = None,
    owner: str = "",
) -> datetime:
    """Keep an answer with its verdict, which may be another than was proposed; returns when the question comes back.

    A wrong answer is FSRS's "again", a partly right one "hard", a right one "good".
    """
    from fsrs import Card, Rating, Scheduler

    now = now or datetime.now(UTC)
    ratings = {"wrong": Rating.Again, "partly": Rating.Hard, "right": Rating.Good}
    with open_quiz(course) as journal:
        row = journal.execute(
            "SELECT card FROM quiz_questions WHERE owner = ? AND key = ?", (owner, question.key)
        ).fetchone()
        card = Card.from_json(row["card"]) if row else Card(card_id=0, due=now)
        # Without its random shift, the same answers give the same days.
        card, _ = Scheduler(enable_fuzzing=False).review_card(card, ratings[verdict], now)
        journal.execute(
            "INSERT INTO quiz_questions (owner, key, card, due, verdict) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (owner, key) DO UPDATE SET "
            "card = excluded.card, due = excluded.due, verdict = excluded.verdict",
            (owner, question.key, card.to_json(), card.due.isoformat(), verdict),
        )
        said = (now.isoformat(timespec="seconds"), question.key, question.text, answer[:MAX_ANSWER])
        judged = (grade.reference.answer, grade.reference.place, grade.verdict, verdict, grade.share)
        journal.execute(
            "INSERT INTO quiz_answers (time, key, question, answer, reference, place, proposed, verdict, share, owner) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*said, *judged, owner),
        )
    due: datetime = card.due
    return due


def suspend_question(course: Course, question: StudyQuestion, now: datetime | None = None, owner: str = "") -> None:
    """Never ask a question again, until `restore_questions`; its answers stay."""
    from fsrs import Card

    now = now or datetime.now(UTC)
    card = Card(card_id=0, due=now)
    with open_quiz(course) as journal:
        journal.execute(
            "INSERT INTO quiz_questions (owner, key, card, due, verdict, aside) VALUES (?, ?, ?, ?, 'wrong', 1) "
            "ON CONFLICT (owner, key) DO UPDATE SET aside = 1",
            (owner, question.key, card.to_json(), card.due.isoformat()),
        )


def restore_questions(course: Course, owner: str = "") -> int:
    """Ask the questions that were put aside again; returns how many there were."""
    with open_quiz(course) as journal:
        aside, answered = "owner = :owner AND aside = 1", "SELECT key FROM quiz_answers WHERE owner = :owner"
        new = journal.execute(f"DELETE FROM quiz_questions WHERE {aside} AND key NOT IN ({answered})", {"owner": owner})
        old = journal.execute(f"UPDATE quiz_questions SET aside = 0 WHERE {aside}", {"owner": owner})
        return new.rowcount + old.rowcount


def measure_progress(
    course: Course, questions: Sequence[StudyQuestion], now: datetime | None = None, owner: str = ""
) -> QuizProgress:
    """How far the questions of a course are learned."""
    now = now or datetime.now(UTC)
    keys = {question.key for question in questions}
    states = {key: row for key, row in _read_states(course, owner).items() if key in keys}
    asked = [row for row in states.values() if not row["aside"]]
    due = [row for row in asked if _read_due(row) <= now]
    later = [_read_due(row) for row in asked if _read_due(row) > now]
    return QuizProgress(
        questions=len(keys),
        new=len(keys) - len(states),
        due=len(due),
        waiting=len(later),
        wrong=sum(row["verdict"] != "right" for row in asked),
        aside=len(states) - len(asked),
        next_due=min(later, default=None),
    )


def describe_wait(due: datetime, now: datetime | None = None) -> str:
    """`in 10 minutes`, `in 3 hours`, `tomorrow` or `in 8 days`."""
    minutes = max(0, round((due - (now or datetime.now(UTC))).total_seconds() / 60))
    days = round(minutes / (24 * 60))
    if minutes < 60:
        return "now" if not minutes else f"in {minutes} minute{'s' if minutes > 1 else ''}"
    if minutes < 24 * 60 - 30:
        hours = round(minutes / 60)
        return f"in {hours} hour{'s' if hours > 1 else ''}"
    return "tomorrow" if days == 1 else f"in {days} days"


def describe_answer(question: StudyQuestion, answer: str, grade: Grade, verdict: Verdict) -> dict[str, Any]:
    """One answered question as JSON."""
    place = asdict(grade.reference)
    return {
        "key": question.key,
        "kind": question.kind,
        "question": question.text,
        "answer": answer,
        "verdict": verdict,
        "proposed": grade.verdict,
        "share": round(grade.share, 3),
        "named": list(grade.named),
        "missing": list(grade.missing),
        "remark": grade.remark,
        "rouge1": round(grade.rouge1, 3),
        "rougeL": round(grade.rougeL, 3),
        "reference": place.pop("answer"),
        **place,
    }
