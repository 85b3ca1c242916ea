"""Kinds of questions that no row has."""

from typing import Any

import numpy as np
import pytest

from mlx_tutor.evaluation.choice import measure_choices
from mlx_tutor.evaluation.kinds import CHANCE, correct_chance, find_chance, list_probes, read_probes, write_probes
from mlx_tutor.evaluation.learned import Knowledge, list_facts
from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.models import load_model
from mlx_tutor.records import GAP, RECALL, REVERSE, TRUE_FALSE
from tests.evaluation.rows import RIVERS, make_river_rows, make_row


def test_each_fact_is_asked_back_as_true_or_false_and_with_a_missing_word() -> None:
    facts = list_facts(make_river_rows())
    probes = list_probes(facts, range(len(facts)), [], "en")
    expected = [(i, kind) for i, fact in enumerate(facts) for kind in CHANCE if kind != fact.left_out]
    assert [(probe.fact, probe.kind) for probe in probes] == expected
    assert {probe.kind for probe in probes} == set(CHANCE)
    whole = list_probes(facts, range(len(facts)), [], "en", leave_out=False)
    assert [(probe.fact, probe.kind) for probe in whole] == [(i, kind) for i in range(len(facts)) for kind in CHANCE]
    for probe in probes:
        fact = facts[probe.fact]
        for question, options in probe.asked:
            assert len(set(options)) == len(options)
            if probe.kind == REVERSE:
                assert options[0] == fact.term and fact.term not in question and fact.rest in question
                assert set(options) <= set(RIVERS) and len(options) == 4
            elif probe.kind == GAP:
                assert options[0] in fact.rest and options[0] not in question and len(options) == 4
                assert not any(option in fact.rest for option in options[1:])
                shown = question.partition(": ")[2].partition(".")[0].split(", ")
                assert all(word in fact.rest for word in shown)
                assert ", ".join(sorted(shown, key=fact.rest.index)) != ", ".join(shown)
        if probe.kind == TRUE_FALSE:
            (right, options), (wrong, same) = probe.asked
            assert options == same == ("True", "False")
            assert right.endswith(fact.answer) and not wrong.endswith(fact.answer) and fact.lead in wrong
            assert any(wrong.endswith(other.rest) for other in facts if other is not fact)


def test_a_kind_that_a_row_trained_is_not_asked() -> None:
    facts = list_facts(make_river_rows())

    def list_kinds(i: int, *rows: dict[str, Any]) -> list[str]:
        return [probe.kind for probe in list_probes(facts, [i], rows, "en")]

    for i, fact in enumerate(facts):
        kinds = list_kinds(i)
        back = make_row("Which word means this?", f"{fact.term.upper()}.")
        asked = make_row(f"Is it true that {fact.answer.lower()}", "Yes, it is.")
        assert list_kinds(i, back) == [kind for kind in kinds if kind != REVERSE]
        assert list_kinds(i, asked) == [kind for kind in kinds if kind != TRUE_FALSE]
        # Practice of another fact is no row about this one.
        assert list_kinds(i, make_row("What is this called?", fact.term, RECALL)) == kinds


def test_a_fact_of_one_kind_is_asked_in_that() -> None:
    facts = list_facts(make_river_rows())
    i = next(i for i, fact in enumerate(facts) if fact.left_out != TRUE_FALSE)
    rows = [make_row(f"Is it true that {facts[i].answer.lower()}", "Yes.")]
    last = ({REVERSE, GAP} - {facts[i].left_out}).pop()
    if last == REVERSE:
        rows.append(make_row("Which word means this?", facts[i].term))
    probes = list_probes(facts, [i], rows, "en")
    assert [probe.kind for probe in probes] == [facts[i].left_out if last == REVERSE else last]


@pytest.mark.parametrize("language", list_languages())
def test_every_language_has_the_wordings(language: str) -> None:
    table = read_language(language)
    assert table is not None
    facts = list_facts(make_river_rows())
    for probe in list_probes(facts, [1], [], language):
        assert all("{" not in question for question, _ in probe.asked)
    assert {
        "probe_gap",
        "probe_gap_term",
        "probe_no",
        "probe_question",
        "probe_term",
        "probe_true",
        "probe_yes",
    } <= set(table.questions)


def test_a_model_that_calls_everything_true_is_at_chance() -> None:
    facts = list_facts(make_river_rows())
    probes = [probe for probe in list_probes(facts, [0, 1], [], "en") if probe.kind == TRUE_FALSE]
    # Losses of "true" and "false": true is likelier of all four statements, of the first fact's right one most.
    losses = [np.array(pair) for pair in ([1.0, 3.0], [1.0, 2.0], [1.0, 2.0], [0.5, 3.0])]
    found = read_probes(probes, losses)
    assert found == {0: {TRUE_FALSE: 1.0}, 1: {TRUE_FALSE: -1.5}}


def test_known_is_more_than_recited() -> None:
    kinds = {REVERSE: 0.4, TRUE_FALSE: 0.1, GAP: -0.2}
    recited, known = Knowledge((1.0, 2.0), 0.0, "", kinds), Knowledge((1.0,), 0.0, "", {**kinds, GAP: 0.3})
    assert (recited.is_recited, recited.is_known, known.is_known) == (True, False, True)
    assert not Knowledge((-1.0,), 0.0, "", dict.fromkeys(CHANCE, 1.0)).is_known
    assert find_chance(tuple(CHANCE)) == pytest.approx(1 / 128) and find_chance(()) == pytest.approx(1 / 4)
    assert correct_chance(25, 100, 0.25) == 0 and correct_chance(100, 100, 0.25) == 1
    assert correct_chance(5, 10, 1 / 4) == pytest.approx(1 / 3) and correct_chance(1, 10, 0.5) == 0


def test_probes_are_read_in_the_order_they_were_written(tiny_model: object) -> None:
    loaded = load_model(tiny_model)  # type: ignore[arg-type]
    facts = list_facts(make_river_rows())
    probes = list_probes(facts, range(len(facts)), [], "en")
    choices = write_probes(loaded.tokenizer, facts, probes)
    found = read_probes(probes, measure_choices(loaded, choices))
    alone = read_probes(probes[-1:], measure_choices(loaded, write_probes(loaded.tokenizer, facts, probes[-1:])))
    assert set(found) == set(range(len(facts)))
    (kind,) = alone[probes[-1].fact]
    assert found[probes[-1].fact][kind] == pytest.approx(alone[probes[-1].fact][kind], abs=1e-4)
