"""init, and the recipes that come with the package."""

from pathlib import Path

import pytest

from mlx_tutor.commands.init import SHIPPED, SUBJECTS, read_shipped, read_subject
from mlx_tutor.recipe import list_settings, load_recipe
from mlx_tutor.study.chat.conversation import find_style
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


@pytest.mark.parametrize(("system", "recommended"), [("darwin", True), ("linux", False)])
def test_on_a_mac_self_study_is_recommended_with_how_to_see_its_time(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, recommended: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlx_tutor.commands.init.sys.platform", system)
    shown = invoke("init", "statistics").stdout
    assert ("build -c statistics --estimate --set teacher.model=self" in shown) == recommended


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


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_is_written_with_its_reasons_on_top_of_any_size(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("init", "mine", "--recipe", "standard", "--subject", subject).exit_code == 0
    path = tmp_path / "corpora" / "mine" / "recipe.toml"
    recipe, lines = load_recipe(path).to_dict(), path.read_text().splitlines()
    standard = load_recipe(Path(__file__).parents[2] / "mlx_tutor" / "recipes" / "standard.toml").to_dict()
    presets = read_subject(subject)
    for item in presets:
        section, _, key = item.setting.partition(".")
        value = standard[section].pop(key)
        standard[section][key] = tuple(item.value) if isinstance(value, tuple) else item.value
        assert next(lines[i - 1] for i, line in enumerate(lines) if line.startswith(f"{key} = ")) == f"## {item.why}"
    # Everything else is as the size says, and no preset undoes what the size chose.
    assert recipe == standard
    sizes = {f"{table}.{key}" for size in SHIPPED for table, keys in read_shipped(size).items() for key in keys}
    assert not sizes & {item.setting for item in presets}
    path.write_text(path.read_text().replace("\n# ", "\n"))
    assert load_recipe(path).to_dict() == recipe


def test_every_subject_says_when_the_course_is_silent_and_trains_the_style_it_begins_in() -> None:
    for subject in SUBJECTS:
        chosen = {item.setting: item.value for item in read_subject(subject)}
        assert "Say so when the course does not cover a question." in chosen["course.system_prompt"]
        assert find_style(chosen["course.teaching_style"]) is not None and chosen["dataset.tell_style"]
    mathematics = {item.setting: item.value for item in read_subject("mathematics")}
    assert find_style(mathematics["course.teaching_style"]) == "steps"
    assert "formula whole" in mathematics["course.system_prompt"]


def test_an_unknown_subject_is_one_line_with_the_known_names(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("init", "mine", "--subject", "alchemy")
    assert result.exit_code == 2
    error = result.stderr.strip().splitlines()[-1]
    assert "alchemy" in error and all(subject in error for subject in SUBJECTS)
    assert list(tmp_path.iterdir()) == []
