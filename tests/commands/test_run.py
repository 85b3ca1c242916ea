"""The whole line, and each stage as a command of its own."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands.conftest import Invoke, run_program, start_program

STAGES = ["extract", "build", "train", "fuse", "evaluate"]


def read_stages(stdout: str) -> dict[str, bool]:
    return {stage["stage"]: stage["up_to_date"] for stage in json.loads(stdout)["stages"]}


def test_run_ends_with_losses_retention_costs_and_the_next_command(invoke: Invoke, workspace: Path) -> None:
    result = invoke("run")
    assert result.exit_code == 0, result.stderr
    for name in ("base", "adapter", "fused"):
        assert re.search(rf"^ {name} +\d+\.\d{{3}}", result.stdout, re.MULTILINE)
    assert "Retention of the training in the fused model:" in result.stdout
    for stage in STAGES:
        assert re.search(rf"^ {stage} +[\d.]+ s +[\d.]+ [MG]B", result.stdout, re.MULTILINE)
    next_command = re.search(r"^Next: mlx-tutor (compare --prompt .+)$", result.stdout, re.MULTILINE)
    assert next_command is not None
    assert (workspace / "adapters" / "demo" / "loss.png").is_file()
    assert (workspace / "fused_models" / "demo" / "fuse.json").is_file()
    assert (workspace / "adapters" / "demo" / "evaluation.json").is_file()


PROBE = """
import atexit, sys
from mlx_tutor.cli import cli
atexit.register(lambda: print(sorted(sys.modules)))
cli()
"""


def list_modules(*arguments: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a command in a fresh process; returns what came out, and the modules that it had loaded at its end."""
    result = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False)
    return result, result.stdout.splitlines()[-1]


def test_a_second_run_does_nothing_and_loads_nothing(finished: Path) -> None:
    files = [path for folder in ("adapters", "fused_models") for path in (finished / folder).rglob("*")]
    before = [path.stat().st_mtime_ns for path in files]
    result, loaded = list_modules("run")
    assert result.returncode == 0, result.stderr
    assert "All is up to date: run demo." in result.stdout
    assert [line.split()[0] for line in result.stderr.splitlines() if "up to date:" in line] == STAGES
    assert "'mlx_tutor.models'" in loaded
    assert not [name for name in ("mlx_lm", "transformers", "datasets", "matplotlib") if f"'{name}'" in loaded]
    assert [path.stat().st_mtime_ns for path in files] == before


