"""The smallest model that keeps the training: sizes are tried, the targets choose."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mlx.core as mx

from mlx_tutor.fuse.agreement import Reference, measure_retention
from mlx_tutor.fuse.bits import LayerCost, average_bits, choose_bits, count_layers
from mlx_tutor.fuse.rounding import Curvature
from mlx_tutor.fuse.write import measure_size, write_fused
from mlx_tutor.models import load_model
from mlx_tutor.records import describe_bits
from mlx_tutor.settings import FuseSettings

# When a choice fails on the validation rows, the next has at least so many bits more, and each time twice as many.
SMALLEST_STEP = 0.125
# How far the fused model may be from the adapter, in KL, as a share of the way from there to the base.
MOST_DRIFT = 0.1

Rows = Literal["calibration", "validation"]


@dataclass(frozen=True, slots=True)
class FuseTrial:
    """One choice of bits, measured. `retention` is the share of the training's gain that it keeps; None without a gain.

    `bits` is their mean over the layers with an adapter, `layers` says how many of those have how many. `drift` is how
    far it is from the adapter in KL, as a share of the way from there to the base.
    """

    rows: Rows
    bits: float | None
    layers: Mapping[str, int]
    megabytes: float
    loss: float
    retention: float | None
    kl: float
    drift: float
    top1: float
    meets_target: bool

    def describe(self) -> str:
        """`6.25-bit keeps 99.8 % of the training, 98.1 % of the top tokens`."""
        top = f"{100 * self.top1:.1f} % of the top tokens"
        if self.retention is None:
            return f"{describe_bits(self.bits)} keeps {top}, and has KL {self.kl:.1e} to the adapter"
        text = f"{describe_bits(self.bits)} keeps {100 * self.retention:.1f} % of the training, {top}"
        return text if self.drift < MOST_DRIFT else f"{text}, {100 * self.drift:.0f} % of the way off in KL"


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Rows to measure fused models on, and what the base comes to there; `way` is its KL from the adapter."""

    rows: Rows
    reference: Reference
    loss_base: float
    way: float

    def measure(self, draft: "Draft", settings: FuseSettings) -> FuseTrial:
        """How much of the way from base to adapter the written model went.

        The loss alone can be fooled: rounding is noise, and noise can lower the loss of a model that is too sure of
        itself. Top tokens alone can be, too: where an adapter is weak, those of the base are nearly the same.
        """
        found = self.reference.compare(load_model(draft.folder).model)
        mx.clear_cache()
        retention = measure_retention(self.loss_base, self.reference.loss, found.loss)
        drift = found.kl / self.way if self.way else 0.0
        kept = retention is None or retention >= settings.target
        return FuseTrial(
            rows=self.rows,
            bits=draft.average(),
            layers=count_layers(draft.chosen or {}),
            megabytes=measure_size(draft.folder),
            loss=found.loss,
            retention=retention,
            kl=found.kl,
            drift=drift,
            top1=found.top1,
            meets_target=kept and drift < MOST_DRIFT and found.top1 >= settings.top1,
        )


class Draft:
    """A model folder that takes one choice of bits after the other."""

    def __init__(
        self,
        base: Path,
        adapter: Path,
        folder: Path,
        costs: Mapping[str, LayerCost],
        curvatures: Mapping[str, Curvature],
    ) -> None:
        self.folder = folder
        self.chosen: dict[str, int] | None = {}
        self._base, self._adapter, self._costs, self._curvatures = base, adapter, costs, curvatures

    def choose(self, mean: float | None) -> dict[str, int] | None:
        """The bits of each layer in the room that `mean` bits take; None: all in full precision."""
        return None if mean is None else choose_bits(self._costs, mean)

    def write(self, mean: float | None) -> None:
        """Make it so, unless it is so already."""
        chosen = self.choose(mean)
        if chosen != self.chosen:
            write_fused(self._base, self._adapter, self.folder, chosen, self._curvatures)
            self.chosen = chosen

    def average(self) -> float | None:
        """Bits a weight of the layers with an adapter."""
        return None if self.chosen is None else average_bits(self.chosen, self._costs)


def find_smallest(
    draft: Draft,
    widths: Sequence[int | None],
    calibration: Yardstick,
    validation: Yardstick,
    settings: FuseSettings,
    on_event: Callable[[str], None],
) -> tuple[FuseTrial, ...]:
    """Write the smallest choice that meets the targets on the validation rows; the largest where none does.

    Returns:
        The frontier on the calibration rows, which says where to begin, and what was measured on the validation rows;
        the last of it is what was written. A single width has no frontier.
    """

    def measure(mean: float | None, yardstick: Yardstick) -> FuseTrial:
        draft.write(mean)
        trial = yardstick.measure(draft, settings)
        on_event(f"{trial.describe()} ({trial.megabytes:.1f} MB, {trial.rows} rows)")
        return trial

    if len(widths) == 1:
        return (measure(widths[0], validation),)
    frontier = {width: measure(width, calibration) for width in widths if width is not None}
    trials = list(frontier.values())
    mean, step = _find_start(frontier, settings), SMALLEST_STEP
    while True:
        trials.append(measure(mean, validation))
        if trials[-1].meets_target or mean == max(frontier):
            return tuple(trials)
        mean = min(max(frontier), mean + max(step, _count_missing(trials[-1], settings)))
        step *= 2


def _find_start(frontier: Mapping[int, FuseTrial], settings: FuseSettings) -> float:
    """Between the widths around the target, as near to it as their distances from it tell."""
    passing = [width for width, trial in frontier.items() if trial.meets_target]
    high = min(passing, default=max(frontier))
    low = max((width for width in frontier if width < high), default=high)
    guesses = [width + _count_missing(frontier[width], settings) for width in (low, high)]
    return min(max(low, *guesses), high)


def _count_missing(trial: FuseTrial, settings: FuseSettings) -> float:
    """How many bits a weight more the targets take, below 0 how many less.

    Each bit halves the errors in the weights: it halves the share of top tokens that differ, and quarters KL and loss.
    """
    missing = [math.log2(_ratio(1 - trial.top1, 1 - settings.top1)), math.log2(_ratio(trial.drift, MOST_DRIFT)) / 2]
    if trial.retention is not None and trial.retention < settings.target:
        missing.append(math.log2(_ratio(1 - trial.retention, 1 - settings.target)) / 2)
    return max(missing)


def _ratio(found: float, allowed: float) -> float:
    return max(found, 1e-6) / max(allowed, 1e-6)
