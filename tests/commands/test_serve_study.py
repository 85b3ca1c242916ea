"""The tabs for studying in headless Chromium: real clicks, and what the journal holds afterwards."""

import pytest

from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.study.quiz.session import measure_progress
from tests.commands.conftest import run_program
from tests.commands.test_serve_browser import (
    Browsing,
    browsing,
    click,
    find_all,
    open_tab,
    page,
    read,
    read_box,
    server,
    type_text,
    wait_for,
)

__all__ = ["browsing", "page", "server"]
pytestmark = pytest.mark.browser


def test_a_typed_answer_is_graded_and_the_terminal_knows_it(page: Browsing, monkeypatch: pytest.MonkeyPatch) -> None:
    open_tab(page, "Quiz")
    question = wait_for(lambda: read(page, "#quiz-question"))
    before = measure_progress(page.course, list_questions(page.course))
    type_text(page, "#quiz-answer", "no idea at all")
    click(page, "#quiz-check")
    wait_for(lambda: "Not recognized as right" in read(page, "#quiz-verdict"))
    assert read(page, "#quiz-reference") and ".md, Week" in read(page, "#quiz-place")
    click(page, "#quiz-wrong")
    wait_for(lambda: "Kept as wrong. It comes back in" in read(page, "#quiz-status"))
    assert read(page, "#quiz-question") != question and read_box(page, "#quiz-answer") == ""
    after = measure_progress(page.course, list_questions(page.course))
    assert (after.new, after.waiting, after.wrong) == (before.new - 1, before.waiting + 1, before.wrong + 1)
    monkeypatch.chdir(page.course.workspace)
    assert f"{after.new} new, {after.waiting} waiting" in run_program("quiz", "--due")[1]
    click(page, "#quiz-list button")
    wait_for(lambda: question in read(page, "#quiz-due"))


def test_a_card_leads_into_the_chat(page: Browsing) -> None:
    open_tab(page, "Quiz")
    question = wait_for(lambda: read(page, "#quiz-question"))
    click(page, "#quiz-reveal")
    wait_for(lambda: "How well did you know it?" in read(page, "#quiz-verdict"))
    click(page, "#quiz-explain")
    wait_for(lambda: read_box(page, "#question") == question)
    # Coming back, the card is as it was.
    open_tab(page, "Quiz")
    wait_for(lambda: read(page, "#quiz-question") == question)
    click(page, "#quiz-right")
    wait_for(lambda: "Kept as right" in read(page, "#quiz-status"))


def test_a_topic_is_chosen(page: Browsing) -> None:
    open_tab(page, "Quiz")
    wait_for(lambda: read(page, "#quiz-question"))
    choose(page, "#quiz-source", "week2.md")
    wait_for(
        lambda: "week2.md" in page.driver.execute_script("return document.querySelector('#quiz-source input').value")
    )
    choose(page, "#quiz-topic", "Slope")
    wait_for(lambda: "slope" in read(page, "#quiz-question").lower())


def choose(page: Browsing, box: str, name: str) -> None:
    """Pick an entry of a list."""
    click(page, f"{box} input")
    wait_for(
        lambda: [option for option in find_all(page, f"{box} [role=option]") if option.text.strip().endswith(name)]
    )[0].click()
