"""The search index of a course: passages in SQLite FTS5, ranked by BM25, and their vectors.

`corpora/<course>/index.sqlite` follows from documents.jsonl, `dataset.holdout` and the encoder. It is made on first
use, renewed when one of them changes, and made again when it is damaged.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlx_tutor.dataset.repeats import cut_runs, is_held
from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.files import hash_file, hash_value, write_file
from mlx_tutor.recipe import Recipe
from mlx_tutor.study.search.held import leave_out_held
from mlx_tutor.study.search.passages import Passage, list_passages, weigh_text
from mlx_tutor.study.search.vectors import (
    LANGUAGES,
    LEAST_COSINE,
    Encoder,
    Vectors,
    find_encoder,
    fuse_ranks,
    rank_nearest,
)
from mlx_tutor.study.search.words import fold, list_stems, list_trigrams, pick_tokenizer, read_question
from mlx_tutor.workspace import Course, find_language

# Raise it when passages, tables or tokens change: then every index is made again.
INDEX_VERSION = 4
# BM25 weights of the columns heading, terms (what stands in bold: mostly what is defined there) and text.
WEIGHTS = (2.0, 8.0, 1.0)
# Share of a word's trigrams that a word of the course must have to count as another spelling of it.
LIKENESS = 0.6
# Terms whose scores, and passages that, are kept for the next question.
KEPT = 1 << 12
# Share of the content words of a question that one of the first TRUSTED passages must have for words alone to decide.
COVERED, TRUSTED = 0.6, 5
# Of the passages that have a term, and its score in each.
Scored = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
SCHEMA = """
CREATE TABLE meta (key TEXT, language TEXT, encoder TEXT);
CREATE TABLE vectors (float16 BLOB);
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

    def __init__(self, course: Course, encoder: Encoder | None = None, holdout: Sequence[str] = ()) -> None:
        self.course = course
        self._holdout = holdout
        self._encoder = encoder
        # Read when a question needs them.
        self._vectors: Vectors | None = None
        self._open()
        # That most of the course is in; "" where it is not known.
        self.language = str(self._connection.execute("SELECT language FROM meta").fetchone()[0])

    def _open(self) -> None:
        self._connection = _connect(self.course)
        # Whoever asks for a thousand rows asks for the same words and passages again and again.
        self._score = lru_cache(KEPT)(self._score_term)
        self._read = lru_cache(KEPT)(self._read_passage)
        self._cut = lru_cache(KEPT)(lambda number: cut_runs(self._read(number).text))

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def search(self, question: str, limit: int = 5, *, distinct: bool = False) -> list[Passage]:
        """The best passages for a question, best first; none when nothing in the course has to do with it.

        Of those that say the same, as slides and their handout do, only the best. A word that the course does not have
        stands for those of the course that are spelled much like it. Where no passage has most words of the question,
        those of a similar meaning come too, when the index has vectors.

        Args:
            limit: How many at most.
            distinct: Only the best passage of each section.
        """
        try:
            return self._search(question, limit, distinct)
        except sqlite3.DatabaseError:
            # Damaged where opening it did not look.
            self.close()
            build_index(self.course, self._encoder, self._holdout)
            self._open()
            return self._search(question, limit, distinct)

    def _search(self, question: str, limit: int, distinct: bool) -> list[Passage]:
        words, subject = read_question(question, self.language)
        spellings = [self._find_spellings(word) for word in words]
        ranked = self._rank_words(spellings, subject, limit * (10 if distinct else 3))
        if self._encoder is not None and not self._is_covered(spellings, ranked):
            ranked = self._add_nearest(self._encoder, question, ranked, limit * (10 if distinct else 5))
        passages: list[Passage] = []
        runs: list[set[int]] = []
        for number, passage in ranked:
            if distinct and any((p.source, p.section) == (passage.source, passage.section) for p in passages):
                continue
            # Slides and their handout say the same.
            found_runs = self._cut(number)
            if not any(is_held(found_runs, others) for others in runs):
                passages.append(passage)
                runs.append(found_runs)
            if len(passages) == limit:
                break
        return passages

    def _rank_words(self, spellings: list[list[str]], subject: str, limit: int) -> list[tuple[int, Passage]]:
        """Passages with their numbers, the best by BM25 first."""
        known = [term for terms in spellings for term in terms]
        if not known:
            return []
        # BM25 is a sum over terms: each is scored once, or the time of a thousand questions grows with its square.
        scored = [self._score(term) for term in dict.fromkeys([*known, *([subject] if subject else [])])]
        total = np.zeros(1 + max((numbers[-1] for numbers, _ in scored if numbers.size), default=0))
        for numbers, scores in scored:
            total[numbers] += scores
        least = np.partition(total, -limit)[-limit] if limit < total.size else 0.0
        [matching] = np.nonzero((total >= least) & (total > 0.0))
        best = matching[np.lexsort((matching, -total[matching]))[:limit]]
        weighed = [(int(number), self._read(int(number))) for number in best]
        return sorted(
            ((number, replace(p, score=float(total[number]) * p.score)) for number, p in weighed),
            key=lambda item: -item[1].score,
        )

    def _score_term(self, term: str) -> Scored:
        """The numbers of the passages that have a term, ascending, and its BM25 score in each."""
        rows = self._connection.execute(
            f"SELECT rowid, -bm25(words, {', '.join(map(str, WEIGHTS))}) FROM words WHERE words MATCH ? ORDER BY rowid",
            (quote_term(term),),
        ).fetchall()
        numbers, scores = zip(*rows, strict=True) if rows else ((), ())
        return np.array(numbers, dtype=np.int64), np.array(scores, dtype=np.float64)

    def _is_covered(self, spellings: list[list[str]], ranked: list[tuple[int, Passage]]) -> bool:
        """Whether words alone find what is asked: one of the first passages has most of them, however spelled."""
        texts = [f"{' / '.join(passage.heading)}\n{passage.text}" for _, passage in ranked[:TRUSTED]]
        stems = list_stems([*map(" ".join, spellings), *texts], self.language)
        asked = stems[: len(spellings)]
        return any(
            sum(bool(terms & held) for terms in asked) >= COVERED * len(asked) for held in stems[len(spellings) :]
        )

    def _add_nearest(
        self, encoder: Encoder, question: str, ranked: list[tuple[int, Passage]], limit: int
    ) -> list[tuple[int, Passage]]:
        """What `ranked` and the passages nearest in meaning give together, each scored by its ranks in both."""
        least = 0.0 if ranked else LEAST_COSINE
        nearest = rank_nearest(encoder.encode([question])[0], self._read_vectors(encoder), limit, least)
        passages = dict(ranked)
        fused = fuse_ranks([number for number, _ in ranked], [place + 1 for place in nearest])
        return [(number, replace(passages.get(number) or self._read(number), score=score)) for number, score in fused]

    def _read_vectors(self, encoder: Encoder) -> Vectors:
        """Those of all passages in order (passages, width); raises sqlite3.DatabaseError where they do not fit."""
        if self._vectors is None:
            (stored,) = self._connection.execute("SELECT float16 FROM vectors").fetchone() or (b"",)
            (passages,) = self._connection.execute("SELECT count(*) FROM passages").fetchone()
            if len(stored) != 2 * passages * encoder.width:
                raise sqlite3.DatabaseError(f"{len(stored)} bytes of vectors for {passages} passages")
            self._vectors = np.frombuffer(stored, dtype=np.float16).reshape(passages, -1).astype(np.float32)
        return self._vectors

    def _find_spellings(self, word: str) -> list[str]:
        """The word itself when the course has it, else words of the course that look much like it."""
        if self._score(word)[0].size:
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

    def _read_passage(self, number: int) -> Passage:
        """A passage with its weight for a score."""
        source, section, heading, text, places = self._connection.execute(
            "SELECT source, section, heading, text, places FROM passages WHERE id = ?", (number,)
        ).fetchone()
        spans = tuple(tuple(place) for place in json.loads(places))
        return Passage(source, section, tuple(json.loads(heading)), text, spans, weigh_text(text))


