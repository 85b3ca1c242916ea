"""Rounding a layer so that its errors cancel for the inputs that it sees.

GPTQ (Frantar et al., arXiv 2210.17323) in NumPy, for every width of MLX: weights are rounded input by input, and the
error of each is compensated in those still to come, as far as the calibration rows allow.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

Array = np.ndarray[Any, Any]

# Inputs rounded together: one product passes their corrections on to the inputs after them.
STRIP = 64
# Damping: share of the mean curvature added to that of each input, against noise from few rows.
DAMPING = 0.01
MOST_DAMPINGS = 5


@dataclass(frozen=True, slots=True)
class Curvature:
    """The cost of errors in a layer's weights, for consecutive blocks of its inputs.

    `blocks` hold the rounding order of each block's inputs, and an upper triangular factor of the inverse curvature in
    that order; `costs` (inputs,) is the cost in nats a token of a squared error of 1, after later inputs compensate.
    """

    blocks: tuple[tuple[Array, Array], ...]
    costs: Array


def factor_curvature(hessians: Sequence[Array]) -> Curvature:
    """The curvature from the second derivatives of each block; the most important inputs are rounded first."""
    blocks, costs = [], []
    for hessian in hessians:
        order = np.argsort(-np.diag(hessian), kind="stable")
        factor = _factor_inverse(hessian[np.ix_(order, order)].astype(np.float64))
        blocks.append((order, factor.astype(np.float32)))
        cost = np.empty(len(order))
        cost[order] = np.diag(factor) ** -2.0
        costs.append(cost)
    return Curvature(tuple(blocks), np.concatenate(costs))


def _factor_inverse(hessian: Array) -> Array:
    """Upper triangular factor of the inverse, damped as much as needed: sums in float32 are not exact."""
    # The second term guards against a layer with zero curvature.
    damping = DAMPING * np.diag(hessian).mean() + 1e-30
    for _ in range(MOST_DAMPINGS - 1):
        with suppress(np.linalg.LinAlgError):
            return _try_factor(hessian, damping)
        damping *= 10
    return _try_factor(hessian, damping)


def _try_factor(hessian: Array, damping: float) -> Array:
    damped = hessian + damping * np.eye(len(hessian))
    inverse = np.linalg.inv((damped + damped.T) / 2)
    factor: Array = np.linalg.cholesky((inverse + inverse.T) / 2).T
    return factor


def estimate_harm(weight: mx.array, group_size: int, bits: int, curvature: Curvature) -> float:
    """The expected cost of `round_layer` in nats a token: errors are uniform up to half a step, and independent."""
    _, scales, _ = mx.quantize(weight, group_size=group_size, bits=bits)
    squares = np.square(np.asarray(scales.astype(mx.float32))).sum(axis=0) / 12
    return float(squares @ curvature.costs.reshape(-1, group_size).sum(axis=1))


def round_layer(
    layer: nn.Linear, group_size: int, bits: int, dtype: mx.Dtype, curvature: Curvature | None
) -> nn.QuantizedLinear:
    """The layer with `bits` a weight and scales of `dtype`; without a curvature, each weight to the nearest step."""
    rounded = layer.to_quantized(group_size=group_size, bits=bits)
    rounded.scales, rounded.biases = rounded.scales.astype(dtype), rounded.biases.astype(dtype)
    if curvature is None:
        return rounded
    codes = np.empty(layer.weight.shape, np.uint8)
    start = 0
    for order, factor in curvature.blocks:
        columns = start + order
        weight = np.array(layer.weight[:, mx.array(columns)].T, order="C")
        step, low = (
            np.array(values[:, mx.array(columns // group_size)].astype(mx.float32).T, order="C")
            for values in (rounded.scales, rounded.biases)
        )
        codes[:, columns] = _round_block(weight, step, low, 2**bits - 1, factor).T
        start += len(order)
    rounded.weight = pack_codes(codes, bits)
    return rounded


def _round_block(weight: Array, step: Array, low: Array, most: int, factor: Array) -> Array:
    """Codes (inputs, outputs); changes `weight`."""
    codes = np.empty(weight.shape, np.uint8)
    for begin in range(0, len(weight), STRIP):
        end = min(begin + STRIP, len(weight))
        errors = np.empty((end - begin, weight.shape[1]), np.float32)
        for k in range(begin, end):
            code = np.clip(np.rint((weight[k] - low[k]) / step[k]), 0, most)
            codes[k] = code
            errors[k - begin] = (weight[k] - (code * step[k] + low[k])) / factor[k, k]
            weight[k + 1 : end] -= np.outer(factor[k, k + 1 : end], errors[k - begin])
        weight[end:] -= factor[begin:end, end:].T @ errors
    return codes


def pack_codes(codes: Array, bits: int) -> mx.array:
    """Codes (outputs, inputs) as MLX stores them: bit after bit, the lowest first."""
    stream = np.unpackbits(codes[..., None], axis=-1, bitorder="little")[..., :bits].reshape(len(codes), -1)
    return mx.array(np.packbits(stream, axis=-1, bitorder="little").view(np.uint32))
