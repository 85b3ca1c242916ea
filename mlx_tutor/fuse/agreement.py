"""How far apart two models are on the same rows: loss, KL divergence, top tokens."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.training.batches import Batch, TokenRow, iterate_batches
from mlx_tutor.training.loss import compute_head, compute_logits, pick_hidden
from mlx_tutor.training.lower import LowerLayers

Sums = np.ndarray[Any, np.dtype[np.float64]]

BATCH_SIZE = 4
# With a smaller gain (nats a token), the share that is kept would be noise.
SMALLEST_GAIN = 0.02


@dataclass(frozen=True, slots=True)
class Agreement:
    """A candidate on supervised tokens: its loss and KL(reference, candidate) in nats, share of equal top tokens."""

    loss: float
    kl: float
    top1: float


class Reference:
    """A model's outputs for some rows, computed once and compared with those of many candidates.

    With `lower`, all of them start from the output of the layers below the adapter. What is measured of each batch
    are sums over its supervised tokens, for `average`: loss, KL, equal top tokens, tokens. `own` are the sums of
    the model itself.
    """

    def __init__(
        self,
        model: Any,
        rows: Sequence[TokenRow],
        lower: LowerLayers | None = None,
        on_done: Callable[[float], None] = lambda share: None,
    ) -> None:
        self._model, self.rows, self._lower = model, rows, lower
        self._hidden: list[mx.array] = []
        self._norms: list[mx.array] = []
        self.own: list[Sums] = []
        batches = -(-len(rows) // BATCH_SIZE)
        for batch in self._iterate(lower):
            hidden = pick_hidden(model, batch[0], batch[1], lower.first if lower else 0)
            logits = compute_head(model, hidden).astype(mx.float32)
            norms = mx.logsumexp(logits, axis=-1)
            losses = norms - take_targets(logits, batch[2])
            mx.eval(hidden, norms, losses)
            self._hidden.append(hidden)
            self._norms.append(norms)
            self.own.append(_sum_tokens([losses, mx.zeros_like(losses), mx.ones_like(losses)], batch[3]))
            on_done(len(self.own) / batches)

    def compare(
        self,
        candidate: Any,
        every: int = 1,
        *,
        shared: bool = True,
        on_done: Callable[[float], None] = lambda share: None,
    ) -> list[Sums]:
        """Sums for each batch, or for one batch in `every`. Not `shared`: the candidate has lower layers of its own."""
        lower, found = self._lower if shared else None, []
        for number, batch in enumerate(self._iterate(lower)):
            if number % every:
                continue
            # Normalized in the sums: each pass over the vocabulary costs as much as a layer.
            own = compute_head(self._model, self._hidden[number]).astype(mx.float32)
            other = compute_logits(candidate, batch[0], batch[1], lower.first if lower else 0).astype(mx.float32)
            norms = mx.logsumexp(other, axis=-1)
            chances = mx.exp(own - self._norms[number][:, None])
            kl = (chances * (own - other)).sum(axis=-1) + norms - self._norms[number]
            same = (own.argmax(axis=-1) == other.argmax(axis=-1)).astype(mx.float32)
            found.append(_sum_tokens([norms - take_targets(other, batch[2]), kl, same], batch[3]))
            on_done(every * len(found) / len(self._hidden))
        return found

    def _iterate(self, lower: LowerLayers | None) -> Iterator[Batch | tuple[mx.array, ...]]:
        longest = max(len(row.tokens) for row in self.rows)
        return iterate_batches(self.rows, BATCH_SIZE, longest, read_hidden=lower.read if lower else None)


def _sum_tokens(values: list[mx.array], weights: mx.array) -> Sums:
    sums = (mx.stack([*values, mx.ones_like(weights)]) * weights).sum(axis=-1)
    mx.eval(sums)
    return np.array(sums, dtype=np.float64)


def average(sums: Sequence[Sums]) -> Agreement:
    """Means over all supervised tokens."""
    loss, kl, top1, count = np.sum(sums, axis=0)
    # Rounding can make the KL of equal models slightly negative.
    return Agreement(float(loss / count), max(0.0, float(kl / count)), float(top1 / count))


def take_targets(logits: mx.array, targets: mx.array) -> mx.array:
    """The value of each row's target, from logits of shape (count, vocabulary)."""
    return mx.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]


def measure_retention(base: float, adapter: float, fused: float) -> float | None:
    """The share of the training's gain in loss that is kept; None if the gain is too small."""
    gain = base - adapter
    return None if gain < SMALLEST_GAIN else (base - fused) / gain