def open_index(course: Course, recipe: Recipe | None = None, *, semantic: bool | None = None) -> Index:
    """The index of a course, made or renewed first where it does not fit documents.jsonl, holdout or the encoder.

    Args:
        recipe: Its past exams (`dataset.holdout`), which are not in it, and how to search.
        semantic: Find what is said in other words too, where the encoder is installed and knows the language; None:
            as the recipe says.

    Raises:
        CorpusError: not extracted yet, or the index cannot be written.
    """
    recipe = recipe or Recipe()
    encoder, holdout = _pick(course, recipe, semantic), recipe.dataset.holdout
    if not _is_current(course, encoder, holdout):
        build_index(course, encoder, holdout)
    return Index(course, encoder, holdout)


def _pick(course: Course, recipe: Recipe, semantic: bool | None) -> Encoder | None:
    return pick_encoder(course) if (recipe.search.semantic if semantic is None else semantic) else None


def pick_encoder(course: Course) -> Encoder | None:
    """The encoder for a course; None where it is not installed, is broken, or does not know the course's language."""
    return find_encoder() if find_language(course) in LANGUAGES else None


def find_index(course: Course) -> Path:
    """The path of a course's index."""
    return course.root / "index.sqlite"


def is_index_current(course: Course, recipe: Recipe | None = None, *, semantic: bool | None = None) -> bool:
    """Whether there is an index as `open_index` wants it; raises CorpusError without documents."""
    recipe = recipe or Recipe()
    return _is_current(course, _pick(course, recipe, semantic), recipe.dataset.holdout)


