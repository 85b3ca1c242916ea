"""Small GGUF files with random weights, written by the gguf library as llama.cpp's converter would."""

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from tokenizers import pre_tokenizers

from tests.model_factory import CHATML

HEADS, KV_HEADS, HEAD_DIM, HIDDEN, INNER, LAYERS = 4, 2, 64, 256, 256, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TOKENS = [*SPECIAL, "<tool>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the", "\u0120the", "[PAD0]"]
MERGES = ["t h", "th e", "\u0120 the"]
KINDS = [3, 3, 3, 4, *[1] * (len(TOKENS) - 5), 5]
# Types that the library can read and not write: where their blocks have 16-bit floats.
FLOATS = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}

Tensors = dict[str, tuple[np.ndarray[Any, Any], GGMLQuantizationType]]


def make_tensors(architecture: str, kind: str, *, seed: int = 0, untied: bool = False, bias: bool = False) -> Tensors:
    """Random weights by GGUF name, as GGUF stores them: matrices of type `kind`, all else in F32."""
    random = np.random.default_rng(seed)
    tensors: Tensors = {}

    def add(name: str, *shape: int) -> None:
        if len(shape) == 1:
            around = 1.0 if "norm" in name else 0.0
            value = around + 0.1 * random.standard_normal(shape).astype(np.float32)
            tensors[name] = value.astype(np.float32), GGMLQuantizationType.F32
        else:
            tensors[name] = make_matrix(random, shape, kind), GGMLQuantizationType[kind]

    add("token_embd.weight", len(TOKENS), HIDDEN)
    add("output_norm.weight", HIDDEN)
    if untied:
        add("output.weight", len(TOKENS), HIDDEN)
    queries, keys = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    for layer in range(LAYERS):
        sizes = {
            "attn_norm": (HIDDEN,), "ffn_norm": (HIDDEN,), "attn_q": (queries, HIDDEN), "attn_k": (keys, HIDDEN),
            "attn_v": (keys, HIDDEN), "attn_output": (HIDDEN, queries), "ffn_gate": (INNER, HIDDEN),
            "ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER),
        }  # fmt: skip
        if architecture == "qwen3":
            sizes |= {"attn_q_norm": (HEAD_DIM,), "attn_k_norm": (HEAD_DIM,)}
        for name, shape in sizes.items():
            add(f"blk.{layer}.{name}.weight", *shape)
        if architecture == "qwen2" or bias:
            for name, size in (("attn_q", queries), ("attn_k", keys), ("attn_v", keys)):
                add(f"blk.{layer}.{name}.bias", size)
    return tensors


def make_matrix(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray[Any, Any]:
    """A random matrix of a type: rounded by the library where it can, else random blocks with small steps."""
    if kind not in FLOATS:
        return quantize(random.standard_normal(shape).astype(np.float32) * 0.05, GGMLQuantizationType[kind])
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = random.integers(0, 256, (shape[0], shape[1] // block, size), dtype=np.uint8)
    for place in FLOATS[kind]:
        steps = random.uniform(5e-5, 1e-4, blocks.shape[:2]).astype(np.float16)
        blocks[..., place : place + 2] = steps[..., None].view(np.uint8)
    return blocks.reshape(shape[0], -1)


def write_gguf(path: Path, architecture: str, tensors: Tensors, **fields: Any) -> Path:
    """Write a file; `fields` overrule or add (a dot is written `__`), and None leaves one out."""
    writer = GGUFWriter(path, architecture)
    usual = {
        f"{architecture}.block_count": LAYERS,
        f"{architecture}.context_length": 512,
        f"{architecture}.embedding_length": HIDDEN,
        f"{architecture}.feed_forward_length": INNER,
        f"{architecture}.attention.head_count": HEADS,
        f"{architecture}.attention.head_count_kv": KV_HEADS,
        f"{architecture}.attention.layer_norm_rms_epsilon": 1e-6,
        f"{architecture}.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm" if architecture == "llama" else "qwen2",
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": KINDS,
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.chat_template": CHATML,
    }
    if architecture == "qwen3":
        usual[f"{architecture}.attention.key_length"] = HEAD_DIM
    for name, value in (usual | {key.replace("__", "."): value for key, value in fields.items()}).items():
        add_field(writer, name, value)
    for name, (data, kind) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=kind if data.dtype == np.uint8 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_field(writer: GGUFWriter, name: str, value: Any) -> None:
    """Write one field in the type that llama.cpp uses for such a value."""
    if isinstance(value, bool):
        writer.add_bool(name, value)
    elif isinstance(value, int):
        writer.add_uint32(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    elif value is not None:
        writer.add_array(name, value)


def make_gguf(path: Path, architecture: str = "qwen2", kind: str = "Q4_0", **fields: Any) -> Path:
    """A whole file of random weights."""
    return write_gguf(path, architecture, make_tensors(architecture, kind), **fields)
