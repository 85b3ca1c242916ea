"""The dataset of a course: what holds for every row of the sample course, and what happens to files."""

import json
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.dataset.build import (
    build_dataset,
    check_dataset,
    explain_stale,
    find_edited_rows,
    make_examples,
    read_rows,
)
from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.errors import DatasetError, TutorError
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.hide import has_code
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.settings import ImportSettings
from mlx_tutor.workspace import Course

SAMPLE = Path(__file__).parents[2] / "corpora" / "sample"


def count_words(messages: Any) -> int:
    return sum(len(message["content"].split()) for message in messages)


def build(course: Course, recipe: Recipe) -> Any:
    return build_dataset(course, recipe, count_words, "tokenizer")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(SAMPLE / "recipe.toml")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Course:
    """The sample course with its dataset; read-only."""
    course = Course(tmp_path_factory.mktemp("built"), "sample")
    shutil.copytree(SAMPLE / "sources", course.sources)
    extract_course(course)
    build(course, recipe)
    return course


@pytest.fixture
def small(tmp_path: Path) -> Course:
    """A course of a few sections that a test may change."""
    course = Course(tmp_path, "small")
    course.sources.mkdir(parents=True)
    shutil.copy(SAMPLE / "sources" / "business-analytics.md", course.sources)
    extract_course(course)
    return course


def read_bytes(course: Course) -> dict[str, bytes]:
    return {split: (course.dataset / f"{split}.jsonl").read_bytes() for split in SPLITS}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(small: Course, recipe: Recipe) -> None:
    build(small, recipe)
    first = read_bytes(small)
    build(small, recipe)
    assert read_bytes(small) == first
    build(small, replace(recipe, dataset=replace(recipe.dataset, seed=1)))
    assert read_bytes(small) != first


def test_no_section_is_in_two_splits_and_each_split_has_its_share(built: Course) -> None:
    places: dict[tuple[str, int], set[str]] = defaultdict(set)
    counts = {}
    for split in SPLITS:
        rows = read_rows(built, split)
        counts[split] = len(rows)
        for row in rows:
            places[row["origin"]["source"], row["origin"]["section"]].add(split)
    assert all(len(splits) == 1 for splits in places.values())
    total = sum(counts.values())
    assert counts["valid"] / total == pytest.approx(0.1, abs=0.02)
    assert counts["test"] / total == pytest.approx(0.1, abs=0.02)


def test_the_evidence_of_every_row_stands_in_its_section(built: Course) -> None:
    sections = {document.source: document.sections for document in read_documents(built)}
    for split in SPLITS:
        for row in read_rows(built, split):
            origin = row["origin"]
            section = sections[origin["source"]][origin["section"]]
            assert origin["evidence"] and origin["evidence"] in section.text
            assert tuple(origin["heading"]) == section.heading
            places = [b for b in section.blocks if (b.page, b.cell) == (origin["page"], origin["cell"])]
            assert any(origin["evidence"] in block.text for block in places)


def test_every_source_and_every_kind_gives_rows(built: Course) -> None:
    rows = [row["origin"] for split in SPLITS for row in read_rows(built, split)]
    assert {row["source"] for row in rows} == {path.name for path in built.sources.iterdir()}
    assert len({row["method"] for row in rows}) >= 11


def test_rows_in_are_rows_out_and_rows_dropped(built: Course, recipe: Recipe) -> None:
    made = list(make_examples(read_documents(built), recipe))
    kept, dropped = curate_examples([*made, *made[:50]], count_words, 120)
    assert len(kept) + len(dropped) == len(made) + 50
    reasons = [reason for _, reason in dropped]
    assert reasons.count("exact duplicate") >= 50
    assert reasons.count("longer than 120 tokens") > 0
    assert all(count_words(example.messages) <= 120 for example in kept)
    manifest = json.loads((built.dataset / "manifest.json").read_text())["rows"]
    written = sum(len(read_rows(built, split)) for split in SPLITS)
    assert written + sum(manifest["dropped"].values()) == len(made)
    assert len(read_rows(built, "dropped")) == sum(manifest["dropped"].values())
    assert sum(manifest["methods"].values()) == sum(manifest["sources"].values()) == written


