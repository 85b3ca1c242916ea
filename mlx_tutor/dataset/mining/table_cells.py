"""A table of the course as its header and rows, and the numbers in its columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlx_tutor.dataset.mining.headings import clean_heading
from mlx_tutor.languages.table import Language
from mlx_tutor.text import count_words, strip_bold

CELL = re.compile(r"(?<!\\)\|")
NUMBER = re.compile(
    r"(?P<sign>[-−–]?)(?P<before>(?:US)?[$€£¥]?) ?(?P<digits>\d(?:[\d.,'’ \u00a0\u202f]*\d)?) ?(?P<unit>\D*)"
)
GROUPS = re.compile(r"\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3})+")
COMMA_LANGUAGES = frozenset({"de", "es", "fr", "it", "pt", "nl"})
LONGEST_HEADER, LONGEST_KEY = 6, 8
FEWEST_ROWS, MOST_ROWS = 3, 30
YEARS = range(1000, 2200)
MISSING = frozenset({"", ".", "-", "–", "—", "n/a", "na", "nan", "?", "..."})


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a cell, with what stands before and behind it, as `$` and `million`."""

    value: float
    unit: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, and the line of the block that it stands on."""

    cells: tuple[str, ...]
    line: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names what each row is about, each name once."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]


def read_tables(text: str) -> list[Table]:
    """The tables of a block, one below the other where a header is repeated; without those that cannot be read.

    They need a header that is none of the rows, and a first column that is a key.
    """
    lines = text.split("\n")
    if len(lines) < 2 or not re.fullmatch(r"[|\-:\s]+", lines[1]):
        return []
    parts: list[tuple[tuple[str, ...], list[Row]]] = [(_cut_cells(lines[0]), [])]
    for line in lines[2:]:
        cells, (header, rows) = _cut_cells(line), parts[-1]
        # A row of which only the key is there is a heading inside the table.
        if any(name and name == cell for name, cell in zip(header[1:], cells[1:], strict=False)):
            parts.append((cells, []))
        elif any(cells[1:]):
            rows.append(Row(cells, line))
    return [Table(header, tuple(rows)) for header, rows in parts if _is_readable(header, rows)]


def _is_readable(header: Sequence[str], rows: Sequence[Row]) -> bool:
    keys = [row.cells[0] for row in rows]
    return (
        FEWEST_ROWS <= len(rows) <= MOST_ROWS
        and len({name.lower() for name in header}) == len(header)
        and all(
            name and count_words(name) <= LONGEST_HEADER and not name.endswith((".", ":", "。", "："))
            for name in header
        )
        and all(len(row.cells) == len(header) for row in rows)
        and len(header[0]) > 1
        # A bar inside code has cut it in two.
        and not any(cell.count("`") % 2 for row in rows for cell in row.cells)
        and all(key and count_words(key) <= LONGEST_KEY and not key.endswith((".", "。")) for key in keys)
        and len({key.lower() for key in keys} | {name.lower() for name in header}) == len(keys) + len(header)
        and not _is_index(keys)
        and not _is_row(header, [row.cells for row in rows])
    )


def _cut_cells(line: str) -> tuple[str, ...]:
    cells = [cell.strip().replace("\\|", "|") for cell in CELL.split(line.strip())]
    return tuple(strip_bold(cell) for cell in cells[1:-1])


def _is_index(keys: Sequence[str]) -> bool:
    """Whether the rows are only counted."""
    numbers = [int(key) for key in keys if re.fullmatch(r"\d{1,4}", key)]
    return len(numbers) == len(keys) and all(after - before == 1 for before, after in pairwise(numbers))


def _is_row(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether what should be the header looks as the rows do, in a table that has none."""

    def look(cell: str) -> str:
        return (
            "code"
            if cell.startswith("`")
            else "number"
            if re.match(r"[-−$€£]? ?\d", cell)
            else "formula" * (cell.startswith("$"))
        )

    alike = [
        look(name) and sum(look(row[i]) == look(name) for row in rows) > len(rows) / 2 for i, name in enumerate(header)
    ]
    # The years of a pivot table stand above numbers too, but not above the names of its rows.
    plain = [look(name) == "number" and not re.fullmatch(r"\d{4}", name) for name in header[1:]]
    same_start = sum(row[0][:4] == header[0][:4] for row in rows) > len(rows) / 2
    return bool(alike[0]) or same_start or any(same and number for same, number in zip(alike[1:], plain, strict=True))


def read_numbers(table: Table, column: int, language: Language) -> list[Number | None] | None:
    """The numbers of a column, None for what is missing; None for the whole where they cannot be compared.

    That is so where a cell is no number, where units differ, and where numbers only name or count something.
    """
    cells = [_uncover(row.cells[column]) for row in table.rows]
    found = [None if cell.lower() in MISSING else NUMBER.fullmatch(cell) for cell in cells]
    matches = [match for match in found if match]
    if len(matches) < FEWEST_ROWS or any(
        m is None and c.lower() not in MISSING for m, c in zip(found, cells, strict=True)
    ):
        return None
    if _are_codes([match["digits"] for match in matches]):
        return None
    decimal = _find_decimal([match["digits"] for match in matches], language.code)
    numbers = [_make_number(match, decimal) if match else None for match in found]
    if decimal is None or len({number.unit for number in numbers if number}) > 1:
        return None
    name = clean_heading(table.header[column]).lower()
    bare = [number.value for number in numbers if number and number.unit == ("", "")]
    is_year = bool(bare) and all(value in YEARS and value.is_integer() for value in bare)
    is_count = _is_index([match["digits"] for match in matches])
    return None if is_year or is_count or name in language.words.get("table_ordinal", ()) else numbers


def _are_codes(digits: Sequence[str]) -> bool:
    """Whether numbers are none that can be compared: addresses, versions, bits."""
    dotted = any(text.count(".") > 1 and not GROUPS.fullmatch(text) for text in digits)
    padded = any(re.match(r"0\d", text) for text in digits)
    return dotted or padded or all(set(text) <= {"0", "1"} for text in digits)


def _uncover(cell: str) -> str:
    """A number that is set as a formula, without its dollars."""
    inside = cell[1:-1] if cell.startswith("$") and cell.endswith("$") and len(cell) > 2 else cell
    return inside.replace("\\%", "%").replace("\\,", "").replace("{,}", ",")


def _find_decimal(digits: Sequence[str], code: str) -> str | None:
    """The decimal mark of a column; None where it cannot be told."""
    usual = "," if code in COMMA_LANGUAGES else "."
    marks = set()
    for text in digits:
        for mark, other in ((".", ","), (",", ".")):
            # 0.125 and 12.5 are no thousands; 1.234,5 has both.
            sure = mark in text and (not GROUPS.fullmatch(text) or text.startswith("0"))
            if sure and text.count(mark) == 1 and (other not in text or text.index(other) < text.index(mark)):
                marks.add(mark)
    return usual if not marks else marks.pop() if len(marks) == 1 else None


def _make_number(match: re.Match[str], decimal: str | None) -> Number:
    whole, _, fraction = match["digits"].partition(decimal or ".")
    value = float(f"{re.sub(r'[^0-9]', '', whole)}.{re.sub(r'[^0-9]', '', fraction) or 0}")
    return Number(-value if match["sign"] else value, (match["before"], match["unit"].strip().lower()))
