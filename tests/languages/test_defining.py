"""Each row of the tables of definitions finds the sentence that stands beside it, and none of the others."""

import pytest

from mlx_tutor.dataset.mining.defining import find_definitions
from mlx_tutor.languages.defining import Pattern, find_asked, read_table
from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.records import ENTRY, Block, Chunk
from tests.dataset.rows import make_rows

TABLES = {code: table for code in list_languages() if (table := read_table(code))}
ROWS = [(code, row) for code, table in TABLES.items() for row in table.patterns]
NAMES = [f"{code}: {row.name}" for code, row in ROWS]
GLOSSARY = {"en": "Glossary", "de": "Glossar", "es": "Glosario", "fr": "Glossaire", "it": "Glossario",
            "pt": "Glossário", "nl": "Begrippenlijst", "zh": "术语表"}  # fmt: skip


def find(code: str, pattern: Pattern, text: str) -> dict[str, tuple[str, str]]:
    heading = GLOSSARY[code] if pattern.scope == "glossary" else "-"
    block = Block("text", text, role=ENTRY if pattern.scope == "entry" else None)
    chunk = Chunk("a.md", 0, (heading,), (block,), language=code)
    return {found.term: (found.text, found.pattern) for found in find_definitions(chunk)}


@pytest.mark.parametrize(("code", "row"), ROWS, ids=NAMES)
def test_a_row_finds_its_sentence(code: str, row: Pattern) -> None:
    assert find(code, row, row.yes)[row.term] == (row.says, row.name)


@pytest.mark.parametrize(("code", "row"), ROWS, ids=NAMES)
def test_a_row_leaves_its_other_sentence_alone(code: str, row: Pattern) -> None:
    assert find(code, row, row.no) == {}


def test_every_table_has_questions_that_name_the_term() -> None:
    for code in TABLES:
        table = read_language(code)
        assert table is not None
        wordings = [*table.questions["definition"], *table.questions["definition_exam"]]
        assert len(wordings) >= 7 and all("term}" in wording for wording in wordings)
        for wording in table.questions["definition"]:
            asked = wording.format(term="Ahming", the_term="Ahming", be="is")
            assert find_asked(asked) == (code, "Ahming")
    assert find_asked("Why does a ship float?") is None


@pytest.mark.parametrize(
    "text",
    [
        "Unter einer Ahming versteht man eine Skala am Bug, an der man den Tiefgang eines Schiffes abliest. Sie reicht "
        "bis unter das Wasser und wird vor jeder Fahrt von einem Matrosen abgelesen und in das Buch eingetragen.",
        "Una **amarra** es una cuerda que sujeta un barco al muelle durante su estancia en el puerto. Los marineros "
        "la lanzan a tierra y alguien la pasa por un anillo de hierro, porque sin ella el barco se iría con la marea.",
    ],
)
def test_rows_are_in_the_language_of_the_course(text: str) -> None:
    rows = [row.qa_pair for row in make_rows(f"# Puerto\n\n## Buque\n\n{text}\n") if row.qa_pair.type == "concept"]
    assert len(rows) == 4 and sum(not qa.context for qa in rows) == 1
    assert all("„Ahming“" in qa.question or "«amarra»" in qa.question for qa in rows)
    assert {qa.answer for qa in rows} == {text.split(". ", maxsplit=1)[0].replace("**", "") + "."}


def test_a_term_of_which_no_article_is_known_is_asked_about_as_a_term() -> None:
    text = (
        "# Harbour\n\nslack water\n: the short time in which a tide turns\n\n"
        "A rope that ties a ship to a quay or a buoy is called a **hawser**.\n\n"
        "Mooring is the act of tying a ship to a quay with ropes.\n"
    )
    asked = [row.qa_pair.question for row in make_rows(text) if row.qa_pair.type == "concept"]
    assert all("the term slack water" in question for question in asked if "slack water" in question)
    assert any("slack water" in question for question in asked) and any("a hawser" in question for question in asked)
    assert any("mooring" in question and "the term" not in question for question in asked)


def test_a_glossary_below_exercises_gives_rows_and_quotes_none_of_them() -> None:
    task = "1. Find the depth of a port at low tide, and explain why a ship of ten feet draught may enter it at noon."
    text = f"# Harbour\n\n## Exercises\n\n{task}\n\nslack water\n: the short time in which a tide turns\n"
    rows = [row.qa_pair for row in make_rows(text) if row.qa_pair.type == "concept"]
    assert rows and not any(qa.context for qa in rows)
