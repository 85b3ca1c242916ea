"""Anki packages and CSV of a course's questions."""

import builtins
import csv
import json
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.errors import TutorError
from mlx_tutor.study.quiz.cards import write_cards
from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.study.quiz.text import write_field
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import COUNT, METRIC, make_row, write_rows

ROWS = (
    make_row("What is a metric tree?", METRIC),
    make_row("Define metric tree.", "A tree of <b>metrics</b>, say $x_1 < 3$.", source="b.ipynb", page=None, cell=7),
    make_row("Why is x rare?", "Because {{x}} costs $5.", "reason", evidence="Rare is x, because {{x}} costs $5, so."),
    make_row("Why not?", "Because <script>alert(1)</script>.", "reason", evidence="Nobody said so & <i>why</i>."),
    make_row(COUNT, "It prints:\n\n```text\n3\na, <b>\n```", "output"),
)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return write_rows(tmp_path, ROWS)


def read_package(path: Path, folder: Path) -> tuple[list[tuple[str, ...]], dict[str, Any]]:
    """Id, tags and fields of each note, and the decks."""
    with zipfile.ZipFile(path) as package:
        assert sorted(package.namelist()) == ["collection.anki2", "media"]
        package.extractall(folder)
    with closing(sqlite3.connect(folder / "collection.anki2")) as connection:
        notes = connection.execute("SELECT guid, tags, flds FROM notes ORDER BY guid").fetchall()
        (decks,) = connection.execute("SELECT decks FROM col").fetchone()
        (models,) = connection.execute("SELECT models FROM col").fetchone()
        (cards,) = connection.execute("SELECT count(*) FROM cards").fetchone()
    assert cards == len(notes)
    return [(guid, tags, *fields.split("\x1f")) for guid, tags, fields in notes], json.loads(decks) | json.loads(models)


def test_a_package_has_every_question_with_its_place(course: Course, tmp_path: Path) -> None:
    questions = list_questions(course)
    path = write_cards(course, questions, tmp_path / "c.apkg")
    notes, named = read_package(path, tmp_path)
    assert len(notes) == len(questions) == 4
    assert {entry["name"] for entry in named.values()} >= {"mlx-tutor::c", "mlx-tutor"}
    assert all(note[4] == "a.md, page 3, Week 1" for note in notes)
    fields = {note[2]: note for note in notes}
    metric = fields["What is a metric tree?"]
    assert metric[1].split() == ["mlx-tutor", "concept", "a.md"]
    assert "(b.ipynb, cell 7, Week 1)" in metric[3] and "\\(x_1 &lt; 3\\)" in metric[3] and metric[5] == ""
    assert fields["Why not?"][3] == "Because &lt;script&gt;alert(1)&lt;/script&gt;."
    assert fields["Why not?"][5] == "Nobody said so &amp; &lt;i&gt;why&lt;/i&gt;."
    (output,) = (note for note in notes if "output" in note[1])
    assert output[2].endswith("<pre>print(3)\nprint('a, b')</pre>")
    assert output[3] == "It prints:<pre>3\na, &lt;b&gt;</pre>"


def test_a_second_export_updates_and_does_not_double(course: Course, tmp_path: Path) -> None:
    path = write_cards(course, list_questions(course), tmp_path / "c.apkg")
    first, named = read_package(path, tmp_path)
    write_rows(tmp_path, [make_row("What is meant by the metric tree?", "A better answer."), *ROWS[2:]])
    second, named_again = read_package(write_cards(course, list_questions(course), path), tmp_path)
    assert [note[0] for note in first] == [note[0] for note in second]
    assert [note[3] for note in first] != [note[3] for note in second]
    assert named.keys() == named_again.keys()
    other = Course(tmp_path, "other")
    third, _ = read_package(write_cards(other, list_questions(course), tmp_path / "d.apkg"), tmp_path)
    assert not {note[0] for note in third} & {note[0] for note in first}


def test_no_file_stays_behind(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    write_cards(course, list_questions(course), tmp_path / "c.apkg")
    assert not list(folder.iterdir())


def test_csv_reads_back(course: Course, tmp_path: Path) -> None:
    questions = list_questions(course)
    path = write_cards(course, questions, tmp_path / "c.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["question"] for row in rows] == [question.text for question in questions]
    assert {(row["source"], row["page"], row["cell"]) for row in rows} == {("a.md", "3", "")}
    assert rows[-1]["answer"].count("\n") == 5 and rows[0]["id"] == questions[0].key
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("suffix", ["apkg", "csv", "xml", "txt"])
def test_only_its_own_files_are_overwritten(course: Course, tmp_path: Path, suffix: str) -> None:
    questions, path = list_questions(course), tmp_path / f"mine.{suffix}"
    path.write_text("mine")
    with pytest.raises(TutorError, match=r"not written by this export.*--output"):
        write_cards(course, questions, path)
    assert path.read_text() == "mine"
    path.unlink()
    write_cards(course, questions, path)
    write_cards(course, questions, path)
    moved = path.rename(tmp_path / f"moved.{suffix}")
    write_cards(course, questions, moved)
    with moved.open("ab") as file:
        file.write(b"changed")
    with pytest.raises(TutorError, match="was changed since"):
        write_cards(course, questions, moved)
    (tmp_path / f"link.{suffix}").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TutorError, match="not written by"):
        write_cards(course, questions, tmp_path / f"link.{suffix}")


@pytest.mark.parametrize("name", ["cards.pdf", "cards", "nowhere/cards.csv", "folder.csv"])
def test_a_place_that_cannot_be_is_one_line(course: Course, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TutorError, match=r"ends in \.apkg, \.csv, \.xml, \.txt|no such folder"):
        write_cards(course, list_questions(course), tmp_path / name)


def test_without_genanki_it_says_what_to_install(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "genanki":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(TutorError, match=r"genanki\. Install it with: pip install 'mlx-tutor\[cards\]'"):
        write_cards(course, list_questions(course), tmp_path / "c.apkg")
    assert not (tmp_path / "c.apkg").exists()
    write_cards(course, list_questions(course), tmp_path / "c.csv")


def test_fields_show_markup_and_do_not_run_it() -> None:
    assert write_field("**a** `<b>` & $x<y$") == "a <code>&lt;b&gt;</code> &amp; \\(x&lt;y\\)"
    assert write_field("one\n\ntwo") == "one<br><br>two"
    assert write_field("```python\nopen") == "<pre>open</pre>"
    assert write_field("$5 and $6") == "$5 and $6"
