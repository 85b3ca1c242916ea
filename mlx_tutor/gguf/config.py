"""GGUF fields -> config.json as mlx-lm reads it, and the weights that the model must have."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gguf.quants import dequantize

from mlx_tutor.gguf.read import GGUFFile

# GGUF's name of an architecture, which mlx-lm shares, and the class that transformers has for it.
CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
# The settings of Llama 3.1 and 3.2; their GGUF files keep only the factors computed from them.
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
ROPE_FREQS = "rope_freqs.weight"
BIASED = {"attn": ("q", "k", "v", "output"), "ffn": ("gate", "up", "down")}

Shape = tuple[int, ...]


def make_config(file: GGUFFile) -> dict[str, Any]:
    """The content of config.json, without quantization.

    Raises:
        ModelError: a field is missing, or has a value that mlx-lm's model cannot compute with.
    """
    heads, hidden = file.count("{arch}.attention.head_count"), file.count("{arch}.embedding_length")
    kv_heads = file.count("{arch}.attention.head_count_kv", heads)
    head_dim = file.count("{arch}.attention.key_length", max(1, hidden // heads))
    config: dict[str, Any] = {
        "architectures": [CLASSES[file.architecture]],
        "model_type": file.architecture,
        "hidden_size": hidden,
        "num_hidden_layers": file.count("{arch}.block_count"),
        "intermediate_size": file.count("{arch}.feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "rms_norm_eps": file.require("{arch}.attention.layer_norm_rms_epsilon"),
        "rope_theta": file.get("{arch}.rope.freq_base", 10000.0),
        "max_position_embeddings": file.count("{arch}.context_length"),
        "vocab_size": _count_vocabulary(file),
        "hidden_act": "silu",
    }
    _check_heads(file, config)
    if scaling := _read_rope_scaling(file, config):
        config["rope_scaling"] = scaling
    if file.architecture == "llama":
        layers = range(config["num_hidden_layers"])
        for name, key in (("attn", "attention_bias"), ("ffn", "mlp_bias")):
            config[key] = any(f"blk.{i}.{name}_{part}.bias" in file.tensors for i in layers for part in BIASED[name])
    return config


def _count_vocabulary(file: GGUFFile) -> int:
    tokens = len(file.require("tokenizer.ggml.tokens"))
    embedding = file.tensors.get("token_embd.weight")
    if embedding is not None and int(embedding.shape[-1]) != tokens:
        raise file.refuse(f"has {tokens} tokens in its vocabulary, but weights for {int(embedding.shape[-1])}")
    return tokens


def _check_heads(file: GGUFFile, config: dict[str, Any]) -> None:
    """Check that mlx-lm's model computes this attention: heads rotated as a whole, keys as long as values."""
    head_dim = config["head_dim"]
    for name in ("{arch}.attention.value_length", "{arch}.rope.dimension_count"):
        if (value := file.get(name, head_dim)) != head_dim:
            raise file.refuse(f"has {name.removeprefix('{arch}.')} = {value} with heads of {head_dim}")
    if file.architecture == "qwen2" and head_dim * config["num_attention_heads"] != config["hidden_size"]:
        raise file.refuse(f"has heads of {head_dim}, which do not add up to its width of {config['hidden_size']}")


def _read_rope_scaling(file: GGUFFile, config: dict[str, Any]) -> dict[str, Any] | None:
    """`rope_scaling` of config.json: None, linear, yarn, or llama3 where the file has its factors."""
    # The older key holds just the factor.
    older = file.get("{arch}.rope.scale_linear", 1.0)
    factor = file.get("{arch}.rope.scaling.factor", older)
    kind = file.get("{arch}.rope.scaling.type", "linear" if factor != 1.0 else "none")
    if ROPE_FREQS in file.tensors:
        if kind != "none":
            raise file.refuse(f"scales its positions twice, by {ROPE_FREQS} and {kind!r}")
        return _recognize_llama3(file, config)
    if kind == "none" or (kind == "linear" and factor == 1.0):
        return None
    if kind == "linear":
        return {"rope_type": "linear", "type": "linear", "factor": factor}
    if kind != "yarn" or file.get("{arch}.rope.scaling.attn_factor", 1.0) != 1.0:
        raise file.refuse(f"scales its positions by {kind!r} in a way that mlx-lm does not know")
    yarn = {"rope_type": "yarn", "type": "yarn", "factor": factor}
    yarn["original_max_position_embeddings"] = file.require("{arch}.rope.scaling.original_context_length")
    for name in ("beta_fast", "beta_slow"):
        if (value := file.get(f"{{arch}}.rope.scaling.yarn_{name}")) is not None:
            yarn[name] = value
    return yarn


