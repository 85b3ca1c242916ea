"""A small course of our own, walked to the end once, and copied for each test that wants it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlx_tutor.cli import cli

TERMS = {
    "Mean": "The mean is the sum of all values divided by how many there are.",
    "Median": "The median is the value in the middle once all values are sorted.",
    "Mode": "The mode is the value that occurs most often in a sample.",
    "Range": "The range is the distance between the largest and the smallest value.",
    "Variance": "The variance is the mean squared distance of the values from their mean.",
    "Deviation": "The standard deviation is the square root of the variance of the values.",
    "Sample": "A sample is a part of the population that was really measured.",
    "Population": "A population is the whole set of cases that a question is about.",
    "Outlier": "An outlier is a value that lies far away from all the others.",
    "Quartile": "A quartile is one of the three values that cut sorted data into four parts.",
    "Histogram": "A histogram is a chart of how many values fall into each bin.",
    "Correlation": "A correlation is a measure of how closely two variables move together.",
    "Residual": "A residual is the difference between a measured and a fitted value.",
    "Slope": "The slope is the change of the response when the predictor grows by one.",
    "Intercept": "The intercept is the fitted response where the predictor is zero.",
    "Estimate": "An estimate is a number from a sample that stands for an unknown one.",
}
RECIPE = """
[course]
system_prompt = "Tutor."

[model]
base = "{base}"

[dataset]
chunk_tokens = 300

[train]
rank = 4
iters = 12
batch_size = 4
learning_rate = 3e-3
warmup = 2
steps_per_report = 4
steps_per_eval = 6

[fuse]
target = 0.0

[generate]
max_tokens = 12
"""

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def typed_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the tests themselves were started by make."""
    monkeypatch.delenv("MLX_TUTOR_MAKE", raising=False)


@pytest.fixture
def invoke() -> Invoke:
    """Run a command in this process; stdout and stderr stay apart."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments), prog_name="mlx-tutor")

    return run


def make_course(workspace: Path, name: str, base: Path) -> Path:
    """Write a course of two Markdown files; returns its folder."""
    root = workspace / "corpora" / name
    (root / "sources").mkdir(parents=True)
    (root / "recipe.toml").write_text(RECIPE.format(base=base.as_posix()))
    entries = list(TERMS.items())
    for number, part in enumerate((entries[:8], entries[8:]), 1):
        sections = [
            f"## {term}\n\n{text} It is used in {term.lower()} plots, as chapter {number} shows." for term, text in part
        ]
        (root / "sources" / f"week{number}.md").write_text(f"# Week {number}\n\n" + "\n\n".join(sections) + "\n")
    return root


@pytest.fixture
def workspace(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one untouched course, `demo`; the working directory."""
    make_course(tmp_path, "demo", tiny_model)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_stages(workspace: Path, base: Path, *stages: str) -> Path:
    """A workspace whose course `demo` went through these stages."""
    make_course(workspace, "demo", base)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        for stage in stages:
            result = CliRunner().invoke(cli, [stage])
            assert result.exit_code == 0, result.output
    return workspace


@pytest.fixture(scope="session")
def built_workspace(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A workspace with rows; only to be copied."""
    return run_stages(tmp_path_factory.mktemp("built"), tiny_model, "extract", "build")


@pytest.fixture(scope="session")
def finished_workspace(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A workspace after `mlx-tutor run`; only to be copied."""
    return run_stages(tmp_path_factory.mktemp("finished"), tiny_model, "run")


@pytest.fixture
def built(built_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a workspace with rows; the working directory."""
    shutil.copytree(built_workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def finished(finished_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a workspace after `mlx-tutor run`; the working directory."""
    shutil.copytree(finished_workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start_program(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start the real program in the working directory."""
    return subprocess.Popen(
        [sys.executable, "-m", "mlx_tutor.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def run_program(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the real program to its end; returns exit status, stdout and stderr."""
    process = start_program(*arguments, **environment)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def expect_problem(invoke: Invoke, *arguments: str) -> str:
    """Run a command that has to fail with one line; returns the line."""
    result = invoke(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1] == lines[0]
    return lines[0]
