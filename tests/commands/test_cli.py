"""The group: help, exit statuses, and what a problem looks like."""

import os
import sys
from pathlib import Path

import pytest

import mlx_tutor.commands.runs
from mlx_tutor import __version__
from mlx_tutor.cli import set_quiet_environment
from mlx_tutor.commands import COMMANDS, load_command
from mlx_tutor.stages.job import adapt_hints, find_program
from tests.commands.conftest import Invoke, run_program


def test_help_lists_every_command_in_one_line_each(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    listed = result.output.split("Commands:\n")[1].rstrip().split("\n")
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert not [line for line in listed if line.endswith("...") or len(line) > 80]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_says_what_it_does_and_gives_an_example(invoke: Invoke, name: str) -> None:
    result = invoke(name, "-h")
    assert result.exit_code == 0
    assert f"Example: mlx-tutor {name}" in result.output
    assert "Read" in result.output or "Writes" in result.output
    assert len(load_command(name).params) <= 15


def test_version(invoke: Invoke) -> None:
    assert __version__ in invoke("--version").output


@pytest.mark.parametrize("arguments", [["nonsense"], ["train", "--nonsense"], ["pull"], ["compare"]])
def test_wrong_usage_is_status_2(invoke: Invoke, arguments: list[str]) -> None:
    assert invoke(*arguments).exit_code == 2


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: object) -> None:
        raise error

    monkeypatch.setattr(mlx_tutor.commands.runs, "open_job", fail)


def test_a_bug_keeps_its_traceback(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(ZeroDivisionError("bug"), monkeypatch)
    assert isinstance(invoke("runs").exception, ZeroDivisionError)


def test_ctrl_c_is_one_line_and_status_130(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(KeyboardInterrupt(), monkeypatch)
    result = invoke("runs")
    assert result.exit_code == 130
    assert result.stderr.strip().startswith("Interrupted.")
    assert result.stdout == ""


def test_a_problem_is_one_line_on_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run_program("train", "--json")
    assert (code, out) == (1, "")
    assert err.startswith("Error: No course: there is no corpora/ in ") and len(err.splitlines()) == 1


def test_a_mistyped_command_gets_a_near_name(invoke: Invoke) -> None:
    result = invoke("trian")
    assert result.exit_code == 2
    assert "No such command 'trian'. Did you mean 'train'?" in result.stderr


def test_hints_fit_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_TUTOR_MAKE", "1")
    assert adapt_hints("Name one with -c NAME.") == "Name one with COURSE=NAME."
    hint = adapt_hints("Or use the built-in model: --set model.base=starter")
    assert hint == "Or use the built-in model: MODEL=starter"


def test_hints_name_the_program_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    find_program.cache_clear()
    monkeypatch.setattr(sys, "argv", [".venv/bin/mlx-tutor", "run"])
    monkeypatch.setenv("PATH", "")
    try:
        hint = adapt_hints("Fetch it with: mlx-tutor pull a/b. Or read /x/mlx-tutor run.")
        assert hint == "Fetch it with: .venv/bin/mlx-tutor pull a/b. Or read /x/mlx-tutor run."
    finally:
        find_program.cache_clear()


def test_only_pull_may_use_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)
    set_quiet_environment("pull")
    assert "HF_HUB_OFFLINE" not in os.environ
    set_quiet_environment("train")
    assert os.environ["HF_HUB_OFFLINE"] == "1"
