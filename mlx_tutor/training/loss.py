"""The loss: logits only where a token is supervised."""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlx_tutor.training.batches import TokenRow, iterate_batches

# Models whose logits are a plain product of the last hidden state with the head.
PLAIN_HEADS = frozenset({"llama", "mistral", "qwen2", "qwen3"})


def compute_logits(model: Any, inputs: mx.array, positions: mx.array) -> mx.array:
    """Logits (count, vocabulary) at `positions` of the flattened `inputs` (batch, width).

    The head is the largest product of a small model: prompts and padding skip it.
    """
    return compute_head(model, compute_hidden(model, inputs, positions))


def compute_hidden(model: Any, inputs: mx.array, positions: mx.array) -> mx.array:
    """What the head makes logits of, far smaller than they are; the logits themselves where the head is not plain."""
    last: mx.array = model.model(inputs) if model.model_type in PLAIN_HEADS else model(inputs)
    return last.reshape(-1, last.shape[-1])[positions]


def compute_head(model: Any, hidden: mx.array) -> mx.array:
    """Logits of what `compute_hidden` gave."""
    if model.model_type not in PLAIN_HEADS:
        return hidden
    head = model.model.embed_tokens.as_linear if model.args.tie_word_embeddings else model.lm_head
    logits: mx.array = head(hidden)
    return logits


def compute_loss(
    model: Any,
    inputs: mx.array,
    positions: mx.array,
    targets: mx.array,
    weights: mx.array,
    factor: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """mlx-lm's loss seam: mean cross entropy in nats over the supervised tokens, and their number.

    Shapes as `make_batch` returns them. `factor` multiplies the mean: the weight of this batch among those that are
    summed into one update.
    """
    logits = compute_logits(model, inputs, positions)
    losses = nn.losses.cross_entropy(logits.astype(mx.float32), targets) * weights
    count = weights.sum()
    mean = losses.sum() / count
    return mean if factor is None else mean * factor, count


def measure_loss(model: Any, rows: Sequence[TokenRow], batch_size: int) -> float:
    """Mean loss in nats a supervised token over all rows, through mlx-lm's `evaluate`."""
    from mlx_lm.tuner.trainer import evaluate

    loss: float = evaluate(
        model,
        rows,
        batch_size,
        num_batches=-1,
        max_seq_length=max(len(row.tokens) for row in rows),
        loss=compute_loss,
        iterate_batches=iterate_batches,
    )
    return loss
