"""Finding, hashing and loading models; messages to tokens."""

import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from mlx_tutor.errors import ModelError
from mlx_tutor.models import (
    hash_model,
    hash_tokenizer,
    is_cpu,
    load_model,
    load_tokenizer,
    render_prompt,
    render_tokens,
    resolve_model,
)
from mlx_tutor.records import Message
from tests.model_factory import make_model, make_tokenizer

# The shape of Qwen3's template: an empty thought in the prompt, thoughts of earlier turns dropped.
THINKING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
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


@pytest.mark.parametrize("turns", [1, 2])
def test_a_thinking_template_trains_what_generation_sees(tmp_path: Path, tiny_model: Path, turns: int) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    make_tokenizer(folder, THINKING)
    tokenizer = load_tokenizer(folder)
    chat = CHAT + CHAT[1:] * (turns - 1)
    tokens, offset = render_tokens(tokenizer, chat)
    prompt = tokenizer.decode(tokens[:offset])
    assert prompt.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert tokenizer.decode(tokens[offset:]) == "A sum, divided.<|im_end|>"
    assert "think" not in tokenizer.decode(tokens[offset:])


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
    make_tokenizer(copy, THINKING)
    assert hash_tokenizer(copy) != hash_tokenizer(tiny_model)
    assert hash_model(make_model(tmp_path / "other", seed=1)) != hash_model(tiny_model)


def test_missing_models_are_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"not on this machine.*mlx-tutor pull mlx-community/Nothing-4bit.*starter"):
        resolve_model("mlx-community/Nothing-4bit")
    with pytest.raises(ModelError, match=r"No model folder \./nothing"):
        resolve_model("./nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"not a whole model: config.json"):
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
