"""`runs NAME` and the curve after a training."""

import json
import re
from pathlib import Path

from tests.commands.conftest import Invoke


def test_a_named_run_is_shown_with_its_curve(invoke: Invoke, finished: Path) -> None:
    result = invoke("runs", "demo")
    assert result.exit_code == 0, result.stderr
    assert "lora, rank 4, scale 20, num_layers 16" in result.stdout
    assert "batch_size 4, learning_rate 0.003" in result.stdout
    assert re.search(r"trained +\d+k of \d+k parameters \(\d+(\.\d+)? %\)", result.stdout)
    assert re.search(r"precision +float32, loss plain", result.stdout)
    record = json.loads((finished / "adapters" / "demo" / "run.json").read_text())["result"]
    assert f"* best, {record['best_loss']:.3f} at {record['best_iteration']}" in result.stdout
    assert result.stdout.count("┤") == 3
    assert max(map(len, result.stdout.split("\n"))) <= 80
    shown = json.loads(invoke("runs", "demo", "--json").stdout)
    assert shown["settings"]["rank"] == 4
    assert [m["iteration"] for m in shown["metrics"] if m["kind"] == "valid"] == [0, 6, 12]


def test_an_unknown_run_is_named_with_the_known_ones(invoke: Invoke, finished: Path) -> None:
    result = invoke("runs", "demo-7")
    assert result.exit_code == 1
    assert "No finished run 'demo-7'" in result.stderr
    assert "demo" in result.stderr.split("Runs of")[1]


def test_training_ends_with_its_curve_unless_quiet(invoke: Invoke, finished: Path) -> None:
    result = invoke("train", "--set", "train.seed=7", "--json")
    assert result.exit_code == 0, result.stderr
    assert "answer loss (nats a token) over iterations" in result.stderr
    assert json.loads(result.stdout)["result"]["run"] == "demo-2"
    quiet = invoke("train", "--set", "train.seed=8", "-q")
    assert quiet.exit_code == 0
    assert "┤" not in quiet.stderr + quiet.stdout


def test_a_dora_run_goes_the_whole_line(invoke: Invoke, finished: Path) -> None:
    result = invoke("run", "--set", "train.fine_tune_type=dora", "--json")
    assert result.exit_code == 0, result.stderr
    stages = json.loads(result.stdout)["stages"]
    assert [stage["up_to_date"] for stage in stages] == [True, True, False, False, False]
    assert "dora, rank 4" in invoke("runs", "demo-2").stdout
