"""Rows from tables: which tables can be asked about, what is compared, and what the answers say."""

import pytest

from mlx_tutor.dataset.mining.table_cells import read_numbers, read_tables
from mlx_tutor.languages.table import list_languages, read_language
from tests.dataset.rows import make_rows

RIVERS = """# Rivers

## Rivers of the north

A river is water that runs to the sea, and how long it is can only be told by those who have walked along all of it.

These are the rivers of the region that were measured in the same week of the year:

| River | Length | Source |
|---|---|---|
| Aller | 1,040 km | a spring in the moor |
| Bode | 169 km | two brooks on the hill |
| Innerste | 99 km | a pond of miners |
| All rivers | 1,308 km | |
"""


def ask(text: str, language: str = "") -> dict[str, str]:
    rows = make_rows(text, language=language)
    return {row.qa_pair.question: row.qa_pair.answer for row in rows if row.origin.method == "table"}


def test_a_table_is_asked_about_with_itself_as_the_passage() -> None:
    rows = [row for row in make_rows(RIVERS) if row.origin.method == "table"]
    assert rows
    for row in rows:
        assert row.qa_pair.context.startswith("These are the rivers")
        assert row.origin.evidence in RIVERS.split("\n")


def find_extreme(text: str) -> tuple[str, str]:
    """Which extreme of the table is asked for, and the answer."""
    [found] = [(q, a) for q, a in ask(text).items() if "highest" in q or "lowest" in q]
    return "highest" if "highest" in found[0] else "lowest", found[1]


def test_the_sum_of_all_rows_is_no_extreme() -> None:
    assert find_extreme(RIVERS) in (("highest", "Aller, with 1,040 km."), ("lowest", "Innerste, with 99 km."))


def test_rows_that_share_an_extreme_are_both_named() -> None:
    text = RIVERS.replace("| Bode | 169 km", "| Bode | 1,040 km | a bog |\n| Oker | 99 km | a pond |\n| Leine | 169 km")
    assert find_extreme(text) in (
        ("highest", "Aller, Bode, with 1,040 km each."),
        ("lowest", "Oker, Innerste, with 99 km each."),
    )


TOOLS = """# Tools

## Tools of the bank

The `lathe` turns wood. The `plane` makes wood flat, and the `rasp` makes it round, so that every part fits the others.

| Tool | Purpose | Price |
|---|---|---|
| `lathe` | turning round parts | $900 |
| `plane` | smoothing flat boards | $60 |
| `rasp` | shaping wood | $12 |
| `file` | shaping wood | $9 |
"""


def test_what_only_tests_reading_is_not_asked() -> None:
    """No cell of just any column, and no number of two that is the higher one."""
    asked = " ".join(ask(TOOLS.replace("Purpose", "Colour")))
    assert "Colour" not in asked and "higher" not in asked
    # A row that is only a number, and a heading that is no word.
    assert not ask(TOOLS.replace("`lathe`", "1").replace("`plane`", "2").replace("`rasp`", "4").replace("`file`", "8"))
    asked = " ".join(ask(TOOLS.replace("| Price |", "| Price (in $) |")))
    assert "highest" not in asked and "lowest" not in asked


@pytest.mark.parametrize(
    "table",
    [
        # No header: the first row is one of the rows.
        "| `int` | a whole number |\n|---|---|\n| `str` | letters |\n| `bool` | true or false |\n| `set` | no order |",
        "| rent | 500 |\n|---|---|\n| food | 300 |\n| power | 60 |\n| water | 30 |",
        # The first column is no key.
        "| Fruit | Price |\n|---|---|\n| plum | 3 |\n| plum | 4 |\n| pear | 5 |",
        "| Row | Price |\n|---|---|\n| 0 | 3 |\n| 1 | 4 |\n| 2 | 5 |",
        "| | Price |\n|---|---|\n| plum | 3 |\n| fig | 4 |\n| pear | 5 |",
        # A header over two columns.
        "| Fruit | Price | |\n|---|---|---|\n| plum | 3 | 4 |\n| fig | 4 | 5 |\n| pear | 5 | 6 |",
        "| Fruit | Price |\n|---|---|\n| plum | 3 |",
    ],
)
def test_tables_that_cannot_be_asked_about_are_left_alone(table: str) -> None:
    assert read_tables(table) == []


