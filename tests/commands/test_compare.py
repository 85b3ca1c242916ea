"""compare: what is asked, what is shown."""

import json
import re
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
    assert found["messages"] == [
        {"role": "system", "content": "Tutor."},
        {"role": "user", "content": PROMPT[1]},
    ]
    assert found["generate"]["temp"] == 0.0
    assert (
        json.loads(invoke("compare", *PROMPT, "--json").stdout)["answers"][1]["answer"]["text"]
        == (found["answers"][1]["answer"]["text"])
    )


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
