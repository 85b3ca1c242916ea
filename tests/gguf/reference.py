"""A plain float32 transformer on the weights of a GGUF file as gguf dequantizes them, after llama.cpp's graphs.

Knows nothing of the code under test, nor of mlx-lm: GGUF's names, its order of rows, and its rotation of neighbours
(Llama) or halves (Qwen).
"""

import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


class PlainModel:
    """Logits of a GGUF file."""

    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self.fields = {name: field.contents() for name, field in reader.fields.items() if "tokenizer" not in name}
        self.kind: str = self.fields["general.architecture"]
        self.weights = {
            tensor.name: mx.array(
                dequantize(tensor.data, tensor.tensor_type).reshape([int(n) for n in reversed(tensor.shape)])
            )
            for tensor in reader.tensors
        }

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(f"{self.kind}.{name}", default)

    def compute_logits(self, tokens: list[int]) -> np.ndarray[Any, Any]:
        """Logits of shape (tokens, vocabulary)."""
        embedding = self.weights["token_embd.weight"]
        hidden = embedding[mx.array(tokens)]
        for layer in range(self.get("block_count")):
            hidden = hidden + self._attend(layer, self._norm(hidden, f"blk.{layer}.attn_norm"))
            normed = self._norm(hidden, f"blk.{layer}.ffn_norm")
            gate, up = self._apply(normed, f"blk.{layer}.ffn_gate"), self._apply(normed, f"blk.{layer}.ffn_up")
            hidden = hidden + self._apply(gate * mx.sigmoid(gate) * up, f"blk.{layer}.ffn_down")
        head = self.weights.get("output.weight", embedding)
        return np.array(self._norm(hidden, "output_norm") @ head.T)

    def _apply(self, x: mx.array, name: str) -> mx.array:
        result = x @ self.weights[f"{name}.weight"].T
        bias = self.weights.get(f"{name}.bias")
        return result if bias is None else result + bias

    def _norm(self, x: mx.array, name: str) -> mx.array:
        mean = mx.mean(x * x, axis=-1, keepdims=True)
        return x * mx.rsqrt(mean + self.get("attention.layer_norm_rms_epsilon")) * self.weights[f"{name}.weight"]

    def _attend(self, layer: int, x: mx.array) -> mx.array:
        heads, kv_heads = self.get("attention.head_count"), self.get("attention.head_count_kv")
        split = {}
        for part, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            name = f"blk.{layer}.attn_{part}"
            value = self._apply(x, name).reshape(len(x), count, -1)
            if f"{name}_norm.weight" in self.weights:
                value = self._norm(value, f"{name}_norm")
            split[part] = self._rotate(value) if part != "v" else value
        queries, keys, values = (
            split["q"],
            mx.repeat(split["k"], heads // kv_heads, 1),
            mx.repeat(split["v"], heads // kv_heads, 1),
        )
        scores = mx.einsum("qhd,khd->hqk", queries, keys) / math.sqrt(queries.shape[-1])
        scores = mx.where(mx.tril(mx.ones(scores.shape[1:])) > 0, scores, -mx.inf)
        mixed = mx.einsum("hqk,khd->qhd", mx.softmax(scores, axis=-1), values)
        return self._apply(mixed.reshape(len(x), -1), f"blk.{layer}.attn_output")

    def _rotate(self, x: mx.array) -> mx.array:
        half = x.shape[-1] // 2
        angles, stretch = self._list_angles(len(x), half)
        cos, sin = (mx.array((stretch * f(angles)).astype(np.float32))[:, None] for f in (np.cos, np.sin))
        # Where the two partners of a pair are: beside each other, or half a head apart.
        axis, shape = (3, (half, 2)) if self.kind == "llama" else (2, (2, half))
        first, second = mx.moveaxis(x.reshape(*x.shape[:2], *shape), axis, 0)
        return mx.stack([first * cos - second * sin, first * sin + second * cos], axis=axis).reshape(x.shape)

    def _list_angles(self, count: int, half: int) -> tuple[np.ndarray[Any, Any], float]:
        """Angles of shape (tokens, half a head), and YaRN's factor on both sides of the product."""
        base, places = self.get("rope.freq_base"), np.arange(half)
        angles = np.arange(count)[:, None] * base ** (-places / half)
        if "rope_freqs.weight" in self.weights:
            angles = angles / np.array(self.weights["rope_freqs.weight"])
        factor, kind = self.get("rope.scaling.factor", 1.0), self.get("rope.scaling.type")
        if kind == "linear":
            return angles / factor, 1.0
        if kind != "yarn":
            return angles, 1.0
        context = self.get("rope.scaling.original_context_length")
        low, high = (half * math.log(context / (turns * 2 * math.pi)) / math.log(base) for turns in (32, 1))
        low, high = max(0, math.floor(low)), min(2 * half - 1, math.ceil(high))
        mix = 1 - np.clip((places - low) / max(0.001, high - low), 0, 1)
        return angles / factor * (1 - mix) + angles * mix, 1 + 0.1 * math.log(factor)
