"""Nothing is lost: killed, stopped or out of disk, a training goes on to the very adapter of one that never stopped."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.errors import TrainingError, TutorError
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.checkpoint import find_checkpoint, read_checkpoint
from mlx_tutor.training.monitor import Metric
from mlx_tutor.training.train import TrainReport, is_run_current, is_run_resumable
from mlx_tutor.workspace import Run
from tests.training.runs import RESUMED, SETTINGS, make_rows, read_best, read_losses, stop_at, train

CHILD = """
import sys, time
from dataclasses import replace
from pathlib import Path
from tests.training.runs import RESUMED, train

def slow(metric):
    time.sleep(0.02)

train(Path(sys.argv[1]), Path(sys.argv[2]), replace(RESUMED, iters=int(sys.argv[3])), on_event=slow)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Run, TrainReport]:
    """A training that nothing interrupts."""
    return train(tmp_path_factory.mktemp("whole"), tiny_model, RESUMED)


@pytest.mark.parametrize("stops", [(5,), (15, 25), (18,)])
def test_a_stopped_training_goes_on_bit_for_bit(
    tmp_path: Path, tiny_model: Path, whole: tuple[Run, TrainReport], stops: tuple[int, ...]
) -> None:
    for iteration in stops:
        run, report = train(tmp_path, tiny_model, RESUMED, on_event=stop_at(iteration))
        # With two batches to an update, the update is finished first.
        assert (report.stopped, report.iterations) == ("interrupted", iteration + iteration % 2)
        assert run.is_complete and (run.adapter / "adapters.safetensors").is_file()
        inputs = run.read()["inputs"]
        assert is_run_resumable(run, "course", inputs) and not is_run_current(run, inputs)
        assert not is_run_resumable(run, "other", inputs)
    run, report = train(tmp_path, tiny_model, RESUMED)
    assert read_best(run) == read_best(whole[0])
    assert read_losses(run) == read_losses(whole[0])
    assert (report.best_loss, report.best_iteration) == (whole[1].best_loss, whole[1].best_iteration)
    assert not find_checkpoint(run).exists()


def kill_at_random(folder: Path, base: Path, kills: int, iters: int) -> int:
    """Start a training in a process of its own, again and again, and kill each at a random moment of its work.

    Returns how many were killed before their end.
    """
    rng = random.Random(1)
    command = [sys.executable, "-c", CHILD, str(folder), str(base), str(iters)]
    run = Run(folder, "course").adapter
    done = 0
    for number in range(kills):
        # Most of them after they went on a little, so that all together come far; every fourth at its start.
        path = run / ("metrics.jsonl" if number % 4 == 3 else "checkpoint.safetensors")
        before = path.stat().st_mtime_ns if path.is_file() else 0
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and (path.stat().st_mtime_ns if path.is_file() else 0) == before:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.2))
            done += process.poll() is None
            process.kill()
    return done


@pytest.mark.parametrize(
    ("kills", "iters"),
    [pytest.param(2, RESUMED.iters, id="two"), pytest.param(20, 400, id="twenty", marks=pytest.mark.slow)],
)
def test_a_killed_training_goes_on_bit_for_bit(
    tmp_path: Path, tiny_model: Path, whole: tuple[Run, TrainReport], kills: int, iters: int
) -> None:
    settings = replace(RESUMED, iters=iters)
    reference = whole[0] if iters == RESUMED.iters else train(tmp_path / "whole", tiny_model, settings)[0]
    assert kill_at_random(tmp_path / "killed", tiny_model, kills, iters) == kills
    killed = Run(tmp_path / "killed", "course")
    state = read_checkpoint(killed)
    assert state is not None and state.state["progress"]["iteration"] > 0, "no kill came in the middle"
    run, _ = train(tmp_path / "killed", tiny_model, settings)
    assert read_best(run) == read_best(reference)
    assert read_losses(run) == read_losses(reference)


