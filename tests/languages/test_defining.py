"""Each row of the tables of definitions finds the sentence that stands beside it, and none of the others."""

import pytest

from mlx_tutor.dataset.mining.defining import find_definitions
from mlx_tutor.languages.defining import Pattern, list_tables, read_table
from mlx_tutor.records import Block, Chunk

ROWS = [(code, row) for code in list_tables() for row in read_table(code).patterns]  # type: ignore[union-attr]
NAMES = [f"{code}: {row.name}" for code, row in ROWS]
GLOSSARY = {"en": "Glossary", "de": "Glossar", "es": "Glosario", "fr": "Glossaire", "it": "Glossario",
            "pt": "Glossário", "nl": "Begrippenlijst", "zh": "术语表"}  # fmt: skip


def find(code: str, pattern: Pattern, text: str) -> dict[str, tuple[str, str]]:
    heading = GLOSSARY[code] if pattern.scope == "glossary" else "-"
    chunk = Chunk("a.md", 0, (heading,), (Block("text", text),), language=code)
    return {found.term: (found.text, found.pattern) for found in find_definitions(chunk)}


@pytest.mark.parametrize(("code", "row"), ROWS, ids=NAMES)
def test_a_row_finds_its_sentence(code: str, row: Pattern) -> None:
    assert find(code, row, row.yes)[row.term] == (row.says, row.name)


@pytest.mark.parametrize(("code", "row"), ROWS, ids=NAMES)
def test_a_row_leaves_its_other_sentence_alone(code: str, row: Pattern) -> None:
    assert find(code, row, row.no) == {}
