"""What a converted model computes, against the GGUF file's own weights in plain float32."""

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGMLQuantizationType

from mlx_tutor.files import read_json
from mlx_tutor.gguf.convert import RECORD, convert_gguf
from mlx_tutor.gguf.packaged import find_packaged
from mlx_tutor.models import load_model
from tests.gguf.factory import HEAD_DIM, Tensors, make_tensors, write_gguf
from tests.gguf.reference import PlainModel

ROOT = Path(__file__).parents[2]
PROMPT = [1, 50, 120, 7, 99, 200, 31, 4, 258, 260, 17, 90, 2]
EXACT = ("Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q8_0")


def compare(path: Path, tokens: list[int] = PROMPT) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    model = load_model(convert_gguf(path)).model
    return np.array(model(mx.array([tokens]))[0].astype(mx.float32)), PlainModel(path).compute_logits(tokens)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("kind", EXACT)
def test_affine_types_keep_their_numbers(tmp_path: Path, architecture: str, kind: str) -> None:
    path = write_gguf(tmp_path / "model.gguf", architecture, make_tensors(architecture, kind))
    found, expected = compare(path)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    record = read_json(convert_gguf(path) / RECORD)
    assert [(item["kind"], item["difference"]) for item in record["types"]] == [(kind, 0.0)]


@pytest.mark.parametrize(
    ("kind", "bits", "least", "most"),
    [("Q6_K", 8, 1e-4, 0.01), ("Q3_K", 4, 1e-3, 0.1), ("Q2_K", 4, 1e-3, 0.1), ("F16", None, 1e-4, 3e-3)],
)
def test_other_types_are_rounded_again_and_the_difference_is_measured(
    tmp_path: Path, kind: str, bits: int | None, least: float, most: float
) -> None:
    path = write_gguf(tmp_path / "model.gguf", "qwen2", make_tensors("qwen2", kind))
    record = read_json(convert_gguf(path) / RECORD)
    [item] = record["types"]
    assert (item["kind"], item["bits"], item["matrices"]) == (kind, bits, 15)
    assert least < item["difference"] < most
    found, expected = compare(path)
    assert np.linalg.norm(found - expected) < 5 * most * np.linalg.norm(expected)


def test_16_bit_weights_that_were_bfloat16_stay_what_they_are(tmp_path: Path) -> None:
    tensors: Tensors = {}
    for name, (value, _) in make_tensors("llama", "F32").items():
        short = np.array(mx.array(value).astype(mx.bfloat16).astype(mx.float32))
        kind = GGMLQuantizationType.F32 if short.ndim == 1 else GGMLQuantizationType.F16
        tensors[name] = short if short.ndim == 1 else short.astype(np.float16), kind
    path = write_gguf(tmp_path / "model.gguf", "llama", tensors)
    folder = convert_gguf(path)
    record = read_json(folder / RECORD)
    assert record["types"][0]["difference"] == 0.0
    stored = load_model(folder, quantized=True).model.model.layers[0].self_attn.q_proj.weight
    assert stored.dtype == mx.bfloat16


SCALINGS: list[dict[str, Any]] = [
    {"type": "linear", "factor": 4.0},
    {"type": "yarn", "factor": 4.0, "original_context_length": 128},
]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("scaling", SCALINGS, ids=["linear", "yarn"])
def test_positions_are_scaled_as_the_file_says(tmp_path: Path, architecture: str, scaling: dict[str, Any]) -> None:
    fields = {f"{architecture}.rope.scaling.{key}": value for key, value in scaling.items()}
    path = write_gguf(tmp_path / "model.gguf", architecture, make_tensors(architecture, "Q8_0"), **fields)
    found, expected = compare(path)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    plain = PlainModel(path)
    plain.fields[f"{architecture}.rope.scaling.type"] = "none"
    assert np.abs(plain.compute_logits(PROMPT) - expected).max() > 1e-2 * np.abs(expected).max()


def list_llama3_factors(theta: float, factor: float) -> np.ndarray[Any, Any]:
    """As Meta's own code computes them."""
    factors = []
    for place in range(HEAD_DIM // 2):
        wavelength = 2 * np.pi * theta ** (2 * place / HEAD_DIM)
        smooth = (8192 / wavelength - 1) / 3
        middle = 1 / ((1 - smooth) / factor + smooth)
        factors.append(1.0 if wavelength < 2048 else factor if wavelength > 8192 else middle)
    return np.array(factors, np.float32)


def test_llama_3_gets_back_the_scaling_that_its_factors_follow_from(tmp_path: Path) -> None:
    tensors = make_tensors("llama", "Q8_0")
    tensors["rope_freqs.weight"] = list_llama3_factors(500000.0, 32.0), GGMLQuantizationType.F32
    path = write_gguf(tmp_path / "model.gguf", "llama", tensors, llama__rope__freq_base=500000.0)
    found, expected = compare(path)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_a_head_of_its_own_stays_one(tmp_path: Path, architecture: str) -> None:
    path = write_gguf(tmp_path / "model.gguf", architecture, make_tensors(architecture, "Q4_1", untied=True))
    found, expected = compare(path)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_of_two_roundings_of_one_matrix_the_finer_serves_as_both(tmp_path: Path) -> None:
    tensors, fine = make_tensors("qwen2", "Q4_0"), make_tensors("qwen2", "F32")
    from gguf.quants import quantize

    kind = GGMLQuantizationType.Q8_0
    tensors["output.weight"] = quantize(fine["token_embd.weight"][0], kind), kind
    path = write_gguf(tmp_path / "both.gguf", "qwen2", tensors)
    model = load_model(convert_gguf(path)).model
    assert "lm_head" not in model
    shared = dict(tensors) | {"token_embd.weight": tensors["output.weight"]}
    del shared["output.weight"]
    tied, expected = compare(write_gguf(tmp_path / "tied.gguf", "qwen2", shared))
    assert np.abs(tied - expected).max() < 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(compare(path)[0], tied)


def test_a_llama_may_have_biases_in_its_attention(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf", "llama", make_tensors("llama", "Q4_0", bias=True))
    found, expected = compare(path)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_smollm2_computes_what_its_file_says(smollm2: Path) -> None:
    path = find_packaged()
    assert path is not None
    loaded = load_model(smollm2)
    text = (ROOT / "corpora" / "sample" / "sources" / "machine-learning.md").read_text(encoding="utf-8")
    tokens = loaded.tokenizer.encode(text)[:64]
    found, expected = np.array(loaded.model(mx.array([tokens]))[0]), PlainModel(path).compute_logits(tokens)
    assert len(tokens) == 64 and found.shape == expected.shape == (64, 49152)
    assert (found.argmax(-1) == expected.argmax(-1)).all()
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
