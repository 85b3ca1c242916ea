"""Interrupted trainings go on by themselves, and what a training will take is said beforehand."""

import json
import re
import signal
from pathlib import Path

from mlx_tutor.files import write_json
from tests.commands.conftest import Invoke, run_program
from tests.commands.trainings import start_training

LONG = ("--set", "train.iters=100000", "--set", "train.steps_per_eval=5", "--set", "train.steps_per_save=5")


def test_a_stopped_training_says_how_to_go_on_and_the_same_command_does(built: Path) -> None:
    with start_training(built, '"iteration": 5', "train", *LONG) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    found = re.search(r"Go on: mlx-tutor (train -c demo --run demo --set train.iters=100000 --set .*)$", err, re.M)
    assert found is not None, err
    assert "mlx-tutor fuse -c demo --run demo" in err and "Traceback" not in err
    # It can be used as it is ...
    code, out, err = run_program("runs", "demo", "--json")
    assert code == 0 and json.loads(out)["stopped"] == "interrupted"
    # ... and goes on; a kill that nothing can catch loses nothing that was saved.
    saved = json.loads((built / "adapters" / "demo" / "run.json").read_text())["result"]["iterations"]
    with start_training(built, f'"iteration": {saved // 5 * 5 + 15},', *found[1].split()) as process:
        process.kill()
        _, err = process.communicate(timeout=60)
    assert f"resuming demo at step {saved} of 100000" in err
    assert not (built / "adapters" / "demo" / "run.json").exists()
    code, out, err = run_program("runs")
    assert code == 0
    step = re.search(r"demo was interrupted at step (\d+) of 100000", out)
    assert step is not None and int(step[1]) > saved


def test_other_settings_leave_an_interrupted_run_alone(invoke: Invoke, built: Path) -> None:
    with start_training(built, '"iteration": 5', "train", *LONG) as process:
        process.kill()
        process.communicate(timeout=60)
    result = invoke("train", "--json")
    assert json.loads(result.stdout)["result"]["run"] == "demo-2"
    result = invoke("train", "--run", "demo")
    assert result.exit_code == 1
    assert "interrupted training on other rows or settings" in result.stderr


def test_the_plan_names_memory_time_passes_and_the_last_step(invoke: Invoke, built: Path) -> None:
    result = invoke("train", "--plan", "--set", "train.patience=1")
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(
        r"peak 0\.\d+ GB of [\d.]+ GB, about \d+ seconds, \d+\.\d passes, stops at step 12 at the latest, "
        r"at step 6 when validation never gets better\n",
        result.stdout,
    )
    assert not (built / "adapters").exists()


def test_a_wrong_estimate_is_said_while_training_runs(invoke: Invoke, built: Path) -> None:
    plan = json.loads(invoke("train", "--plan", "--json").stdout)
    assert plan["fitting"] == {} and 0 < plan["peak_memory_gb"] < plan["usable_memory_gb"]
    path = built / "corpora" / "demo" / "dataset" / "plan.json"
    record = json.loads(path.read_text())
    write_json(path, {**record, "plan": {**plan, "peak_memory_gb": plan["peak_memory_gb"] / 100}})
    result = invoke("train", "-q")
    assert result.exit_code == 0
    assert re.search(r"Warning: Training took 0\.\d\d GB, not 0\.00 GB as planned\.", result.stderr)


def test_both_epochs_and_iters_are_refused(invoke: Invoke, built: Path) -> None:
    recipe = built / "corpora" / "demo" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("iters = 12", "iters = 12\nepochs = 2"))
    result = invoke("train")
    assert result.exit_code == 1
    assert "train.epochs and train.iters both say how long to train; keep one" in result.stderr
    # The command line wins over the file.
    recipe.write_text(recipe.read_text().replace("epochs = 2\n", ""))
    result = invoke("train", "--json", "--set", "train.epochs=1")
    assert json.loads(result.stdout)["result"]["passes"] == 1.0
