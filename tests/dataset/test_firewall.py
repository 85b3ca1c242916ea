"""Past exams: kept out of training with what repeats them, and made the test."""

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.errors import RecipeError
from mlx_tutor.extract.extract import extract_course
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.settings import CourseSettings
from mlx_tutor.workspace import Course
from tests.commands.conftest import TERMS

EXAM = """# Exam 2025

## Part 1

1. Why does a single large value move the mean so far? (5 points)

Answer: It enters the sum with its whole size, and every value has the same weight.

Question 2: Explain what a sample tells us about the population that it was drawn from. [10 marks]

Solution: It shows what the population may look like, and how sure we can be of that depends on its size.

3. Name two charts.
"""


def count_words(messages: Any) -> int:
    return sum(len(message["content"].split()) for message in messages)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """Sixteen sections, and an exam."""
    course = Course(tmp_path, "walled")
    course.sources.mkdir(parents=True)
    sections = [f"## {term}\n\n{text} It is used in {term.lower()} plots." for term, text in TERMS.items()]
    (course.sources / "notes.md").write_text("# Notes\n\n" + "\n\n".join(sections) + "\n")
    (course.sources / "exam2025.md").write_text(EXAM)
    return course


def build(course: Course, *holdout: str) -> Any:
    extract_course(course)
    recipe = Recipe(course=CourseSettings(system_prompt="Tutor."))
    recipe = replace(recipe, dataset=replace(recipe.dataset, holdout=holdout, valid=0.1))
    return build_dataset(course, recipe, count_words, "tokenizer")


def test_an_exam_becomes_the_test_and_the_rest_is_nine_to_one(course: Course) -> None:
    report = build(course, "exam2025.md")
    rows = {split: read_rows(course, split) for split in ("train", "valid", "test")}
    assert {row["origin"]["source"] for row in rows["test"]} == {"exam2025.md"}
    assert {row["origin"]["source"] for row in rows["train"] + rows["valid"]} == {"notes.md"}
    assert {row["qa_pair"]["question"]: row["qa_pair"]["answer"][:16] for row in rows["test"]} == {
        "Why does a single large value move the mean so far?": "It enters the su",
        "Explain what a sample tells us about the population that it was drawn from.": "It shows what th",
    }
    share = len(rows["valid"]) / (len(rows["train"]) + len(rows["valid"]))
    assert share == pytest.approx(0.1, abs=0.06)
    wall = report.firewall
    assert (wall.files, wall.test_rows, wall.dropped) == (("exam2025.md",), 2, 0)
    assert 0 <= wall.highest_overlap < 0.5


def test_what_repeats_the_exam_is_kept_out_of_training(course: Course) -> None:
    copied = (
        "A **weight** is the rule that a value enters the sum with its whole size, and every value has the same weight."
    )
    notes = course.sources / "notes.md"
    notes.write_text(notes.read_text() + f"\n## Weight\n\n{copied}\n")
    with_copy = build(course, "exam2025.md")
    assert with_copy.firewall.dropped > 0
    assert with_copy.dropped["repeats the holdout"] == with_copy.firewall.dropped
    kept = [row["messages"][-1]["content"] for split in ("train", "valid") for row in read_rows(course, split)]
    assert not any("enters the sum with its whole size" in text for text in kept)
    assert with_copy.firewall.highest_overlap < 0.5
    # Without the holdout the same rows are trained on.
    assert build(course).firewall is None
    kept = [row["messages"][-1]["content"] for split in ("train", "valid", "test") for row in read_rows(course, split)]
    assert any("enters the sum with its whole size" in text for text in kept)


def test_the_solutions_of_an_exam_are_held_out_with_it(course: Course) -> None:
    ballast = "A **ballast** is the load that an empty ship carries below the water line to stay upright in wind."
    (course.sources / "exam2025 solutions.md").write_text(f"# Mechanics\n\n## Ballast\n\n{ballast}\n")
    report = build(course, "exam2025.md")
    assert "exam2025 solutions.md" not in report.sources
    build(course)
    rows = [row for split in ("train", "valid", "test") for row in read_rows(course, split)]
    assert any(row["origin"]["source"] == "exam2025 solutions.md" for row in rows)


def test_an_exam_without_answers_walls_off_and_leaves_the_test_to_the_rest(course: Course) -> None:
    asked = ["What is the mean?", "Define the mean.", "What does the term mean mean?", "What is meant by the mean?"]
    exam = "# Exam\n\n" + "\n\n".join(f"{i}. {question} (2 points)" for i, question in enumerate(asked, 1))
    (course.sources / "exam2025.md").write_text(exam + "\n")
    report = build(course, "exam2025.md")
    assert report.firewall.test_rows == 0 and report.splits["test"] > 0
    rows = [row for split in ("train", "valid", "test") for row in read_rows(course, split)]
    assert not set(asked) & {row["qa_pair"]["question"] for row in rows}
    assert 0 < report.firewall.dropped <= len(read_rows(course, "dropped"))
    assert any("mean is the sum" in row["qa_pair"]["answer"] for row in rows)


def test_a_table_can_be_held_out(course: Course) -> None:
    rows = [f"Who invented number {i} of the long list?,It was invented by person {i}." for i in range(6)]
    for name in ("past.csv", "more.csv"):
        (course.root / name).write_text(
            "\n".join(["question,answer", *rows, f"What is {name}?,The table called {name} and nothing else."])
        )
    course.recipe.write_text(
        '[dataset]\nholdout = ["past.csv"]\n[[dataset.import]]\npath = "past.csv"\n'
        '[[dataset.import]]\npath = "more.csv"\n'
    )
    extract_course(course)
    report = build_dataset(course, load_recipe(course.recipe), count_words, "tokenizer")
    assert {row["origin"]["source"] for row in read_rows(course, "test")} == {"past.csv"}
    assert len(read_rows(course, "test")) == 7
    assert report.sources["more.csv"] == 1


def test_a_name_fits_in_both_forms_of_its_characters(course: Course) -> None:
    decomposed = unicodedata.normalize("NFD", "prüfung")
    (course.sources / "exam2025.md").rename(course.sources / f"{decomposed}.md")
    (course.root / f"{decomposed}.csv").write_text("question,answer\nWho held the exam?,Nobody held it yet.\n")
    course.recipe.write_text(
        '[dataset]\nholdout = ["prüfung.md", "prüfung.csv"]\n[[dataset.import]]\npath = "prüfung.csv"\n'
    )
    extract_course(course)
    build_dataset(course, load_recipe(course.recipe), count_words, "tokenizer")
    assert {row["origin"]["source"] for row in read_rows(course, "test")} == {"prüfung.md", "prüfung.csv"}
    build(course, f"{decomposed}.md")
    assert {row["origin"]["source"] for row in read_rows(course, "test")} == {"prüfung.md"}


def test_an_unknown_file_is_refused_with_a_near_name(course: Course) -> None:
    message = "dataset.holdout: the course has no exam2025.pdf. (did you mean exam2025.md?)"
    with pytest.raises(RecipeError, match=re.escape(message)):
        build(course, "exam2025.pdf")
