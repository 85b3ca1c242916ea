"""Conversations kept in the journal of the course, so that a reload, a crash or a second window loses nothing.

A turn is written when its question is handed in, again and again while its answer comes, and at its end. Until then it
is marked as cut: whatever ends the program, what is on disk says of itself that it is no whole answer.
"""

import json
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, get_args, get_origin, get_type_hints

from mlx_tutor.generate import Answer
from mlx_tutor.journal import open_journal
from mlx_tutor.records import CUT
from mlx_tutor.study.chat.ask import CitedAnswer, clean_text
from mlx_tutor.study.chat.conversation import Conversation, Turn
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.workspace import Course

SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, exam TEXT NOT NULL, title TEXT NOT NULL DEFAULT '',
    draft TEXT NOT NULL DEFAULT '', style TEXT, level TEXT, begun TEXT NOT NULL, changed TEXT NOT NULL, deleted TEXT
);
CREATE TABLE IF NOT EXISTS conversation_turns (
    conversation TEXT NOT NULL, number INTEGER NOT NULL, time TEXT NOT NULL, model TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, turn TEXT NOT NULL, thumb INTEGER, PRIMARY KEY (conversation, number)
);
"""
LONGEST_TITLE = 80
LONGEST_DRAFT = 100_000
# A deleted conversation can be brought back for so long.
KEPT_DELETED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose conversations: `owner` names a browser where the page is served to others, `exam` the exam they are of.

    Nobody sees those of another holder; an exam sees its own alone, and what is no exam sees none of an exam.
    """

    owner: str = ""
    exam: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """A conversation as it is in the journal; `thumbs` has numbers of judgements by the place of their turn.

    `changed` is when turns were written last.
    """

    id: str
    title: str
    draft: str
    conversation: Conversation
    thumbs: dict[int, tuple[int, bool]]
    changed: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list of conversations; `changed` is UTC."""

    id: str
    title: str
    changed: str
    turns: int


def make_id() -> str:
    """A name for a new conversation, which nobody can guess."""
    return secrets.token_urlsafe(16)


def cut_turn(question: str, text: str, given: Sequence[Passage], model: str, first: int, topic: str = "") -> Turn:
    """A turn whose answer is not complete: what was said so far."""
    answer = Answer(text, 0, 0, 0.0, 0.0, CUT, 0.0)
    cited = CitedAnswer(question, answer, tuple(given), (), None, 0, 0.0, 0.0, 0.0)
    return Turn(cited, tuple(given), topic or question, first, 0, model)


def save_turns(
    course: Course,
    holder: Holder,
    name: str,
    turns: Sequence[Turn],
    start: int,
    thumbs: Mapping[int, int],
    draft: str | None = None,
    manner: Conversation | None = None,
) -> str:
    """Write what a conversation has become: all of its turns, of which those before `start` are written already.

    Returns when that was, as `read_changed` gives it.

    `thumbs` has the number of the judgement by the place of a turn; `draft` is what stands in the box for the next
    question, None leaves it as it is. `manner` has style and level to keep.

    Raises:
        CorpusError: the journal cannot be written.
    """
    now = _write_time()
    with _open(course) as journal:
        _insert(journal, holder, name, now)
        if manner is not None:
            _update_manner(journal, name, manner)
        title = shorten_title(turns[0].cited.question) if turns else ""
        journal.execute(
            "UPDATE conversations SET changed = ?, draft = coalesce(?, draft), "
            "title = CASE title WHEN '' THEN ? ELSE title END WHERE id = ?",
            (now, draft, title, name),
        )
        known = "SELECT count(*) FROM conversation_turns WHERE conversation = ? AND number < ?"
        # The journal may have been moved away since, or could not be written.
        start = start if journal.execute(known, (name, start)).fetchone()[0] == start else 0
        journal.execute("DELETE FROM conversation_turns WHERE conversation = ? AND number >= ?", (name, start))
        journal.executemany(
            "INSERT INTO conversation_turns VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(name, number, now, turn.model, turn.cited.question, turn.cited.answer.text),
                    *(json.dumps(asdict(turn)), thumbs.get(number)),
                )
                for number, turn in enumerate(turns[start:], start)
            ],
        )
    return now


def save_manner(course: Course, holder: Holder, name: str, of: Conversation) -> None:
    """Keep style and level of a conversation."""
    with _open(course) as journal:
        _insert(journal, holder, name, _write_time())
        _update_manner(journal, name, of)


def _update_manner(journal: sqlite3.Connection, name: str, of: Conversation) -> None:
    # Empty: none; NULL: nothing is said yet, and the recipe's style counts.
    manner = (of.style or "", of.level or "", name)
    journal.execute("UPDATE conversations SET style = ?, level = ? WHERE id = ?", manner)


def save_draft(course: Course, holder: Holder, name: str, text: str) -> bool:
    """Keep what is typed and not sent; False: the conversation is somebody else's."""
    now, text = _write_time(), clean_text(text)[:LONGEST_DRAFT]
    with _open(course) as journal:
        if text:
            _insert(journal, holder, name, now)
        done = journal.execute(
            "UPDATE conversations SET draft = ? WHERE id = ? AND owner = ? AND exam = ?",
            (text, name, holder.owner, holder.exam),
        )
        return not text or done.rowcount == 1


