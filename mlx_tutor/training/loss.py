"""The loss, with logits computed only where a token is supervised, a few hundred at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlx_tutor.training.batches import TokenRow, iterate_batches
from mlx_tutor.training.lower import LowerLayers, compute_hidden, is_plain

# Logits that are in memory at a time, a few of their copies beside them: with Qwen2.5's vocabulary 64 rows; a step
# on a CPU took as long with 96 and 128.
PIECE_LOGITS = 10_000_000
PIECE_STEP = 32

Head = Callable[[mx.array], mx.array]


def name_loss() -> str:
    """How the loss is computed on this device: `fused` by MLX's own kernel, or `plain`."""
    return "fused" if mx.default_device() == mx.Device(mx.gpu) and hasattr(mx.fast, "cross_entropy") else "plain"


def find_head(model: Any) -> Any:
    """The module that makes logits of the last hidden states; only of models whose head is plain."""
    return model.model.embed_tokens if model.args.tie_word_embeddings else model.lm_head


def compute_logits(model: Any, inputs: mx.array, positions: mx.array, first: int = 0) -> mx.array:
    """Logits (count, vocabulary) at `positions` of the flattened `inputs`, which are those of `compute_hidden`.

    The head is the largest product of a small model: prompts and padding skip it.
    """
    return compute_head(model, pick_hidden(model, inputs, positions, first))


def pick_hidden(model: Any, inputs: mx.array, positions: mx.array, first: int = 0) -> mx.array:
    """What the head makes logits of, far smaller than they are; the logits themselves where the head is not plain."""
    last: mx.array = compute_hidden(model, inputs, first) if is_plain(model) else model(inputs)
    return last.reshape(-1, last.shape[-1])[positions]


def compute_head(model: Any, hidden: mx.array) -> mx.array:
    """Logits of what `pick_hidden` gave."""
    return _get_head(model)(hidden) if is_plain(model) else hidden


def _get_head(model: Any) -> Head:
    head = find_head(model)
    return head.as_linear if model.args.tie_word_embeddings else head  # type: ignore[no-any-return]


