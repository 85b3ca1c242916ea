"""Files of a course's questions: an Anki package, Moodle XML and GIFT, and CSV for everything else."""

import csv
import io
import itertools
import json
import re
import sqlite3
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlx_tutor.errors import TutorError
from mlx_tutor.files import hash_file, hash_text, write_file
from mlx_tutor.journal import open_journal
from mlx_tutor.study.quiz.moodle import make_gift, make_xml
from mlx_tutor.study.quiz.questions import StudyQuestion
from mlx_tutor.study.quiz.text import write_answer, write_field
from mlx_tutor.workspace import Course

SCHEMA = "CREATE TABLE IF NOT EXISTS card_files (sha256 TEXT PRIMARY KEY, time TEXT NOT NULL, path TEXT NOT NULL);"
# Never change it or the fields: Anki would take the next export for new cards.
MODEL_ID = 1_608_431_277
FIELDS = ("Question", "Answer", "Source", "Quote")
FRONT = '<div class="question">{{Question}}</div>'
BACK = (
    '{{FrontSide}}<hr id="answer"><div class="text">{{Answer}}</div>'
    '{{#Quote}}<blockquote>{{Quote}}</blockquote>{{/Quote}}<div class="source">{{Source}}</div>'
)
STYLE = """
.card { font: 20px/1.45 system-ui, sans-serif; text-align: left; max-width: 40em; margin: 1em auto; padding: 0 1em; }
.question { font-weight: 600; }
pre { font-size: 16px; overflow-x: auto; padding: .6em; border: 1px solid #8888; border-radius: 6px; font-weight: 400; }
blockquote { margin: 1em 0; padding-left: .8em; border-left: 3px solid #8888; font-size: 17px; opacity: .85; }
.source { font-size: 15px; opacity: .7; margin-top: 1em; }
"""
COLUMNS = ("id", "question", "answer", "source", "page", "cell", "row", "heading", "quote", "kind")
SUFFIXES = (".apkg", ".csv", ".xml", ".txt")


def write_cards(course: Course, questions: Sequence[StudyQuestion], path: Path) -> Path:
    """Write the cards of a course, by the suffix of `path`: Anki package, CSV, Moodle XML or GIFT; returns the path.

    Raises:
        TutorError: another suffix, a file there that is not as an export left it, or genanki is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise TutorError(f"{path} is not a card file. Name one that ends in {', '.join(SUFFIXES)}.")
    if path.is_dir() or not path.parent.is_dir():
        raise TutorError(f"{path} cannot be written: there is no such folder, or a folder has that name.")
    if (path.exists() or path.is_symlink()) and not _is_own(course, path):
        raise TutorError(
            f"{path} was not written by this export, or was changed since. It was left as it is: "
            "move it away, or name another file with --output."
        )
    write = {
        ".apkg": lambda: make_package(course, questions),
        ".csv": lambda: make_table(questions),
        ".xml": lambda: make_xml(course, questions),
        ".txt": lambda: make_gift(course, questions),
    }[path.suffix.lower()]()
    write_file(path, write)
    with open_journal(course, SCHEMA) as journal:
        row = (hash_file(path), datetime.now(UTC).isoformat(timespec="seconds"), str(path))
        journal.execute("INSERT OR REPLACE INTO card_files VALUES (?, ?, ?)", row)
    return path


def _is_own(course: Course, path: Path) -> bool:
    """Whether a file is, byte for byte, one that an export of this course wrote, wherever it lies now."""
    if not path.is_file():
        return False
    with open_journal(course, SCHEMA) as journal:
        found = journal.execute("SELECT 1 FROM card_files WHERE sha256 = ?", (hash_file(path),)).fetchone()
    return found is not None


def make_table(questions: Sequence[StudyQuestion]) -> Callable[[Path], object]:
    """A function that writes the cards as CSV: UTF-8 with a byte order mark, one line for each card."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for question in questions:
        first = question.references[0]
        place = (first.source, first.page, first.cell, first.row, " > ".join(first.heading))
        writer.writerow((question.key, question.text, write_answer(question), *place, first.quote, question.kind))
    return lambda path: path.write_text(text.getvalue(), encoding="utf-8-sig", newline="")


def make_package(course: Course, questions: Sequence[StudyQuestion]) -> Callable[[Path], object]:
    """A function that writes the cards as an Anki package.

    Deck, note type and notes have ids that depend on nothing but the course's name and the questions' keys, so that
    Anki updates cards it knows, with their schedule, and adds new ones.
    """
    try:
        from genanki import Deck, Model, Note, Package, guid_for
    except ImportError as err:
        raise TutorError(
            "An Anki package needs the package genanki. Install it with: pip install 'mlx-tutor[cards]', "
            "or export CSV: mlx-tutor cards --output cards.csv"
        ) from err
    template = {"name": "Card", "qfmt": FRONT, "afmt": BACK}
    model = Model(MODEL_ID, "mlx-tutor", [{"name": name} for name in FIELDS], [template], STYLE)
    deck = Deck(_make_id(course.name), f"mlx-tutor::{course.name}", f"Course {escape(course.name)}, by mlx-tutor")
    for question in questions:
        first = question.references[0]
        # Where the quote is the answer it is not repeated.
        quote = "" if first.answer in first.quote.replace("**", "") or question.is_output else first.quote
        texts = (question.text, write_answer(question), first.place, quote)
        tags = ["mlx-tutor", *(re.sub(r"\s+", "_", text) for text in (question.kind, first.source))]
        guid = guid_for("mlx-tutor", course.name, question.key)
        deck.add_note(Note(model, [write_field(text) for text in texts], tags=tags, guid=guid))

    def write(path: Path) -> None:
        now = time.time()
        # Not Package.write_to_file: it leaves its database in the folder for temporary files.
        with TemporaryDirectory() as folder:
            collection = Path(folder) / "collection.anki2"
            with closing(sqlite3.connect(collection)) as connection:
                Package(deck).write_to_db(connection.cursor(), now, itertools.count(int(now * 1000)))
                connection.commit()
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
                package.write(collection, collection.name)
                package.writestr("media", json.dumps({}))

    return write


def _make_id(name: str) -> int:
    """An Anki id made from a name: an integer of 31 bits."""
    return (1 << 30) + int(hash_text(f"mlx-tutor {name}")[:7], 16)


def describe_card(question: StudyQuestion) -> dict[str, Any]:
    """One card as JSON."""
    entry = {"id": question.key, "question": question.text, **asdict(question.references[0]), "kind": question.kind}
    return entry | {"answer": write_answer(question)}
