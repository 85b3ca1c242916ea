"""Several settings in one command, and runs compared."""

import csv
import json
import re
from pathlib import Path

import pytest

from mlx_tutor.errors import RecipeError
from mlx_tutor.recipe import load_recipe
from mlx_tutor.training.sweep import list_points, write_point
from tests.commands.conftest import Invoke

RATES = ("--set", "sweep.learning_rate=[1e-5, 1e-2]", "--set", "train.iters=6")


def test_points_are_all_combinations_or_a_given_list() -> None:
    lists = ["sweep.rank=[4, 8]", "sweep.learning_rate=[1e-4, 1]", "sweep.keys=[[], ['self_attn.q_proj']]"]
    points = list_points(load_recipe(None, lists))
    assert len(points) == 8
    assert write_point(points[-1]) == {"rank": "8", "keys": "self_attn.q_proj", "learning_rate": "1"}
    points = list_points(load_recipe(None, [*lists, "sweep.combine=list"]))
    assert [list(write_point(point).values()) for point in points] == [
        ["4", "all", "0.0001"],
        ["8", "self_attn.q_proj", "1"],
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "nothing to try"),
        (["sweep.rank=[0]"], "sweep.rank must be at least|sweep.rank must be between 1"),
        (["sweep.rank=4"], "sweep.rank must be a list of whole numbers"),
        (["sweep.rak=[4]"], "did you mean rank"),
        (["sweep.combine=list", "sweep.rank=[1,2]", "sweep.seed=[1]"], "equally long, not rank 2, seed 1"),
        (["sweep.rank=[" + ",".join(map(str, range(1, 300))) + "]"], "299 combinations"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        list_points(load_recipe(None, overrides))


def test_epochs_and_iters_are_not_swept_both(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("[sweep]\nepochs = [1]\niters = [5]\n")
    with pytest.raises(RecipeError, match=r"sweep.epochs and sweep.iters both .* keep one"):
        load_recipe(tmp_path / "recipe.toml")


def test_a_sweep_leaves_a_table_curves_and_the_best(invoke: Invoke, finished: Path) -> None:
    result = invoke("sweep", *RATES, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    assert [row["run"] for row in rows] == ["demo-sweep-1", "demo-sweep-2"]
    assert [row["best"] for row in rows] == [False, True]
    assert rows[1]["valid_loss"] < rows[0]["valid_loss"]
    assert 0 < rows[0]["share"] < 1 and rows[0]["trained_parameters"] > 1000
    assert "Best: learning_rate 0.01. Use it: mlx-tutor fuse -c demo --run demo-sweep-2" in result.stderr
    folder = finished / "adapters" / "demo-sweep"
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "sweep.csv").open() as file:
        assert [float(row["valid_loss"]) for row in csv.DictReader(file)] == [row["valid_loss"] for row in rows]
    assert "| **0.01** |" in (folder / "sweep.md").read_text()
    # A second time, only what is new is trained.
    before = (finished / "adapters" / "demo-sweep-2" / "adapters.safetensors").stat().st_mtime_ns
    result = invoke("sweep", "--set", "sweep.learning_rate=[1e-5, 1e-2, 1e-3]", "--set", "train.iters=6")
    assert result.stderr.count("training demo-sweep-") == 1
    assert (finished / "adapters" / "demo-sweep-2" / "adapters.safetensors").stat().st_mtime_ns == before
    assert re.search(r"^ \* 0\.0\d+ .* demo-sweep-\d $", result.stdout, re.MULTILINE)
    # Another sweep keeps this one's table, named by its date and settings.
    assert invoke("sweep", "--set", "sweep.rank=[2]", "--set", "train.iters=6").exit_code == 0
    [earlier] = [path for path in folder.iterdir() if path.is_dir()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d{4} learning_rate", earlier.name)
    assert "| **0.01** |" in (earlier / "sweep.md").read_text() and (earlier / "sweep.png").is_file()
    assert "| **2** |" in (folder / "sweep.md").read_text()
    # Without a name, commands still take the newest run that was trained alone.
    assert json.loads(invoke("fuse", "--json").stdout)["result"]["run"] == "demo"
    assert invoke("fuse", "--run", "demo-sweep-2").exit_code == 0


def test_a_setting_that_fails_is_a_line_and_is_not_tried_again(invoke: Invoke, finished: Path) -> None:
    arguments = (
        "sweep",
        "--set",
        "sweep.scale=[20, 1e20]",
        "--set",
        "train.learning_rate=1",
        "--set",
        "train.warmup=0",
    )
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    assert rows[0]["valid_loss"] is not None and rows[1]["valid_loss"] is None
    assert rows[1]["stopped"].startswith("The loss became NaN")
    assert "training demo" not in invoke(*arguments).stderr


def test_runs_are_compared_by_the_settings_that_differ(invoke: Invoke, finished: Path) -> None:
    assert "settings that differ" not in invoke("runs").stdout
    for settings in (["--set", "train.rank=2"], ["--set", "train.rank=2", "--set", "train.learning_rate=1e-2"]):
        assert invoke("train", *settings).exit_code == 0
    shown = json.loads(invoke("runs", "demo", "demo-3", "--json").stdout)
    assert shown["differences"] == {"train.rank": ["4", "2"], "train.learning_rate": ["0.003", "0.01"]}
    table = invoke("runs", "demo", "demo-3").stdout
    assert re.search(r"train\.rank +4 +2", table)
    assert re.search(r"train\.learning_rate +0\.003 +0\.01", table)
    assert re.search(r"validation loss +\d\.\d{3} to \d\.\d{3} +\d\.\d{3} to", table)
    assert re.search(r"training loss +\d\.\d{3} +\d\.\d{3}", table) and re.search(r"trained +\d+k of \d+k", table)
    lines = invoke("runs", "demo", "demo-3", "--markdown").stdout.splitlines()
    assert lines[:2] == ["|  | demo | demo-3 |", "| --- | --- | --- |"] and "| train.rank | 4 | 2 |" in lines
    assert invoke("runs", "demo", "--markdown").exit_code == 2