def save_thumb(course: Course, name: str, number: int, thumb: int | None) -> None:
    """Keep which judgement of the journal is about a turn."""
    with _open(course) as journal:
        journal.execute(
            "UPDATE conversation_turns SET thumb = ? WHERE conversation = ? AND number = ?", (thumb, name, number)
        )


def read_changed(course: Course, name: str) -> str:
    """When turns of a conversation were written last; "" where there is none of that name."""
    with _open(course) as journal:
        row = journal.execute("SELECT changed FROM conversations WHERE id = ?", (name,)).fetchone()
    return str(row["changed"]) if row is not None else ""


def is_known(course: Course, name: str) -> bool:
    """Whether anybody has a conversation of that name, deleted ones too."""
    with _open(course) as journal:
        return journal.execute("SELECT 1 FROM conversations WHERE id = ?", (name,)).fetchone() is not None


def read_saved(course: Course, holder: Holder, name: str, style: str | None = None) -> Saved | None:
    """A conversation; None where there is none of that name, or it is somebody else's or deleted.

    `style` is that of a conversation for which nobody chose one.
    """
    with _open(course) as journal:
        row = journal.execute(
            "SELECT * FROM conversations WHERE id = ? AND owner = ? AND exam = ? AND deleted IS NULL",
            (name, holder.owner, holder.exam),
        ).fetchone()
        if row is None:
            return None
        rows = journal.execute(
            "SELECT * FROM conversation_turns WHERE conversation = ? ORDER BY number", (name,)
        ).fetchall()
        judged = _read_thumbs(journal, name)
    style = style if row["style"] is None else row["style"] or None
    conversation = Conversation(style, row["level"] or None, [_read_turn(each) for each in rows])
    return Saved(name, row["title"], row["draft"], conversation, judged, row["changed"])


def _read_thumbs(journal: sqlite3.Connection, name: str) -> dict[int, tuple[int, bool]]:
    try:
        rows = journal.execute(
            "SELECT number, thumbs.id, liked FROM conversation_turns JOIN thumbs ON thumb = thumbs.id "
            "WHERE conversation = ?",
            (name,),
        )
    # Nobody has judged anything in this course yet.
    except sqlite3.OperationalError:
        return {}
    return {int(number): (int(thumb), bool(liked)) for number, thumb, liked in rows}


