"""An MLX model folder -> a GGUF file for llama.cpp, LM Studio and Ollama."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from gguf import GGML_QUANT_SIZES, GGML_QUANT_VERSION, GGMLQuantizationType, GGUFWriter, LlamaFileType, RopeScalingType
from gguf.quants import quantize

from mlx_tutor.errors import ModelError
from mlx_tutor.files import disk_errors, read_json
from mlx_tutor.gguf.config import CLASSES, LLAMA3, ROPE_FREQS, Shape, compute_llama3_factors, list_weights
from mlx_tutor.gguf.vocabulary import Vocabulary
from mlx_tutor.gguf.weights import EMBEDDING, HEAD, find_heads, permute

Array = np.ndarray[Any, Any]
# Types of matrices by the name that users type, and GGUF's name for such a file.
TYPES = {
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}


def pick_type(folder: Path) -> str:
    """The 16-bit type that fits a model's weights: bfloat16 if they are in it, else F16."""
    matrices = [value for value in _load_arrays(folder).values() if value.ndim > 1]
    return "bf16" if all(value.dtype == mx.bfloat16 for value in matrices) else "f16"


def _load_arrays(folder: Path) -> dict[str, mx.array]:
    """All arrays of a model folder, loaded lazily: only what is read takes memory."""
    arrays: dict[str, mx.array] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        loaded: Any = mx.load(str(file))
        arrays |= loaded
    return arrays


class PlainWeights:
    """The weights of an MLX model folder, dequantized to float32 one after another."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._arrays = _load_arrays(folder)
        self._quantization = config.get("quantization") or {}

    @property
    def names(self) -> list[str]:
        """Names of the weights, without the scales and biases of quantized ones."""
        return [name for name in self._arrays if not name.endswith((".scales", ".biases"))]

    def read(self, name: str) -> Array:
        """One weight, float32; it can be read once."""
        value, layer = self._arrays.pop(name), name.removesuffix(".weight")
        scales, biases = (self._arrays.pop(f"{layer}.{part}", None) for part in ("scales", "biases"))
        if scales is not None:
            own = self._quantization.get(layer)
            own = own if isinstance(own, dict) else self._quantization
            if biases is not None:
                # As when the fused model was measured: 16-bit scales would round the weights again.
                scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
            value = mx.dequantize(value, scales, biases, own["group_size"], own["bits"], own.get("mode", "affine"))
        return np.array(value.astype(mx.float32))


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor to be written: its GGUF name, shape, type, and how to read it, with rows in GGUF's order."""

    name: str
    shape: Shape
    kind: GGMLQuantizationType
    read: Callable[[], Array]

    @property
    def size(self) -> int:
        """Bytes in the file."""
        block, size = GGML_QUANT_SIZES[self.kind]
        return int(np.prod(self.shape)) // block * size


