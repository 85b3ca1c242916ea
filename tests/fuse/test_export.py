"""A fused model for Ollama and llama.cpp: complete, checked, and one line for what cannot be."""

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from gguf import GGUFReader

from mlx_tutor.errors import ModelError
from mlx_tutor.files import write_json
from mlx_tutor.fuse import export
from mlx_tutor.fuse.export import Exporter, ExportReport
from mlx_tutor.models import load_tokenizer
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.workspace import Run
from tests.fuse.exports import make_fused, read_modelfile
from tests.training.runs import make_rows

ROWS = make_rows(8)
RECIPE = Recipe(generate=GenerateSettings(temp=0.3, top_p=0.9, repetition_penalty=1.2, max_tokens=77, seed=5))
# The old conversations of a template that trims what was said, and one that ends its turns otherwise.
TRIMMING = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'].split('\n')[0] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{% for m in messages %}{{ '<|start|>' + m['role'] + '\n\n' + m['content'] + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant\n\n' }}{% endif %}"
)
NOT_THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)


def export_from(run: Run, rows: list[dict[str, Any]] = ROWS) -> Exporter:
    return Exporter(run, RECIPE, rows, lambda doing, done, total: None)


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama"])
def test_what_is_read_back_is_the_fused_model(tmp_path: Path, architecture: str) -> None:
    exporter = export_from(make_fused(tmp_path, architecture))
    report = exporter.write_gguf("f16", tmp_path / "new" / "m.gguf", replace=False)
    assert (report.tokens, report.top1) == (200, 1.0)
    report = exporter.write_gguf("q8_0", tmp_path / "new" / "m.gguf", replace=True)
    assert report.tokens == 200 and report.top1 is not None and report.top1 > 0.9
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["m.gguf"]
    fields = GGUFReader(tmp_path / "new" / "m.gguf").fields
    assert fields["general.name"].contents() == "demo"
    assert fields["general.sampling.penalty_repeat"].contents() == pytest.approx(1.2)


def write_turns(template: str, turns: list[tuple[str, str]]) -> str:
    """What Go's template of a Modelfile makes of a conversation."""
    before, turn, after = re.split(r"\{\{-? range \.Messages \}\}|\{\{ end \}\}", template)
    assert before == ""
    spoken = [turn.replace("{{ .Role }}", role).replace("{{ .Content }}", content) for role, content in turns]
    return "".join(spoken) + after


@pytest.mark.parametrize("template", [None, NOT_THINKING], ids=["ChatML", "no thoughts"])
def test_ollama_writes_conversations_as_the_model_was_trained(tmp_path: Path, template: str | None) -> None:
    fields = {} if template is None else {"tokenizer__chat_template": template}
    run = make_fused(tmp_path, "llama", **fields)
    report = export_from(run).write_ollama(tmp_path / "out", replace=False)
    assert (report.type, report.top1) == ("f16", 1.0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["Modelfile", "model.gguf"]
    found = read_modelfile(tmp_path / "out")
    assert found["FROM"] == ["./model.gguf"] and found["stop"] == ["<|im_end|>"]
    # Three quotation marks would end it.
    assert found["SYSTEM"] == ["Be patient.\nSay '''so'''."]
    numbers = {"temperature": 0.3, "top_p": 0.9, "repeat_penalty": 1.2, "num_predict": 77, "seed": 5, "num_ctx": 512}
    assert {name: float(found[name][0]) for name in numbers} == numbers
    turns = [("system", "Be kind."), ("user", "What is {{ .x }}?"), ("assistant", "1\n\n2"), ("user", "Why?")]
    talk = [{"role": role, "content": content} for role, content in turns]
    text = load_tokenizer(run.fused).apply_chat_template(
        talk, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    assert write_turns(found["TEMPLATE"][0], turns) == text


def test_without_a_system_prompt_ollama_gets_that_of_the_template(tmp_path: Path) -> None:
    run = make_fused(tmp_path)
    record = {"course": "demo", "base": "b", "recipe": {"course": {"system_prompt": ""}}}
    write_json(run.adapter / "run.json", record)
    export_from(run).write_ollama(tmp_path / "out", replace=False)
    assert read_modelfile(tmp_path / "out")["SYSTEM"] == ["You are a helpful assistant."]


@pytest.mark.parametrize("template", [TRIMMING, LLAMA3], ids=["trimming", "other turns"])
def test_another_template_is_refused_for_ollama(tmp_path: Path, template: str) -> None:
    exporter = export_from(make_fused(tmp_path, tokenizer__chat_template=template))
    with pytest.raises(ModelError, match=r"not ChatML.*mlx-tutor export gguf"):
        exporter.write_ollama(tmp_path / "out", replace=False)
    assert not (tmp_path / "out").exists()
    assert exporter.write_gguf("f16", tmp_path / "m.gguf", replace=False).top1 == 1.0


def list_writers(exporter: Exporter, folder: Path) -> list[tuple[Callable[..., ExportReport], Path]]:
    """Both ways to write, and where to."""
    return [(partial(exporter.write_gguf, "f16"), folder / "m.gguf"), (exporter.write_ollama, folder / "out")]


def test_what_is_there_is_kept_unless_replaced(tmp_path: Path) -> None:
    exporter = export_from(make_fused(tmp_path), [])
    for write, target in list_writers(exporter, tmp_path):
        mine = target if target.suffix else target / "mine.txt"
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
        with pytest.raises(ModelError, match=r"is there already.*--replace"):
            write(target, replace=False)
        assert mine.read_text() == "mine"
        # Not compared with the model where there are no rows.
        assert write(target, replace=True).top1 is None
        assert not mine.is_file() or mine.stat().st_size > 1000


class Usage(NamedTuple):
    free: int


def refuse_unfused(exporter: Exporter, patch: pytest.MonkeyPatch) -> None:
    (exporter.run.fused / "fuse.json").unlink()


def refuse_without_room(exporter: Exporter, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(shutil, "disk_usage", lambda path: Usage(1000))


def refuse_unlike(exporter: Exporter, patch: pytest.MonkeyPatch) -> None:
    # More than all tokens: no file can be that much like the model.
    patch.setattr(export, "LEAST_TOP1", {"f16": 1.1})


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (refuse_unfused, "'demo' is not fused yet.*mlx-tutor fuse --run demo"),
        (refuse_without_room, r"no room for .*: \d+ MB needed.*--to"),
        (refuse_unlike, "agrees with the fused model on 100.0 % of 200 tokens only"),
    ],
)
def test_problems_are_one_line_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., None], reason: str
) -> None:
    exporter = export_from(make_fused(tmp_path))
    prepare(exporter, monkeypatch)
    before = sorted(tmp_path.rglob("*"))
    for write, target in list_writers(exporter, tmp_path):
        with pytest.raises(ModelError, match=reason) as caught:
            write(target, replace=False)
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_has_to_end_in_gguf(tmp_path: Path) -> None:
    exporter = export_from(make_fused(tmp_path))
    with pytest.raises(ModelError, match=r"does not end in \.gguf"):
        exporter.write_gguf("f16", tmp_path / "model.bin", replace=False)
    (tmp_path / "folder.gguf").mkdir()
    with pytest.raises(ModelError, match="is there already"):
        exporter.write_gguf("f16", tmp_path / "folder.gguf", replace=True)