def list_saved(course: Course, holder: Holder, wanted: str = "", most: int = 200) -> list[Entry]:
    """Conversations with turns, the newest first; `wanted` stands in their title, questions or answers."""
    with _open(course) as journal:
        journal.create_function("fold", 1, _fold, deterministic=True)
        rows = journal.execute(
            "SELECT id, title, changed, draft, "
            "(SELECT count(*) FROM conversation_turns WHERE conversation = id) AS turns "
            "FROM conversations WHERE owner = :owner AND exam = :exam AND deleted IS NULL AND (turns OR draft != '') "
            "AND (:wanted = '' OR instr(fold(title), :wanted) OR instr(fold(draft), :wanted) OR EXISTS "
            "(SELECT 1 FROM conversation_turns WHERE conversation = id AND "
            "(instr(fold(question), :wanted) OR instr(fold(answer), :wanted)))) "
            "ORDER BY changed DESC, rowid DESC LIMIT :most",
            {"owner": holder.owner, "exam": holder.exam, "wanted": _fold(wanted.strip()), "most": most},
        ).fetchall()
    titles = [row["title"] or f"Not sent: {shorten_title(row['draft'])}" for row in rows]
    return [Entry(row["id"], title, row["changed"], row["turns"]) for title, row in zip(titles, rows, strict=True)]


def rename_saved(course: Course, holder: Holder, name: str, title: str) -> bool:
    """Give a conversation a title; an empty one is not taken. False: there is no such conversation."""
    title = shorten_title(title)
    return bool(title) and _update(course, holder, name, "title = ?", title)


def delete_saved(course: Course, holder: Holder, name: str) -> bool:
    """Delete a conversation, which can be brought back for an hour; older deleted ones are removed for good."""
    remove_deleted(course)
    return _update(course, holder, name, "deleted = ?", _write_time())


def restore_saved(course: Course, holder: Holder, name: str) -> bool:
    """Bring a deleted conversation back. False: it has been removed for good."""
    return _update(course, holder, name, "deleted = ?", None)


def remove_deleted(course: Course) -> None:
    """Remove what was deleted more than an hour ago."""
    before = (datetime.now(UTC) - KEPT_DELETED).isoformat(timespec="seconds")
    with _open(course) as journal:
        journal.execute(
            "DELETE FROM conversation_turns WHERE conversation IN (SELECT id FROM conversations WHERE deleted < ?)",
            (before,),
        )
        journal.execute("DELETE FROM conversations WHERE deleted < ?", (before,))


def shorten_title(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(clean_text(text).split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1].rstrip()}…"


@contextmanager
def _open(course: Course) -> Iterator[sqlite3.Connection]:
    with open_journal(course, SCHEMA) as journal:
        yield journal


def _insert(journal: sqlite3.Connection, holder: Holder, name: str, now: str) -> None:
    journal.execute(
        "INSERT OR IGNORE INTO conversations (id, owner, exam, begun, changed) VALUES (?, ?, ?, ?, ?)",
        (name, holder.owner, holder.exam, now, now),
    )


def _update(course: Course, holder: Holder, name: str, change: str, value: str | None) -> bool:
    with _open(course) as journal:
        done = journal.execute(
            f"UPDATE conversations SET {change} WHERE id = ? AND owner = ? AND exam = ?",
            (value, name, holder.owner, holder.exam),
        )
        return done.rowcount == 1


def _write_time() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _read_turn(row: sqlite3.Row) -> Turn:
    """A turn; one of another version of the program, or a damaged one, keeps question and answer."""
    try:
        turn: Turn = _restore(Turn, json.loads(row["turn"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        turn = cut_turn(row["question"], row["answer"], (), row["model"], 0)
        whole = replace(turn.cited.answer, finish_reason="stop")
        return replace(turn, cited=replace(turn.cited, answer=whole))
    return turn


def _restore(kind: Any, value: Any) -> Any:
    """What `asdict` and JSON made of a value of this type; fields that are no more are left out."""
    if value is None:
        return None
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{name: _restore(hints[name], value[name]) for name in hints if name in value})
    args = get_args(kind)
    if get_origin(kind) is tuple:
        kinds = repeat(args[0]) if args[-1] is Ellipsis else iter(args)
        return tuple(_restore(each, item) for each, item in zip(kinds, value, strict=False))
    inner = [each for each in args if is_dataclass(each) or get_origin(each) is tuple]
    return _restore(inner[0], value) if inner and isinstance(value, dict | list) else value
