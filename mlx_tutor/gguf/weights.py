"""GGUF tensors -> MLX weights in affine groups of 32, without a change of values where the type allows it.

An affine group is scale * level + bias. So are the blocks of Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K and Q5_K, whose levels
are kept as they are. Scales and biases become float32: bfloat16 would round them, float16 has too small a range for
training. Types in groups of 16 or on a grid are dequantized and rounded again, and the error is measured.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.gguf_reader import ReaderTensor
from gguf.quants import Q4_K, dequantize

from mlx_tutor.gguf.config import ROPE_FREQS, Shape, list_weights
from mlx_tutor.gguf.read import GGUFFile

GROUP_SIZE = 32
HEAD, EMBEDDING = "output.weight", "token_embd.weight"
# Bits of the levels of types that are affine in groups of 32.
EXACT_BITS = {"Q4_0": 4, "Q4_1": 4, "Q4_K": 4, "Q5_0": 5, "Q5_1": 5, "Q5_K": 5, "Q8_0": 8}
UNROUNDED = ("F32", "F16", "BF16", "F64")
# Elements dequantized at a time.
CHUNK = 1 << 24
# Two roundings of the same matrix differ by less than this (4 bits: 0.1), two different matrices by 1.4; both relative.
SAME_MATRIX = 0.3

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Rounding:
    """What all matrices of one type became. `bits` None: 16-bit floats; `difference`: relative root mean square."""

    kind: str
    bits: int | None
    matrices: int
    difference: float


@dataclass(slots=True)
class _Sums:
    """Sums of squares over the matrices of one type."""

    matrices: int = 0
    error: float = 0.0
    weights: float = 0.0


class Weights:
    """The weights of an MLX model, tensor by tensor, with their quantization and its error."""

    def __init__(self, file: GGUFFile, config: dict[str, Any], *, exact: bool = False) -> None:
        """Convert all tensors of a file; `exact`: what is not quantized becomes float32 instead of bfloat16.

        Raises:
            ModelError: a tensor is missing, unknown, of another shape or of an unknown type.
        """
        self.arrays: dict[str, mx.array] = {}
        self.bits: dict[str, int] = {}
        self._file = file
        self._sums: dict[tuple[str, int | None], _Sums] = {}
        kinds = {tensor.tensor_type.name for tensor in file.tensors.values()}
        # One dtype for all that is not quantized: mixed types would be converted at every use.
        self.dtype = mx.bfloat16 if kinds <= set(UNROUNDED) and not exact else mx.float32
        self._convert(config)

    @property
    def roundings(self) -> list[Rounding]:
        """One entry for each type in the file, by name."""
        return [
            Rounding(kind, bits, sums.matrices, math.sqrt(sums.error / sums.weights) if sums.weights else 0.0)
            for (kind, bits), sums in sorted(self._sums.items(), key=lambda item: item[0][0])
        ]

    @property
    def quantization(self) -> dict[str, Any] | None:
        """`quantization` of config.json: the most common bits, and the layers with other bits."""
        if not self.bits:
            return None
        counts = list(self.bits.values())
        usual = max(sorted(set(counts)), key=counts.count)
        others = {
            path: {"group_size": GROUP_SIZE, "bits": bits, "mode": "affine"}
            for path, bits in self.bits.items()
            if bits != usual
        }
        return {"group_size": GROUP_SIZE, "bits": usual, "mode": "affine", **others}

    def _convert(self, config: dict[str, Any]) -> None:
        file, wanted = self._file, list_weights(config)
        known = wanted | {HEAD: ("lm_head.weight", wanted[EMBEDDING][1])}
        if unknown := [name for name in file.tensors if name not in known and name != ROPE_FREQS]:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise file.refuse(f"has {unknown[0]}{more}, which no plain {file.architecture} model has")
        missing = [name for name in wanted if name not in file.tensors and not _may_miss(name, config)]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise file.refuse(f"lacks {missing[0]}{more}")
        sources = {name: file.tensors.get(name) for name in wanted}
        config["tie_word_embeddings"] = HEAD not in file.tensors
        if HEAD in file.tensors:
            self._place_head(sources, known)
            config["tie_word_embeddings"] = HEAD not in sources
        for name, tensor in sources.items():
            path, shape = known[name]
            if tensor is None:
                self.arrays[path] = mx.zeros(shape, self.dtype)
            else:
                self._add(path, shape, tensor, find_heads(name, config))

    def _place_head(self, sources: dict[str, ReaderTensor | None], known: dict[str, tuple[str, Shape]]) -> None:
        """Keep a separate output head; one that is the embedding in another rounding shares the finer of the two."""
        head, embedding = self._file.tensors[HEAD], self._file.tensors[EMBEDDING]
        for name in (HEAD, EMBEDDING):
            self._check(self._file.tensors[name], known[name][1])
        if _differ(self._file, head, embedding) >= SAME_MATRIX:
            sources[HEAD] = head
        elif head.n_bytes > embedding.n_bytes:
            sources[EMBEDDING] = head

    def _check(self, tensor: ReaderTensor, shape: Shape) -> None:
        if (found := tuple(int(n) for n in reversed(tensor.shape))) != shape:
            raise self._file.refuse(f"has {tensor.name} of shape {found} instead of {shape}")

    def _add(self, path: str, shape: Shape, tensor: ReaderTensor, heads: int) -> None:
        self._check(tensor, shape)
        kind = tensor.tensor_type.name
        data = tensor.data if not heads else tensor.data[permute(shape[0], heads)]
        if len(shape) == 1 or kind in UNROUNDED:
            value = _dequantize(self._file, data, tensor).reshape(shape)
            self.arrays[path] = mx.array(value).astype(self.dtype)
            if len(shape) > 1:
                self._count(kind, None, value, np.array(self.arrays[path].astype(mx.float32)))
            return
        bits = EXACT_BITS.get(kind) or _pick_bits(tensor.tensor_type)
        parts: list[tuple[Array, Array, Array]] = []
        for rows in _chunks(data, shape[1]):
            value = _dequantize(self._file, rows, tensor)
            part = _keep_levels(rows, value, kind, bits) if kind in EXACT_BITS else _round_again(value, bits)
            self._count(kind, bits, value, _dequantize_mlx(part, bits), first=not parts)
            parts.append(part)
        layer = path.removesuffix(".weight")
        for key, pieces in zip(("weight", "scales", "biases"), zip(*parts, strict=True), strict=True):
            self.arrays[f"{layer}.{key}"] = mx.array(np.concatenate(pieces))
        self.bits[layer] = bits

    def _count(self, kind: str, bits: int | None, value: Array, kept: Array, *, first: bool = True) -> None:
        sums = self._sums.setdefault((kind, bits), _Sums())
        sums.matrices += first
        error = (kept - value).ravel()
        sums.error += float(error @ error)
        sums.weights += float(value.ravel() @ value.ravel())


def _may_miss(name: str, config: dict[str, Any]) -> bool:
    """A Llama with some biases has all of them in mlx-lm; those missing in the file are zero."""
    return name.endswith(".bias") and config["model_type"] == "llama"


def find_heads(name: str, config: Mapping[str, Any]) -> int:
    """How many heads a tensor interleaves; only q and k of Llama models do."""
    if config["model_type"] != "llama" or ".attn_" not in name:
        return 0
    part = name.split(".")[2]
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    return int(heads.get(part, 0))


def permute(rows: int, heads: int) -> Array:
    """The rows of a Llama's q or k with the halves of each head one after the other; llama.cpp interleaves them."""
    return np.arange(rows).reshape(heads, rows // heads // 2, 2).swapaxes(1, 2).reshape(-1)


def _pick_bits(kind: GGMLQuantizationType) -> int:
    """Bits for a type that must be rounded again, enough to lose little."""
    block, size = GGML_QUANT_SIZES[kind]
    return next((bits for bits in (4, 5, 6) if bits >= 8 * size / block), 8)


def _chunks(data: Array, columns: int) -> Iterator[Array]:
    step = max(1, CHUNK // columns)
    for start in range(0, len(data), step):
        yield data[start : start + step]


def _dequantize(file: GGUFFile, data: Array, tensor: ReaderTensor) -> Array:
    kind = tensor.tensor_type
    try:
        value = data if kind == GGMLQuantizationType.F64 else dequantize(data, kind)
    except NotImplementedError as err:
        raise file.refuse(f"has {tensor.name} in the type {kind.name}, which cannot be read") from err
    value = value.astype(np.float32, copy=False)
    if not np.isfinite(value).all():
        raise file.refuse(f"has NaN or infinite numbers in {tensor.name}", "Copy or download it again.")
    return value


def _differ(file: GGUFFile, left: ReaderTensor, right: ReaderTensor) -> float:
    """The relative root mean square difference of two matrices, on up to a thousand rows."""
    step = max(1, len(left.data) // 1000)
    first, second = (_dequantize(file, tensor.data[::step], tensor) for tensor in (left, right))
    return float(np.linalg.norm(first - second)) / max(float(np.linalg.norm(first)), 1e-30)


def _keep_levels(data: Array, value: Array, kind: str, bits: int) -> tuple[Array, Array, Array]:
    """Packed levels, scales and biases of rows whose blocks are already affine."""
    scales, biases = _read_affine(data, kind)
    groups = value.reshape(len(value), -1, GROUP_SIZE)
    levels = groups - biases[..., None]
    # In a group with scale 0 every value is the bias: level 0.
    np.divide(levels, scales[..., None], out=levels, where=scales[..., None] != 0)
    levels = np.rint(levels, out=levels).astype(np.uint8)
    return pack_levels(levels.reshape(len(value), -1), bits), scales, biases


def _read_affine(data: Array, kind: str) -> tuple[Array, Array]:
    """Scale and bias of each group of 32, both of shape (rows, columns / 32)."""
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = data.reshape(-1, size)
    step = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    if kind in ("Q4_K", "Q5_K"):
        least = blocks[:, 2:4].copy().view(np.float16).astype(np.float32)
        steps, leasts = Q4_K.get_scale_min(blocks[:, 4:16])
        scales, biases = step * steps.astype(np.float32), -(least * leasts.astype(np.float32))
    elif kind in ("Q4_1", "Q5_1"):
        scales, biases = step, blocks[:, 2:4].copy().view(np.float16).astype(np.float32)
    else:
        scales, biases = step, step * np.float32(-(2 ** (EXACT_BITS[kind] - 1)))
    return scales.reshape(len(data), -1), biases.reshape(len(data), -1)


def pack_levels(levels: Array, bits: int) -> Array:
    """Levels of shape (rows, columns) as MLX stores them: a stream of bits a row, lowest first, in 32-bit words."""
    words = np.zeros((len(levels), levels.shape[1] // 8), np.uint64)
    for place in range(8):
        words |= levels[:, place::8].astype(np.uint64) << np.uint64(bits * place)
    packed = words.astype("<u8").view(np.uint8).reshape(*words.shape, 8)[..., :bits]
    return np.ascontiguousarray(packed).reshape(len(levels), -1).view("<u4").astype(np.uint32)


def _round_again(value: Array, bits: int) -> tuple[Array, Array, Array]:
    weight, scales, biases = mx.quantize(mx.array(value), group_size=GROUP_SIZE, bits=bits)
    return np.array(weight), np.array(scales), np.array(biases)


def _dequantize_mlx(part: tuple[Array, Array, Array], bits: int) -> Array:
    weight, scales, biases = (mx.array(piece) for piece in part)
    return np.array(mx.dequantize(weight, scales, biases, group_size=GROUP_SIZE, bits=bits))
