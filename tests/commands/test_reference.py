"""The generated parts of the guides."""

import shutil
from pathlib import Path

from mlx_tutor.commands import COMMANDS
from mlx_tutor.commands.reference import GUIDES, ROOT, main, renew
from mlx_tutor.recipe import list_settings

EMPTY = (
    "Before\n<!-- contents -->\n<!-- /contents -->\n<!-- commands -->\n<!-- /commands -->\n"
    "between\n<!-- recipe -->\n<!-- /recipe -->\n## What is it, in *one* line?\nafter\n"
)
ALL = ("commands", "recipe", "contents")


def copy_guides(root: Path) -> None:
    for name in GUIDES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)


def test_every_command_setting_and_heading_is_written() -> None:
    text = renew(EMPTY, ALL)
    assert all(f"## `mlx-tutor {name}`" in text and f"(#mlx-tutor-{name})" in text for name in COMMANDS)
    assert all(f"| `{row.name}` |" in text for row in list_settings())
    assert "- [What is it, in *one* line?](#what-is-it-in-one-line)" in text
    assert text.startswith("Before\n") and text.endswith("after\n")
    assert renew(text, ALL) == text


def test_check_finds_what_is_stale_and_write_mends_it(tmp_path: Path) -> None:
    copy_guides(tmp_path)
    assert main(["--check"], tmp_path) is None
    settings = tmp_path / "mlx_tutor/recipes/README.md"
    settings.write_text(settings.read_text().replace("peak of the schedule", "something else"))
    training = tmp_path / "mlx_tutor/training/README.md"
    training.write_text(training.read_text() + "\n## A heading more\n")
    stale = str(main(["--check"], tmp_path))
    assert "recipes/README.md is stale" in stale and "training/README.md is stale" in stale and "fuse" not in stale
    assert main(["--write"], tmp_path) is None
    assert main(["--check"], tmp_path) is None
    assert "peak of the schedule" in settings.read_text() and "(#a-heading-more)" in training.read_text()


def test_a_missing_marker_is_named(tmp_path: Path) -> None:
    copy_guides(tmp_path)
    (tmp_path / "mlx_tutor/commands/README.md").write_text("nothing here\n")
    assert "commands/README.md: no <!-- commands -->" in str(main(["--check"], tmp_path))
    assert "usage" in str(main([]))


def test_the_guides_are_up_to_date() -> None:
    assert main(["--check"]) is None
