"""The search index of a course: passages in SQLite FTS5, ranked by BM25.

`corpora/<course>/index.sqlite` follows from documents.jsonl alone. It is made on first use, renewed when that file
changes, and made again when it is damaged.
"""

import json
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mlx_tutor.dataset.repeats import cut_runs, is_held
from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.files import hash_file, hash_value, write_file
from mlx_tutor.study.search.passages import Passage, list_passages, weigh_text
from mlx_tutor.study.search.words import fold, list_trigrams, pick_tokenizer, read_question
from mlx_tutor.workspace import Course, find_language

# Raise it when passages, tables or tokens change: then every index is made again.
INDEX_VERSION = 3
# BM25 weights of the columns heading, terms (what stands in bold: mostly what is defined there) and text.
WEIGHTS = (2.0, 8.0, 1.0)
# Share of a word's trigrams that a word of the course must have to count as another spelling of it.
LIKENESS = 0.6
SCHEMA = """
CREATE TABLE meta (key TEXT, language TEXT);
CREATE TABLE passages (id INTEGER PRIMARY KEY, source TEXT, section INTEGER, heading TEXT, text TEXT, places TEXT);
CREATE VIRTUAL TABLE words USING fts5 (heading, terms, text, content='', tokenize='{tokenizer}');
CREATE VIRTUAL TABLE spellings USING fts5 (word, tokenize='trigram');
"""
BOLD = re.compile(r"\*\*(.+?)\*\*")


def quote_term(text: str) -> str:
    """A string literal of FTS5's query language."""
    return '"' + text.replace('"', '""') + '"'


class Index:
    """An open index; close it, or use it in a `with`."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self._connection = _connect(course)
        # That most of the course is in; "" where it is not known.
        self.language = str(self._connection.execute("SELECT language FROM meta").fetchone()[0])

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def search(self, question: str, limit: int = 5, *, distinct: bool = False) -> list[Passage]:
        """The best passages for a question, best first; none when no content word of it stands in the course.

        Of those that say the same, as slides and their handout do, only the best. A word that the course does not have
        stands for those of the course that are spelled much like it.

        Args:
            question: Any text.
            limit: How many at most.
            distinct: Only the best passage of each section.
        """
        try:
            return self._search(question, limit, distinct)
        except sqlite3.DatabaseError:
            # Damaged where opening it did not look.
            self.close()
            build_index(self.course)
            self._connection = _connect(self.course)
            return self._search(question, limit, distinct)

    def _search(self, question: str, limit: int, distinct: bool) -> list[Passage]:
        words, subject = read_question(question, self.language)
        known = [term for word in words for term in self._find_spellings(word)]
        if not known:
            return []
        phrases = [subject] if subject else []
        query = " OR ".join(quote_term(term) for term in [*dict.fromkeys(known), *phrases])
        rows = self._connection.execute(
            f"SELECT rowid, -bm25(words, {', '.join(map(str, WEIGHTS))}) AS score FROM words WHERE words MATCH ? "
            "ORDER BY score DESC LIMIT ?",
            (query, limit * (10 if distinct else 3)),
        )
        found = [self._read_passage(number, score) for number, score in rows]
        weighed = [replace(passage, score=passage.score * weigh_text(passage.text)) for passage in found]
        passages: list[Passage] = []
        runs: list[set[int]] = []
        for passage in sorted(weighed, key=lambda passage: -passage.score):
            if distinct and any((p.source, p.section) == (passage.source, passage.section) for p in passages):
                continue
            # Slides and their handout say the same.
            found_runs = cut_runs(passage.text)
            if not any(is_held(found_runs, others) for others in runs):
                passages.append(passage)
                runs.append(found_runs)
            if len(passages) == limit:
                break
        return passages

    def _find_spellings(self, word: str) -> list[str]:
        """The word itself when the course has it, else words of the course that look much like it."""
        if self._connection.execute("SELECT 1 FROM words WHERE words MATCH ? LIMIT 1", (quote_term(word),)).fetchone():
            return [word]
        trigrams = list_trigrams(word)
        if len(trigrams) < 3:
            return []
        found = self._connection.execute(
            "SELECT word FROM spellings WHERE spellings MATCH ? ORDER BY rank LIMIT 20",
            (" OR ".join(map(quote_term, sorted(trigrams))),),
        )
        shares = {other: len(trigrams & list_trigrams(other)) / len(trigrams) for (other,) in found}
        return [other for other, share in sorted(shares.items(), key=lambda item: -item[1]) if share >= LIKENESS][:5]

    def _read_passage(self, number: int, score: float) -> Passage:
        source, section, heading, text, places = self._connection.execute(
            "SELECT source, section, heading, text, places FROM passages WHERE id = ?", (number,)
        ).fetchone()
        return Passage(
            source, section, tuple(json.loads(heading)), text, tuple(tuple(p) for p in json.loads(places)), score
        )


def open_index(course: Course) -> Index:
    """The index of a course, made or renewed first where it does not fit documents.jsonl.

    Raises:
        CorpusError: not extracted yet, or the index cannot be written.
    """
    if not is_index_current(course):
        build_index(course)
    return Index(course)


def find_index(course: Course) -> Path:
    """The path of a course's index."""
    return course.root / "index.sqlite"


