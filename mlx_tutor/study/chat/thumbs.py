"""Thumbs up and down on answers, with a note, in the journal of the course."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.workspace import Course

SCHEMA = """
CREATE TABLE IF NOT EXISTS thumbs (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, model TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    liked INTEGER NOT NULL, note TEXT NOT NULL DEFAULT ''
);
"""
MAX_NOTE = 2000


@dataclass(frozen=True, slots=True)
class Disliked:
    """An answer with a thumb down, and what its reader wrote about it ("": nothing); who that was is not kept."""

    question: str
    answer: str
    note: str


def write_thumb(course: Course, model: str, question: str, answer: str, liked: bool) -> int:
    """Keep a judgement; returns its number. Raises CorpusError when the journal cannot be written."""
    row = (datetime.now(UTC).isoformat(timespec="seconds"), model, question, answer, liked)
    with open_journal(course, SCHEMA) as journal:
        cursor = journal.execute(
            "INSERT INTO thumbs (time, model, question, answer, liked) VALUES (?, ?, ?, ?, ?)", row
        )
        return int(cursor.lastrowid or 0)


def change_thumb(course: Course, number: int, liked: bool) -> bool:
    """Reverse a judgement; its note stays. False: there is none, the journal was moved away."""
    with open_journal(course, SCHEMA) as journal:
        return journal.execute("UPDATE thumbs SET liked = ? WHERE id = ?", (liked, number)).rowcount == 1


def write_note(course: Course, number: int, note: str) -> bool:
    """Add why; cut to MAX_NOTE characters. False: there is no such judgement any more."""
    with open_journal(course, SCHEMA) as journal:
        return journal.execute("UPDATE thumbs SET note = ? WHERE id = ?", (note[:MAX_NOTE], number)).rowcount == 1


def remove_thumb(course: Course, number: int) -> None:
    """Remove a judgement."""
    with open_journal(course, SCHEMA) as journal:
        journal.execute("DELETE FROM thumbs WHERE id = ?", (number,))


def list_disliked(course: Course) -> list[Disliked]:
    """Answers with a thumb down, for the lecturer: those with a note first, then the newest first."""
    if not find_journal(course).is_file():
        return []
    with open_journal(course, SCHEMA) as journal:
        rows = journal.execute(
            "SELECT question, answer, note FROM thumbs WHERE NOT liked ORDER BY note = '', id DESC"
        ).fetchall()
    return [Disliked(row["question"], row["answer"], row["note"]) for row in rows]