def test_a_checkpoint_holds_everything_at_a_whole_update(tmp_path: Path, tiny_model: Path) -> None:
    run, _ = train(tmp_path, tiny_model, RESUMED, on_event=stop_at(25))
    checkpoint = read_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.state["progress"]["iteration"] == 26
    assert checkpoint.state["iterations"] == RESUMED.iters
    assert checkpoint.select("optimizer")["step"].item() == 13
    names = set(checkpoint.select("adapter"))
    assert names == set(checkpoint.select("best")) and len(names) == 28
    # Adapter, best adapter, and two moments of Adam.
    assert find_checkpoint(run).stat().st_size < 4.5 * (run.adapter / "adapters.safetensors").stat().st_size


def test_other_settings_do_not_go_on_with_it(tmp_path: Path, tiny_model: Path) -> None:
    train(tmp_path, tiny_model, RESUMED, on_event=stop_at(15))
    with pytest.raises(TrainingError, match="interrupted training on other rows or settings"):
        train(tmp_path, tiny_model, replace(RESUMED, seed=1))


def test_a_damaged_checkpoint_is_named(tmp_path: Path, tiny_model: Path) -> None:
    run, _ = train(tmp_path, tiny_model, RESUMED, on_event=stop_at(15))
    find_checkpoint(run).write_bytes(find_checkpoint(run).read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"checkpoint.safetensors is damaged. Delete"):
        train(tmp_path, tiny_model, RESUMED)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A path that takes no byte."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    yield Path("/dev/full")


@pytest.mark.parametrize(
    # Named, as a process's number is another one in each worker of pytest-xdist.
    "name",
    [
        pytest.param("metrics.jsonl", id="metrics"),
        pytest.param(f".checkpoint.{os.getpid()}.safetensors", id="checkpoint"),
    ],
)
def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(
    tmp_path: Path, tiny_model: Path, whole: tuple[Run, TrainReport], full_disk: Path, name: str
) -> None:
    folder = Run(tmp_path, "course").adapter

    def fill(metric: Metric) -> None:
        if metric["kind"] == "train" and metric["iteration"] == 20:
            (folder / name).rename(folder / "kept") if (folder / name).exists() else None
            (folder / name).symlink_to(full_disk)

    with pytest.raises(TutorError, match=r"The disk is full: cannot write .* Free some space and run again") as caught:
        train(tmp_path, tiny_model, RESUMED, on_event=fill)
    assert "\n" not in str(caught.value)
    (folder / name).unlink(missing_ok=True)
    if (folder / "kept").exists():
        (folder / "kept").rename(folder / name)
    run, _ = train(tmp_path, tiny_model, RESUMED)
    assert read_best(run) == read_best(whole[0])


def test_a_vanished_folder_is_one_line_and_training_goes_on_once_it_is_back(
    tmp_path: Path, tiny_model: Path, whole: tuple[Run, TrainReport]
) -> None:
    folder, away = tmp_path / "adapters", tmp_path / "away"

    def take_out(metric: Metric) -> None:
        if metric["kind"] == "train" and metric["iteration"] == 25:
            folder.rename(away)

    with pytest.raises(TrainingError, match=r"folder .*course is gone.*put it back and run again"):
        train(tmp_path, tiny_model, RESUMED, on_event=take_out)
    assert not folder.exists()
    away.rename(folder)
    run, _ = train(tmp_path, tiny_model, RESUMED)
    assert read_best(run) == read_best(whole[0])


def test_epochs_say_how_long_to_train(tmp_path: Path, tiny_model: Path) -> None:
    settings: TrainSettings = replace(SETTINGS, epochs=1.5, steps_per_eval=100)
    # 22 rows are 6 batches of 4.
    _, report = train(tmp_path, tiny_model, settings)
    assert report.iterations == 9
    assert report.passes == 1.5
    _, report = train(tmp_path, tiny_model, replace(settings, grad_accumulation_steps=2), name="summed")
    assert report.iterations == 10


def test_validation_rests_on_the_same_rows_after_a_stop(tmp_path: Path, tiny_model: Path) -> None:
    settings, valid = replace(RESUMED, val_batches=2), make_rows(31, start=22)
    whole, _ = train(tmp_path, tiny_model, settings, name="whole", valid=valid)
    train(tmp_path, tiny_model, settings, on_event=stop_at(15), valid=valid)
    run, report = train(tmp_path, tiny_model, settings, valid=valid)
    assert (report.valid_rows, report.valid_total) == (8, 31)
    assert read_losses(run) == read_losses(whole)
    assert read_best(run) == read_best(whole)