def _recognize_llama3(file: GGUFFile, config: dict[str, Any]) -> dict[str, Any] | None:
    """Llama 3's scaling, if the file's factors are those computed from it."""
    tensor = file.tensors[ROPE_FREQS]
    found = dequantize(tensor.data, tensor.tensor_type).reshape(-1).astype(np.float64)
    if np.all(found == 1.0):
        return None
    factor = float(found.max())
    expected = compute_llama3_factors(config["head_dim"], config["rope_theta"], factor)
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-3):
        raise file.refuse(f"scales its positions by {ROPE_FREQS} in another way than Llama 3")
    return {"rope_type": "llama3", "type": "llama3", "factor": factor, **LLAMA3}


def compute_llama3_factors(head_dim: int, theta: float, factor: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The divisor of each frequency in Llama 3, shape (head_dim / 2); after transformers' `llama3` rope."""
    wavelengths = 2 * math.pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    low, high, context = (
        LLAMA3["low_freq_factor"],
        LLAMA3["high_freq_factor"],
        LLAMA3["original_max_position_embeddings"],
    )
    smooth = (context / wavelengths - low) / (high - low)
    return 1.0 / np.clip((1 - smooth) / factor + smooth, 1 / factor, 1.0)


def list_weights(config: dict[str, Any]) -> dict[str, tuple[str, Shape]]:
    """mlx-lm's name and the shape of each weight of the model, by GGUF name; without the output head."""
    hidden, inner, head_dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head_dim, config["num_key_value_heads"] * head_dim
    matrices: dict[str, tuple[str, Shape]] = {
        "attn_q": ("self_attn.q_proj", (queries, hidden)),
        "attn_k": ("self_attn.k_proj", (keys, hidden)),
        "attn_v": ("self_attn.v_proj", (keys, hidden)),
        "attn_output": ("self_attn.o_proj", (hidden, queries)),
        "ffn_gate": ("mlp.gate_proj", (inner, hidden)),
        "ffn_up": ("mlp.up_proj", (inner, hidden)),
        "ffn_down": ("mlp.down_proj", (hidden, inner)),
    }
    norms: dict[str, tuple[str, Shape]] = {
        "attn_norm": ("input_layernorm", (hidden,)),
        "ffn_norm": ("post_attention_layernorm", (hidden,)),
    }
    if config["model_type"] == "qwen3":
        norms |= {"attn_q_norm": ("self_attn.q_norm", (head_dim,)), "attn_k_norm": ("self_attn.k_norm", (head_dim,))}
    layer = {f"{ours}.weight": (f"{theirs}.weight", shape) for ours, (theirs, shape) in (matrices | norms).items()}
    for ours in _list_biased(config):
        theirs, shape = matrices[ours]
        layer[f"{ours}.bias"] = (f"{theirs}.bias", shape[:1])
    weights: dict[str, tuple[str, Shape]] = {
        "token_embd.weight": ("model.embed_tokens.weight", (config["vocab_size"], hidden)),
        "output_norm.weight": ("model.norm.weight", (hidden,)),
    }
    for index in range(config["num_hidden_layers"]):
        for ours, (theirs, shape) in layer.items():
            weights[f"blk.{index}.{ours}"] = (f"model.layers.{index}.{theirs}", shape)
    return weights


def _list_biased(config: dict[str, Any]) -> Sequence[str]:
    if config["model_type"] == "qwen2":
        return ("attn_q", "attn_k", "attn_v")
    names = []
    for part, key in (("attn", "attention_bias"), ("ffn", "mlp_bias")):
        names += [f"{part}_{name}" for name in BIASED[part]] if config.get(key) else []
    return names
