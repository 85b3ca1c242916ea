"""init, and the recipes that come with the package."""

from pathlib import Path

import pytest

from mlx_tutor.commands.init import SHIPPED
from mlx_tutor.recipe import list_settings, load_recipe
from tests.commands.conftest import Invoke


@pytest.mark.parametrize("size", SHIPPED)
def test_init_writes_a_recipe_with_every_setting(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("init", "statistics", "--recipe", size)
    assert result.exit_code == 0
    root = tmp_path / "corpora" / "statistics"
    assert (root / "sources").is_dir()
    text = (root / "recipe.toml").read_text()
    shipped = load_recipe(Path(__file__).parents[2] / "mlx_tutor" / "recipes" / f"{size}.toml")
    assert load_recipe(root / "recipe.toml") == shipped
    assert shipped.model.base in result.output
    # With every default switched on, the recipe is still the same.
    (root / "recipe.toml").write_text(text.replace("\n# ", "\n"))
    assert load_recipe(root / "recipe.toml") == shipped
    assert all(row.doc in text for row in list_settings())


def test_the_small_recipe_is_the_default(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("init", "statistics")
    small = load_recipe(Path(__file__).parents[2] / "mlx_tutor" / "recipes" / "small.toml")
    assert load_recipe(tmp_path / "corpora" / "statistics" / "recipe.toml") == small


def test_init_leaves_an_existing_course_alone(invoke: Invoke, workspace: Path) -> None:
    before = (workspace / "corpora" / "demo" / "recipe.toml").read_text()
    result = invoke("init", "demo")
    assert result.exit_code == 1
    assert "'demo' exists" in result.stderr
    assert (workspace / "corpora" / "demo" / "recipe.toml").read_text() == before


def test_init_refuses_a_name_that_is_a_path(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("init", "../elsewhere")
    assert result.exit_code == 1
    assert "cannot be a name" in result.stderr
    assert list(tmp_path.iterdir()) == []
