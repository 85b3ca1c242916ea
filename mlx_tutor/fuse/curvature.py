"""The cost of errors in each layer with an adapter, from one backward pass over a few rows.

To second order, the KL divergence from a model to one with errors in its weights is half the mean square of what the
errors do to the log-probability of a token drawn from the model itself. Errors in one layer act through its outputs:
second moments of the inputs, weighted by how much the outputs of that token matter, are the curvature.
"""

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_unflatten

from mlx_tutor.fuse.rounding import Curvature, factor_curvature
from mlx_tutor.training.batches import TokenRow, iterate_batches
from mlx_tutor.training.loss import compute_logits

# Inputs whose rounding errors may compensate each other. A wider layer is cut into such blocks, to save memory.
BLOCK = 1024


class _Recorder(nn.Module):  # type: ignore[misc]
    """Records a layer's input, and adds a zero to its output: the gradient of the zero is that of the output."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self._zero: mx.array | int = 0

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.layer(x)
        self._entered, self._dtype = x, y.dtype
        return y + self._zero


def measure_curvature(
    model: Any, rows: Sequence[TokenRow], on_done: Callable[[float], None] = lambda share: None
) -> dict[str, Curvature]:
    """The curvature of each linear layer with an adapter, by path; the model is left as it was."""
    layers = {
        path: module
        for path, module in model.named_modules()
        if hasattr(module, "lora_a") and hasattr(module, "linear") and module.linear.weight.ndim == 2
    }
    recorders = {path: _Recorder(layer) for path, layer in layers.items()}
    model.update_modules(tree_unflatten(list(recorders.items())))
    try:
        hessians = _sum_hessians(model, recorders, rows, on_done)
    finally:
        model.update_modules(tree_unflatten(list(layers.items())))
    return {path: factor_curvature([np.array(block) for block in hessians.pop(path)]) for path in layers}


def _sum_hessians(
    model: Any, recorders: dict[str, _Recorder], rows: Sequence[TokenRow], on_done: Callable[[float], None]
) -> dict[str, list[mx.array]]:
    """Means over the supervised tokens of the rows."""

    def draw(
        zeros: dict[str, mx.array], inputs: mx.array, positions: mx.array, weights: mx.array, key: mx.array
    ) -> tuple[mx.array, dict[str, mx.array]]:
        for path, recorder in recorders.items():
            recorder._zero = zeros[path]
        logs = _take_log(compute_logits(model, inputs, positions))
        label_key, sign_key = mx.random.split(key)
        labels = mx.random.categorical(mx.stop_gradient(logs), key=label_key)
        # Random signs separate the tokens of a row: shared parts cancel in the mean.
        signs = weights * (1 - 2 * mx.random.bernoulli(key=sign_key, shape=weights.shape))
        drawn = mx.take_along_axis(logs, labels[:, None], axis=-1)[:, 0]
        return (drawn * signs).sum(), {path: recorder._entered for path, recorder in recorders.items()}

    # One pass to learn which types the layers compute in.
    model(mx.zeros((1, 1), mx.int32))
    count = sum(row.supervised for row in rows)
    hessians: dict[str, list[mx.array]] = {}
    key = mx.random.key(0)
    # Row by row, since all activations of a batch are in memory at once.
    batches = iterate_batches(rows, 1, max(len(row.tokens) for row in rows))
    for number, (inputs, positions, _, weights) in enumerate(batches, 1):
        key, drawn_key = mx.random.split(key)
        zeros = {
            path: mx.zeros((*inputs.shape, recorder.layer.linear.weight.shape[0]), recorder._dtype)
            for path, recorder in recorders.items()
        }
        (_, entered), gradients = mx.value_and_grad(draw)(zeros, inputs, positions, weights, drawn_key)
        for path, gradient in gradients.items():
            _add_hessian(hessians, path, entered[path], gradient, count)
        mx.eval(hessians)
        on_done(number / len(rows))
    return hessians


def _take_log(logits: mx.array) -> mx.array:
    """Log-probabilities in float32."""
    logits = logits.astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _add_hessian(hessians: dict[str, list[mx.array]], path: str, x: mx.array, gradient: mx.array, count: int) -> None:
    x, gradient = (values.reshape(-1, values.shape[-1]).astype(mx.float32) for values in (x, gradient))
    shares = mx.square(gradient).mean(axis=-1, keepdims=True) / (2 * count)
    blocks = [x[:, start : start + BLOCK] for start in range(0, x.shape[1], BLOCK)]
    found = [block.T @ (block * shares) for block in blocks]
    hessians[path] = [old + new for old, new in zip(hessians[path], found, strict=True)] if path in hessians else found
