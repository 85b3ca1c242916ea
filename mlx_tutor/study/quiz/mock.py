"""Mock exams: answers that the journal keeps as they are typed, a time that ends, and points by the quiz's measure."""

import json
import sqlite3
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mlx_tutor.errors import TutorError
from mlx_tutor.journal import begin_upgrade, open_journal
from mlx_tutor.study.quiz.grade import Verdict, grade_answer
from mlx_tutor.study.quiz.papers import ExamQuestion, Paper
from mlx_tutor.study.quiz.questions import Reference, StudyQuestion
from mlx_tutor.study.quiz.session import MAX_ANSWER
from mlx_tutor.workspace import Course

SCHEMA = """
CREATE TABLE IF NOT EXISTS mock_exams (
    id INTEGER PRIMARY KEY, begun TEXT NOT NULL, ends TEXT NOT NULL, title TEXT NOT NULL, questions TEXT NOT NULL,
    handed_in TEXT, owner TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS mock_answers (
    exam INTEGER NOT NULL, number INTEGER NOT NULL, answer TEXT NOT NULL, verdict TEXT, proposed TEXT,
    PRIMARY KEY (exam, number)
);
"""
SHARES: dict[str | None, float] = {"right": 1.0, "partly": 0.5, "wrong": 0.0, None: 0.0}
# What was typed in the last moment is still on its way when the time ends.
GRACE = timedelta(seconds=5)
MOST_MINUTES = 600


@dataclass(frozen=True, slots=True)
class MockAnswer:
    """What was answered; the verdict is that of the grade or of the student, None before and where nothing can tell."""

    text: str = ""
    verdict: Verdict | None = None
    proposed: Verdict | None = None


@dataclass(frozen=True, slots=True)
class MockExam:
    """An exam that runs, or was handed in; `answers` by the index of the question."""

    number: int
    title: str
    begun: datetime
    ends: datetime
    questions: tuple[ExamQuestion, ...]
    handed_in: datetime | None
    answers: dict[int, MockAnswer] = field(default_factory=dict)

    def find_answer(self, index: int) -> MockAnswer:
        """The answer to a question; an empty one where none was given."""
        return self.answers.get(index, MockAnswer())

    def count_points(self, index: int) -> float:
        """Points for a question: all, half or none of them."""
        return self.questions[index].points * SHARES[self.find_answer(index).verdict]

    @property
    def reached(self) -> float:
        return sum(self.count_points(index) for index in range(len(self.questions)))

    @property
    def points(self) -> int:
        return sum(question.points for question in self.questions)


@dataclass(frozen=True, slots=True)
class TopicPoints:
    """The points of a topic in an exam."""

    topic: str
    questions: int
    reached: float
    points: int


def _open(course: Course) -> AbstractContextManager[sqlite3.Connection]:
    return open_journal(course, SCHEMA, upgrade=_upgrade)


def _upgrade(journal: sqlite3.Connection) -> None:
    """Exams from before the table had owners are the local user's."""
    if begin_upgrade(journal, "mock_exams", "owner"):
        journal.execute("ALTER TABLE mock_exams ADD COLUMN owner TEXT NOT NULL DEFAULT ''")


def begin_exam(course: Course, paper: Paper, minutes: int, now: datetime | None = None, owner: str = "") -> MockExam:
    """Begin an exam; `owner` is a browser at a shared page, "" the user of this machine.

    Raises:
        TutorError: another one runs, it has no questions, or the time is none.
    """
    now = now or datetime.now(UTC)
    if not paper.questions:
        raise TutorError("There is no question to ask. Choose another paper.")
    if not 1 <= minutes <= MOST_MINUTES:
        raise TutorError(f"An exam takes from 1 to {MOST_MINUTES} minutes.")
    if find_running(course, now, owner) is not None:
        raise TutorError("A mock exam is running already. Hand it in first.")
    asked = json.dumps([asdict(question) for question in paper.questions], ensure_ascii=False)
    ends = now + timedelta(minutes=minutes)
    with _open(course) as journal:
        cursor = journal.execute(
            "INSERT INTO mock_exams (begun, ends, title, questions, owner) VALUES (?, ?, ?, ?, ?)",
            (now.isoformat(), ends.isoformat(), paper.title, asked, owner),
        )
        number = int(cursor.lastrowid or 0)
    return MockExam(number, paper.title, now, ends, paper.questions, None)


def find_running(course: Course, now: datetime | None = None, owner: str = "") -> MockExam | None:
    """The exam that runs; one whose time is over is handed in with what was saved."""
    now = now or datetime.now(UTC)
    with _open(course) as journal:
        found = journal.execute("SELECT id FROM mock_exams WHERE handed_in IS NULL AND owner = ?", (owner,))
        numbers = [row["id"] for row in found]
    running = None
    for number in numbers:
        exam = read_exam(course, number, owner)
        if now > exam.ends + GRACE:
            hand_in(course, number, exam.ends, owner)
        else:
            running = exam
    return running


