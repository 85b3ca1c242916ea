"""Limits that hold, are broken, are off, or cannot be measured."""

from dataclasses import fields
from typing import Any

import pytest

from mlx_tutor.evaluation.gate import LIMITS, check_gate, find_parts
from mlx_tutor.settings import GateSettings

KIND = {"asked": 4, "refused": 1, "as_taught": 0, "code": 2, "longest_run": 9, "copied_share": 0.25}


def make_evaluation() -> dict[str, Any]:
    def measure(key: str, value: float | None) -> dict[str, Any]:
        return {"key": key, "values": {"base": None, "fused": None if value is None else {"value": value}}}

    return {
        "result": {"models": [{"loss": 2.0}, {"loss": 1.0}, {"loss": 1.5}]},
        "learned": {"asked": 10, "counts": {"known before": 1, "learned": 3, "not learned": 5, "unlearned": 1}},
        "guards": {
            "models": ["base", "fused"],
            "general": {"forgotten_share": 0.2},
            "words": {
                "fused": {"kinds": {"out of domain": KIND, "false premise": {**KIND, "refused": 3}, "course": KIND}}
            },
        },
        "answers": {
            "models": ["base", "fused"],
            "measures": [measure("repetition", 30.0)],
            "teaching": [measure("grounding", 60.0)],
        },
    }


VALUES = {
    "loss": 0.25,
    "learned": 0.4,
    "unlearned": 0.5,
    "forgotten": 0.2,
    "refused": 0.5,
    "overrefused": 0.25,
    "code": 0.5,
    "copied_words": 9,
    "copied": 0.25,
    "repetition": 0.3,
    "grounded": 0.6,
}


def test_every_setting_is_a_limit() -> None:
    assert [limit.key for limit in LIMITS] == [item.name for item in fields(GateSettings)] == list(VALUES)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.key)
def test_a_limit_holds_up_to_its_value(limit: Any) -> None:
    value = VALUES[limit.key]
    step = 1 if limit.key == "copied_words" else 0.01
    off = {"loss": -1.0}
    settings = GateSettings(**{**off, limit.key: value})  # type: ignore[arg-type]
    held, broken = check_gate(make_evaluation(), settings)
    assert (len(held), broken) == (1, [])
    assert find_parts(settings) == {limit.part}
    tighter = GateSettings(**{**off, limit.key: value + step if limit.least else value - step})  # type: ignore[arg-type]
    held, broken = check_gate(make_evaluation(), tighter)
    assert (held, len(broken)) == ([], 1)
    assert broken[0].startswith(f"gate.{limit.key}: ") and "\n" not in broken[0]


def test_by_default_the_loss_must_not_be_worse() -> None:
    assert find_parts(GateSettings()) == {"losses"}
    evaluation = make_evaluation()
    assert check_gate(evaluation, GateSettings())[1] == []
    evaluation["result"]["models"][-1]["loss"] = 2.1
    assert len(check_gate(evaluation, GateSettings())[1]) == 1
    assert check_gate(evaluation, GateSettings(loss=-1.0)) == ([], [])


def test_what_cannot_be_measured_is_broken() -> None:
    evaluation = make_evaluation()
    evaluation["guards"]["general"]["forgotten_share"] = None
    evaluation["answers"]["teaching"] = []
    broken = check_gate(evaluation, GateSettings(forgotten=0.5, grounded=0.1))[1]
    assert len(broken) == 2 and all("could not be measured" in line for line in broken)
