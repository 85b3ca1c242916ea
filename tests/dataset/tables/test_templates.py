"""Questions and answers written from a table."""

import csv
import re
from pathlib import Path

import pytest

from mlx_tutor.dataset.tables.imports import Groups
from mlx_tutor.dataset.tables.templates import fill_templates
from mlx_tutor.errors import DatasetError, RecipeError
from mlx_tutor.recipe import load_recipe
from mlx_tutor.records import Example
from mlx_tutor.workspace import Course

HEAD = ("Course Title", "Course Code", "Department", "Description", "Units", "Prerequisites", "Schedule", "Instructor")
ROWS = (
    ("Painting with Light", "ART 110", "Arts", "How light shapes a picture.", "4", "None", "Mon at 9:00", "Ada Roe"),
    ("Light and Waves", "PHY 210", "Physics", "Waves.", "4.0", "Prerequisite: PHY 101", "TBA at TBA", "Bo Lee,Cy Fox"),
    ("Directed Research", "PHY 490", "Physics", "N/A", "2", "n/a", "", "TBA"),
    ("Directed Research", "ART 490", "Arts", "Your own work.", "", "ART 110.", "Fri at 10:00", "Ada Roe"),
)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(tmp_path, "catalogue")
    course.root.mkdir(parents=True)
    with (course.root / "courses.csv").open("w", newline="") as file:
        csv.writer(file).writerows((HEAD, *ROWS))
    return course


def fill(course: Course, text: str) -> list[Example]:
    course.recipe.write_text(f'[course]\nsystem_prompt = "Tutor."\n[[dataset.template]]\npath = "courses.csv"\n{text}')
    recipe = load_recipe(course.recipe)
    return fill_templates(course, recipe.dataset.templates[0], 1, recipe, Groups()).examples


def pick(examples: list[Example], kind: str) -> list[str]:
    """The different answers of one template."""
    return list(dict.fromkeys(example.qa_pair.answer for example in examples if example.qa_pair.type == kind))


def test_the_shipped_templates_say_what_the_table_says(course: Course) -> None:
    examples = fill(course, 'use = "catalogue"\n')
    assert len({example.qa_pair.type for example in examples}) >= 10
    assert pick(examples, "prerequisites") == [
        "Painting with Light has no prerequisites.",
        "Before Light and Waves you need: PHY 101.",
        "Before Directed Research (ART 490) you need: ART 110.",
    ]
    assert pick(examples, "schedule") == [
        "Painting with Light is offered at this time: Mon at 9:00.",
        "Directed Research (ART 490) is offered at this time: Fri at 10:00.",
    ]
    assert "Light and Waves is taught by Bo Lee, Cy Fox." in pick(examples, "instructor")
    assert pick(examples, "programme") == [
        "Courses in Arts:\n- Directed Research (ART 490)\n- Painting with Light (ART 110)",
        "Courses in Physics:\n- Directed Research (PHY 490)\n- Light and Waves (PHY 210)",
    ]
    assert pick(examples, "recommendation") == [
        "For light I recommend:\n- Light and Waves (PHY 210)\n- Painting with Light (ART 110)"
    ]


def test_empty_fields_are_never_printed(course: Course) -> None:
    examples = fill(course, 'use = "catalogue"\n')
    said = [f"{example.qa_pair.question} {example.qa_pair.answer}" for example in examples]
    assert not any(re.search(r"N/A|n/a|TBA|None|nan|\{|\}|  |: \.|\.\.", text) for text in said)
    # Nothing but its title, code, programme and units is known of this one.
    known = {e.qa_pair.type for e in examples if e.origin.row == 3 and e.origin.heading[0].endswith("(PHY 490)")}
    assert known == {"code", "title", "units"}


def test_wordings_vary_and_rows_of_one_course_stay_together(course: Course) -> None:
    examples = fill(course, 'use = "catalogue"\nwordings = 2\n')
    asked = [example.qa_pair.question for example in examples]
    assert len(set(asked)) == len(asked)
    units = [e.qa_pair.question for e in examples if e.qa_pair.type == "units"]
    titles = ("Painting with Light", "Light and Waves", "Directed Research (PHY 490)")
    assert [sum(title in question for question in units) for title in titles] == [2, 2, 2]
    forms = {question.replace(title, "_") for question in units for title in titles if title in question}
    assert len(forms) > 2
    single = [e for e in examples if e.qa_pair.type not in ("programme", "teaching", "recommendation")]
    assert {(e.origin.row, e.origin.section) for e in single} == {(1, 0), (2, 1), (3, 2), (4, 3)}


def test_templates_of_the_users_own(course: Course) -> None:
    text = """
columns = { name = "Course Title", who = "Instructor" }
questions = ["Who gives {name}?", "{name}: who teaches it?"]
answer = ["{who} does.", "It is at this time: {Schedule}.", "Its code is {course_code}."]
type = "people"
group = "Department"
grade_level = "graduate"
"""
    examples = fill(course, text)
    assert [example.qa_pair.answer for example in examples[::2]] == [
        "Ada Roe does. It is at this time: Mon at 9:00. Its code is ART 110.",
        "Bo Lee, Cy Fox does. Its code is PHY 210.",
        "Ada Roe does. It is at this time: Fri at 10:00. Its code is ART 490.",
    ]
    assert {example.origin.section for example in examples} == {0, 1}
    assert {example.metadata["grade_level"] for example in examples} == {"graduate"}
    assert {example.origin.method for example in examples} == {"template people"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'questions = ["Who gives {Titel}?"]\nanswer = ["{who}."]\n',
            "dataset.template[1].questions: {Titel} is no column; dataset.template[1].answer: {who} is no column. "
            "Placeholders are {course_title}, {course_code}",
        ),
        ('questions = ["Who { gives?"]\nanswer = ["{units}."]\n', "'Who { gives?' is no template"),
        ('use = "catalogue"\ncolumns = { title = "Name" }\n', "dataset.template[1].columns.title: there is no column"),
    ],
)
def test_what_does_not_fit_the_table_is_said(course: Course, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        fill(course, text)


def test_a_table_of_something_else_is_refused(course: Course) -> None:
    (course.root / "courses.csv").write_text("animal,legs\ncat,4\n")
    with pytest.raises(DatasetError, match="It has the columns animal, legs"):
        fill(course, 'use = "catalogue"\n')
