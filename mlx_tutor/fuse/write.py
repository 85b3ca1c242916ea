"""Base + adapter -> model folder."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from mlx_tutor.files import disk_errors
from mlx_tutor.fuse.bits import LayerCost
from mlx_tutor.fuse.rounding import Curvature, estimate_harm, round_layer
from mlx_tutor.models import LoadedModel, load_model
from mlx_tutor.records import UNROUNDED


def write_fused(
    base: Path,
    adapter: Path,
    target: Path,
    chosen: Mapping[str, int] | None,
    curvatures: Mapping[str, Curvature],
) -> None:
    """Write a whole model folder with the adapter merged in; layers without an adapter stay as they are, bit for bit.

    `chosen` are the bits of each layer that had an adapter. UNROUNDED leaves it as it is merged, in 16 bits; None
    dequantizes all layers, those without an adapter as well.
    """
    from mlx_lm.utils import dequantize_model, save

    loaded = load_model(base, adapter, quantized=True)
    config = dict(loaded.config)
    quantization = dict(config.get("quantization") or {})
    fused: list[tuple[str, nn.Module]] = []
    for path, layer, group_size, dtype in _merge_layers(loaded):
        bits = None if chosen is None else chosen[path]
        fused.append((path, _store_layer(layer, group_size, bits, dtype, curvatures.get(path))))
        if bits == UNROUNDED:
            quantization[path] = False
        elif bits != quantization.get("bits") or quantization.get("mode", "affine") != "affine":
            quantization[path] = {"group_size": group_size, "bits": bits, "mode": "affine"}
    loaded.model.update_modules(tree_unflatten(fused))
    if chosen is None:
        dequantize_model(loaded.model)
        quantization = {}
    config.pop("quantization_config", None)
    config.pop("quantization", None)
    if quantization:
        config["quantization"] = {"group_size": 64, "bits": bits, **quantization}
    if target.exists():
        shutil.rmtree(target)
    with disk_errors(target):
        save(target, str(base), loaded.model, loaded.tokenizer, config, donate_model=False)


def weigh_layers(
    base: Path, adapter: Path, widths: Sequence[int], curvatures: Mapping[str, Curvature]
) -> dict[str, LayerCost]:
    """What each width costs each layer with an adapter."""
    costs = {}
    for path, layer, group_size, _ in _merge_layers(load_model(base, adapter, quantized=True)):
        # A scale and a bias of 16 bits for each group.
        sizes = {bits: UNROUNDED if bits == UNROUNDED else bits + 32 / group_size for bits in widths}
        curvature = curvatures.get(path)
        harms = (
            None
            if curvature is None
            else {
                bits: 0.0 if bits == UNROUNDED else estimate_harm(layer.weight, group_size, bits, curvature)
                for bits in widths
            }
        )
        costs[path] = LayerCost(layer.weight.size, sizes, harms)
    return costs


def _merge_layers(loaded: LoadedModel) -> Iterator[tuple[str, nn.Module, int, mx.Dtype]]:
    """Each layer that has an adapter: its path, base and adapter as one, its group size and what it was stored in."""
    usual = (loaded.config.get("quantization") or {}).get("group_size", 64)
    for path, module in loaded.model.named_modules():
        if not hasattr(module, "fuse"):
            continue
        dtype = _find_dtype(module.linear)
        # In float32, and rounded once: the row lengths of DoRA are lost in 16 bits.
        module.linear.set_dtype(mx.float32)
        layer = module.fuse(dequantize=True)
        layer.set_dtype(mx.float32)
        yield path, layer, getattr(module.linear, "group_size", usual), dtype


def _store_layer(
    layer: nn.Module, group_size: int, bits: int | None, dtype: mx.Dtype, curvature: Curvature | None
) -> nn.Module:
    if bits is None:
        layer.set_dtype(dtype)
        return layer
    if "bias" in layer:
        layer.bias = layer.bias.astype(dtype)
    # What 32 bits hold more than 16 is far below one step.
    half = mx.float16 if dtype == mx.float32 else dtype
    if bits == UNROUNDED:
        layer.weight = layer.weight.astype(half)
    else:
        layer = round_layer(layer, group_size, bits, half, curvature)
    mx.eval(layer.parameters())
    return layer


def _find_dtype(linear: nn.Module) -> mx.Dtype:
    """Of the weights as the model computes with them; formats with integer scales dequantize to bfloat16."""
    dtype: mx.Dtype = linear.get("scales", linear.weight).dtype
    return dtype if mx.issubdtype(dtype, mx.floating) else mx.bfloat16


def measure_size(path: Path) -> float:
    """Megabytes of the weights in a model folder."""
    return sum(file.stat().st_size for file in path.glob("model*.safetensors")) / 1e6
