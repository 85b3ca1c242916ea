"""Reports for TensorBoard, and for programs that may not be installed."""

import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.errors import RecipeError
from mlx_tutor.training.reporting import frame_record, open_callback
from mlx_tutor.workspace import Run
from tests.training.test_train import SETTINGS, train


def read_records(path: Path) -> list[bytes]:
    """The records of an event file, both checksums compared."""
    data, records = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        record = data[12 : 12 + length]
        assert data[: 16 + length] == frame_record(record)
        records.append(record)
        data = data[16 + length :]
    return records


def read_value(record: bytes, tag: str) -> float | None:
    """The number that a summary has under a tag."""
    place = record.find(tag.encode())
    start = place + len(tag) + 1
    return None if place < 0 else float(struct.unpack("<f", record[start : start + 4])[0])


def test_a_checksum_is_the_published_one() -> None:
    # CRC-32C of "123456789" is e3069283 (RFC 3720 and its test vectors); TFRecord masks it.
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert frame_record(b"123456789")[-4:] == struct.pack("<I", masked)


def test_tensorboard_gets_the_curve(tmp_path: Path, tiny_model: Path) -> None:
    run, report = train(tmp_path, tiny_model, replace(SETTINGS, iters=10, report_to="tensorboard"))
    (path,) = run.adapter.glob("events.out.tfevents.*")
    records = read_records(path)
    assert b"brain.Event:2" in records[0]
    losses = [value for record in records if (value := read_value(record, "validation/loss")) is not None]
    assert losses == pytest.approx([report.base_loss, report.best_loss], abs=1e-6)
    trained = [value for record in records if (value := read_value(record, "training/train_loss")) is not None]
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
