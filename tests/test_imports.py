"""What may import what, and what must not be imported at all."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("mlx", "mlx_lm", "transformers", "datasets", "matplotlib", "huggingface_hub", "numpy", "rich")
PROBE = f"""
import sys
from mlx_tutor.cli import cli
try:
    cli(sys.argv[1:])
finally:
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, loaded
"""


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["run", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    result = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {program}", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with its import rules."""
    shutil.copytree(ROOT / "mlx_tutor", tmp_path / "mlx_tutor", ignore=shutil.ignore_patterns("model", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (None, ""),
        ("dataset/__init__.py", "import mlx_tutor.models"),
        ("training/rows.py", "import mlx_tutor.dataset"),
        ("extract/__init__.py", "import click"),
        ("commands/train.py", "import rich"),
        ("workspace.py", "import mlx.core"),
        ("fuse/fuse.py", "import mlx_tutor.display"),
        ("training/loss.py", "import huggingface_hub"),
    ],
)
def test_the_rooms_are_kept_apart(package: Path, module: str | None, line: str) -> None:
    if module is not None:
        with (package / "mlx_tutor" / module).open("a") as file:
            file.write(f"\n{line}\n")
    result = lint_imports(package)
    assert (result.returncode == 0) == (module is None), result.stdout + result.stderr


def test_test_modules_import_helpers_and_not_each_other() -> None:
    imports = re.compile(r"^\s*(?:from|import)\s+tests\.\S*\btest_.*", re.MULTILINE)
    found = {path.name: imports.findall(path.read_text()) for path in (ROOT / "tests").rglob("*.py")}
    assert imports.findall("from tests.study.test_index import find") and not any(found.values()), found


def test_test_files_are_named_after_what_they_test() -> None:
    """A module or a room, with a topic behind it or without; or what holds for the product as a whole."""
    whole = {"contracts", "contributing", "golden", "imports", "makefile", "metal", "readme", "sample_course"}

    def is_named(path: Path) -> bool:
        room = ROOT / "mlx_tutor" / path.parent.relative_to(ROOT / "tests")
        words = path.stem.removeprefix("test_").split("_")
        names = ["_".join(words[: number + 1]) for number in range(len(words))]
        folders = (room, path.parent, ROOT / "mlx_tutor")
        tested = any((f / f"{name}.py").is_file() or (f / name).is_dir() for name in names for f in folders)
        return tested or names[-1] in whole

    assert is_named(ROOT / "tests" / "extract" / "test_ocr.py") and not is_named(
        ROOT / "tests" / "extract" / "test_it.py"
    )
    assert not [path for path in (ROOT / "tests").rglob("test_*.py") if not is_named(path)]


def test_commands_import_nothing_heavy_at_the_top(package: Path) -> None:
    file = package / "mlx_tutor" / "commands" / "train.py"
    file.write_text(file.read_text().replace("import click\n", "import click\nimport mlx.core\n"))
    ruff = [sys.executable, "-m", "ruff", "check", "--select", "TID253", "--no-cache", "mlx_tutor"]
    result = subprocess.run(ruff, cwd=package, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "TID253" in result.stdout and "train.py" in result.stdout