def read_exam(course: Course, number: int, owner: str = "") -> MockExam:
    """An exam with its answers; raises TutorError when the owner has none of that number."""
    with _open(course) as journal:
        return _read_exam(journal, number, owner)


def _read_exam(journal: sqlite3.Connection, number: int, owner: str) -> MockExam:
    row = journal.execute("SELECT * FROM mock_exams WHERE id = ? AND owner = ?", (number, owner)).fetchone()
    answers = journal.execute("SELECT * FROM mock_answers WHERE exam = ?", (number,)).fetchall()
    if row is None:
        raise TutorError("There is no such mock exam any more.")
    return MockExam(
        number,
        row["title"],
        datetime.fromisoformat(row["begun"]),
        datetime.fromisoformat(row["ends"]),
        tuple(map(_read_question, json.loads(row["questions"]))),
        datetime.fromisoformat(row["handed_in"]) if row["handed_in"] else None,
        {entry["number"]: MockAnswer(entry["answer"], entry["verdict"], entry["proposed"]) for entry in answers},
    )


def _read_question(row: dict[str, Any]) -> ExamQuestion:
    study = row["question"]
    references = tuple(
        Reference(**{**reference, "heading": tuple(reference["heading"])}) for reference in study["references"]
    )
    question = StudyQuestion(**{**study, "references": references, "concepts": tuple(study["concepts"])})
    return ExamQuestion(question, row["points"], row["topic"], row["shared"])


def save_answer(
    course: Course, number: int, index: int, text: str, now: datetime | None = None, owner: str = ""
) -> bool:
    """Keep an answer as far as it is typed; False when the exam is over."""
    now = now or datetime.now(UTC)
    with _open(course) as journal:
        # One step, so that handing in cannot come between.
        return (
            journal.execute(
                "INSERT INTO mock_answers (exam, number, answer) SELECT id, ?, ? FROM mock_exams "
                "WHERE id = ? AND owner = ? AND handed_in IS NULL AND ends >= ? "
                "ON CONFLICT (exam, number) DO UPDATE SET answer = excluded.answer",
                (index, text[:MAX_ANSWER], number, owner, (now - GRACE).isoformat()),
            ).rowcount
            == 1
        )


def hand_in(course: Course, number: int, now: datetime | None = None, owner: str = "") -> MockExam:
    """End an exam and grade it; one that was handed in stays as it is."""
    now = now or datetime.now(UTC)
    with _open(course) as journal:
        # From here on nobody else writes: what is graded is what was saved.
        closed = journal.execute(
            "UPDATE mock_exams SET handed_in = ? WHERE id = ? AND owner = ? AND handed_in IS NULL",
            (now.isoformat(), number, owner),
        ).rowcount
        exam = _read_exam(journal, number, owner)
        for index, question in enumerate(exam.questions if closed else ()):
            text = exam.find_answer(index).text
            verdict = _propose(question.question, text)
            journal.execute(
                "INSERT OR REPLACE INTO mock_answers (exam, number, answer, verdict, proposed) VALUES (?, ?, ?, ?, ?)",
                (number, index, text, verdict, verdict),
            )
        return _read_exam(journal, number, owner)


def _propose(question: StudyQuestion, answer: str) -> Verdict | None:
    if not answer.strip():
        return "wrong"
    return grade_answer(question, answer).verdict if question.references else None


def change_verdict(course: Course, number: int, index: int, verdict: Verdict, owner: str = "") -> MockExam:
    """Overrule the grade of an answer in an exam that was handed in."""
    with _open(course) as journal:
        journal.execute(
            "UPDATE mock_answers SET verdict = ? WHERE exam = ? AND number = ? "
            "AND exam IN (SELECT id FROM mock_exams WHERE handed_in IS NOT NULL AND owner = ?)",
            (verdict, number, index, owner),
        )
    return read_exam(course, number, owner)


def list_exams(course: Course, owner: str = "") -> list[MockExam]:
    """The exams that were handed in, the newest first."""
    with _open(course) as journal:
        rows = journal.execute(
            "SELECT id FROM mock_exams WHERE handed_in IS NOT NULL AND owner = ? ORDER BY id DESC", (owner,)
        ).fetchall()
    return [read_exam(course, row["id"], owner) for row in rows]


def count_topic_points(exam: MockExam) -> list[TopicPoints]:
    """The points of each topic of an exam, in the order of its questions."""
    topics: dict[str, list[int]] = {}
    for index, question in enumerate(exam.questions):
        topics.setdefault(question.topic, []).append(index)
    return [
        TopicPoints(name, len(found), sum(map(exam.count_points, found)), sum(exam.questions[i].points for i in found))
        for name, found in topics.items()
    ]
