"""A model folder written as GGUF: what llama.cpp computes from it is what the folder computes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from mlx_tutor.errors import ModelError
from mlx_tutor.fuse.export import describe_tokenizer
from mlx_tutor.gguf.config import make_config
from mlx_tutor.gguf.convert import convert_gguf
from mlx_tutor.gguf.read import open_gguf
from mlx_tutor.gguf.tokenizer import CUTS
from mlx_tutor.gguf.vocabulary import name_cut
from mlx_tutor.gguf.write import Draft, pick_type
from mlx_tutor.models import load_model, load_tokenizer
from tests.gguf.factory import make_tensors, write_gguf
from tests.gguf.reference import PlainModel

TEXT = "<|im_start|>user\nHow are the 12 others? 'Tis é.<|im_end|>\n"
# What a model can have: architecture, a head of its own, biases (Llama).
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {}),
    "qwen2 with its own head": ("qwen2", {"untied": True}),
    "qwen3": ("qwen3", {}),
    "llama": ("llama", {}),
    "llama with biases": ("llama", {"bias": True, "untied": True}),
}


def make_folder(tmp_path: Path, architecture: str, kind: str = "Q4_0", **changes: Any) -> Path:
    """An MLX model folder of random weights; `changes` of its tensors."""
    return convert_gguf(write_gguf(tmp_path / "in.gguf", architecture, make_tensors(architecture, kind, **changes)))


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def write(folder: Path, kind: str, about: Mapping[str, Any] | None = None) -> Path:
    path = folder.parent / f"out-{kind}.gguf"
    Draft(folder, kind).write(path, describe_tokenizer(load_tokenizer(folder)), about or {})
    return path


@pytest.mark.parametrize("name", KINDS)
def test_llama_cpp_computes_what_the_folder_computes(tmp_path: Path, name: str) -> None:
    architecture, changes = KINDS[name]
    folder = make_folder(tmp_path, architecture, **changes)
    loaded = load_model(folder)
    tokens = loaded.tokenizer.encode(TEXT)
    own = np.array(loaded.model(mx.array([tokens]))[0])
    spread = float(own.std())
    found = {kind: PlainModel(write(folder, kind)).compute_logits(tokens) for kind in ("f16", "q8_0")}
    assert np.abs(found["f16"] - own).max() < 0.01 * spread and np.abs(found["q8_0"] - own).max() < 0.2 * spread
    assert (found["f16"].argmax(-1) == own.argmax(-1)).all()


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama"])
def test_fields_and_tokens_are_those_of_the_file_it_came_from(tmp_path: Path, architecture: str) -> None:
    folder = make_folder(tmp_path, architecture)
    path = write(folder, "f16", {"general.name": "statistics", "general.sampling.temp": 0.5})
    before, after = (
        {name: field.contents() for name, field in GGUFReader(file).fields.items()}
        for file in (tmp_path / "in.gguf", path)
    )
    same = {name for name in before if not name.startswith("GGUF.")}
    # The padding token of the file is only a name in the folder, and bears its number.
    tokens = "tokenizer.ggml.tokens"
    assert after[tokens][:-1] == before[tokens][:-1] and after[tokens][-1] == "[PAD263]"
    assert {name: after.get(name) for name in same - {tokens}} == {name: before[name] for name in same - {tokens}}
    assert after["general.name"] == "statistics" and after["general.sampling.temp"] == 0.5
    assert after["general.file_type"] == 1 and after["tokenizer.ggml.add_bos_token"] is False
    assert after[f"{architecture}.vocab_size"] == len(after[tokens])
    again = load_tokenizer(convert_gguf(path))
    assert again.encode(TEXT) == load_tokenizer(folder).encode(TEXT) and again.eos_token_ids == {2}


@pytest.mark.parametrize(
    "scaling",
    [
        {"rope_type": "linear", "type": "linear", "factor": 4.0},
        {
            "rope_type": "yarn",
            "type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 128,
            "beta_fast": 16.0,
        },
        {
            "rope_type": "llama3",
            "type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    ],
    ids=lambda scaling: str(scaling["type"]),
)
def test_scaled_positions_come_along(tmp_path: Path, scaling: dict[str, Any]) -> None:
    folder = make_folder(tmp_path, "llama")
    change_config(folder, rope_scaling=scaling)
    path = write(folder, "f16")
    assert make_config(open_gguf(path, ("llama",)))["rope_scaling"] == scaling
    loaded = load_model(folder)
    tokens = loaded.tokenizer.encode(TEXT)
    own = np.array(loaded.model(mx.array([tokens]))[0])
    assert np.abs(PlainModel(path).compute_logits(tokens) - own).max() < 0.01 * float(own.std())


def test_bfloat16_stays_what_it_is(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "qwen2", "BF16")
    assert pick_type(folder) == "bf16" and pick_type(make_folder(tmp_path, "qwen2")) == "f16"
    again = convert_gguf(write(folder, "bf16"))
    loaded: list[Any] = [mx.load(str(path / "model.safetensors")) for path in (folder, again)]
    before, after = loaded
    assert before.keys() == after.keys() and all(mx.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_is_known_by_what_it_does(name: str) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = CUTS[name]()
    assert name_cut(tokenizer) == name


def refuse(folder: Path, kind: str = "f16") -> str:
    """The one line that says why a folder cannot be written."""
    with pytest.raises(ModelError) as caught:
        write(folder, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "llama")
    for change, reason in (
        ({"model_type": "gemma3"}, "gemma3 model.*llama, qwen2, qwen3"),
        ({"rope_scaling": {"type": "longrope", "factor": 2.0}}, "'longrope'"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "'sliding_attention'"),
        ({"num_hidden_layers": 1}, "other weights than a plain llama"),
        ({"vocab_size": 200}, "200 tokens, and token 262"),
    ):
        kept = (folder / "config.json").read_text()
        change_config(folder, **change)
        with pytest.raises(ModelError, match=reason):
            write(folder, "f16")
        (folder / "config.json").write_text(kept)
    file = folder / "tokenizer.json"
    kept = file.read_text()
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\d{2}|\D+"), behavior="isolated")
    tokenizer.save(str(file))
    assert "none of gpt-2, llama-bpe, qwen2, smollm" in refuse(folder)
    content = json.loads(kept)
    content["model"]["merges"] = []
    file.write_text(json.dumps(content))
    assert "byte-level BPE with merges" in refuse(folder)


def test_numbers_too_large_for_16_bits_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "qwen2", "F32")
    weights: Any = mx.load(str(folder / "model.safetensors"))
    weights["model.layers.1.mlp.up_proj.weight"] *= 1e7
    mx.save_safetensors(str(folder / "model.safetensors"), dict(weights))
    assert "blk.1.ffn_up.weight" in refuse(folder)
    assert write(folder, "q8_0").is_file()
