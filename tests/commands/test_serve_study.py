"""The tabs for studying in headless Chromium: real clicks, and what the journal holds afterwards."""

import base64
import re
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from mlx_tutor.journal import open_journal
from mlx_tutor.study.quiz.mock import list_exams
from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.study.quiz.session import measure_progress
from tests.commands.browsing import (
    Browsing,
    browsing,
    click,
    find_all,
    load_again,
    open_tab,
    page,
    read,
    read_all,
    read_box,
    server,
    type_text,
    wait_for,
)
from tests.commands.conftest import run_program

__all__ = ["browsing", "page", "server"]
pytestmark = pytest.mark.browser


def test_a_typed_answer_is_graded_and_the_terminal_knows_it(page: Browsing, monkeypatch: pytest.MonkeyPatch) -> None:
    open_tab(page, "Quiz")
    question = wait_for(lambda: read(page, "#quiz-question"))
    before = measure_progress(page.course, list_questions(page.course))
    type_text(page, "#quiz-answer", "no idea at all")
    click(page, "#quiz-check")
    wait_for(lambda: "Not recognized as right" in read(page, "#quiz-verdict"))
    wait_for(lambda: read(page, "#quiz-reference") and ".md, Week" in read(page, "#quiz-place"))
    click(page, "#quiz-wrong")
    wait_for(lambda: "Kept as wrong. It comes back in" in read(page, "#quiz-status"))
    wait_for(lambda: read(page, "#quiz-question") != question and read_box(page, "#quiz-answer") == "")
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
    # What was typed beside it stays.
    type_text(page, "#question", " For my notes:")
    for _ in range(2):
        open_tab(page, "Quiz")
        click(page, "#quiz-explain")
        wait_for(find_all(page, "#question textarea")[0].is_displayed)
        wait_for(lambda: read_box(page, "#question") == f"{question} For my notes:\n{question}")
    # Coming back, the card is as it was.
    open_tab(page, "Quiz")
    wait_for(lambda: read(page, "#quiz-question") == question)
    click(page, "#quiz-right")
    wait_for(lambda: "Kept as right" in read(page, "#quiz-status"))


def test_a_topic_is_chosen(page: Browsing) -> None:
    open_tab(page, "Quiz")
    wait_for(lambda: read(page, "#quiz-question"))
    choose(page, "#quiz-source", "week2.md")
    wait_for(lambda: "week2.md" in read_value(page, "#quiz-source"))
    choose(page, "#quiz-topic", "Slope")
    wait_for(lambda: "slope" in read(page, "#quiz-question").lower())


def read_value(page: Browsing, box: str) -> str:
    """What a list or a number box holds."""
    return str(page.driver.execute_script("return document.querySelector(arguments[0])?.value ?? ''", f"{box} input"))


def choose(page: Browsing, box: str, name: str) -> None:
    """Pick an entry of a list."""
    click(page, f"{box} input")
    wait_for(
        lambda: [option for option in find_all(page, f"{box} [role=option]") if option.text.strip().endswith(name)]
    )[0].click()


def test_a_mock_exam_survives_a_reload_and_ends_by_the_clock(page: Browsing) -> None:
    open_tab(page, "Mock exam")
    wait_for(lambda: "Questions of the course" in read_value(page, "#mock-paper"))
    fill_number(page, "#mock-count", "3")
    fill_number(page, "#mock-minutes", "1")
    click(page, "#mock-begin")
    wait_for(lambda: re.match(r"0:\d\d left", read(page, "#mock-clock")))
    type_text(page, "#mock-answer", "The value in the middle")
    wait_for(lambda: "Saved." in read(page, "#mock-saved"))
    load_again(page)
    open_tab(page, "Mock exam")
    wait_for(lambda: find_all(page, "#mock-answer textarea") and "in the middle" in read_box(page, "#mock-answer"))
    click(page, "#mock-next")
    wait_for(lambda: "Question 2" in read(page, "#mock-question"))
    # The rest of the minute passes in the journal.
    with open_journal(page.course, "") as journal:
        soon = datetime.now(UTC) + timedelta(seconds=2)
        journal.execute("UPDATE mock_exams SET ends = ? WHERE handed_in IS NULL", (soon.isoformat(),))
    click(page, "#mock-next")
    wait_for(lambda: "handed in" in read(page, "#mock-status") and "of 3 points" in read(page, "#mock-report"))
    (exam,) = list_exams(page.course)
    assert exam.find_answer(0).text == "The value in the middle" and exam.handed_in is not None
    choose(page, "#mock-judged", "Question 1")
    click(page, "#mock-right")
    wait_for(lambda: "Question 1 counts as right." in read(page, "#mock-status"))
    assert list_exams(page.course)[0].reached >= 1


def fill_number(page: Browsing, box: str, value: str) -> None:
    """Type a number in place of another, again where the page is drawn anew meanwhile."""
    found = page.driver.find_element(By.CSS_SELECTOR, f"{box} input")

    def fill() -> bool:
        found.click()
        found.send_keys(Keys.CONTROL + "a")
        found.send_keys(value)
        time.sleep(0.3)
        return found.get_attribute("value") == value

    wait_for(fill)


def test_progress_counts_what_the_quiz_asked(page: Browsing) -> None:
    open_tab(page, "Quiz")
    choose(page, "#quiz-source", "week1.md")
    wait_for(lambda: "week1.md" in read_value(page, "#quiz-source"))
    choose(page, "#quiz-topic", "Median")
    wait_for(lambda: "median" in read(page, "#quiz-question").lower())
    click(page, "#quiz-reveal")
    wait_for(lambda: "How well" in read(page, "#quiz-verdict"))
    click(page, "#quiz-right")
    wait_for(lambda: "Kept as right" in read(page, "#quiz-status"))
    open_tab(page, "Progress")
    wait_for(lambda: "questions asked" in read(page, "#progress"))
    (row,) = [row for row in read_all(page, "#progress tbody tr") if row.startswith("Median")]
    asked, right = map(int, row.split()[2:4])
    assert asked >= 1 and right >= 1
    assert "mlx-tutor evaluate --learned" in read(page, "#progress")


def test_the_guide_is_read_printed_and_saved(page: Browsing, tmp_path: Path) -> None:
    open_tab(page, "Guide")
    wait_for(lambda: "Key terms" in read(page, "#guide") and "week2.md" in read(page, "#guide"))
    last = read_all(page, "#guide li")[-1]
    printed = page.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pages = [sheet.extract_text() for sheet in PdfReader(BytesIO(base64.b64decode(printed["data"]))).pages]
    # To the end, and nothing but the guide.
    assert last in " ".join(pages[-1].split()) and pages[0].startswith("Study guide: demo")
    assert "Mock exam" not in pages[0] and "Save as Markdown" not in pages[0]
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    click(page, "#guide-save")
    saved = tmp_path / "demo-guide.md"
    wait_for(lambda: saved.is_file() and saved.read_text())
    assert "- **median** The median is the value in the middle" in saved.read_text()
    assert "(week1.md, Week 1 > Median)" in saved.read_text()