def _is_current(course: Course, encoder: Encoder | None, holdout: Sequence[str]) -> bool:
    key, name = _read_key(find_index(course))
    # Vectors that nobody reads do no harm.
    return key == _make_key(course, holdout) and (encoder is None or name == encoder.name)


def build_index(course: Course, encoder: Encoder | None = None, holdout: Sequence[str] = ()) -> None:
    """Write the index anew, in one step, without past exams (`holdout`), with vectors where there is an encoder.

    Raises:
        CorpusError: not extracted yet, or the index cannot be written.
    """
    path = find_index(course)
    documents = leave_out_held(read_documents(course), holdout)
    key, language = _make_key(course, holdout), find_language(course)

    def write(temporary: Path) -> None:
        temporary.unlink(missing_ok=True)
        with closing(sqlite3.connect(temporary)) as connection:
            # The file is thrown away when anything goes wrong, so it needs no journal.
            connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            connection.executescript(SCHEMA.format(tokenizer=pick_tokenizer(language)))
            _fill(connection, list_passages(documents), language)
            if encoder is not None:
                _fill_vectors(connection, encoder)
            connection.execute("INSERT INTO meta VALUES (?, ?, ?)", (key, language, encoder.name if encoder else ""))
            connection.commit()

    try:
        write_file(path, write)
    except sqlite3.OperationalError as err:
        raise CorpusError(
            f"The search index {path} cannot be written ({err}). See whether the disk is full or the folder protected."
        ) from err


def _fill_vectors(connection: sqlite3.Connection, encoder: Encoder) -> None:
    rows = connection.execute("SELECT heading, text FROM passages ORDER BY id")
    texts = [f"{' / '.join(json.loads(heading))}\n{text}" for heading, text in rows]
    vectors = encoder.encode(texts).astype(np.float16)
    connection.execute("INSERT INTO vectors VALUES (?)", (vectors.tobytes(),))


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


def _make_key(course: Course, holdout: Sequence[str]) -> str:
    """What the index is made of; raises CorpusError where there are no documents."""
    path = course.dataset / "documents.jsonl"
    if not path.is_file():
        read_documents(course)
    return hash_value([INDEX_VERSION, hash_file(path), *sorted(holdout)])


def _read_key(path: Path) -> tuple[str, str]:
    """The key and the encoder's name of an index; "" for what it does not tell."""
    if not path.is_file():
        return "", ""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            row = connection.execute("SELECT key, encoder FROM meta").fetchone()
    except sqlite3.DatabaseError:
        return "", ""
    return (str(row[0]), str(row[1])) if row else ("", "")
