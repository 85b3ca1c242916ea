"""Rows that travel: what is written is read back as it was, by us and by others."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.tables.export import export_dataset
from mlx_tutor.errors import DatasetError
from mlx_tutor.extract.extract import extract_course
from mlx_tutor.models import load_tokenizer
from mlx_tutor.recipe import load_recipe
from mlx_tutor.workspace import Course

SAMPLE = Path(__file__).parents[3] / "corpora" / "sample"
SPLITS = ("train", "valid", "test")


def count_words(messages: Any) -> int:
    return sum(len(message["content"].split()) for message in messages)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course with mined rows, rows with a passage, and a dialogue; read-only but for its exports."""
    course = Course(tmp_path_factory.mktemp("export"), "travel")
    course.sources.mkdir(parents=True)
    shutil.copy(SAMPLE / "sources" / "business-analytics.md", course.sources)
    extract_course(course)
    talks = [
        {"text": f"Student: What is {i}?\nTeacher: A number.\nStudent: Odd?\nTeacher: Count {i} and see."}
        for i in range(10)
    ]
    (course.root / "talks.json").write_text(json.dumps(talks))
    course.recipe.write_text(f'{(SAMPLE / "recipe.toml").read_text()}\n[[dataset.import]]\npath = "talks.json"\n')
    build_dataset(course, load_recipe(course.recipe), count_words, "tokenizer")
    return course


@pytest.mark.parametrize(("name", "suffix"), [("messages", "jsonl"), ("alpaca", "json"), ("sharegpt", "json")])
def test_what_is_exported_can_be_imported_again(course: Course, tmp_path: Path, name: str, suffix: str) -> None:
    counts = export_dataset(course, name, tmp_path / "out")
    back = Course(tmp_path, "back")
    back.root.mkdir(parents=True)
    files = [f'[[dataset.import]]\npath = "../../out/{split}.{suffix}"\n' for split in SPLITS]
    back.recipe.write_text((SAMPLE / "recipe.toml").read_text() + "".join(files))
    # Only what repeats itself may go: dialogues that begin alike (their first pair counts), wordings of a question.
    report = build_dataset(back, load_recipe(back.recipe), count_words, "tokenizer")
    before = {json.dumps(row["messages"]): row for split in SPLITS for row in read_rows(course, split)}
    after = {json.dumps(row["messages"]): row for split in SPLITS for row in read_rows(back, split)}
    assert sum(counts.values()) == len(before)
    assert set(after) <= set(before)
    assert len(before) - len(after) == sum(report.dropped.values()) < 0.3 * len(before)
    assert any(row["qa_pair"]["context"] or "<passage 1" in key for key, row in after.items())
    if name == "messages":
        assert all(row["qa_pair"] == before[key]["qa_pair"] for key, row in after.items())
        assert all(row["metadata"] == before[key]["metadata"] for key, row in after.items())


def test_a_hub_folder_is_what_datasets_loads(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    export_dataset(course, "hub", tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    for split in SPLITS:
        rows = read_rows(course, split)
        assert loaded[split]["messages"][:] == [row["messages"] for row in rows]
        assert [row["source"] for row in loaded[split]["origin"][:]] == [row["origin"]["source"] for row in rows]
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| train | {len(read_rows(course, 'train'))} |" in card
    assert "| definition | " in card and "| talks.json | 10 |" in card and "## Licence" in card
    assert '"data science"' in card and str(course.workspace) not in card


def test_nothing_is_overwritten_unless_asked_and_nothing_is_left_half_done(course: Course, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match=re.escape(f"{folder} is there already. Add --replace")):
        export_dataset(course, "messages", folder)
    assert (folder / "mine.txt").read_text() == "mine"
    export_dataset(course, "messages", folder, replace=True)
    assert sorted(path.name for path in folder.iterdir()) == ["test.jsonl", "train.jsonl", "valid.jsonl"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(DatasetError, match="Make the rows with: mlx-tutor build"):
        export_dataset(Course(tmp_path, "other"), "messages", tmp_path / "other")


def test_mlx_lm_reads_our_rows(course: Course, tiny_model: Path) -> None:
    from mlx_lm.tuner.datasets import CacheDataset, load_dataset

    options = SimpleNamespace(data=str(course.dataset), mask_prompt=True, train=True, test=True)
    tokenizer = load_tokenizer(tiny_model)
    for split, theirs in zip(SPLITS, load_dataset(options, tokenizer), strict=True):
        ours = read_rows(course, split)
        assert len(theirs) == len(ours)
        cached = CacheDataset(theirs)
        for i, row in enumerate(ours):
            tokens, offset = cached[i]
            assert 0 < offset < len(tokens)
            assert row["messages"][-1]["content"] in tokenizer.decode(tokens[offset:])
