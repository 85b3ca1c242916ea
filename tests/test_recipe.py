"""Recipes: what counts when several say something, and all that is wrong in one message."""

import re
import tomllib
from pathlib import Path

import pytest

from mlx_tutor.errors import RecipeError
from mlx_tutor.recipe import Recipe, list_settings, load_recipe, write_value


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "[train]\nrank = 16\niters = 500\n[generate]\ntemp = 1\n")
    recipe = load_recipe(path, ["train.rank=32", "train.epochs=2", "course.subject = Music theory"])
    assert recipe.train.rank == 32 and recipe.course.subject == "Music theory"
    # Both say how long to train: what was typed takes the place of what the file says.
    assert recipe.train.epochs == 2 and recipe.train.iters == Recipe().train.iters
    assert recipe.generate.temp == 1.0 and recipe.generate.top_p == Recipe().generate.top_p


def test_alpha_is_a_scale_for_the_rank(tmp_path: Path) -> None:
    path = write(tmp_path, "[train]\nalpha = 32\nrank = 16\n")
    assert load_recipe(path).train.scale == 2.0
    assert load_recipe(path, ["train.scale=5"]).train.scale == 5.0


def test_all_problems_are_in_one_message(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "model = 'smollm2'\n[train]\nlearning_rat = 1\nrank = true\nbatch_size = 0\ndropout = nan\n"
        "[datasets]\n[[dataset.import]]\npath = 'a.csv'\n[[dataset.import]]\npath = 'b.csv'\nhub = 'x/y'\n",
    )
    with pytest.raises(RecipeError) as raised:
        load_recipe(path, ["train.seed"])
    for problem in (
        "model must be a section",
        "unknown key train.learning_rat (did you mean learning_rate?)",
        "train.rank must be a whole number, not True",
        "train.batch_size must be at least 1",
        "train.dropout must be a finite number",
        "unknown section [datasets] (did you mean dataset?)",
        "dataset.import[2] needs either path or hub",
        "--set 'train.seed' is not of the form section.key=value",
    ):
        assert problem in str(raised.value)


def test_every_setting_can_be_written_down_and_read_again(tmp_path: Path) -> None:
    sections: dict[str, list[str]] = {}
    for row in list_settings():
        section, key = row.name.split(".")
        if key != "epochs":
            default = list(row.default) if isinstance(row.default, tuple) else row.default
            sections.setdefault(section, []).append(f"{key} = {write_value({} if default is None else default)}")
    text = "\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in sections.items())
    assert tomllib.loads(text) and re.search(r"^rank = \d+$", text, re.M)
    assert load_recipe(write(tmp_path, text)) == load_recipe(None)
