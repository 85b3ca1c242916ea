"""The web page in headless Chromium: the real program, real clicks, and no request to any other host."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium.webdriver.common.by import By

from mlx_tutor.journal import open_journal
from mlx_tutor.study.chat.thumbs import SCHEMA
from tests.commands.browsing import (
    EVIL,
    Browsing,
    ask,
    browsing,
    click,
    find_all,
    keep_busy,
    list_answers,
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
from tests.commands.conftest import run_program, start_program

__all__ = ["browsing", "page", "server"]
pytestmark = pytest.mark.browser

MODE = "What is the mode?"
# Collects how long the answer is after each change of the page.
WATCH_ANSWER = """
window.seen = new Set();
new MutationObserver(() => {
  const answer = document.querySelector('#chat .bot.message');
  if (answer) window.seen.add(answer.innerText.length);
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


def test_an_answer_streams_and_its_sources_open(page: Browsing) -> None:
    page.driver.execute_script(WATCH_ANSWER)
    type_text(page, "#question", f"{MODE} Why $x^2$, not $5 or $6?")
    click(page, "#ask")
    wait_for(lambda: "Answered by" in read(page, "#status"))
    assert page.driver.execute_script("return window.seen.size") > 2, "the answer came in one piece"
    wait_for(lambda: len(find_all(page, "#chat .user .katex")) == 1)
    wait_for(lambda: "$5 or $6" in read(page, "#chat .user.message"))
    wait_for(lambda: "week1.md, Week 1 > Mode" in read(page, "#sources"))
    click(page, "#sources details summary")
    wait_for(lambda: "occurs most often" in read(page, "#sources details[open] .passage"))
    first = page.driver.current_window_handle
    click(page, "#sources details a")
    wait_for(lambda: len(page.driver.window_handles) == 2)
    page.driver.switch_to.window(page.driver.window_handles[1])
    wait_for(lambda: "occurs most often" in read(page, "#cited"))
    assert page.driver.current_url.startswith(f"{page.address}/read/week1.md?")
    assert "Mode" in read_all(page, "h2") and page.driver.execute_script("return document.scripts.length") == 0
    page.driver.close()
    page.driver.switch_to.window(first)


def test_an_example_retry_undo_and_a_new_conversation(page: Browsing) -> None:
    click(page, "#chat button.example")
    wait_for(lambda: "Answered by" in read(page, "#status"))
    (before,) = list_answers(page)
    (question,) = read_all(page, "#chat .user.message")
    click(page, "#retry")
    wait_for(lambda: list_answers(page) not in ([], [before]) and "Answered by" in read(page, "#status"))
    ask(page, "Why?")
    assert len(list_answers(page)) == 2
    click(page, "#undo")
    wait_for(lambda: len(list_answers(page)) == 1 and read_box(page, "#question") == "Why?")
    click(page, "#undo")
    wait_for(lambda: not list_answers(page))
    assert read_box(page, "#question") == "Why?"
    click(page, "#new")
    wait_for(lambda: read_box(page, "#question") == "")
    ask(page, question)
    click(page, "#new")
    wait_for(lambda: not list_answers(page) and not find_all(page, "#sources details"))
    wait_for(lambda: not page.driver.find_element(By.CSS_SELECTOR, "#retry").is_enabled())


def test_the_queue_is_seen_and_left(page: Browsing) -> None:
    with keep_busy(page):
        type_text(page, "#question", MODE)
        click(page, "#ask")
        wait_for(lambda: re.search(r"Waiting: \d+ before you\.", read(page, "#status")))
        click(page, "#stop")
        wait_for(lambda: "Stopped before it began." in read(page, "#status"))
    wait_for(lambda: read_box(page, "#question") == MODE and not list_answers(page))
    click(page, "#ask")
    wait_for(lambda: "Answered by" in read(page, "#status"))


def test_thumbs_and_a_note_reach_the_journal(page: Browsing) -> None:
    ask(page, MODE)
    wait_for(lambda: find_all(page, "#chat button[aria-label='Dislike']"))[0].click()
    wait_for(lambda: find_all(page, "#note textarea"))
    type_text(page, "#note", "Wrong <b>everywhere</b>.")
    click(page, "#keep")
    wait_for(lambda: "Your note is kept." in read(page, "#status"))
    with open_journal(page.course, SCHEMA) as journal:
        (row,) = journal.execute("SELECT model, question, liked, note FROM thumbs").fetchall()
    assert tuple(row) == ("demo", MODE, 0, "Wrong <b>everywhere</b>.")


def test_compare_asks_all_three(page: Browsing) -> None:
    open_tab(page, "Compare")
    type_text(page, "#prompt", MODE)
    click(page, "#compare")
    wait_for(lambda: len(find_all(page, "#compare-table tbody tr")) == 3)
    wait_for(
        lambda: [row.split()[0] for row in read_all(page, "#compare-table tbody tr")] == ["base", "adapter", "fused"]
    )
    wait_for(lambda: all(read(page, f"#answer-{label}").strip() for label in ("base", "adapter", "fused")))
    open_tab(page, "Chat")
    ask(page, MODE)


def test_rating_is_blind_and_kept(page: Browsing) -> None:
    open_tab(page, "Rate")
    type_text(page, "#rater", "ada")
    click(page, "#begin")
    wait_for(lambda: re.match(r"0 of \d+ rated", read(page, "#rate-status")))
    question = read(page, "#rated-question")
    for radio in find_all(page, "#pair input[type=radio][value='4']"):
        radio.click()
        wait_for(lambda: "Kept:" in read(page, "#rate-status"))
    wait_for(lambda: count_scores(page) == 8)
    click(page, "#next")
    wait_for(lambda: read(page, "#rate-status").startswith("1 of "))
    wait_for(lambda: read(page, "#rated-question") != question)
    click(page, "#next")
    wait_for(lambda: "Give every score" in read(page, "#rate-status"))
    click(page, "#back")
    wait_for(lambda: read(page, "#rated-question") == question)
    wait_for(lambda: len(find_all(page, "#pair input[type=radio]:checked")) == 8)


def count_scores(page: Browsing) -> int:
    """Scores in the journal."""
    with open_journal(page.course, "") as journal:
        return int(journal.execute("SELECT count(*) FROM ratings WHERE rater = 'ada' AND score = 4").fetchone()[0])


def test_the_course_has_its_sources_and_curves(page: Browsing) -> None:
    open_tab(page, "Course")
    wait_for(lambda: "Coverage:" in read(page, "#course"))
    wait_for(lambda: "evil.md" in read(page, "#course"))
    wait_for(lambda: page.driver.execute_script("return document.querySelector('#course img').naturalWidth") > 100)


def test_html_is_text_everywhere(page: Browsing) -> None:
    title = page.driver.title
    ask(page, f"What is a gizmo? {EVIL} **bold** ![x](http://127.0.0.2/x.png) [y](http://127.0.0.2/)")
    wait_for(lambda: "onerror" in read(page, "#chat .user.message") and "**bold**" in read(page, "#chat .user.message"))
    wait_for(lambda: "Gizmo" in read(page, "#sources"))
    for summary in find_all(page, "#sources details summary"):
        summary.click()
    shown = read(page, "#sources")
    assert "<script>" in shown and "${document.title}" in shown and "{{this}}" in shown
    assert page.driver.title == title
    assert not find_all(page, "img[src='x'], #chat a, #chat img[src*='127.0.0.2'], #chat b, #chat strong")


@pytest.mark.parametrize(("question", "said"), [("\x00 \n", "The question is empty"), ("mode " * 20_000, "context")])
def test_what_cannot_be_answered_is_one_message(page: Browsing, question: str, said: str) -> None:
    page.driver.find_element(By.CSS_SELECTOR, "#question textarea").click()
    page.driver.execute_cdp_cmd("Input.insertText", {"text": question})
    click(page, "#ask")
    wait_for(lambda: said in read(page, "#status"))
    wait_for(lambda: "before you" not in read(page, "#status"))
    assert not list_answers(page)
    click(page, "#new")
    wait_for(lambda: read_box(page, "#question") == "")
    ask(page, MODE)


def test_it_fits_a_narrow_screen(page: Browsing) -> None:
    metrics: dict[str, Any] = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        load_again(page)
        ask(page, MODE)
        right = "e => e.getBoundingClientRect().right"
        # Gradio measures its tabs in a row that nobody sees.
        shown = "document.querySelectorAll('button:not(.visually-hidden *), textarea')"
        script = f"return Math.max(...[...{shown}].map({right}))"
        assert page.driver.execute_script(script) <= 390
        assert page.driver.execute_script("return document.documentElement.scrollWidth") == 390
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_an_exam_is_recorded_and_has_only_the_chat(page: Browsing) -> None:
    here = Path.cwd()
    os.chdir(page.course.workspace)
    process = start_program("serve", "--exam", "--port", "0", PYTHONPATH=str(here), PYTHONUNBUFFERED="1")
    try:
        assert process.stdout is not None
        lines = [""]
        while "http://" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], process.communicate()
        (code,) = re.findall(r"Start code, to be written down: (\S+)", "".join(lines))
        address = lines[-1].split()[-1]
        page.driver.get(address)
        wait_for(lambda: find_all(page, "#ask"))
        assert code in read(page, "header")
        assert read_all(page, "button[role=tab]") == ["Chat", "Course"]
        assert httpx.get(f"{address}/v1/models").status_code == 404
        ask(page, MODE)
        assert re.search(r"Record: entry \d+, code", read(page, "#status"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        (end,) = re.findall(r"End code, to be written down: (\S+)", out)
        assert process.returncode == 0 and "Traceback" not in err
        assert run_program("exam", "export", "--output", "exam.jsonl")[0] == 0
        assert run_program("exam", "verify", "exam.jsonl", "--head", code, "--head", end)[0] == 0
        assert MODE in Path("exam.jsonl").read_text()
    finally:
        process.kill()
        process.communicate()
        os.chdir(here)


def test_the_server_itself_called_nobody(browsing: Browsing) -> None:
    """Last, when all the others have used it."""
    assert httpx.get(f"{browsing.address}/v1/models").status_code == 200
    called = browsing.watched.read_text().splitlines() if browsing.watched.is_file() else []
    assert [line for line in called if "127.0.0.1" not in line and "localhost" not in line] == []