def test_under_make_the_next_command_is_one_of_make(
    invoke: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLX_TUTOR_MAKE", "1")
    assert re.search(r'^Next: make compare PROMPT="[^"$`\\]+\?"$', invoke("run").stdout, re.MULTILINE)
    (finished / "corpora" / "other" / "sources").mkdir(parents=True)
    assert re.search(r'^Next: make compare PROMPT=".+" COURSE=demo$', invoke("run", "-c", "demo").stdout, re.MULTILINE)


def test_json_is_alone_on_stdout(invoke: Invoke, finished: Path) -> None:
    result = invoke("run", "--json")
    assert read_stages(result.stdout) == dict.fromkeys(STAGES, True)
    assert "up to date" in result.stderr


def test_quiet_leaves_results(invoke: Invoke, finished: Path) -> None:
    result = invoke("run", "-q")
    assert result.stderr == ""
    assert "Next:" in result.stdout


def test_other_settings_make_a_new_run_and_only_what_depends_on_them(invoke: Invoke, finished: Path) -> None:
    result = invoke("run", "--json", "--set", "train.rank=2")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["run"] == "demo-2"
    assert read_stages(result.stdout) == {**dict.fromkeys(STAGES, False), "extract": True, "build": True}
    # The first settings still have their run, which is no longer the newest.
    result = invoke("run")
    assert "All is up to date: run demo." in result.stdout
    assert "compare --run demo --prompt" in result.stdout


def test_a_changed_source_goes_down_the_line(invoke: Invoke, finished: Path) -> None:
    source = finished / "corpora" / "demo" / "sources" / "week1.md"
    source.write_text(source.read_text() + "\n## Skew\n\nThe skew is a measure of how lopsided a histogram is.\n")
    result = invoke("train")
    assert result.exit_code == 1
    assert "week1.md changed" in result.stderr
    assert "Run: mlx-tutor extract -c demo, then: mlx-tutor build -c demo" in result.stderr
    result = invoke("run", "--json")
    assert read_stages(result.stdout) == dict.fromkeys(STAGES, False)


def test_a_bad_source_is_listed_and_the_rest_goes_on(invoke: Invoke, finished: Path) -> None:
    (finished / "corpora" / "demo" / "sources" / "broken.pdf").write_text("no PDF")
    shutil.rmtree(finished / "fused_models")
    result = invoke("extract", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["result"]["documents"] == 2
    assert [failure.split(":")[0] for failure in found["failures"]] == ["broken.pdf"]
    assert invoke("extract").stderr.count("broken.pdf: ") == 1
    for _ in range(2):
        result = invoke("run")
        assert result.exit_code == 1
        assert result.stderr.split("left out: 1\n")[-1].startswith("  broken.pdf: ")
        assert (finished / "fused_models" / "demo" / "fuse.json").is_file()


def test_the_stages_one_by_one(invoke: Invoke, workspace: Path) -> None:
    for stage in STAGES:
        result = invoke(stage, "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["stage"] == stage
        assert not json.loads(result.stdout)["up_to_date"]
    for stage in STAGES:
        assert json.loads(invoke(stage, "--json").stdout)["up_to_date"]
    assert re.search(r"^ fused +\d+\.\d{3} +[\d,.]+ *$", invoke("evaluate").stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("build", "mlx-tutor extract -c demo"),
        ("train", "mlx-tutor extract -c demo, then: mlx-tutor build -c demo"),
        ("fuse", "mlx-tutor train -c demo"),
        ("evaluate", "mlx-tutor train -c demo"),
        ("show", "mlx-tutor build -c demo"),
    ],
)
def test_a_stage_before_its_turn_names_the_one_to_run(
    invoke: Invoke, workspace: Path, stage: str, message: str
) -> None:
    result = invoke(stage)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_training_is_refused_before_a_model_is_loaded(workspace: Path) -> None:
    result, loaded = list_modules("train")
    assert result.returncode == 1
    assert "'mlx_lm'" not in loaded


def test_edited_rows_are_accepted_with_one_warning(invoke: Invoke, finished: Path) -> None:
    file = finished / "corpora" / "demo" / "dataset" / "train.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-1]) + "\n")
    result = invoke("train")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("Warning:") == 1 and "train.jsonl" in result.stderr
    assert (finished / "adapters" / "demo-2" / "run.json").is_file()


def test_a_named_run(invoke: Invoke, finished: Path) -> None:
    result = invoke("train", "--run", "mine", "--set", "train.seed=5")
    assert result.exit_code == 0, result.stderr
    assert json.loads(invoke("train", "--run", "mine", "--set", "train.seed=5", "--json").stdout)["up_to_date"]
    result = invoke("train", "--run", "demo", "--set", "train.seed=5")
    assert result.exit_code == 1
    assert "Run 'demo' exists" in result.stderr


def test_runs_lists_what_was_trained(invoke: Invoke, finished: Path) -> None:
    entries = json.loads(invoke("runs", "--json").stdout)
    assert [entry["run"] for entry in entries] == ["demo"]
    assert 4 <= entries[0]["fused"]["bits"] <= 16
    assert "demo" in invoke("runs").stdout
    shutil.rmtree(finished / "adapters")
    assert "no finished run" in invoke("runs").stdout


def test_forced_bits(invoke: Invoke, finished: Path) -> None:
    for arguments, bits in ((["--bits", "8"], 8), (["--dequantize"], None)):
        result = invoke("fuse", *arguments, "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["result"]["bits"] == bits
    assert invoke("fuse", "--bits", "8", "--dequantize").exit_code == 2


def test_show_marks_what_is_trained(invoke: Invoke, finished: Path) -> None:
    shown = json.loads(invoke("show", "-n", "2", "--json").stdout)
    assert [entry["line"] for entry in shown] == [1, 2]
    turn = shown[0]["turns"][0]
    row = json.loads((finished / "corpora" / "demo" / "dataset" / "train.jsonl").read_text().splitlines()[0])
    assert turn["trained"] == row["messages"][-1]["content"]
    assert turn["prompt"].endswith("<|im_start|>assistant\n") and turn["end"] == "<|im_end|>"
    assert row["messages"][-1]["content"].split("\n")[0][:20] in invoke("show", "-n", "1").stdout
    result = invoke("show", "--set", "train.max_seq_length=32", "--json")
    assert json.loads(result.stdout)[0]["dropped"] == ["longer than 32 tokens"]
    assert json.loads(result.stdout)[0]["turns"]
    assert "Lower --from" in invoke("show", "--from", "9999").stderr


def test_show_names_what_build_dropped(invoke: Invoke, workspace: Path) -> None:
    sources = workspace / "corpora" / "demo" / "sources"
    (sources / "copy.md").write_bytes((sources / "week1.md").read_bytes())
    assert invoke("extract").exit_code == 0 and invoke("build").exit_code == 0
    shown = invoke("show", "--split", "dropped", "-n", "9").stdout
    assert "repeat" in shown and "week1.md" in shown


def test_ctrl_c_in_training_keeps_what_was_learned(workspace: Path) -> None:
    process = start_program("run", "--set", "train.iters=100000", "--set", "train.steps_per_eval=5")
    metrics = workspace / "adapters" / "demo" / "metrics.jsonl"
    for _ in range(600):
        if metrics.is_file() and '"iteration": 5' in metrics.read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err and "Traceback" not in err
    record = json.loads((workspace / "adapters" / "demo" / "run.json").read_text())
    assert record["result"]["stopped"] == "interrupted"
    code, out, err = run_program("train", "--json")
    assert code == 0, err
    assert json.loads(out)["result"]["run"] == "demo-2"
