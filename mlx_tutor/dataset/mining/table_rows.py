"""Rows from tables of the course, each with the table quoted: extremes, comparisons and look-ups."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import pick, rank
from mlx_tutor.dataset.mining.table_cells import MISSING, Number, Row, Table, read_numbers, read_tables
from mlx_tutor.dataset.passage import LONGEST_PASSAGE
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import count_words, split_sentences, strip_bold

LONGEST_CELL, LONGEST_ANSWER = 50, 90
# Values that steps list before they name the highest.
MOST_STEPS = 10
LONGEST_CAPTION = 40
# What is looked up has a name of its own: some words, code, capitals.
NAME, DIGITS = re.compile(r"\s|`|[A-Z]{2}|[\u3040-\u30ff\u3400-\u9fff]{2}"), re.compile(r"^\W*\d")
SIGNS = re.compile(r"(?m)\|\s*(?:\(?[a-h]\)|\d{1,2}[.)])\s|[→✓✗]|[\u2600-\u27bf\u2b50\u2b55\U0001f300-\U0001faff]")
PLAIN = re.compile(r"[a-z-]+(?: [a-z-]+){0,3}|[A-Z]{2,}")


@dataclass(frozen=True, slots=True)
class _Quoted:
    """A table as a passage, with what its rows need."""

    table: Table
    passage: str
    language: Language
    concepts: Concepts
    seed: int

    def ask(self, kind: str, *names: str, **fields: str) -> str:
        """A wording of a kind; the one that writes headings as words, where all `names` read as such."""
        wordings, fields = self.language.questions[f"table_{kind}"], dict(fields)
        if f"table_{kind}_named" in self.language.questions and all(map(self._is_plain, names)):
            wordings = self.language.questions[f"table_{kind}_named"]
            fields |= {name: self.concepts.lower(value) for name, value in fields.items() if value in names}
        return pick(wordings, self.seed, kind, *fields.values()).format(**fields)

    def tell(self, kind: str, **fields: str) -> str:
        """The answer of a kind."""
        return self.language.questions[f"table_{kind}_answer"][0].format(**fields)

    def knows(self, row: Row) -> bool:
        """Whether a row is about something that the course speaks of."""
        key = row.cells[0]
        return key.startswith("`") or any(len(name) >= len(key) - 2 for name in self.concepts.find(key))

    def _is_plain(self, name: str) -> bool:
        lower = self.concepts.lower(name)
        return PLAIN.fullmatch(lower) is not None and lower.split()[-1] in self.language.words["table_noun"]


def make_table_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most three rows a table, the best first: its extreme, a comparison of two rows, and a cell looked up.

    None where signs stand for words, as in lists of what is done and planned.
    """
    language = read_language(chunk.language)
    if language is None or "table_look_up" not in language.questions:
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
    """The row with the highest or lowest number, after all numbers as steps; all rows that share it."""
    for column, numbers in _list_columns(quoted):
        rows = [
            (row, number)
            for row, number in zip(quoted.table.rows, numbers, strict=True)
            if number and not _sums_up(row, quoted.language)
        ]
        values = {number.value for _, number in rows}
        if None in numbers or len(values) < 3:
            continue
        kind = "highest" if rank(quoted.seed, quoted.passage, column, "extreme") % 2 else "lowest"
        best = max(values) if kind == "highest" else min(values)
        found = [row for row, number in rows if number.value == best]
        if len(found) > 2:
            continue
        key, name = quoted.table.header[0], quoted.table.header[column]
        steps = tuple(f"{row.cells[0]}: {row.cells[column]}" for row, _ in rows) if len(rows) <= MOST_STEPS else ()
        names = ", ".join(row.cells[0] for row in found)
        cell = found[0].cells[column].rstrip(".")
        answer = quoted.tell("tie" if len(found) > 1 else "extreme", row=names, cell=cell)
        yield quoted.ask(kind, key, name, key=key, column=name), steps, answer, found[0]
        return


def _make_comparison(quoted: _Quoted) -> _Made:
    """Which of two rows has the higher number; in tables without numbers, two rows side by side."""
    for column, numbers in _list_columns(quoted):
        rows = [
            (row, number)
            for row, number in zip(quoted.table.rows, numbers, strict=True)
            if number and not _sums_up(row, quoted.language)
        ]
        rows.sort(key=lambda item: rank(quoted.seed, quoted.passage, item[0].cells[0], "compared"))
        (one, first), (other, second) = rows[0], next((r for r in rows[1:] if r[1].value != rows[0][1].value), rows[0])
        if first.value == second.value:
            continue
        high, low = (one, other) if first.value > second.value else (other, one)
        name = quoted.table.header[column]
        question = quoted.ask("higher", name, column=name, one=one.cells[0], other=other.cells[0])
        cells = {"row": high.cells[0], "cell": high.cells[column], "rest": low.cells[0], "other": low.cells[column]}
        yield question, (), quoted.tell("higher", **cells), high
        return
    yield from _compare_texts(quoted)


def _compare_texts(quoted: _Quoted) -> _Made:
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


def _make_look_up(quoted: _Quoted) -> _Made:
    """A cell of a row."""
    for row, column in _list_cells(quoted, "look up"):
        name = quoted.table.header[column]
        yield quoted.ask("look_up", name, column=name, row=row.cells[0]), (), row.cells[column], row
        return


def _list_cells(quoted: _Quoted, purpose: str) -> Sequence[tuple[Row, int]]:
    """Cells that can be asked about, in an order of the seed."""
    places = [
        (row, column)
        for row in quoted.table.rows
        if quoted.knows(row) and NAME.search(row.cells[0])
        for column, cell in enumerate(row.cells)
        if column and _is_whole(cell) and count_words(cell) <= LONGEST_CELL
    ]
    return sorted(places, key=lambda place: rank(quoted.seed, quoted.passage, purpose, place[0].line, place[1]))


def _is_whole(cell: str) -> bool:
    """Whether a cell says something, and is no list or code that lost its lines."""
    return cell.lower() not in MISSING and not re.search(r"•|\]\[|^`+ |`[^`]*# [^`]*`", cell)


MAKERS = (_make_extreme, _make_comparison, _make_look_up)