class Draft:
    """A GGUF file to be written; at first only the headers of the weights are read."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Prepare to write a model folder with matrices of the type `kind`, one of TYPES.

        Raises:
            ModelError: an architecture, position scaling or weights that llama.cpp's model of this name does not have.
        """
        config = read_json(folder / "config.json")
        self.kind = config.get("model_type")
        if self.kind not in CLASSES:
            raise ModelError(
                f"{folder} is a {self.kind} model, which mlx-tutor cannot write as GGUF: {', '.join(CLASSES)} it can. "
                "Use the fused model folder in LM Studio or mlx_lm."
            )
        self.config = complete_config(config)
        self._type, self._file_type = TYPES[kind]
        self._weights = PlainWeights(folder, config)
        self._scaling = read_scaling(self.config)
        self.tensors = self._list_tensors(folder)

    @property
    def size(self) -> int:
        """Bytes of the weights in the file."""
        return sum(tensor.size for tensor in self.tensors)

    def _list_tensors(self, folder: Path) -> list[_Tensor]:
        wanted = list_weights(self.config)
        if "lm_head.weight" in self._weights.names:
            wanted[HEAD] = ("lm_head.weight", wanted[EMBEDDING][1])
        ours = {path for path, _ in wanted.values()}
        if odd := sorted(ours ^ set(self._weights.names)):
            raise ModelError(f"{folder} has other weights than a plain {self.kind} model, as {odd[0]}. Fuse it again.")
        tensors = [self._make_tensor(name, path, shape) for name, (path, shape) in wanted.items()]
        factors = self._scaling.get("factors")
        if factors is not None:
            tensors.append(_Tensor(ROPE_FREQS, factors.shape, GGMLQuantizationType.F32, lambda: factors))
        return tensors

    def _make_tensor(self, name: str, path: str, shape: Shape) -> _Tensor:
        block, _ = GGML_QUANT_SIZES[self._type]
        kind = GGMLQuantizationType.F32 if len(shape) == 1 else self._type
        if shape[-1] % block:
            kind = GGMLQuantizationType.F16
        heads = find_heads(name, self.config)

        def read() -> Array:
            value = self._weights.read(path)
            if value.shape != shape:
                raise ModelError(f"{path} has the shape {value.shape} instead of {shape}. Fuse the model again.")
            # llama.cpp stores the two partners of a rotation next to each other.
            return value if not heads else value[np.argsort(permute(shape[0], heads))]

        return _Tensor(name, shape, kind, read)

    def write(
        self,
        path: Path,
        vocabulary: Vocabulary,
        about: Mapping[str, Any],
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Write the file, tensor by tensor; `about` holds further fields, texts or floats. Call it once for each draft.

        `on_progress` gets the number of bytes written, and their total.
        """
        writer = GGUFWriter(path, self.kind)
        with disk_errors(path):
            try:
                self._add_fields(writer, vocabulary, about)
                for tensor in self.tensors:
                    dtype = np.dtype(np.float32)
                    writer.add_tensor_info(tensor.name, tensor.shape, dtype, tensor.size, raw_dtype=tensor.kind)
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.write_ti_data_to_file()
                done = 0
                for tensor in self.tensors:
                    writer.write_tensor_data(_store(tensor))
                    done += tensor.size
                    on_progress(done, self.size)
            finally:
                writer.close()

    def _add_fields(self, writer: GGUFWriter, vocabulary: Vocabulary, about: Mapping[str, Any]) -> None:
        config = self.config
        writer.add_type("model")
        writer.add_file_type(self._file_type)
        if self._type == GGMLQuantizationType.Q8_0:
            writer.add_quantization_version(GGML_QUANT_VERSION)
        for name, value in about.items():
            add: Callable[[str, Any], None] = writer.add_string if isinstance(value, str) else writer.add_float32
            add(name, value)
        writer.add_vocab_size(config["vocab_size"])
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
        writer.add_rope_dimension_count(config["head_dim"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_rope_freq_base(config["rope_theta"])
        if "type" in self._scaling:
            writer.add_rope_scaling_type(self._scaling["type"])
            writer.add_rope_scaling_factor(self._scaling["factor"])
        if "context" in self._scaling:
            writer.add_rope_scaling_orig_ctx_len(self._scaling["context"])
        for name in ("beta_fast", "beta_slow"):
            if name in self._scaling:
                writer.add_float32(f"{self.kind}.rope.scaling.yarn_{name}", self._scaling[name])
        vocabulary.add_to(writer, config["vocab_size"])


def _store(tensor: _Tensor) -> Array:
    """The bytes of a tensor in its type; raises ModelError if a number is too large for it."""
    value = tensor.read()
    with np.errstate(over="ignore"):
        stored = quantize(np.ascontiguousarray(value), tensor.kind)
    if stored.dtype == np.float16 and not np.isfinite(stored).all():
        raise ModelError(f"{tensor.name} has numbers beyond 65,504, too large for F16. Take another type: --type q8_0")
    return stored


def complete_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """config.json with mlx-lm's defaults filled in: key heads, head size, context, transformers' newer rope keys."""
    rope = config.get("rope_parameters") or {}
    heads, theta = config["num_attention_heads"], 10000.0 if config["model_type"] == "llama" else 1000000.0
    usual = {
        "num_key_value_heads": heads,
        "head_dim": config["hidden_size"] // heads,
        "max_position_embeddings": 2048,
        "rope_theta": rope.get("rope_theta", theta),
        "rope_scaling": rope or None,
    }
    return dict(config) | {name: value for name, value in usual.items() if config.get(name) is None}


def read_scaling(config: Mapping[str, Any]) -> dict[str, Any]:
    """How positions are scaled, in GGUF's terms: nothing, `type` and `factor`, or the `factors` of Llama 3.

    Raises:
        ModelError: a scaling that GGUF has no fields for.
    """
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if config["model_type"] == "llama" and "sliding_attention" in (config.get("layer_types") or ()):
        kind = "sliding_attention"
    if kind == "default":
        return {}
    if kind == "linear":
        return {"type": RopeScalingType.LINEAR, "factor": scaling["factor"]}
    if kind == "yarn":
        found = {name: float(scaling[name]) for name in ("beta_fast", "beta_slow") if name in scaling}
        # mlx-lm's default.
        context = scaling.get("original_max_position_embeddings", 4096)
        return {"type": RopeScalingType.YARN, "factor": scaling["factor"], "context": context} | found
    if kind == "llama3" and all(scaling.get(name) == value for name, value in LLAMA3.items()):
        factors = compute_llama3_factors(config["head_dim"], config["rope_theta"], scaling["factor"])
        return {"factors": factors.astype(np.float32)}
    raise ModelError(
        f"The model's attention ({kind!r}) is one that mlx-tutor cannot write as GGUF. "
        "Use the fused model folder in LM Studio or mlx_lm."
    )
