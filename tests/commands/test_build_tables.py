"""Tables, holdouts and exports, as a user types them."""

import json
from pathlib import Path

import pytest

from mlx_tutor.dataset.tables.read import read_table
from mlx_tutor.recipe import list_table_settings
from tests.commands.conftest import RECIPE, TERMS, Invoke, run_program

IMPORT = '[[dataset.import]]\npath = "terms.csv"\n'


@pytest.fixture
def tables(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a course that has a table and no file; the working directory."""
    course = tmp_path / "corpora" / "tables"
    course.mkdir(parents=True)
    lines = ["question,answer", *(f'What is meant by {term.lower()}?,"{text}"' for term, text in TERMS.items())]
    (course / "terms.csv").write_text("\n".join(lines))
    (course / "recipe.toml").write_text(RECIPE.format(base=tiny_model.as_posix()) + IMPORT)
    monkeypatch.chdir(tmp_path)
    return course


def test_a_course_of_a_table_walks_the_whole_line(invoke: Invoke, tables: Path) -> None:
    built = invoke("build")
    assert built.exit_code == 0 and "16 rows (" in built.stderr
    result = invoke("run", "--json")
    assert result.exit_code == 0, result.output
    stages = {stage["stage"]: stage for stage in json.loads(result.stdout)["stages"]}
    assert list(stages) == ["extract", "build", "train", "fuse", "evaluate"]
    assert stages["build"]["up_to_date"]
    (tables / "terms.csv").write_text((tables / "terms.csv").read_text() + "\nWhy?,Because a new line stands here now.")
    stale = invoke("train")
    assert stale.exit_code == 1 and "terms.csv changed since then" in stale.stderr
    shown = json.loads(invoke("show", "-n", "1", "--json").stdout)[0]
    row = read_table(tables / "terms.csv")[shown["row"] - 1]
    assert shown["source"] == "terms.csv" and row["answer"] in shown["turns"][0]["trained"]


def test_a_course_without_files_and_tables_still_needs_files(invoke: Invoke, tables: Path) -> None:
    (tables / "recipe.toml").write_text((tables / "recipe.toml").read_text().replace(IMPORT, ""))
    for command in ("extract", "run"):
        result = invoke(command)
        assert result.exit_code == 1 and "No course file in" in result.stderr


def test_problems_of_a_table_are_one_line(invoke: Invoke, tables: Path) -> None:
    (tables / "terms.csv").unlink()
    result = invoke("build")
    assert result.exit_code == 1
    assert [line for line in result.stderr.splitlines() if line.startswith("Error: No file")]
    assert not (tables / "dataset" / "manifest.json").exists()


def test_export_says_what_to_do_next(invoke: Invoke, tables: Path) -> None:
    assert "mlx-tutor build" in invoke("export", "hub").stderr
    assert invoke("build").exit_code == 0
    result = invoke("export", "hub")
    assert result.exit_code == 0 and "16 rows in" in result.stdout and "hf upload OWNER/NAME" in result.stdout
    again = invoke("export", "hub")
    assert again.exit_code == 1 and "--replace" in again.stderr
    result = invoke("export", "alpaca", "--to", "elsewhere", "--json")
    assert json.loads(result.stdout)["splits"]["train"] == len(json.loads(Path("elsewhere/train.json").read_text()))


def test_hub_datasets_come_with_pull_only(invoke: Invoke, tables: Path) -> None:
    nothing = invoke("pull", "--data")
    assert nothing.exit_code == 1 and "names no Hub dataset" in nothing.stderr
    assert invoke("pull").exit_code == 2
    assert invoke("pull", "starter", "--data").exit_code == 2
    recipe = tables / "recipe.toml"
    recipe.write_text(recipe.read_text() + '[[dataset.import]]\nhub = "nobody/nothing"\nrows = 3\n')
    result = invoke("build")
    assert result.exit_code == 1 and "mlx-tutor pull --data -c tables" in result.stderr
    # The Hub's own switch stands in for a missing network, and answers at once.
    code, out, err = run_program("pull", "--data", HF_HUB_OFFLINE="1", HF_HOME=str(tables / "cache"))
    assert code == 1 and out == ""
    assert len([line for line in err.splitlines() if "could not be fetched" in line]) == 1
    assert "Traceback" not in err


def test_a_holdout_is_told_in_the_summary(invoke: Invoke, workspace: Path) -> None:
    assert invoke("extract").exit_code == 0
    result = invoke("build", "--set", 'dataset.holdout=["week2.md"]')
    assert result.exit_code == 0
    assert "holdout: " in result.stderr and "highest overlap left" in result.stderr
    wrong = invoke("build", "--set", 'dataset.holdout=["week3.md"]')
    assert wrong.exit_code == 1 and "the course has no week3.md. (did you mean" in wrong.stderr


def test_init_explains_every_setting_of_the_tables(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("init", "new").exit_code == 0
    recipe = tmp_path / "corpora" / "new" / "recipe.toml"
    text = recipe.read_text()
    for name, rows in list_table_settings():
        assert f"## [[{name}]]" in text and all(row.doc in text for row in rows)
    # Switched on, they are read; each still wants to know which table.
    recipe.write_text(text.replace("\n## [[", "\n[[").replace('\n## path = ""', '\npath = "a.csv"'))
    result = invoke("build")
    assert result.exit_code == 1 and "dataset.template[1] needs either use, or questions and answer" in result.stderr
    assert "import" not in result.stderr
