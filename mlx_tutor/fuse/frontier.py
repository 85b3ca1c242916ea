"""Finding the smallest model that keeps the training, by bracketing sizes between those that meet the targets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlx_tutor.fuse.agreement import Sums, average, measure_retention
from mlx_tutor.fuse.bits import LayerCost, average_bits, choose_bits, count_layers
from mlx_tutor.records import UNROUNDED, describe_bits
from mlx_tutor.settings import FuseSettings

# Sizes to try between two widths: a quarter bit is about one percent of a small model.
STEPS = {4: 4, 5: 2, 6: 2, 8: 2, UNROUNDED: 1}
# Sizes are searched on one batch in this many, and confirmed on all.
EVERY = 2
# Largest KL from adapter to fused model, as a share of the KL from adapter to base.
MOST_DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class FuseTrial:
    """One choice of bits, measured. `retention` is the share of the training's gain that is kept; None without a gain.

    It was measured on `rows` validation rows. `bits` is the mean over layers with an adapter, `layers` says how many
    layers have how many. `drift` is its KL from the adapter, as a share of that from adapter to base.
    """

    rows: int
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
class Size:
    """One choice of bits for each layer with an adapter, and their mean; None: all in full precision.

    `harm` is the expected cost of rounding, in nats of KL a token; None if unknown.
    """

    chosen: dict[str, int] | None
    bits: float | None
    harm: float | None = None


def list_sizes(costs: Mapping[str, LayerCost], widths: Sequence[int]) -> list[Size]:
    """All sizes to choose from, smallest first: each of the widths, and mixtures between them."""
    means = []
    for low, high in zip(widths, [*widths[1:], widths[-1]], strict=True):
        steps = STEPS[low] if high > low else 1
        means += [low + (high - low) * step / steps for step in range(steps)]
    sizes: list[Size] = []
    for mean in means:
        chosen = choose_bits(costs, mean)
        if not sizes or chosen != sizes[-1].chosen:
            sizes.append(Size(chosen, average_bits(chosen, costs), _sum_harms(chosen, costs)))
    return sizes


def _sum_harms(chosen: Mapping[str, int], costs: Mapping[str, LayerCost]) -> float | None:
    harms = [costs[path].harms for path in chosen]
    known = [each[bits] for each, bits in zip(harms, chosen.values(), strict=True) if each is not None]
    return sum(known) if known and len(known) == len(harms) else None


def judge(
    size: Size, megabytes: float, rows: int, sums: tuple[Sequence[Sums], ...], settings: FuseSettings
) -> FuseTrial:
    """How much of the way from base to adapter a fused model covers.

    The loss alone can mislead: rounding is noise, and noise can lower the loss of an overconfident model.
    So can top tokens alone: if an adapter is weak, those of the base are nearly the same.

    Args:
        size: Its bits.
        rows: How many validation rows were measured.
        sums: Those of base, adapter and fused model on these rows.
    """
    base, adapter, found = (average(part) for part in sums)
    retention = measure_retention(base.loss, adapter.loss, found.loss)
    drift = found.kl / base.kl if base.kl else 0.0
    kept = retention is None or retention >= settings.target
    return FuseTrial(
        rows=rows,
        bits=size.bits,
        layers=count_layers(size.chosen or {}),
        megabytes=megabytes,
        loss=found.loss,
        retention=retention,
        kl=found.kl,
        drift=drift,
        top1=found.top1,
        meets_target=kept and drift < MOST_DRIFT and found.top1 >= settings.top1,
    )


def measure_excess(trial: FuseTrial, settings: FuseSettings) -> float:
    """The harm, roughly, in multiples of what just meets the targets: below 1 for a size that meets them.

    KL and lost training grow with the harm, changed top tokens with its square root.
    """
    lost = 0.0 if trial.retention is None else (1 - trial.retention) / max(1 - settings.target, 1e-9)
    return max(trial.drift / MOST_DRIFT, lost, ((1 - trial.top1) / max(1 - settings.top1, 1e-9)) ** 2)


def find_smallest(
    sizes: Sequence[Size],
    try_out: Callable[[Size], FuseTrial],
    write: Callable[[Size], FuseTrial],
    settings: FuseSettings,
) -> tuple[FuseTrial, ...]:
    """Write the smallest size that meets the targets; the largest if none does.

    A larger size is worse only by chance, so the smallest is bracketed on few rows, using what each trial says
    about the others. What is written is measured on all rows; while it fails there, the next size is written.

    Returns:
        All trials in order; the last is what was written.
    """
    trials: list[FuseTrial] = []
    low, high = 0, len(sizes) - 1
    next_size = (low + high) // 2
    while low < high:
        trials.append(try_out(sizes[next_size]))
        expected = _expect_smallest(sizes, next_size, measure_excess(trials[-1], settings))
        low, high = (low, next_size) if trials[-1].meets_target else (next_size + 1, high)
        middle = (low + high) // 2
        next_size = middle if expected is None else min(max(expected, low), max(high - 1, low))
    for size in sizes[low:]:
        trials.append(write(size))
        if trials[-1].meets_target:
            break
    return tuple(trials)


def _expect_smallest(sizes: Sequence[Size], tried: int, excess: float) -> int | None:
    """The index of the smallest size expected to meet the targets, given the `excess` of the one at `tried`."""
    harm = sizes[tried].harm
    if not harm or not excess:
        return None
    enough = [number for number, size in enumerate(sizes) if size.harm is not None and size.harm <= harm / excess]
    return min(enough, default=None)
