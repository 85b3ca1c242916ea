"""How many bits each layer gets: the next byte goes where it helps most."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mlx_tutor.records import UNROUNDED

LADDER = (4, 5, 6, 8, UNROUNDED)


@dataclass(frozen=True, slots=True)
class LayerCost:
    """A layer with an adapter: how many weights it has, and what each width costs it.

    `sizes` are in bits a weight, scales included; `harms` in nats a token, None if unknown.
    """

    weights: int
    sizes: Mapping[int, float]
    harms: Mapping[int, float] | None


def choose_bits(costs: Mapping[str, LayerCost], mean: float) -> dict[str, int]:
    """The width of each layer that together do least harm, within the space that `mean` bits for all would take.

    More space never takes a bit from a layer. A layer with unknown harms gets as many bits as the best other layer.
    """
    widths = sorted({width for cost in costs.values() for width in cost.sizes})
    if mean == UNROUNDED:
        return dict.fromkeys(costs, UNROUNDED)
    chosen = {path: widths[0] for path, cost in costs.items() if cost.harms is not None}
    steps = sorted((step for path in chosen for step in _list_steps(path, costs[path])), key=lambda step: -step[0])
    room = (mean - widths[0]) * sum(costs[path].weights for path in chosen)
    for _, path, width, price in steps:
        room -= price
        if room < 0:
            break
        chosen[path] = width
    unknown = max(chosen.values(), default=min(width for width in widths if width >= mean))
    return {path: chosen.get(path, unknown) for path in costs}


def _list_steps(path: str, cost: LayerCost) -> list[tuple[float, str, int, float]]:
    """Useful steps up, each as (harm saved for each bit of space, path, width, bits of space)."""
    harms, sizes = cost.harms or {}, cost.sizes
    steps = []
    current = min(sizes)
    while rest := [width for width in sizes if width > current]:
        rates = {width: (harms[current] - harms[width]) / (sizes[width] - sizes[current]) for width in rest}
        best = max(rest, key=rates.__getitem__)
        steps.append((rates[best] / cost.weights, path, best, (sizes[best] - sizes[current]) * cost.weights))
        current = best
    return steps


def count_layers(chosen: Mapping[str, int]) -> dict[str, int]:
    """How many layers have how many bits."""
    return {str(width): count for width, count in sorted(Counter(chosen.values()).items())}


def average_bits(chosen: Mapping[str, int], costs: Mapping[str, LayerCost]) -> float:
    """Bits a weight of the layers with an adapter, without scales."""
    return sum(bits * costs[path].weights for path, bits in chosen.items()) / sum(
        cost.weights for cost in costs.values()
    )
