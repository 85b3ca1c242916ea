"""The search index of a course: passages in SQLite FTS5, ranked by BM25.

`corpora/<course>/index.sqlite` follows from documents.jsonl alone. It is made on first use, renewed when that file
changes, and made again when it is damaged.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from mlx_tutor.dataset.repeats import cut_runs, is_held
from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.files import hash_file, hash_value, write_file
from mlx_tutor.records import Document, Section
from mlx_tutor.text import split_sentences
from mlx_tutor.workspace import Course

# Raise it when passages, tables or tokens change: then every index is made again.
INDEX_VERSION = 1
# Words of a passage: at least MIN_WORDS where the section has them, at most MAX_WORDS.
MIN_WORDS, PIECE_WORDS, MAX_WORDS = 80, 120, 200
# BM25 weights of the columns heading, terms (what stands in bold: mostly what is defined there) and text.
WEIGHTS = (2.0, 8.0, 1.0)
# Of a passage that mostly asks.
ASKING_WEIGHT = 0.5
# More words than this are no question; the longest ones say most.
MAX_TERMS = 24
# Share of a word's trigrams that a word of the course must have to count as another spelling of it.
LIKENESS = 0.6
TOKENIZER = "porter unicode61 remove_diacritics 2"
SCHEMA = f"""
CREATE TABLE meta (key TEXT);
CREATE TABLE passages (id INTEGER PRIMARY KEY, source TEXT, section INTEGER, heading TEXT, text TEXT, places TEXT);
CREATE VIRTUAL TABLE words USING fts5 (heading, terms, text, content='', tokenize='{TOKENIZER}');
CREATE VIRTUAL TABLE spellings USING fts5 (word, tokenize='trigram');
"""

# Scripts without spaces between words, and Korean, which glues particles to them: every two neighbouring characters
# are a word, as in Lucene's CJK analyzer. Trigrams would miss Chinese words, most of which have two characters.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
UNSPACED_RUN = re.compile(f"[{UNSPACED}]+")
# As passages are measured; what is longer than any word (encoded data) counts as several.
WORD = re.compile(rf"[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]{{1,60}}")
# A word as it is asked for; letters of Indic scripts carry marks that \w does not take.
TERM = re.compile(r"(?:[^\W_]|[\u0900-\u0dff])+")
NEGATION = re.compile(r"\b(?:not|no|never|none|neither|nor|cannot|without)\b|n['’]t\b", re.IGNORECASE)
# Stands for any of these among stems.
NEGATED = "zqnot"
# Behind a number it is the number of an item.
SENTENCE_END = re.compile(r"(?<!\d)[.?!](?=\s|$)")
BOLD = re.compile(r"\*\*(.+?)\*\*")
ASKING = re.compile(
    r"""^\W*(?:please\s+|(?:can|could|would)\s+you\s+(?:please\s+)?|i\s+(?:want|would\s+like)\s+to\s+know\s+)*
    (?:what\s+do\s+you\s+mean\s+by|what\s+is\s+meant\s+by|what(?:['’]s|\s+(?:is|are|was|were|does|do|did))?|who\s+(?:is|are|was|were)|how\s+(?:do|does|can)\s+(?:you|we|i)
    |define|explain|describe|tell\s+me(?:\s+more)?(?:\s+about)?|give(?:\s+me)?|show\s+me)\b\s*
    (?:what\b\s*)?(?:(?:by|about)\b\s*)?
    (?:(?:the|a|an)\s+(?:meaning|definition|explanation|example|term|concept|idea)\s*(?:of|for|behind)?\b\s*)?
    (?:(?:the|a|an)\s+)?""",
    re.IGNORECASE | re.VERBOSE,
)
MEANING = re.compile(r"^\W*(what\s+do(?:es)?\b.*)\b(?:mean|stand\s+for)\W*$", re.IGNORECASE | re.DOTALL)
ASKING_UNSPACED = re.compile(
    "什么是|是什么|为什么|什么|怎么|如何|解释|とは何ですか|とは|何ですか|란 무엇인가요?|무엇인가요?"
)
_SMALL_WORDS = """
a an the this that these those it its they their them there here he she his her we you i me my your our us
what which who whom whose when where why how is are was were be been being am do does did done can could should would
will shall may might must has have had of in on at to for from by with about into onto as and or but if than then so
not no yes s t re ve ll d please also between
"""
SMALL_WORDS = frozenset(_SMALL_WORDS.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of neighbouring blocks, or a part of a long one. `text` stands in its section's text as it is.

    `section` is the index of the section in its document; `places` says at which offset of `text` which page and
    cell begin; `score` is BM25's, the higher the better.
    """

    source: str
    section: int
    heading: tuple[str, ...]
    text: str
    places: tuple[tuple[int, int | None, int | None], ...]
    score: float = 0.0

    def find_place(self, offset: int = 0) -> tuple[int | None, int | None]:
        """Page and cell of what stands at `offset`."""
        _, page, cell = [place for place in self.places if place[0] <= offset][-1]
        return page, cell


def place_sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a text, each an exact piece of it, with their offsets; a line break ends one too."""
    position = 0
    for part in re.split(r"\n|(?<=[。！？])", text):
        for sentence in split_sentences(part.lstrip(". ")) if part.strip(". ") else ():
            start = text.index(sentence, position)
            position = start + len(sentence)
            yield start, sentence


def weigh_text(text: str) -> float:
    """Less for a list of questions: it names what is asked about, and holds no answer."""
    ends = SENTENCE_END.findall(text)
    return ASKING_WEIGHT if 2 * ends.count("?") > len(ends) else 1.0


def count_words(text: str) -> int:
    """How long a text is."""
    return sum(1 for _ in WORD.finditer(text))


def cut_units(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence; one longer than a piece may be is cut between words."""
    for start, sentence in place_sentences(text):
        words = list(WORD.finditer(sentence))
        if len(words) <= PIECE_WORDS:
            yield start, start + len(sentence)
            continue
        for first in range(0, len(words), PIECE_WORDS):
            last = words[min(first + PIECE_WORDS, len(words)) - 1]
            yield start + words[first].start(), start + last.end()


def cut_pieces(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of pieces of a block, of at most PIECE_WORDS words each."""
    if count_words(text) <= PIECE_WORDS:
        yield 0, len(text)
        return
    begun, ended, size = 0, 0, 0
    for start, end in cut_units(text):
        words = count_words(text[start:end])
        if size and size + words > PIECE_WORDS:
            yield begun, ended
            size = 0
        if not size:
            begun = start
        ended, size = end, size + words
    if size:
        yield begun, ended


def cut_section(source: str, number: int, section: Section) -> Iterator[Passage]:
    """The passages of one section, in order."""
    pieces: list[tuple[int, int, int | None, int | None]] = []
    offset = 0
    for block in section.blocks:
        pieces += [(offset + a, offset + b, block.page, block.cell) for a, b in cut_pieces(block.text)]
        offset += len(block.text) + 2
    text = section.text
    groups: list[list[tuple[int, int, int | None, int | None]]] = []
    sizes: list[int] = []
    for piece in pieces:
        size = count_words(text[piece[0] : piece[1]])
        if groups and (sizes[-1] < MIN_WORDS or sizes[-1] + size <= PIECE_WORDS):
            groups[-1].append(piece)
            sizes[-1] += size
        else:
            groups.append([piece])
            sizes.append(size)
    if len(groups) > 1 and sizes[-1] < MIN_WORDS and sizes[-2] + sizes[-1] <= MAX_WORDS:
        last = groups.pop()
        groups[-1] += last
    for group in groups:
        start, end = group[0][0], group[-1][1]
        places = tuple((a - start, page, cell) for a, _, page, cell in group)
        yield Passage(source, number, section.heading, text[start:end], places)


def list_passages(documents: Iterable[Document]) -> Iterator[Passage]:
    """All passages of the documents, in order."""
    for document in documents:
        for number, section in enumerate(document.sections):
            yield from cut_section(document.source, number, section)


def fold(text: str) -> str:
    """`text` as the index sees it: lower case without accents, runs without spaces as pairs of characters."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = unicodedata.normalize("NFKC", "".join(c for c in decomposed if not unicodedata.combining(c)))
    return UNSPACED_RUN.sub(lambda run: f" {' '.join(_list_pairs(run.group()))} ", bare)


def _list_pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(max(1, len(run) - 1))]


def list_trigrams(word: str) -> set[str]:
    """Every three neighbouring characters."""
    return {word[i : i + 3] for i in range(len(word) - 2)}


def read_question(question: str) -> tuple[list[str], str]:
    """The words of a question that tell what it is about, and its bare subject ("law of demand").

    Words of asking ("what is", "explain") are dropped, and small words, unless written in capitals. A question of
    nothing else keeps all its words.
    """
    text = unicodedata.normalize("NFC", question)
    bare = ASKING_UNSPACED.sub(" ", ASKING.sub("", MEANING.sub(r"\1", text), count=1))
    subject = TERM.findall(bare) or TERM.findall(text)
    shouted = text.isupper()
    telling = [w for w in subject if w.lower() not in SMALL_WORDS or (w.isupper() and len(w) > 1 and not shouted)]
    terms = list(dict.fromkeys(term for word in telling or subject for term in fold(word).split()))
    if len(terms) > MAX_TERMS:
        terms = sorted(terms, key=len, reverse=True)[:MAX_TERMS]
    return terms, fold(" ".join(subject)) if 1 < len(subject) <= 6 else ""


def list_stems(texts: Sequence[str]) -> list[set[str]]:
    """The stems of the content words of each text, as the index has them; numbers count as words."""
    return [set(stems) for stems in list_stem_runs(texts)]


def list_stem_runs(texts: Sequence[str], *, negated: bool = False) -> list[list[str]]:
    """What `list_stems` gives, in the order of the text.

    With `negated`, the stem behind a negation has a "!" before it.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            f"CREATE VIRTUAL TABLE words USING fts5 (text, content='', tokenize='{TOKENIZER}');"
            "CREATE VIRTUAL TABLE stems USING fts5vocab (words, instance);"
        )
        for number, text in enumerate(texts):
            marked = NEGATION.sub(f" {NEGATED} ", text) if negated else text
            content = (word for word in TERM.findall(marked) if word.lower() not in SMALL_WORDS)
            connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, fold(" ".join(content))))
        stems: list[list[str]] = [[] for _ in texts]
        for stem, number in connection.execute("SELECT term, doc FROM stems ORDER BY doc, offset"):
            if stems[number] and stems[number][-1] == NEGATED:
                stems[number][-1] = f"!{stem}"
            else:
                stems[number].append(stem)
    return stems


def quote_term(text: str) -> str:
    """A string of FTS5's query language."""
    return '"' + text.replace('"', '""') + '"'


class Index:
    """An open index; close it, or use it in a `with`."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self._connection = _connect(course)

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
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
        words, subject = read_question(question)
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
    """Where the index of a course lies."""
    return course.root / "index.sqlite"


def is_index_current(course: Course) -> bool:
    """Whether there is an index that fits documents.jsonl; raises CorpusError where there are no documents."""
    return _read_key(find_index(course)) == _make_key(course)


def build_index(course: Course) -> None:
    """Write the index anew, in one step; raises CorpusError when it cannot be written."""
    path = find_index(course)
    documents = read_documents(course)
    key = _make_key(course)

    def write(temporary: Path) -> None:
        temporary.unlink(missing_ok=True)
        with closing(sqlite3.connect(temporary)) as connection:
            # The file is thrown away when anything goes wrong, so it needs no journal.
            connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA}")
            _fill(connection, list_passages(documents))
            connection.execute("INSERT INTO meta VALUES (?)", (key,))
            connection.commit()

    try:
        write_file(path, write)
    except sqlite3.OperationalError as err:
        raise CorpusError(
            f"The search index {path} cannot be written ({err}). See whether the disk is full or the folder protected."
        ) from err


def _fill(connection: sqlite3.Connection, passages: Iterable[Passage]) -> None:
    vocabulary: set[str] = set()
    for number, passage in enumerate(passages, 1):
        heading = " / ".join(passage.heading)
        columns = [fold(column) for column in (heading, " / ".join(BOLD.findall(passage.text)), passage.text)]
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
