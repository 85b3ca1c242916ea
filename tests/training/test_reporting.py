"""Reports for TensorBoard, and for programs that may not be installed."""

import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from mlx_tutor.errors import RecipeError
from mlx_tutor.training.reporting import open_callback
from mlx_tutor.workspace import Run
from tests.training.runs import SETTINGS, train


def read_values(path: Path, tag: str) -> list[float]:
    """The numbers under a tag, in their order; a record is its length, a checksum, an event and its checksum."""
    data, values = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        values += [value.simple_value for value in event.summary.value if value.tag == tag]
        data = data[16 + length :]
    return values


def test_tensorboard_gets_the_curve(tmp_path: Path, tiny_model: Path) -> None:
    run, report = train(tmp_path, tiny_model, replace(SETTINGS, iters=10, report_to="tensorboard"))
    (path,) = run.adapter.glob("events.out.tfevents.*")
    assert read_values(path, "validation/loss") == pytest.approx([report.base_loss, report.best_loss], abs=1e-6)
    trained = read_values(path, "training/train_loss")
    assert len(trained) == 2 and trained[-1] == pytest.approx(report.train_loss, abs=1e-6)


@pytest.mark.parametrize("name", ["wandb", "swanlab"])
def test_what_is_not_installed_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} is not installed. Install it with: pip install {name}"):
        open_callback(f"tensorboard, {name}", Run(tmp_path, "run"), "course", {})


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"unknown mlflow\. It knows: tensorboard, wandb, swanlab"):
        open_callback("mlflow", Run(tmp_path, "run"), "course", {})


def test_wandb_is_called_through_mlx_lm_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "wandb.py").write_text(
        "import json\n"
        "def init(project, name, dir, config): print(json.dumps([project, name, config]))\n"
        "def log(values, step): print(json.dumps([values, step]))\n"
    )
    code = (
        "from pathlib import Path; from mlx_tutor.training.reporting import open_callback\n"
        "from mlx_tutor.workspace import Run\n"
        f"callback = open_callback('wandb,tensorboard', Run(Path({str(tmp_path)!r}), 'mine'), 'demo', {{'train': 1}})\n"
        "callback.on_val_loss_report({'iteration': 3, 'val_loss': 0.5})\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines == [["demo", "mine", {"train": 1}], [{"iteration": 3, "val_loss": 0.5}, 3]]
    assert len(list((tmp_path / "adapters" / "mine").glob("events.out.tfevents.*"))) == 1
