"""The Mock exam tab: what a page shows of an exam, in any window and after a reload."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.study.quiz import mock
from mlx_tutor.study.web.mock_tab import COURSE, MockHandlers
from mlx_tutor.study.web.site import Site
from tests.study.quiz.rows import make_row, write_rows

EXAM = """
# Exam <b>one</b>

## Exercise 1 (4 points)

What is a reel, and what is $x^2$?

**Solution:** A reel holds the line.
"""
NOTES = "# Kites\n\n## Lines\n\nA reel is a part that holds the line of a kite.\n"
STATUS, SETUP, RUNNING, CLOCK, PLACE, JUMP, QUESTION, ANSWER, SURE = range(9)
REPORT = 11


@pytest.fixture
def handlers(tmp_path: Path, site: Site) -> MockHandlers:
    rows = [make_row(f"What is a {name}?", f"A {name} is a part that {name}s the line.") for name in ("reel", "winder")]
    course = write_rows(tmp_path / "mock", rows)
    course.sources.mkdir(parents=True)
    (course.sources / "exam.md").write_text(EXAM)
    (course.sources / "a.md").write_text(NOTES)
    extract_course(course)
    recipe = replace(site.recipe, dataset=replace(site.recipe.dataset, holdout=("exam.md",)))
    return MockHandlers(replace(site, course=course, recipe=recipe))


def test_a_past_paper_is_offered_sat_and_reported(handlers: MockHandlers) -> None:
    opened = handlers.open()
    assert opened[-1]["choices"][1] == ("exam.md: 1 questions, 4 points", "exam.md")
    assert handlers.choose("exam.md", 10)[1] == 4
    shown = handlers.begin("exam.md", 10, 4)
    assert shown[RUNNING]["visible"] and "**Question 1, 4 points**" in shown[QUESTION]
    assert r"\(x^2\)" in shown[QUESTION]
    assert 'data-left="2' in shown[CLOCK]
    assert handlers.save(shown[PLACE], "It holds the line.") == "Saved."
    # Another window, or the same after a reload.
    again = handlers.open()
    assert (again[PLACE], again[ANSWER]) == (shown[PLACE], "It holds the line.")
    asked = handlers.ask_end(again[PLACE], again[ANSWER])
    assert asked[STATUS] == "Hand in for good?" and asked[SURE]["visible"]
    done = handlers.end(again[PLACE], again[ANSWER])
    report = done[REPORT]
    assert "### 4 of 4 points (100 %)" in report and "| a.md: Lines | 1 | 4 of 4 |" in report
    assert "](read/exam.md?passage=" in report and "<b>" not in report
    assert done[SETUP]["visible"] and not done[RUNNING]["visible"]
    overruled = handlers.judge(1, 0, "wrong")
    assert "### 0 of 4 points" in overruled[REPORT] and "by your own verdict" in overruled[REPORT]


def test_what_is_typed_stays_with_its_question(handlers: MockHandlers) -> None:
    first = handlers.begin(COURSE, 2, 10)
    second = handlers.step(first[PLACE], "a reel", 1)
    assert second[ANSWER] == "" and second[JUMP]["value"] == 1
    # An event that was on its way names the question that it was typed for.
    handlers.save(first[PLACE], "a reel that turns")
    back = handlers.jump(second[PLACE], "a winder", 0)
    assert back[ANSWER] == "a reel that turns"
    assert [label for label, _ in back[JUMP]["choices"]] == ["1 of 2, answered", "2 of 2, answered"]
    assert handlers.ask_end(back[PLACE], " ")[STATUS] == "1 of 2 questions have no answer. Hand in for good?"


def test_after_its_time_the_exam_is_graded_as_it_was_saved(
    handlers: MockHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = handlers.begin(COURSE, 2, 5)
    handlers.save(shown[PLACE], "a part")
    later: Any = type(
        "Later", (datetime,), {"now": classmethod(lambda cls, zone: datetime.now(UTC) + timedelta(hours=1))}
    )
    monkeypatch.setattr(mock, "datetime", later)
    assert handlers.save(shown[PLACE], "a part that reels the line") == "The time is over."
    over = handlers.step(shown[PLACE], "a part that reels the line", 1)
    assert "The time is over" in over[STATUS] and "**Your answer:** a part\n" in over[REPORT] + "\n"


@pytest.mark.parametrize("place", ["", "x", "1", "99:0", "1:-1"])
def test_a_place_that_is_none_is_one_line(handlers: MockHandlers, place: str) -> None:
    said = handlers.end(place, "text")[STATUS]
    assert "mock exam" in said and 'class="problem"' in said


def test_a_course_without_rows_or_papers_says_what_to_do(site: Site) -> None:
    handlers = MockHandlers(site)
    assert handlers.open()[-1]["choices"] == [("Questions of the course", COURSE)]
    assert "mlx-tutor build" in handlers.begin(COURSE, 5, 10)[STATUS]
