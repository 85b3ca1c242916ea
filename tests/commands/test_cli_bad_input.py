"""Bad input: one line, exit status 1, nothing lost."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands.conftest import Invoke, expect_problem, make_course, run_program, start_program
from tests.model_factory import make_model
from tests.namespaces import UNSHARE, can_mount


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["extract", "build", "show", "train", "runs", "fuse", "evaluate", "run"])
def test_no_course(invoke: Invoke, empty: Path, command: str) -> None:
    assert "mlx-tutor init NAME" in expect_problem(invoke, command)
    assert list(empty.iterdir()) == []


def test_two_courses_and_none_named(invoke: Invoke, workspace: Path, tiny_model: Path) -> None:
    make_course(workspace, "other", tiny_model)
    assert "Several courses: demo, other" in expect_problem(invoke, "run")
    assert "Courses here: demo, other" in expect_problem(invoke, "run", "-c", "third")


def test_an_empty_course(invoke: Invoke, empty: Path) -> None:
    assert invoke("init", "new").exit_code == 0
    for command in ("extract", "run"):
        assert str(empty / "corpora" / "new" / "sources") in expect_problem(invoke, command)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nrnak = 8", "unknown key train.rnak (did you mean rank?)"),
        ("[train]\nrank = 'eight'", "train.rank must be a whole number, not 'eight'"),
        ("[train]\nalpha = 16\nscale = 2.0", "train.alpha and train.scale"),
        ("[trian]\nrank = 8", "unknown section [trian] (did you mean train?)"),
        ("[train\nrank = 8", "not valid TOML"),
    ],
)
@pytest.mark.parametrize("command", ["build", "show", "train", "fuse", "evaluate", "run", "compare"])
def test_a_bad_recipe(invoke: Invoke, workspace: Path, text: str, message: str, command: str) -> None:
    (workspace / "corpora" / "demo" / "recipe.toml").write_text(text)
    extra = ("--prompt", "x") if command == "compare" else ()
    assert message in expect_problem(invoke, command, *extra)


def test_a_bad_override(invoke: Invoke, workspace: Path) -> None:
    line = expect_problem(invoke, "run", "--set", "train.rank=0", "--set", "nonsense")
    assert "train.rank must be" in line and "'nonsense' is not of the form" in line


def test_a_model_that_is_not_there(invoke: Invoke, workspace: Path) -> None:
    line = expect_problem(invoke, "run", "--set", "model.base=nobody/nothing-4bit")
    assert "mlx-tutor pull nobody/nothing-4bit" in line and "model.base=starter" in line


def test_a_dataset_of_three_rows(invoke: Invoke, finished: Path) -> None:
    file = finished / "corpora" / "demo" / "dataset" / "train.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))
    assert "at least 8" in expect_problem(invoke, "train")
    assert not (finished / "adapters" / "demo-2").exists()


def test_a_broken_row(invoke: Invoke, finished: Path) -> None:
    file = finished / "corpora" / "demo" / "dataset" / "train.jsonl"
    file.write_text(file.read_text() + '{"messages": [\n')
    assert "train.jsonl, line" in expect_problem(invoke, "train")


def test_a_prompt_longer_than_the_context(invoke: Invoke, finished: Path) -> None:
    line = expect_problem(invoke, "compare", "--prompt", "word " * 400, "--json")
    assert "context holds 1024" in line


def test_an_adapter_of_another_base(invoke: Invoke, finished: Path, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", seed=9)
    before = (finished / "fused_models" / "demo" / "fuse.json").read_text()
    for command in (["fuse", "--bits", "8"], ["compare", "--prompt", "x"]):
        assert "trained on another model" in expect_problem(invoke, *command, "--set", f"model.base={other}")
    assert (finished / "fused_models" / "demo" / "fuse.json").read_text() == before


@pytest.mark.parametrize("content", [b"", b"no weights", b"\xff" * 4000])
def test_corrupt_safetensors(invoke: Invoke, finished: Path, content: bytes) -> None:
    adapter = finished / "adapters" / "demo" / "adapters.safetensors"
    kept = adapter.read_bytes()
    before = (finished / "fused_models" / "demo" / "fuse.json").read_text()
    adapter.write_bytes(content)
    assert str(adapter.parent) in expect_problem(invoke, "fuse")
    assert str(adapter.parent) in expect_problem(invoke, "evaluate")
    assert (finished / "fused_models" / "demo" / "fuse.json").read_text() == before
    adapter.write_bytes(kept)
    fused = finished / "fused_models" / "demo" / "model.safetensors"
    fused.write_bytes(content)
    assert str(fused.parent) in expect_problem(invoke, "compare", "--prompt", "x")


def run_on_a_small_disk(folder: Path, size: str, *arguments: str) -> tuple[int, str]:
    """Run the program with `folder` on a tmpfs of `size`, in a mount namespace of its own."""
    script = f'mount -t tmpfs -o size={size} none "$0" && shift 0 && exec "$@"'
    command = [sys.executable, "-m", "mlx_tutor.cli", *arguments]
    result = subprocess.run(
        [*UNSHARE, "sh", "-c", script, str(folder), *command], capture_output=True, text=True, check=False
    )
    return result.returncode, result.stderr


@pytest.mark.parametrize(
    ("folder", "command"), [("adapters", ["train", "--set", "train.seed=7"]), ("fused_models", ["fuse", "--bits", "8"])]
)
def test_a_full_disk(finished: Path, folder: str, command: list[str]) -> None:
    if not can_mount(finished / "corpora"):
        pytest.skip("cannot mount a tmpfs here")
    code, err = run_on_a_small_disk(finished / folder, "40k", *command)
    assert code == 1, err
    assert err.splitlines()[-1].startswith("Error: The disk is full: cannot write ")
    assert "Traceback" not in err
    assert run_program("run")[0] == 0


def test_killed_during_fuse_then_fused_again(finished: Path) -> None:
    fused = finished / "fused_models" / "demo"
    before = (fused / "fuse.json").read_text()
    process = start_program("fuse", "--bits", "8")
    for _ in range(3000):
        if fused.with_name(".demo.partial").exists():
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (fused / "fuse.json").read_text() == before
    code, out, err = run_program("fuse", "--bits", "8", "--json")
    assert code == 0, err
    assert json.loads(out)["result"]["bits"] == 8
    assert not fused.with_name(".demo.partial").exists()
    assert run_program("compare", "--prompt", "What is a mean?", "-q")[0] == 0
