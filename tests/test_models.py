"""Finding, hashing and loading models; messages to tokens."""

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from mlx_tutor.errors import ModelError, RecipeError
from mlx_tutor.models import (
    hash_model,
    hash_tokenizer,
    is_cpu,
    load_model,
    load_tokenizer,
    render_beginning,
    render_prompt,
    render_tokens,
    resolve_model,
)
from mlx_tutor.records import Message
from tests.chat_templates import QWEN2, QWEN3, QWEN3_2507, QWEN3_THINKING, QWEN25
from tests.model_factory import make_model, make_tokenizer

CHAT: list[Message] = [
    {"role": "system", "content": "Tutor."},
    {"role": "user", "content": "What is a mean?"},
    {"role": "assistant", "content": "A sum, divided."},
]


def test_prompt_is_what_generation_sees_and_the_answer_ends_with_the_end_token(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokens, offset = render_tokens(tokenizer, CHAT)
    assert tokens[:offset] == render_prompt(tokenizer, CHAT[:-1])
    assert tokenizer.decode(tokens[offset:]) == "A sum, divided.<|im_end|>"
    assert tokens[-1] == tokenizer.eos_token_id


ASKED = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
EARLIER = "<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\nThis.<|im_end|>\n"
DEFAULT = "<|im_start|>system\nYou are {}<|im_end|>\n"
ALIBABA = DEFAULT.format("Qwen, created by Alibaba Cloud. You are a helpful assistant.")
EMPTY = "<think>\n\n</think>\n\n"
TOLD = "<think>\n1. Hm.\n2. Ah.\n</think>\n\nSo.<|im_end|>"
# Template, thinking, what stands before the first turn, behind the last question, and what is trained there.
GOLDEN = [
    (QWEN2, False, DEFAULT.format("a helpful assistant."), "", "So.<|im_end|>"),
    (QWEN25, False, ALIBABA, "", "So.<|im_end|>"),
    (QWEN3, False, "", EMPTY, "So.<|im_end|>"),
    (QWEN3_2507, False, "", "", "So.<|im_end|>"),
    (QWEN3, True, "", "", TOLD),
    (QWEN3_THINKING, True, "", "<think>\n", TOLD.removeprefix("<think>\n")),
]


def load_template(folder: Path, model: Path, template: str, *, thinking: bool) -> Any:
    shutil.copytree(model, folder)
    make_tokenizer(folder, template)
    return load_tokenizer(folder, thinking=thinking)


@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize("case", GOLDEN)
def test_a_template_trains_what_generation_sees(
    tmp_path: Path, tiny_model: Path, case: tuple[str, bool, str, str, str], turns: int
) -> None:
    template, thinking, system, opening, trained = case
    tokenizer = load_template(tmp_path / "model", tiny_model, template, thinking=thinking)
    before: list[Message] = [
        {"role": "user", "content": "What?"},
        {"role": "assistant", "content": "This.", "reasoning_content": "Long ago."},
    ]
    chat: list[Message] = [
        *before[: 2 * turns - 2],
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So.", "reasoning_content": "1. Hm.\n2. Ah."},
    ]
    tokens, offset = render_tokens(tokenizer, chat)
    assert tokenizer.decode(tokens[:offset]) == system + EARLIER * (turns - 1) + ASKED + opening
    assert tokenizer.decode(tokens[offset:]) == trained
    assert tokens[:offset] == render_prompt(tokenizer, chat[:-1])
    # Where there are no thoughts, an empty one is trained, and options of a question come behind it.
    bare: Message = {"role": "assistant", "content": "So."}
    tokens, offset = render_tokens(tokenizer, [*chat[:-1], bare])
    empty = EMPTY.removeprefix(opening) if thinking else ""
    assert tokenizer.decode(tokens[offset:]) == f"{empty}So.<|im_end|>"
    assert render_beginning(tokenizer, chat[:-1]) == tokens[: -len("So.") - 1]


@pytest.mark.parametrize("template", [QWEN2, QWEN25, QWEN3_2507])
def test_thinking_is_refused_where_the_template_has_none(tmp_path: Path, tiny_model: Path, template: str) -> None:
    with pytest.raises(RecipeError, match=r"model\.thinking = true, but the chat template of .*named has no thinking"):
        load_template(tmp_path / "named", tiny_model, template, thinking=True)


def test_a_template_that_trims_is_trained_with_its_thoughts(tmp_path: Path, tiny_model: Path) -> None:
    # The finished turn comes without the blank that stands before generation.
    trimming = QWEN3.replace("{{- '<|im_start|>assistant\n' }}{%- if loop", "{{- '<|im_start|>assistant' }}{%- if loop")
    tokenizer = load_template(tmp_path / "model", tiny_model, QWEN3, thinking=True)
    tokenizer.chat_template = trimming
    chat: list[Message] = [*CHAT[:2], {"role": "assistant", "content": "So.", "reasoning_content": "1. Hm.\n2. Ah."}]
    tokens, offset = render_tokens(tokenizer, chat)
    assert tokenizer.decode(tokens[offset:]) == TOLD


def test_the_starter_is_a_whole_model_with_float32_scales() -> None:
    path = resolve_model("starter")
    config = json.loads((path / "config.json").read_text())
    assert (config["model_type"], config["quantization"]["bits"], config["quantization"]["group_size"]) == (
        "qwen2",
        4,
        64,
    )
    loaded = load_model(path, quantized=True)
    kinds = {value.dtype for _, value in tree_flatten(loaded.model.parameters())}
    assert kinds == {mx.uint32, mx.float32}
    assert sum(file.stat().st_size for file in path.iterdir()) < 8_000_000
    prompt = load_tokenizer(path).decode(render_prompt(loaded.tokenizer, CHAT[:2]))
    assert (
        prompt
        == "<|im_start|>system\nTutor.<|im_end|>\n<|im_start|>user\nWhat is a mean?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.skipif(not is_cpu(), reason="only a CPU prefers float32")
def test_a_cpu_gets_float32_whatever_is_stored(tmp_path: Path) -> None:
    base = make_model(tmp_path / "model", dtype=mx.bfloat16)
    kinds = {value.dtype for _, value in tree_flatten(load_model(base).model.parameters())}
    assert kinds == {mx.float32}
    stored = {value.dtype for _, value in tree_flatten(load_model(base, quantized=True).model.parameters())}
    assert stored == {mx.uint32, mx.bfloat16}


def test_a_hash_tells_models_and_templates_apart(tmp_path: Path, tiny_model: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    assert hash_model(copy) == hash_model(tiny_model)
    assert hash_tokenizer(copy) == hash_tokenizer(tiny_model)
    make_tokenizer(copy, QWEN3)
    assert hash_tokenizer(copy) != hash_tokenizer(tiny_model)
    assert hash_model(make_model(tmp_path / "other", seed=1)) != hash_model(tiny_model)


def test_missing_models_are_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"not on this machine.*mlx-tutor pull mlx-community/Nothing-4bit.*starter"):
        resolve_model("mlx-community/Nothing-4bit")
    with pytest.raises(ModelError, match=r"No model folder \./nothing"):
        resolve_model("./nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"is incomplete: config.json"):
        resolve_model(str(tmp_path / "empty"))


def test_an_unreachable_hub_is_one_line(tmp_path: Path) -> None:
    import subprocess
    import sys

    # A closed port of this machine instead of the Hub: the real client, really refused.
    program = "from mlx_tutor.models import resolve_model; resolve_model('mlx-community/Nothing-4bit', fetch=True)"
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_CACHE": str(tmp_path), "PATH": "/usr/bin"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    last = result.stderr.strip().split("\n")[-1]
    assert "ModelError: Model mlx-community/Nothing-4bit is not on this machine and could not be fetched" in last
    assert "mlx-tutor pull" in last


def test_corrupt_files_are_clear_errors(tmp_path: Path, tiny_model: Path) -> None:
    broken = tmp_path / "model"
    shutil.copytree(tiny_model, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(broken)
    shutil.copy(tiny_model / "model.safetensors", weights)
    (broken / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="tokenizer"):
        load_model(broken)
