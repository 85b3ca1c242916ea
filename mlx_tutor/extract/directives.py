"""Directives of MyST that write a table or a list of terms in another way than Markdown, as Markdown."""

import csv
import re
from collections.abc import Callable

# Options at the head of a directive, `:name: value` or YAML between dashes.
OPTIONS = re.compile(r"\A(?:[ \t]*:[\w-]+:.*\n|[ \t]*---[ \t]*\n(?:.*\n)*?[ \t]*---[ \t]*\n|[ \t]*\n)+")
TABLE_HEADER = re.compile(r"^[ \t]*:?header:[ \t]*(.+)$", re.MULTILINE)
# Code in a cell has lines of its own, which a table has not.
FENCED = re.compile(r"`{3}|:{3}")


def find_writer(name: str, content: str) -> Callable[[str], str] | None:
    """What writes the content of a directive of this name as Markdown; None where it is Markdown."""
    return None if name in TABLES and FENCED.search(content) else WRITERS.get(name)


def _write_entries(body: str) -> str:
    """A glossary of MyST, whose definitions are indented below their terms, as a definition list."""

    def write(match: re.Match[str]) -> str:
        term, *others = match[1].splitlines()
        return f"\n{term} ({', '.join(others)})\n: " if others else f"\n{term}\n: "

    entries = re.sub(r"(?m)^(\S.*\n(?:\S.*\n)*)[ \t]+(?=\S)", write, OPTIONS.sub("", body))
    return re.sub(r"(?m)^[ \t]+(?=\S)", "  ", entries)


def _write_rows(rows: list[list[str]]) -> str:
    width = max(map(len, rows), default=0)
    rows = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] + [""] * (width - len(row)) for row in rows]
    lines = ["|" + "".join(f" {cell} |" for cell in row) for row in rows]
    return "\n".join([*lines[:1], f"|{'---|' * width}", *lines[1:]])


def _write_list_table(body: str) -> str:
    """A table of MyST that is a list of lists; its first row is the header, an empty one where it has none."""
    rows = [
        re.split(r"^[ \t]+[*-](?:[ \t]|$)", row, flags=re.MULTILINE)
        for row in re.split(r"^[*-][ \t]+", OPTIONS.sub("", body), flags=re.MULTILINE)[1:]
    ]
    # The first cell stands behind the sign of its row.
    cells = [[re.sub(r"\A[*-](?:[ \t]|$)", "", row[0]), *row[1:]] for row in rows]
    return _write_rows(cells)


def _write_csv_table(body: str) -> str:
    header = TABLE_HEADER.search(body)
    lines = [*([header[1]] if header else []), *OPTIONS.sub("", body).split("\n")]
    return _write_rows([row for row in csv.reader(lines, skipinitialspace=True) if row])


TABLES = {"list-table": _write_list_table, "csv-table": _write_csv_table}
WRITERS: dict[str, Callable[[str], str]] = {**TABLES, "glossary": _write_entries}