def test_a_section_that_repeats_another_gives_no_rows(small: Course, recipe: Recipe) -> None:
    shutil.copy(small.sources / "business-analytics.md", small.sources / "copy.md")
    extract_course(small)
    report = build(small, recipe)
    assert set(report.sources) == {"business-analytics.md"}
    assert {repeat.source for repeat in report.repeats} == {"copy.md"}
    assert report.dropped["text of business-analytics.md"] == len(report.repeats) == 21


def test_rows_edited_by_hand_are_kept_beside_the_new_ones(small: Course, recipe: Recipe) -> None:
    build(small, recipe)
    train = small.dataset / "train.jsonl"
    train.write_text(train.read_text() + train.read_text().split("\n")[0] + "\n")
    edited = train.read_bytes()
    assert find_edited_rows(small) == ("train.jsonl",)
    report = build(small, recipe)
    assert report.kept_edited == str(small.root / "dataset-1")
    assert (small.root / "dataset-1" / "train.jsonl").read_bytes() == edited
    assert find_edited_rows(small) == ()


def test_a_dataset_says_why_it_is_stale(small: Course, recipe: Recipe) -> None:
    assert explain_stale(small, recipe, "tokenizer") == "there is no dataset yet"
    build(small, recipe)
    assert explain_stale(small, recipe, "tokenizer") is None
    assert explain_stale(small, recipe, "other") == "the model's tokenizer or template is another one"
    changed = replace(recipe, dataset=replace(recipe.dataset, chunk_tokens=100))
    assert explain_stale(small, changed, "tokenizer") == "recipe: dataset.chunk_tokens changed"
    (small.sources / "business-analytics.md").write_text("# New\n\nText.")
    assert explain_stale(small, recipe, "tokenizer") == "business-analytics.md changed since then"


def test_too_few_sections_and_too_few_rows_are_refused(tmp_path: Path, recipe: Recipe) -> None:
    course = Course(tmp_path, "tiny")
    course.sources.mkdir(parents=True)
    (course.sources / "a.md").write_text("# A\n\nA **mean** is the sum of all values divided by their number.\n")
    extract_course(course)
    with pytest.raises(DatasetError, match=r"^Only 1 of the course's sections gave rows"):
        build(course, recipe)
    row = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    for split, text in zip(SPLITS, (row * 3, row, row), strict=True):
        (course.dataset / f"{split}.jsonl").write_text(text)
    with pytest.raises(DatasetError, match="has 3 training and 1 validation rows; at least 8 and 1 are needed"):
        check_dataset(course)


@pytest.mark.parametrize("line", ["{", "[]", '{"messages": []}', '{"messages": [{"role": "user", "content": "a"}]}'])
def test_a_row_that_cannot_be_trained_on_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    course = Course(tmp_path, "own")
    course.dataset.mkdir(parents=True)
    good = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    (course.dataset / "train.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(TutorError, match="line 2"):
        read_rows(course, "train")


def test_a_course_without_code_has_no_row_with_code_in_any_split(tmp_path: Path, recipe: Recipe) -> None:
    course = Course(tmp_path, "lab")
    course.sources.mkdir(parents=True)
    for name in ("business-analytics.md", next((SAMPLE / "sources").glob("*.ipynb")).name):
        shutil.copy(SAMPLE / "sources" / name, course.sources)
    extract_course(course)
    usual = build(course, recipe)
    assert usual.code > 0
    plain = replace(
        recipe,
        course=replace(recipe.course, allow_code=False),
        dataset=replace(recipe.dataset, general=1.0, refusals=0.05),
    )
    assert explain_stale(course, plain, "tokenizer") is not None
    report = build(course, plain)
    assert report.code == 0 and report.dropped["holds code, and course.allow_code is false"] >= usual.code
    every = [row for split in SPLITS for row in read_rows(course, split)]
    assert not [row for row in every if any(has_code(turn["content"]) for turn in row["messages"])]


def test_a_course_of_nothing_but_code_says_which_setting_left_it_out(tmp_path: Path, recipe: Recipe) -> None:
    course = Course(tmp_path, "code")
    course.root.mkdir(parents=True)
    rows = [{"question": f"How do I add {i}?", "answer": f"```python\ntotal += {i}\n```"} for i in range(12)]
    (course.root / "code.json").write_text(json.dumps(rows))
    table = replace(recipe.dataset, imports=(ImportSettings(path="code.json"),))
    plain = replace(recipe, course=replace(recipe.course, allow_code=False), dataset=table)
    with pytest.raises(DatasetError, match=r"see course\.allow_code and dataset\.code_share"):
        build(course, plain)