def is_index_current(course: Course) -> bool:
    """Whether there is an index that fits documents.jsonl; raises CorpusError where there are no documents."""
    return _read_key(find_index(course)) == _make_key(course)


def build_index(course: Course) -> None:
    """Write the index anew, in one step; raises CorpusError when it cannot be written."""
    path = find_index(course)
    documents = read_documents(course)
    key, language = _make_key(course), find_language(course)

    def write(temporary: Path) -> None:
        temporary.unlink(missing_ok=True)
        with closing(sqlite3.connect(temporary)) as connection:
            # The file is thrown away when anything goes wrong, so it needs no journal.
            connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            connection.executescript(SCHEMA.format(tokenizer=pick_tokenizer(language)))
            _fill(connection, list_passages(documents), language)
            connection.execute("INSERT INTO meta VALUES (?, ?)", (key, language))
            connection.commit()

    try:
        write_file(path, write)
    except sqlite3.OperationalError as err:
        raise CorpusError(
            f"The search index {path} cannot be written ({err}). See whether the disk is full or the folder protected."
        ) from err


def _fill(connection: sqlite3.Connection, passages: Iterable[Passage], language: str) -> None:
    vocabulary: set[str] = set()
    for number, passage in enumerate(passages, 1):
        heading = " / ".join(passage.heading)
        columns = [fold(column, language) for column in (heading, " / ".join(BOLD.findall(passage.text)), passage.text)]
        for column in columns:
            vocabulary.update(re.findall(r"[^\W\d_]{4,}", column))
        connection.execute(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(number, passage.source, passage.section, json.dumps(passage.heading), passage.text),
                json.dumps(passage.places),
            ),
        )
        connection.execute("INSERT INTO words (rowid, heading, terms, text) VALUES (?, ?, ?, ?)", (number, *columns))
    connection.executemany("INSERT INTO spellings VALUES (?)", ((word,) for word in sorted(vocabulary)))
    connection.execute("INSERT INTO words (words) VALUES ('optimize')")


def _connect(course: Course) -> sqlite3.Connection:
    # Immutable: the file is only ever replaced as a whole, so it needs no locks, and its folder may be read-only.
    return sqlite3.connect(f"{find_index(course).resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def _make_key(course: Course) -> str:
    """What the index is made of; raises CorpusError where there are no documents."""
    path = course.dataset / "documents.jsonl"
    if not path.is_file():
        read_documents(course)
    return hash_value([INDEX_VERSION, hash_file(path)])


def _read_key(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            row = connection.execute("SELECT key FROM meta").fetchone()
    except sqlite3.DatabaseError:
        return None
    return str(row[0]) if row else None
