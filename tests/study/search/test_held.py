"""Past exams are in no search and in no ordinary question; what the course itself says stays."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.recipe import Recipe
from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.study.search.index import build_index, is_index_current, open_index
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import make_row, write_rows

TASK = "A glider of forty grams loses nine joules on a slope of dry oak; estimate the friction of its skids in newtons."
SOLVED = "The friction is three newtons, as the nine joules are spread over the three metres that the glider slides."
RULE = "The friction of a skid is the force that its own weight presses on the slope times the roughness of that slope."
FILES = {
    "exam 2024.md": f"# Exam\n\n## Exercise 1\n\n{TASK}\n\n## Exercise 2\n\nState this rule.\n\n{RULE}\n",
    "exam 2024 solutions.md": f"# Solutions\n\n## Exercise 1\n\n{SOLVED}\n",
    "handout.md": f"# Handout\n\n## What was asked last year\n\n{TASK}\n\n## Tips\n\nBring a pencil and a ruler.\n",
    "notes.md": f"# Friction\n\n## Skids\n\n{RULE} Oak has a roughness of about a half; ice has next to none.\n",
}
HELD = replace(Recipe(), dataset=replace(Recipe().dataset, holdout=("exam 2024.md",)))


@pytest.fixture
def course(tmp_path: Path) -> Course:
    rows = [
        make_row("What is a skid?", RULE, source="notes.md"),
        make_row("What is the friction of the glider?", SOLVED, source="exam 2024.md"),
        make_row("What are the nine joules spread over?", SOLVED, source="exam 2024 solutions.md"),
    ]
    course = write_rows(tmp_path, rows)
    course.sources.mkdir(parents=True)
    for name, text in FILES.items():
        (course.sources / name).write_text(text)
    extract_course(course)
    return course


def find(course: Course, recipe: Recipe) -> set[tuple[str, str]]:
    with open_index(course, recipe, semantic=False) as index:
        asked = ("friction of a glider on dry oak", "joules spread over metres", "force of a skid and roughness")
        return {(found.source, found.heading[-1]) for question in asked for found in index.search(question, 20)}


def test_the_search_has_neither_the_exam_nor_its_solutions_nor_a_copy(course: Course) -> None:
    exam = {("exam 2024.md", "Exercise 1"), ("exam 2024 solutions.md", "Exercise 1")}
    assert exam < find(course, Recipe())
    assert find(course, HELD) == {("notes.md", "Skids")}
    # Taken out of the holdout, it is found again.
    assert exam < find(course, Recipe())


def test_an_index_that_holds_the_exam_does_not_fit(course: Course) -> None:
    build_index(course)
    assert is_index_current(course, semantic=False) and not is_index_current(course, HELD, semantic=False)


def test_the_quiz_does_not_ask_them(course: Course) -> None:
    assert len(list_questions(course)) == 3
    assert [question.text for question in list_questions(course, ["exam 2024.md"])] == ["What is a skid?"]
    # Of a table that is held out, there is no document.
    (course.dataset / "documents.jsonl").unlink()
    assert [question.text for question in list_questions(course, ["notes.md"])] != ["What is a skid?"]
