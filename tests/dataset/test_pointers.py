"""Rows that point at what is not there, in each language."""

import pytest

from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.pointers import points_elsewhere
from mlx_tutor.dataset.quotas import apply_quotas
from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.records import Example, Origin, QaPair
from mlx_tutor.settings import DatasetSettings

GOOD = "A pulley is a wheel with a groove that turns the direction of a rope."
POINTING = {
    "en": ["We will use pulleys soon.", "The rope in the second column is red.", "Figure 3 has a rope.", "Our rope."],
    "de": ["Wir werden Rollen nutzen.", "Die vorherige Abbildung zeigt Seile.", "Unser Seil ist rot."],
    "es": ["La figura anterior tiene una cuerda.", "Más adelante veremos poleas.", "Nuestra cuerda es roja."],
    "fr": ["Le schéma ci-dessus a une corde.", "Nous verrons les poulies.", "Notre corde est rouge."],
    "it": ["La figura seguente ha una corda.", "Come abbiamo visto, tira.", "La nostra corda è rossa."],
    "pt": ["O gráfico abaixo tem uma corda.", "Como vimos, ela puxa.", "Nossa corda é vermelha."],
    "nl": ["De vorige figuur heeft een touw.", "Zoals we zagen, trekt het.", "Ons touw is rood: onze keuze."],
    "zh": ["上图有一根绳子。", "本章介绍滑轮。"],
}


def make(question: str, answer: str, context: str = "") -> QaPair:
    return QaPair(question, (), answer, "concept", (), context)


def test_every_language_has_what_the_check_needs() -> None:
    assert set(POINTING) == set(list_languages())
    for code in list_languages():
        assert {"elsewhere", "unnamed", "declares"} <= read_language(code).patterns.keys()  # type: ignore[union-attr]


@pytest.mark.parametrize(("code", "answer"), [(code, text) for code, texts in POINTING.items() for text in texts])
def test_what_points_at_another_place_is_found(code: str, answer: str) -> None:
    assert points_elsewhere(make("What is a pulley?", answer), code)
    assert points_elsewhere(make("What is a pulley?", answer, context="A passage."), code)


@pytest.mark.parametrize(
    "answer",
    [
        "See \\ref{fig:rope}.", "As in @ref(rope), it turns.", "It turns, as shown in [link].", "A {: .term} turns.",
        "A wheel (with a groove turns.", "A “wheel turns a rope.", "The force is $F$ at all times.",
        "The load has b of it.",
    ],
)  # fmt: skip
def test_markup_halves_and_undeclared_symbols_are_found(answer: str) -> None:
    assert points_elsewhere(make("What is a pulley?", answer), "en")


@pytest.mark.parametrize(
    "answer",
    [
        GOOD, "The force $F$ grows with the mass $m$.", "$F$ is the force.", "Such as ropes (ATP) and (GTP) of it.",
        "a) a wheel b) a rope", "`see(above, [x)` returns 3.", "In the second column of a matrix, all is zero.",
        "Five degrees or below.", "It weighs 5 kg.", "It has $m$ ropes and $k$ wheels.", "Which is more, “2” or “0”?",
        'A wheel of 5" or more.',
    ],
)  # fmt: skip
def test_what_is_whole_stays(answer: str) -> None:
    assert not points_elsewhere(make("What is a pulley?", answer), "en")


def test_a_thing_that_only_the_text_names_is_no_question() -> None:
    assert points_elsewhere(make("Why is the function fast?", GOOD), "en")
    assert not points_elsewhere(make("Why is the function `sum` fast?", GOOD), "en")
    assert not points_elsewhere(make("What does the loop do?\n\n```python\nfor x in y: pass\n```", GOOD), "en")


def test_the_report_counts_what_was_dropped() -> None:
    origin = Origin("notes.md", 0, None, None, (), "definition", GOOD)
    examples = [
        Example((), origin, make(f"What is {name}?", answer), {}, "en")
        for name, answer in (("a pulley", GOOD), ("a hoist", "A hoist is what we will build later on."))
    ]
    kept, dropped = curate_examples(examples, len, 100)
    assert kept == examples[:1] and [why for _, why in dropped] == ["points at what is not there"]


def test_tables_are_a_sixth_of_the_rows_and_each_keeps_its_best() -> None:
    def make_row(number: int, method: str, context: str) -> Example:
        origin = Origin("notes.md", number, None, None, (), method, GOOD)
        return Example((), origin, make(f"What is {method} {number}?", GOOD, context), {}, "en")

    tables = [make_row(number, "table", f"Table {number // 3}") for number in range(30)]
    kept, dropped = apply_quotas([*tables, *(make_row(n, "definition", "") for n in range(50))], DatasetSettings())
    left = [row for row in kept if row.origin.method == "table"]
    assert len(left) == 10 and all(row.origin.section % 3 == 0 for row in left) and len(dropped) == 20
