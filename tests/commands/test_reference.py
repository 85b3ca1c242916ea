"""The generated parts of the README."""

from pathlib import Path

from mlx_tutor.commands import COMMANDS
from mlx_tutor.commands.reference import main, renew
from mlx_tutor.recipe import list_settings

ROOT = Path(__file__).parents[2]
EMPTY = "Before\n<!-- commands -->\n<!-- /commands -->\nbetween\n<!-- recipe -->\n<!-- /recipe -->\nafter\n"


def test_every_command_and_setting_is_written() -> None:
    text = renew(EMPTY)
    assert all(f"### `mlx-tutor {name}`" in text for name in COMMANDS)
    assert all(f"| `{row.name}` |" in text for row in list_settings())
    assert text.startswith("Before\n") and text.endswith("after\n")
    assert renew(text) == text


def test_check_finds_what_is_stale_and_write_mends_it(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(EMPTY)
    assert "stale" in str(main(["--check", str(file)]))
    assert main(["--write", str(file)]) is None
    assert main(["--check", str(file)]) is None
    file.write_text(file.read_text().replace("peak of the schedule", "something else"))
    assert "stale" in str(main(["--check", str(file)]))


def test_a_missing_marker_is_named(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("nothing here\n")
    assert "<!-- commands -->" in str(main(["--check", str(file)]))
    assert "usage" in str(main([]))


def test_the_readme_is_up_to_date() -> None:
    assert main(["--check", str(ROOT / "README.md")]) is None
