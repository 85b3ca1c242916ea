"""Rows that compare two terms, and those that set a mistake right."""

import pytest

from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.split import part_comparisons
from mlx_tutor.languages.table import list_languages, read_language
from tests.dataset.rows import make_rows, pick_rows

SLEEP = """# Winter

## How animals get through the winter

A **daily torpor** is a state of rest in which the body cools down for some hours. It saves food in a cold night.

A **seasonal torpor** is a state of rest in which the body stays cool for weeks on end. Hedgehogs are known for it.

A **winter coat** is a thick layer of hair that grows in autumn and is lost in spring.
"""


def test_two_defined_terms_of_one_kind_are_compared() -> None:
    [(question, answer)] = pick_rows(make_rows(SLEEP), "comparison")
    assert "daily torpor" in question and "seasonal torpor" in question and "coat" not in question
    assert answer == (
        "A daily torpor is a state of rest in which the body cools down for some hours, whereas a seasonal torpor is a "
        "state of rest in which the body stays cool for weeks on end."
    )


def test_terms_of_different_kinds_are_compared_only_where_the_text_does() -> None:
    apart = "# W\n\n## Roofs\n\nA **gutter** is a channel that leads rain off a roof.\n\n"
    apart += "A **gargoyle** is a stone spout that throws rain away from a wall.\n"
    assert pick_rows(make_rows(apart), "comparison") == []
    contrast = "\nThe gutter is hidden behind the edge of the roof, whereas the gargoyle is there to be seen.\n"
    assert pick_rows(make_rows(apart + contrast), "comparison") == []
    alike = apart.replace("stone spout that throws rain away from a wall", "channel of stone that throws rain far away")
    [(question, _)] = pick_rows(make_rows(alike + contrast), "comparison")
    assert "gutter" in question and "gargoyle" in question
    assert pick_rows(make_rows(alike), "comparison") == []


@pytest.mark.parametrize(
    "other",
    [
        # Another verb, another thing, the kind itself, one explained by the other, a sentence that begins elsewhere.
        "A **seasonal torpor** keeps the body cool for weeks on end and saves much of its food.",
        "A **seasonal torpor** is a gift of the hedgehog to those that like to watch it.",
        "A **torpor** is a state of rest in which the body cools down for a while.",
        "A **seasonal torpor** is a daily torpor in which the body stays in a state of rest for weeks.",
        "In a **seasonal torpor**, the body stays in a state of rest and cool for weeks on end.",
        "A state of rest in which the body stays cool for weeks is called a **seasonal torpor**.",
    ],
)
def test_definitions_that_are_not_built_alike_are_not_compared(other: str) -> None:
    said = "A **seasonal torpor** is a state of rest in which the body stays cool for weeks on end."
    assert said in SLEEP and pick_rows(make_rows(SLEEP.replace(said, other)), "comparison") == []


@pytest.mark.parametrize(
    ("language", "text", "answer"),
    [
        ("de", "Die **Tagesruhe** ist ein Zustand, in dem der Körper für Stunden abkühlt.\n\n"
         "Die **Winterruhe** ist ein Zustand, in dem der Körper für Wochen kühl bleibt.", ""),
        ("es", "El **letargo diario** es un estado de reposo en el que el cuerpo se enfría durante unas horas.\n\n"
         "El **letargo invernal** es un estado de reposo en el que el cuerpo queda frío durante semanas.", "mientras"),
        ("es", "El **letargo diario** es un estado de reposo en el que el cuerpo se enfría durante unas horas.\n\n"
         "El **letargo invernal** es el regalo que el erizo hace a los que lo observan en su jardín.", ""),
    ],
)  # fmt: skip
def test_siblings_are_compared_in_other_languages(language: str, text: str, answer: str) -> None:
    rows = pick_rows(make_rows(f"# W\n\n## Winter\n\n{text}\n", language=language), "comparison")
    assert len(rows) == bool(answer) and all(answer in said for _, said in rows)


def test_a_comparison_never_tells_what_another_split_asks_for() -> None:
    kept, _ = curate_examples(make_rows(SLEEP), lambda messages: 1, 100)
    [compared] = [row for row in kept if row.qa_pair.type == "comparison"]
    first = [row for row in kept if row.qa_pair.answer.startswith("A daily torpor is a state") and row is not compared]
    splits = {"train": [compared], "test": list(first), "valid": []}
    assert [row for row, _ in part_comparisons(splits)] == [compared] and splits == {
        "train": [],
        "test": first,
        "valid": [],
    }
    splits = {"train": [*first, compared], "test": [], "valid": []}
    assert part_comparisons(splits) == [] and splits["train"][-1] is compared


def correct(text: str) -> list[tuple[str, str]]:
    lead = (
        "Young trees want care in their first years, and most of it is given to the roots and to the soil around them. "
    )
    return pick_rows(make_rows(f"# G\n\n## Watering trees\n\nWatering trees takes time. {lead}{text}\n"), "correction")


def test_a_common_mistake_is_told_with_what_is_right() -> None:
    mistake = "A common mistake is to water the trunk of a tree."
    right = "The fine roots that drink lie out below the rim of the crown."
    [(question, answer)] = correct(f"{mistake} {right}")
    assert "watering trees" in question.lower() and answer == f"{mistake} {right}"
    assert correct(mistake) == []


def test_a_belief_that_the_text_calls_wrong_is_denied() -> None:
    [(question, answer)] = correct(
        "Many people believe that moss kills old trees. In fact, moss only sits on the bark."
    )
    assert question == "Is it true that moss kills old trees?" and answer == "No. Moss only sits on the bark."
    assert correct("Many people believe that moss kills old trees. Lawns are another matter for gardeners.") == []


@pytest.mark.parametrize("code", list_languages())
def test_a_table_with_questions_that_compare_has_what_they_need(code: str) -> None:
    table = read_language(code)
    assert table is not None
    if "comparison" in table.questions:
        assert {"comparison_sets", "comparison_article"} <= table.patterns.keys()
        assert all(table.words[f"comparison_{name}"] for name in ("head", "empty", "copula"))
        assert "comparison_answer" in table.questions
    for kind in ("mistake_is", "mistake_believed", "mistake_confused"):
        assert (kind in table.questions) == (kind in table.patterns)
