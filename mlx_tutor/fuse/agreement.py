"""Two models on the same rows: how far is one from the other?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.training.batches import Batch, TokenRow, iterate_batches
from mlx_tutor.training.loss import compute_head, compute_logits, pick_hidden

BATCH_SIZE = 4
# Below this gain in nats a token the share that is kept of it is noise.
SMALLEST_GAIN = 0.02


@dataclass(frozen=True, slots=True)
class Agreement:
    """A candidate on supervised tokens: its loss and KL(reference, candidate) in nats, share of equal top tokens."""

    loss: float
    kl: float
    top1: float


class Reference:
    """A model's answers to rows, computed once and compared with those of many candidates; `loss` is its own."""

    def __init__(self, model: Any, rows: Sequence[TokenRow]) -> None:
        self._model = model
        self._batches: list[tuple[Batch | tuple[mx.array, ...], mx.array]] = []
        for batch in iterate_batches(rows, BATCH_SIZE, max(len(row.tokens) for row in rows)):
            hidden = pick_hidden(model, batch[0], batch[1])
            mx.eval(hidden)
            self._batches.append((batch, hidden))
        self.loss = self._average(lambda logs, batch: [take_loss(logs, batch[2])])[0]

    def compare(self, candidate: Any) -> Agreement:
        """Means over all supervised tokens."""

        def measure(log_p: mx.array, batch: Sequence[mx.array]) -> list[mx.array]:
            log_q = take_log(compute_logits(candidate, batch[0], batch[1]))
            kl = (mx.exp(log_p) * (log_p - log_q)).sum(axis=-1)
            same = (log_p.argmax(axis=-1) == log_q.argmax(axis=-1)).astype(mx.float32)
            return [take_loss(log_q, batch[2]), kl, same]

        loss, kl, top1 = self._average(measure)
        # Rounding can put a KL of equal models a hair below zero.
        return Agreement(loss, max(0.0, kl), top1)

    def _average(self, measure: Callable[[mx.array, Sequence[mx.array]], list[mx.array]]) -> list[float]:
        sums, count = mx.array(0.0), 0
        for batch, hidden in self._batches:
            values = measure(take_log(compute_head(self._model, hidden)), batch)
            sums = sums + (mx.stack(values) * batch[3]).sum(axis=-1)
            count += int(np.count_nonzero(batch[3]))
            mx.eval(sums)
        return [float(value) for value in np.asarray(sums) / count]


def take_log(logits: mx.array) -> mx.array:
    """Log-probabilities in float32."""
    logits = logits.astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def take_loss(logs: mx.array, targets: mx.array) -> mx.array:
    """Of each token, in nats."""
    return -mx.take_along_axis(logs, targets[:, None], axis=-1)[:, 0]


def measure_retention(base: float, adapter: float, fused: float) -> float | None:
    """The share of the training's gain in loss that is kept; None where there is too little to take a share of."""
    gain = base - adapter
    return None if gain < SMALLEST_GAIN else (base - fused) / gain
