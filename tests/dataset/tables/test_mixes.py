"""Rows beside the course's own: general instructions, refusals, styles."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.styles import find_style
from mlx_tutor.dataset.tables.mixes import find_outside_questions, make_refusals
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.languages.table import Language, list_languages, read_frame, read_language
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.records import Block, Document, Example, Origin, QaPair, Section
from mlx_tutor.settings import CourseSettings, DatasetSettings
from mlx_tutor.text import strip_bold
from mlx_tutor.workspace import Course

SAMPLE = Path(__file__).parents[3] / "corpora" / "sample"
SPLITS = ("train", "valid", "test")
FRAME = read_frame("en")
ENGLISH = cast("Language", read_language("en"))


def count_words(messages: Any) -> int:
    return sum(len(message["content"].split()) for message in messages)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(tmp_path, "mixed")
    course.sources.mkdir(parents=True)
    shutil.copy(SAMPLE / "sources" / "business-analytics.md", course.sources)
    extract_course(course)
    return course


def build(course: Course, **settings: Any) -> dict[str, list[dict[str, Any]]]:
    recipe = load_recipe(SAMPLE / "recipe.toml")
    recipe = replace(recipe, dataset=replace(recipe.dataset, **settings))
    build_dataset(course, recipe, count_words, "tokenizer")
    return {split: read_rows(course, split) for split in SPLITS}


def find(rows: list[dict[str, Any]], method: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["origin"]["method"] == method]


def test_general_instructions_are_for_training_only_and_at_their_share(course: Course) -> None:
    plain, mixed = build(course), build(course, general=0.2)
    assert mixed["valid"] == plain["valid"] and mixed["test"] == plain["test"]
    general = find(mixed["train"], "general instruction")
    assert len(general) == round(0.2 * len(plain["train"]))
    assert [row for row in mixed["train"] if row not in general] == plain["train"]
    assert len({row["qa_pair"]["question"] for row in general}) == len(general)
    assert len({row["qa_pair"]["type"] for row in general}) > 5
    assert all(row["messages"][0]["content"] == "You are a helpful assistant." for row in general)


def test_refusals_say_what_the_tutor_is_for(course: Course) -> None:
    rows = build(course, refusals=0.2)
    refusals = [row for split in SPLITS for row in find(rows[split], "not in the course")]
    others = sum(map(len, rows.values())) - len(refusals)
    # A row may be dropped as the twin of another afterwards.
    assert abs(len(refusals) - 0.2 * others) <= 1
    assert all(find(rows[split], "not in the course") for split in SPLITS)
    asked = [row["qa_pair"]["question"] for row in refusals]
    assert len(set(asked)) == len(asked)
    answers = [row["qa_pair"]["answer"] for row in refusals]
    assert all("data science" in answer for answer in answers) and len(set(answers)) > 10
    beside = [row for row in refusals if row["qa_pair"]["context"]]
    assert 0.4 <= len(beside) / len(refusals) <= 0.6
    text = "\n".join(strip_bold(section.text) for document in read_documents(course) for section in document.sections)
    assert all(row["qa_pair"]["context"] in text for row in beside)


def test_questions_that_the_course_could_answer_are_not_refused() -> None:
    def write_document(text: str) -> Document:
        return Document("a.md", "0", "A", (Section(("A",), (Block("text", text),)),))

    everything = find_outside_questions(ENGLISH, [write_document("Nothing here.")], [])
    question = "Which flour do I need for sourdough bread?"
    assert question in everything and len(everything) > 80
    baking = write_document("Sourdough bread needs strong flour and time.")
    assert question not in find_outside_questions(ENGLISH, [baking], [])


@pytest.mark.parametrize(
    ("pair", "taught", "style"),
    [
        (QaPair("Q?", ("First.",), "A.", "concept", ()), "", "steps"),
        (QaPair("Q?", (), "1. First.\n2. Second.", "concept", ()), "", "steps"),
        (QaPair("Q?", (), "It is a sum. It has a unit.", "concept", ()), "", "direct"),
        (QaPair("Q?", (), "Imagine a seesaw: it balances at the mean.", "concept", ()), "", "analogy"),
        (QaPair("Q?", (), "What happens when you double it?", "concept", ()), "", "socratic"),
        (QaPair("Q?", (), "One. Two. Three. Four sentences.", "concept", ()), "", ""),
        (QaPair("Q?", (), "Roll it ten times. What do you expect, and what comes out?", "concept", ()), "", "inquiry"),
        (QaPair("Q?", (), "A.", "concept", ()), "Socratic", "socratic"),
        (QaPair("Q?", (), "A.", "concept", ()), "Inquiry-based", "inquiry"),
        (QaPair("Q?", (), "A.", "concept", ()), "step by step", "steps"),
    ],
)
def test_a_row_has_the_style_of_its_answer_unless_it_is_said(pair: QaPair, taught: str, style: str) -> None:
    assert find_style(pair, taught) == style


def test_styles_and_levels_are_told_to_about_half_of_the_rows(course: Course) -> None:
    (course.root / "grade5.csv").write_text(
        "question,answer\n" + "\n".join(f"What is {i}?,It is {i}." for i in range(40))
    )
    course.recipe.write_text(
        '[course]\nsystem_prompt = "Tutor."\n[dataset]\ntell_style = true\n[[dataset.import]]\npath = "grade5.csv"\n'
        'grade_level = "grade 5"\nteaching_style = "socratic"\n'
    )
    recipe: Recipe = load_recipe(course.recipe)
    build_dataset(course, recipe, count_words, "tokenizer")
    rows = [row for split in SPLITS for row in read_rows(course, split)]
    imported = [row for row in rows if row["origin"]["source"] == "grade5.csv"]
    told = f"Tutor. {FRAME['style_socratic']} The student's level: grade 5."
    prompts = [row["messages"][0]["content"] for row in imported]
    assert set(prompts) == {"Tutor.", told} and 0.25 < prompts.count(told) / len(prompts) < 0.75
    assert {row["metadata"]["teaching_style"] for row in imported} == {"socratic"}
    mined = [row for row in rows if row not in imported]
    for row in mined:
        style = row["metadata"]["teaching_style"]
        prompt = row["messages"][0]["content"].split("\n\n")[0]
        assert prompt in ("Tutor.", f"Tutor. {FRAME.get(f'style_{style}', '')}".strip())
    assert {"steps", "direct"} <= {row["metadata"]["teaching_style"] for row in mined}


@pytest.mark.parametrize("language", [*list_languages(), "ar"])
def test_refusals_are_in_the_language_of_the_course(language: str) -> None:
    recipe = Recipe(CourseSettings(subject="XY", language=language), dataset=DatasetSettings(refusals=0.5))
    document = Document("a.md", "0", "A", (Section(("A",), (Block("text", "Only this."),)),), language)
    row = Example((), Origin("a.md", 0, None, None, (), "m", ""), QaPair("?", (), ".", "concept", ()), {})
    made = make_refusals([document], [row] * 8, recipe)
    table = read_language(language)
    assert (len(made) == 4) == (table is not None)
    for example in made:
        assert table is not None and example.qa_pair.question in table.questions["refusal_questions"]
        assert "XY" in example.qa_pair.answer and "{" not in example.qa_pair.answer
        assert example.messages[-1]["content"] == example.qa_pair.answer
