"""Writing base + adapter as one model folder."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from mlx_tutor.files import disk_errors
from mlx_tutor.fuse.bits import LayerCost
from mlx_tutor.fuse.rounding import Curvature, estimate_harm, round_layer
from mlx_tutor.models import load_model
from mlx_tutor.records import UNROUNDED


class Merged:
    """Base and adapter merged, each layer with any number of bits; rounded layers are cached.

    Layers without an adapter stay as they are, bit for bit.
    """

    def __init__(self, base: Path, adapter: Path, curvatures: Mapping[str, Curvature]) -> None:
        self.base, self._curvatures = base, curvatures
        self._loaded = load_model(base, adapter, quantized=True)
        self._usual = (self._loaded.config.get("quantization") or {}).get("group_size", 64)
        self._adapted = {path: module for path, module in self._loaded.model.named_modules() if hasattr(module, "fuse")}
        self._dtypes = {path: _find_dtype(module.linear) for path, module in self._adapted.items()}
        self._before = sum(_count_bytes(module.linear) for module in self._adapted.values())
        self._stored: dict[tuple[str, int | None], nn.Module] = {}

    def weigh_layers(self, widths: Sequence[int]) -> dict[str, LayerCost]:
        """The cost of each width for each layer with an adapter."""
        costs = {}
        for path in self._adapted:
            layer, group_size = self._merge(path), self._find_group_size(path)
            # A scale and a bias of 16 bits for each group.
            sizes = {bits: UNROUNDED if bits == UNROUNDED else bits + 32 / group_size for bits in widths}
            curvature = self._curvatures.get(path)
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

    def store_layers(self, chosen: Mapping[str, int] | None) -> dict[str, nn.Module]:
        """The layers with an adapter, each with the bits that `chosen` gives it.

        UNROUNDED leaves a merged layer in 16 bits; None leaves all layers in the type that the base computes with.
        """
        return {path: self._store(path, None if chosen is None else chosen[path]) for path in self._adapted}

    def _store(self, path: str, bits: int | None) -> nn.Module:
        if (path, bits) not in self._stored:
            self._stored[path, bits] = _store_layer(
                self._merge(path), self._find_group_size(path), bits, self._dtypes[path], self._curvatures.get(path)
            )
        return self._stored[path, bits]

    def _merge(self, path: str) -> nn.Module:
        module = self._adapted[path]
        # In float32, to round only once: 16 bits would lose DoRA's row norms.
        module.linear.set_dtype(mx.float32)
        layer: nn.Module = module.fuse(dequantize=True)
        layer.set_dtype(mx.float32)
        return layer

    def _find_group_size(self, path: str) -> int:
        size: int = getattr(self._adapted[path].linear, "group_size", self._usual)
        return size

    def estimate_size(self, chosen: Mapping[str, int]) -> float:
        """Megabytes of the weights if they were written."""
        after = sum(_count_bytes(layer) for layer in self.store_layers(chosen).values())
        return measure_size(self.base) + (after - self._before) / 1e6

    def write(self, target: Path, chosen: Mapping[str, int] | None) -> None:
        """Write a whole model folder; None dequantizes all layers, also those without an adapter."""
        from mlx_lm.utils import dequantize_model, save

        model, config = self._loaded.model, dict(self._loaded.config)
        quantization = dict(config.get("quantization") or {})
        for path, bits in (chosen or {}).items():
            if bits == UNROUNDED:
                quantization[path] = False
            elif (
                path in quantization
                or bits != quantization.get("bits")
                or quantization.get("mode", "affine") != "affine"
            ):
                group_size = self._find_group_size(path)
                quantization[path] = {"group_size": group_size, "bits": bits, "mode": "affine"}
        model.update_modules(tree_unflatten(list(self.store_layers(chosen).items())))
        if chosen is None:
            dequantize_model(model)
            quantization = {}
        config.pop("quantization_config", None)
        config.pop("quantization", None)
        if quantization:
            bits = list((chosen or {}).values())[-1]
            config["quantization"] = {"group_size": 64, "bits": bits, **quantization}
        if target.exists():
            shutil.rmtree(target)
        with disk_errors(target):
            save(target, str(self.base), model, self._loaded.tokenizer, config, donate_model=False)
        model.update_modules(tree_unflatten(list(self._adapted.items())))


def _count_bytes(layer: nn.Module) -> int:
    return sum(value.nbytes for _, value in tree_flatten(layer.parameters()))


def _store_layer(
    layer: nn.Module, group_size: int, bits: int | None, dtype: mx.Dtype, curvature: Curvature | None
) -> nn.Module:
    if bits is None:
        layer.set_dtype(dtype)
        return layer
    if "bias" in layer:
        layer.bias = layer.bias.astype(dtype)
    # The precision lost from 32 to 16 bits is far below one step.
    half = mx.float16 if dtype == mx.float32 else dtype
    if bits == UNROUNDED:
        layer.weight = layer.weight.astype(half)
    else:
        layer = round_layer(layer, group_size, bits, half, curvature)
    mx.eval(layer.parameters())
    return layer


def _find_dtype(linear: nn.Module) -> mx.Dtype:
    """The type that the model computes the weights in; formats with integer scales dequantize to bfloat16."""
    dtype: mx.Dtype = linear.get("scales", linear.weight).dtype
    return dtype if mx.issubdtype(dtype, mx.floating) else mx.bfloat16


def measure_size(path: Path) -> float:
    """Megabytes of the weights in a model folder."""
    return sum(file.stat().st_size for file in path.glob("model*.safetensors")) / 1e6
