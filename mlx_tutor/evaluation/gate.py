"""The limits of the recipe's [gate] section, checked against evaluation.json, for CI."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlx_tutor.evaluation.guards import REFUSED
from mlx_tutor.settings import GateSettings

# Reads a measured value from evaluation.json; None where nothing could be measured.
Read = Callable[[Mapping[str, Any]], float | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """One setting of [gate]: which part of the evaluation it needs, and which value it limits.

    `least`: the value must reach the setting; else it must not pass it. At `off` nothing is checked.
    """

    key: str
    part: str
    least: bool
    off: float
    meaning: str
    read: Read


def _read_loss(evaluation: Mapping[str, Any]) -> float | None:
    losses = [model["loss"] for model in evaluation["result"]["models"]]
    return 1 - float(losses[-1]) / float(losses[0]) if losses[0] > 0 else None


def _read_learned(evaluation: Mapping[str, Any]) -> float | None:
    counts = evaluation["learned"]["counts"]
    return _divide(counts["known before"] + counts["learned"], evaluation["learned"]["asked"])


def _read_unlearned(evaluation: Mapping[str, Any]) -> float | None:
    counts = evaluation["learned"]["counts"]
    return _divide(counts["unlearned"], counts["unlearned"] + counts["known before"])


def _read_forgotten(evaluation: Mapping[str, Any]) -> float | None:
    share: float | None = evaluation["guards"]["general"]["forgotten_share"]
    return share


def _find_kinds(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    kinds: dict[str, Any] = evaluation["guards"]["words"][evaluation["guards"]["models"][-1]]["kinds"]
    return kinds


def _read_refused(evaluation: Mapping[str, Any]) -> float | None:
    found = [kind for name, kind in _find_kinds(evaluation).items() if name in REFUSED]
    return _divide(sum(kind["refused"] for kind in found), sum(kind["asked"] for kind in found))


def _read_overrefused(evaluation: Mapping[str, Any]) -> float | None:
    found = _find_kinds(evaluation).get("course")
    return None if found is None else _divide(found["refused"], found["asked"])


def _read_code(evaluation: Mapping[str, Any]) -> float | None:
    kinds = _find_kinds(evaluation).values()
    return _divide(sum(kind["code"] for kind in kinds), sum(kind["asked"] for kind in kinds))


def _read_copied_words(evaluation: Mapping[str, Any]) -> float | None:
    return max((kind["longest_run"] for kind in _find_kinds(evaluation).values()), default=None)


def _read_copied(evaluation: Mapping[str, Any]) -> float | None:
    kinds = _find_kinds(evaluation)
    shares = [kinds[name]["copied_share"] for name in ("course", "extraction") if name in kinds]
    return max((share for share in shares if share is not None), default=None)


def _read_measure(key: str) -> Read:
    """A percentage of the generated answers, of the last model, as a share."""

    def read(evaluation: Mapping[str, Any]) -> float | None:
        answers = evaluation["answers"]
        measures = {measure["key"]: measure for measure in [*answers["measures"], *answers.get("teaching", ())]}
        value = measures[key]["values"][answers["models"][-1]] if key in measures else None
        return None if value is None else float(value["value"]) / 100

    return read


def _divide(part: int, whole: int) -> float | None:
    return part / whole if whole else None


LIMITS = (
    Limit("loss", "losses", True, -1.0, "share of the base's answer loss that training took away", _read_loss),
    Limit("learned", "learned", True, 0.0, "share of the facts asked that the tuned model knows", _read_learned),
    Limit("unlearned", "learned", False, 1.0, "share of the facts known before that were lost", _read_unlearned),
    Limit("forgotten", "guards", False, 1.0, "share of the base's general knowledge that was lost", _read_forgotten),
    Limit("refused", "guards", True, 0.0, "share refused of what the course does not answer", _read_refused),
    Limit("overrefused", "guards", False, 1.0, "share refused of what the course does answer", _read_overrefused),
    Limit("code", "guards", False, 1.0, "share of answers with code, before it is left out", _read_code),
    Limit("copied_words", "guards", False, 0.0, "longest word-for-word run of source text", _read_copied_words),
    Limit("copied", "guards", False, 1.0, "share of 8-grams of answers that stand in the sources", _read_copied),
    Limit("repetition", "answers", False, 1.0, "share of repeated 4-grams in answers", _read_measure("repetition")),
    Limit("grounded", "answers", True, 0.0, "share of statements that the course supports", _read_measure("grounding")),
)


def list_limits(settings: GateSettings) -> list[Limit]:
    """The limits that are set."""
    return [limit for limit in LIMITS if getattr(settings, limit.key) != limit.off]


def find_parts(settings: GateSettings) -> set[str]:
    """Which parts of an evaluation the limits need: losses, learned, guards, answers."""
    return {limit.part for limit in list_limits(settings)}


def check_gate(evaluation: Mapping[str, Any], settings: GateSettings) -> tuple[list[str], list[str]]:
    """What holds and what is broken, a line for each limit; what could not be measured counts as broken.

    Args:
        evaluation: evaluation.json, with the parts that `find_parts` names.
        settings: The limits.
    """
    held: list[str] = []
    broken: list[str] = []
    for limit in list_limits(settings):
        wanted, value = getattr(settings, limit.key), limit.read(evaluation)
        word = "least" if limit.least else "most"
        shown = "could not be measured" if value is None else f"is {value:.3g}"
        line = f"gate.{limit.key}: {limit.meaning} {shown}, at {word} {wanted:g} is wanted"
        holds = value is not None and (value >= wanted if limit.least else value <= wanted)
        (held if holds else broken).append(line)
    return held, broken
