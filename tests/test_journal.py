import sqlite3
from pathlib import Path

import pytest

from mlx_tutor import journal
from mlx_tutor.errors import CorpusError
from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.workspace import Course

SCHEMA = "CREATE TABLE IF NOT EXISTS notes (text TEXT)"


def read_notes(course: Course) -> list[str]:
    with open_journal(course, SCHEMA) as connection:
        return [row["text"] for row in connection.execute("SELECT text FROM notes")]


def test_what_is_written_stays(tmp_path: Path) -> None:
    course = Course(tmp_path, "c")
    with open_journal(course, SCHEMA) as connection:
        connection.execute("INSERT INTO notes VALUES ('kept')")
    with pytest.raises(KeyError), open_journal(course, SCHEMA) as connection:
        connection.execute("INSERT INTO notes VALUES ('taken back')")
        raise KeyError
    assert read_notes(course) == ["kept"]


def test_a_damaged_journal_is_left_alone(tmp_path: Path) -> None:
    course = Course(tmp_path, "c")
    course.root.mkdir(parents=True)
    find_journal(course).write_bytes(b"not a database " * 100)
    with pytest.raises(CorpusError, match=r"damaged.*move it away"):
        read_notes(course)
    assert find_journal(course).read_bytes().startswith(b"not a database")


def test_a_locked_journal_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(tmp_path, "c")
    read_notes(course)
    monkeypatch.setattr(journal, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(find_journal(course))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CorpusError, match="another program is writing"):
        read_notes(course)
    other.close()
    assert read_notes(course) == []
