"""compare: what is asked, what is shown."""

import json
import re
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mlx_tutor.display import draw_answers
from tests.commands.conftest import Invoke

PROMPT = ("--prompt", 'Explain "logit" regression: what\'s [red]p[/red]?')


def test_base_and_fused_get_the_same_prompt(invoke: Invoke, finished: Path) -> None:
    result = invoke("compare", *PROMPT, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [answer["label"] for answer in found["answers"]] == ["base", "fused"]
    assert found["messages"] == [{"role": "system", "content": "Tutor."}, {"role": "user", "content": PROMPT[1]}]
    assert found["generate"]["temp"] == 0.0
    assert (
        json.loads(invoke("compare", *PROMPT, "--json").stdout)["answers"][1]["answer"]["text"]
        == (found["answers"][1]["answer"]["text"])
    )


def test_both_get_the_best_passage_of_the_course(invoke: Invoke, finished: Path) -> None:
    result = invoke("compare", "--search", "--prompt", "What is the mode?", "--json")
    assert result.exit_code == 0, result.stderr
    [system, user] = json.loads(result.stdout)["messages"]
    assert system["content"].startswith("Tutor.\n\nAnswer from the passages")
    assert user["content"].startswith("<passage 1: ") and "passage 2" not in user["content"]
    assert "The mode is the value that occurs most often" in user["content"]
    assert user["content"].endswith("Question: What is the mode?")
    shown = invoke("compare", "--search", "--prompt", "What is the mode?")
    assert "passages  week1.md, Week 1 > Mode" in shown.stderr and "Question: What is the mode?" in shown.stdout
    alone = invoke("compare", "--search", "--prompt", "Zebra?", "--json")
    assert "Nothing in your course is about this" in alone.stderr
    assert json.loads(alone.stdout)["messages"][1]["content"] == "Zebra?"


def test_test_rows_bring_their_own_passages(invoke: Invoke, finished: Path) -> None:
    result = invoke("compare", "--search", "--from-test", "1")
    assert result.exit_code == 2 and "--prompt or --prompts" in result.stderr


def test_the_adapter_too_with_temperature_and_seed(invoke: Invoke, finished: Path) -> None:
    options = ("--with", "adapter", "--temp", "0.9", "--seed", "3", "--set", "generate.max_tokens=5", "--json")
    found = json.loads(invoke("compare", *PROMPT, *options).stdout)
    assert [answer["label"] for answer in found["answers"]] == ["base", "adapter", "fused"]
    assert (found["generate"]["temp"], found["generate"]["seed"]) == (0.9, 3)
    assert all(answer["answer"]["tokens"] <= 5 for answer in found["answers"])


def test_the_table_has_all_that_is_counted(invoke: Invoke, finished: Path) -> None:
    text = invoke("compare", *PROMPT).stdout
    assert PROMPT[1] in text
    for name in (
        *("tokens", "tokens/s", "time to first token", "LaTeX formulas", "steps or bullets", "code blocks"),
        *("related concepts listed", "repeated 4-grams", "ended"),
    ):
        assert re.search(rf"^ {re.escape(name)} +\S", text, re.MULTILINE), name


@pytest.mark.parametrize(("width", "side"), [(120, True), (100, True), (99, False), (40, False)])
def test_side_by_side_where_it_fits(width: int, side: bool) -> None:
    console = Console(width=width, height=30, record=True, file=StringIO())
    console.print(draw_answers(console, {"base": "first\nsecond", "fused": "[bold]third" + " word" * 30}))
    lines = console.export_text().splitlines()
    assert any("first" in line and "[bold]third" in line for line in lines) == side
    assert max(map(len, lines)) <= width


def test_only_the_end_of_a_long_answer_while_it_streams() -> None:
    console = Console(width=80, height=10, record=True, file=StringIO())
    text = "\n".join(f"line {i}" for i in range(50))
    console.print(draw_answers(console, {"base": text, "fused": ""}, 8))
    lines = console.export_text().splitlines()
    assert len(lines) <= 8
    assert any("line 49" in line for line in lines)


def test_without_a_fused_model(invoke: Invoke, finished: Path) -> None:
    (finished / "fused_models" / "demo" / "fuse.json").unlink()
    result = invoke("compare", *PROMPT)
    assert result.exit_code == 1
    assert "mlx-tutor fuse --run demo" in result.stderr


def test_a_stale_fused_model_is_named(invoke: Invoke, finished: Path) -> None:
    adapter = finished / "adapters" / "demo" / "adapters.safetensors"
    adapter.write_bytes(adapter.read_bytes() + b" ")
    assert "stale" in invoke("compare", *PROMPT).stderr


def test_prompts_of_a_file_to_three_models_with_a_report(invoke: Invoke, finished: Path) -> None:
    (finished / "mine.txt").write_text("What is a mean?\nWhat is a mode?\n")
    options = ("--prompts", "mine.txt", "--with", "adapter", "--set", "generate.max_tokens=4")
    result = invoke("compare", *options, "--report", "out.html")
    assert result.exit_code == 0, result.stderr
    assert "means over 2 prompts" in result.stdout and "peak memory" in result.stdout
    assert "base and adapter share one loaded base" in " ".join(result.stdout.split())
    page = (finished / "out.html").read_text()
    assert "What is a mode?" in page and "base, adapter and fused, compared" in page
    again = invoke("compare", *options, "--report", "out.html")
    assert again.exit_code == 1 and "not overwritten" in again.stderr


def test_test_rows_as_json(invoke: Invoke, finished: Path) -> None:
    found = json.loads(invoke("compare", "--from-test", "2", "--set", "generate.max_tokens=4", "--json").stdout)
    assert found["prompts"][0]["id"] == "test-1"
    assert all(prompt["reference"] and len(prompt["answers"]) == 2 for prompt in found["prompts"])


def test_any_models(invoke: Invoke, finished: Path, tiny_model: Path) -> None:
    shutil.copytree(finished / "adapters" / "demo", finished / "adapters" / "second")
    options = ("--set", "generate.max_tokens=4", "--json")
    models = ("--model", str(tiny_model), "--model", "second", "--model", "adapters/demo", "--model", "fused")
    found = json.loads(invoke("compare", *PROMPT, *models, *options).stdout)
    assert [model["label"] for model in found["models"]] == [str(tiny_model), "second", "adapters/demo", "fused"]
    assert [model["adapter"] is not None for model in found["models"]] == [False, True, True, False]
    # The same model under two names is asked once.
    twice = invoke("compare", *PROMPT, "--with", str(tiny_model), "--with", "second", *options)
    assert [model["label"] for model in json.loads(twice.stdout)["models"]] == ["base", "fused", "second"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "one of --prompt, --prompts and --from-test"),
        ((*PROMPT, "--from-test", "2"), 2, "one of --prompt"),
        ((*PROMPT, "--report", "out.txt"), 1, ".html, .md or .json"),
        ((*PROMPT, "--with", "./none"), 1, "No model folder ./none"),
        ((*PROMPT, "--with", "nobody/nothing"), 1, "not on this machine"),
    ],
)
def test_what_goes_wrong(invoke: Invoke, finished: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = invoke("compare", *arguments)
    assert result.exit_code == code and message in result.stderr