def test_a_repeated_header_begins_another_table() -> None:
    rows = "\n".join(f"| {name} | what {name} does |" for name in ("abs", "int", "str"))
    signs = "\n".join(f"| {name} | what {name} means |" for name in ("plus", "minus", "times"))
    one, other = read_tables(f"| Function | Description |\n|---|---|\n{rows}\n| Operator | Description |\n{signs}")
    assert (one.header[0], other.header[0]) == ("Function", "Operator")
    assert [len(table.rows) for table in (one, other)] == [3, 3]


@pytest.mark.parametrize(
    ("code", "cells", "values"),
    [
        ("en", ["1,200", "13.5", "7"], [1200, 13.5, 7]),
        ("de", ["1.200", "13,5", "7"], [1200, 13.5, 7]),
        # A German course with points in its numbers.
        ("de", ["0.25", "1.125", "3.5"], [0.25, 1.125, 3.5]),
        ("fr", ["12 000 €", "7,5 €", "−3 €"], [12000, 7.5, -3]),
        ("en", ["$5", "$7.25", "$1,000"], [5, 7.25, 1000]),
        ("en", ["$0.5$", "$2$", "$3$"], [0.5, 2, 3]),
        ("en", ["10 %", "n/a", "12%", "9 %"], [10, None, 12, 9]),
        # Units that differ, ranges, and what is no number.
        ("en", ["30 ns", "10 ms", "2 s"], None),
        ("en", ["3-5", "7", "9"], None),
        ("en", ["4 min 41 s", "5 min", "3 min"], None),
        ("en", ["many", "7", "9", "11"], None),
        # Years, and numbers that count the rows.
        ("en", ["1970", "1985", "2004"], None),
        ("en", ["1", "2", "3"], None),
    ],
)  # fmt: skip
def test_numbers_are_compared_only_where_they_can_be(
    code: str, cells: list[str], values: list[float | None] | None
) -> None:
    language = read_language(code)
    assert language is not None
    [table] = read_tables(
        "| Name | Amount |\n|---|---|\n" + "\n".join(f"| k{c}y | {x} |" for c, x in zip("abcd", cells, strict=False))
    )
    numbers = read_numbers(table, 1, language)
    assert (None if numbers is None else [number.value if number else None for number in numbers]) == values


def test_sides_of_one_thing_are_not_compared_and_signs_are_no_words() -> None:
    lead = RIVERS.partition("These are")[0]
    assert not ask(f"{lead}| Property | Value |\n|---|---|\n| length | 30 |\n| depth | 41 |\n| age | 90 |\n")
    assert not ask(f"{lead}| River | Fish |\n|---|---|\n| Aller | ✅ 3 |\n| Bode | ✅ 4 |\n| Oker | ❌ 0 |\n")


@pytest.mark.parametrize("cells", [("10.0.0.1", "10.0.0.9", "10.0.1.7"), ("0110", "0111", "1000"), ("10", "11", "1")])
def test_addresses_and_bits_are_no_numbers_to_compare(cells: tuple[str, ...]) -> None:
    rows = "".join(f"| {name} | {cell} |\n" for name, cell in zip(("plum", "fig", "pear"), cells, strict=True))
    asked = ask(f"{RIVERS.partition('These are')[0]}| Fruit | Code |\n|---|---|\n{rows}")
    assert not any("highest" in q or "lowest" in q or "higher" in q for q in asked)


def test_a_german_table_is_asked_about_in_german() -> None:
    text = (
        "# Befehle\n\n## Befehle der Mühle\n\nMit den Befehlen der Mühle dreht man das Rad.\n\n"
        "| Befehl | Bedeutung | Dauer |\n|---|---|---|\n| `auf` | das Wehr öffnen | 9 |\n"
        "| `zu` | das Wehr schließen | 7 |\n| `halt` | das Rad anhalten | 2 |\n"
    )
    asked = ask(text, "de")
    assert any(q.startswith("Worin unterscheiden sich") for q in asked) and all("Tabelle" in q for q in asked)


def test_every_language_that_asks_about_tables_has_all_that_it_needs() -> None:
    for code in list_languages():
        language = read_language(code)
        assert language is not None
        if "table_compare" in language.questions:
            assert language.words["table_aspect"]