def compute_loss(
    model: Any,
    inputs: mx.array,
    positions: mx.array,
    targets: mx.array,
    weights: mx.array,
    factor: mx.array | None = None,
    *,
    first: int = 0,
) -> tuple[mx.array, mx.array]:
    """mlx-lm's loss seam: mean cross entropy in nats over the supervised tokens, and their number.

    Shapes as `make_batch` returns them; `inputs` may be what the layers below `first` made of them, `targets` and
    `weights` (count, n) for targets that are distributions. `factor` multiplies the mean: the weight of this batch, as
    `weigh_batch` has it.
    """
    if is_plain(model) and not (model.training and tree_flatten(find_head(model).trainable_parameters())):
        hidden = pick_hidden(model, inputs, positions, first)
        size = max(PIECE_STEP, PIECE_LOGITS // model.args.vocab_size // PIECE_STEP * PIECE_STEP)
        fused = name_loss() == "fused"
        total = sum_losses(_get_head(model), hidden, targets, weights, size, gradient=model.training, fused=fused)
    else:
        logits = compute_logits(model, inputs, positions, first)
        total = _sum_entropies(logits.astype(mx.float32), targets, weights)
    count = weights.sum()
    # A rank may have no row of a short batch.
    mean = total / mx.maximum(count, 1)
    return mean if factor is None else mean * factor, count


def _sum_entropies(logits: mx.array, targets: mx.array, weights: mx.array) -> mx.array:
    if targets.ndim == 1:
        single: mx.array = (nn.losses.cross_entropy(logits, targets) * weights).sum()
        return single
    picked = mx.take_along_axis(logits, targets, axis=-1)
    return ((mx.logsumexp(logits, axis=-1, keepdims=True) - picked) * weights).sum()


def sum_losses(
    head: Head,
    hidden: mx.array,
    targets: mx.array,
    weights: mx.array,
    size: int,
    *,
    gradient: bool,
    fused: bool = False,
) -> mx.array:
    """Sum of the weighted cross entropies of `hidden` (count, width), `size` rows of logits at a time.

    `fused` takes MLX's own kernel, which accumulates in float32 and keeps logits in their own type.

    With `gradient`, that of the loss to `hidden` is made on the way, while the logits are there: nothing is computed
    twice, as in Liger Kernel (Hsu et al., 2024, arXiv 2410.10989). The head has to be frozen: it gets no gradient.
    """

    # MLX's kernel knows one target a token.
    compute_piece = _compute_fused if fused and targets.ndim == 1 else _compute_plain

    def walk(hidden: mx.array, targets: mx.array, weights: mx.array) -> tuple[mx.array, mx.array]:
        total = mx.zeros(())
        slopes: list[mx.array] = []
        for start in range(0, hidden.shape[0], size):
            rows, wanted, weight = (array[start : start + size] for array in (hidden, targets, weights))
            if start:
                # Else all pieces would be computed at the same time.
                [rows] = mx.depends([rows], [total, *slopes[-1:]])
            loss, slope = compute_piece(head, rows, wanted, weight, gradient=gradient)
            total = total + loss
            slopes += [slope] if gradient else []
        return total, mx.concatenate(slopes) if gradient else total

    if not gradient:
        return walk(hidden, targets, weights)[0]
    walk_once = mx.custom_function(walk)

    @walk_once.vjp
    def pull(primals: Any, cotangents: Any, outputs: Any) -> Any:
        _, targets, weights = primals
        return (outputs[1] * cotangents[0]).astype(primals[0].dtype), mx.zeros_like(targets), mx.zeros_like(weights)

    outputs: Any = walk_once(hidden, targets, weights)
    return outputs[0]  # type: ignore[no-any-return]


def _compute_fused(
    head: Head, rows: mx.array, targets: mx.array, weights: mx.array, *, gradient: bool
) -> tuple[mx.array, mx.array]:
    def total(rows: mx.array) -> mx.array:
        return (mx.fast.cross_entropy(head(rows), targets) * weights).sum()

    if not gradient:
        loss = total(rows)
        return loss, loss
    loss, slope = mx.value_and_grad(total)(rows)
    return loss, slope


def _compute_plain(
    head: Head, rows: mx.array, targets: mx.array, weights: mx.array, *, gradient: bool
) -> tuple[mx.array, mx.array]:
    raw = head(rows)
    logits, is_single = raw.astype(mx.float32), targets.ndim == 1
    places, weights = (targets[:, None], weights[:, None]) if is_single else (targets, weights)
    picked = mx.take_along_axis(logits, places, axis=-1)
    if not gradient:
        loss = ((mx.logsumexp(logits, axis=-1, keepdims=True) - picked) * weights).sum()
        return loss, loss
    # Softmax alone goes over the powers of e: the largest chance tells their sum.
    top, chances = logits.max(axis=-1, keepdims=True), mx.softmax(logits, axis=-1)
    loss = ((top - mx.log(chances.max(axis=-1, keepdims=True)) - picked) * weights).sum()
    if is_single:
        wanted = mx.take_along_axis(chances, places, axis=-1) - 1
        # The weights follow behind the product, where there is little to multiply.
        chances, scale = mx.put_along_axis(chances, places, wanted, axis=-1), weights
    else:
        # A token may be named twice: by the answer and by the distribution.
        whole = chances * weights.sum(axis=-1, keepdims=True)
        chances, scale = whole.at[mx.arange(len(places))[:, None], places].add(-weights), mx.array(1.0)
    [_], [slope] = mx.vjp(head, [rows], [chances.astype(raw.dtype)])
    return loss, slope * scale.astype(raw.dtype)


def measure_loss(
    model: Any,
    rows: Sequence[TokenRow],
    batch_size: int,
    lower: LowerLayers | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> float:
    """Mean loss in nats a supervised token over all rows, through mlx-lm's `evaluate`.

    With `lower`, it starts from what the layers below the adapter make of the rows. `on_rows` is told how many rows are
    done.
    """
    from mlx_lm.tuner.trainer import evaluate

    done = 0

    def iterate(dataset: Sequence[TokenRow], batch_size: int, max_seq_length: int, comm_group: Any = None) -> Any:
        read = lower.read if lower else None
        return iterate_batches(dataset, batch_size, max_seq_length, comm_group=comm_group, read_hidden=read)

    def count() -> None:
        nonlocal done
        done = min(done + batch_size, len(rows))
        if on_rows is not None:
            on_rows(done)

    loss: float = evaluate(
        model,
        rows,
        batch_size,
        num_batches=-1,
        max_seq_length=max(len(row.tokens) for row in rows),
        loss=partial(compute_loss, first=lower.first if lower else 0),
        iterate_batches=iterate,
        progress_callback=count,
    )
    return loss
