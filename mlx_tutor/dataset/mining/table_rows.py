"""Rows from tables of the course, each with the table quoted: extremes and comparisons."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import pick, rank
from mlx_tutor.dataset.mining.table_cells import MISSING, Number, Row, Table, read_numbers, read_tables
from mlx_tutor.dataset.passage import LONGEST_PASSAGE
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import count_words, split_sentences, strip_bold

LONGEST_ANSWER = 90
# Values that steps list before they name the highest.
MOST_STEPS = 10
LONGEST_CAPTION = 40
DIGITS = re.compile(r"^\W*\d")
SIGNS = re.compile(r"(?m)\|\s*(?:\(?[a-h]\)|\d{1,2}[.)])\s|[→✓✗]|[\u2600-\u27bf\u2b50\u2b55\U0001f300-\U0001faff]")
# A heading that reads as a word inside a question, and a name or a year as what a row is about.
PLAIN = re.compile(r"[^\W\d_][^\W\d_’'-]+(?:[ -][^\W\d_’'-]+){0,3}")
KEY = re.compile(r"[^\W\d_]{2}|(?:1\d|20)\d\d$")
QUOTED_CODE = re.compile(r"[“„«‘]\s?(`[^`]+`)\s?[”“»’]")


@dataclass(frozen=True, slots=True)
class _Quoted:
    """A table as a passage, with what its rows need."""

    table: Table
    passage: str
    language: Language
    concepts: Concepts
    seed: int

    def ask(self, kind: str, **fields: str) -> str:
        """A wording of a kind; code needs no quotation marks."""
        wording = pick(self.language.questions[f"table_{kind}"], self.seed, kind, *fields.values())
        return QUOTED_CODE.sub(r"\1", wording.format(**fields))

    def tell(self, kind: str, **fields: str) -> str:
        """The answer of a kind."""
        return self.language.questions[f"table_{kind}_answer"][0].format(**fields)

    def knows(self, row: Row) -> bool:
        """Whether a row is about something that the course speaks of."""
        key = row.cells[0]
        return key.startswith("`") or any(len(name) >= len(key) - 2 for name in self.concepts.find(key))


def make_table_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most two rows a table: its extreme, and two of its rows side by side.

    None where signs stand for words, as in lists of what is done and planned. Which of two numbers is higher, or what
    stands in a cell, teaches nothing but to read tables.
    """
    language = read_language(chunk.language)
    if language is None or "table_compare" not in language.questions:
        return
    for i, block in enumerate(chunk.blocks):
        tables = read_tables(block.text) if block.kind == "table" else []
        caption = _find_caption(chunk.blocks[i - 1]) if i else ""
        passage = "\n\n".join(part for part in (caption, strip_bold(block.text)) if part)
        if count_words(passage) > LONGEST_PASSAGE:
            continue
        for table in tables if not SIGNS.search(block.text) else ():
            # The rows are sides of one thing, as its price and its weight.
            if language.words["table_aspect"] & set(re.findall(r"\w+", table.header[0].lower())):
                continue
            quoted = _Quoted(table, passage, language, concepts, seed)
            for question, steps, answer, row in chain.from_iterable(make(quoted) for make in MAKERS):
                yield QaPair(question, steps, answer, "table", (), passage), "table", row.line


_Made = Iterator[tuple[str, tuple[str, ...], str, Row]]


def _find_caption(block: Block) -> str:
    """The sentence above a table that says what it shows, where it ends with a colon or is a caption."""
    if block.kind != "text" or "\n" in block.text:
        return ""
    if block.text.startswith(":"):
        return strip_bold(block.text.lstrip(": "))
    last = split_sentences(block.text)[-1]
    return strip_bold(last) if last.endswith((":", "：")) and count_words(last) <= LONGEST_CAPTION else ""


def _list_columns(quoted: _Quoted) -> Iterator[tuple[int, list[Number | None]]]:
    """Columns of numbers that can be compared, in an order of the seed."""
    table = quoted.table
    for column in sorted(range(1, len(table.header)), key=lambda i: rank(quoted.seed, quoted.passage, i)):
        if numbers := read_numbers(table, column, quoted.language):
            yield column, numbers


def _sums_up(row: Row, language: Language) -> bool:
    words = re.findall(r"\w+", row.cells[0].lower())
    return any(word in language.words.get("table_total", ()) for word in words)


def _make_extreme(quoted: _Quoted) -> _Made:
    """The row with the highest or lowest number, after all numbers as steps; all rows that share it.

    Where headings have a gender, none of them fits into a question.
    """
    if "table_highest" not in quoted.language.questions:
        return
    for column, numbers in _list_columns(quoted):
        rows = [
            (row, number)
            for row, number in zip(quoted.table.rows, numbers, strict=True)
            if number and not _sums_up(row, quoted.language)
        ]
        key, name = (quoted.concepts.lower(quoted.table.header[i]) for i in (0, column))
        values = {number.value for _, number in rows}
        is_word = PLAIN.fullmatch(key) and PLAIN.fullmatch(name) and " and " not in key
        if not is_word or None in numbers or len(values) < 3 or not all(KEY.match(row.cells[0]) for row, _ in rows):
            continue
        kind = "highest" if rank(quoted.seed, quoted.passage, column, "extreme") % 2 else "lowest"
        best = max(values) if kind == "highest" else min(values)
        found = [row for row, number in rows if number.value == best]
        if len(found) > 2:
            continue
        steps = tuple(f"{row.cells[0]}: {row.cells[column]}" for row, _ in rows) if len(rows) <= MOST_STEPS else ()
        names = ", ".join(row.cells[0] for row in found)
        cell = found[0].cells[column].rstrip(".")
        answer = quoted.tell("tie" if len(found) > 1 else "extreme", row=names, cell=cell)
        yield quoted.ask(kind, key=key, column=name), steps, answer, found[0]
        return


def _make_comparison(quoted: _Quoted) -> _Made:
    """Where two rows differ, in two columns at least."""
    table = quoted.table
    rows = [row for row in table.rows if quoted.knows(row) and all(map(_is_whole, row.cells))]
    rows.sort(key=lambda row: rank(quoted.seed, quoted.passage, row.cells[0], "compared"))
    for one, other in pairwise(rows):
        differing = [
            f"\n- {name}: {a} ({one.cells[0]}); {b} ({other.cells[0]})"
            for name, a, b in zip(table.header[1:], one.cells[1:], other.cells[1:], strict=True)
            if a != b
        ]
        is_said = (
            sum(DIGITS.search(cell) is None for cell in (*one.cells[1:], *other.cells[1:])) >= len(table.header) - 1
        )
        if len(differing) > 1 and is_said and count_words(" ".join(differing)) <= LONGEST_ANSWER:
            yield quoted.ask("compare", one=one.cells[0], other=other.cells[0]), (), "".join(differing), one
            return


def _is_whole(cell: str) -> bool:
    """Whether a cell says something, and is no list or code that lost its lines."""
    return cell.lower() not in MISSING and not re.search(r"•|\]\[|^`+ |`[^`]*# [^`]*`", cell)


MAKERS = (_make_extreme, _make_comparison)
