"""Conversations in headless Chromium: reload, crash and second window lose nothing; the list; the composer's keys."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from mlx_tutor.study.chat.saved import Holder, read_saved
from mlx_tutor.workspace import Course
from tests.commands.browsing import (
    Browsing,
    ask,
    check_page,
    click,
    find_all,
    keep_busy,
    list_answers,
    load_again,
    open_chromium,
    open_page,
    read,
    read_all,
    read_box,
    read_log,
    read_name,
    type_text,
    wait_for,
)
from tests.commands.conftest import start_program

pytestmark = pytest.mark.browser

MODE, MEDIAN = "What is the mode?", "What is the median?"


class Program:
    """A server that can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = "0"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The address of a new server."""
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            self.process = start_program(
                *("serve", "--port", self.port, "--set", "generate.max_tokens=40"),
                *("--set", "generate.temp=1.2", "--set", "generate.stop_repetition=false"),
                PYTHONPATH=str(here),
                PYTHONUNBUFFERED="1",
            )
        finally:
            os.chdir(here)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "http://" in line, self.process.communicate(timeout=10)
        address = line.split()[-1]
        self.port = address.rpartition(":")[2]
        return address

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def program(finished_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("conversations")
    shutil.copytree(finished_workspace, folder, dirs_exist_ok=True)
    made = Program(folder)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def browsing(program: Program) -> Iterator[Browsing]:
    with open_chromium() as driver:
        yield Browsing(driver, program.start(), Course(program.folder, "demo"), program.folder / "unused", set())


@pytest.fixture
def page(browsing: Browsing) -> Iterator[Browsing]:
    open_page(browsing)
    yield browsing
    check_page(browsing)


def press(page: Browsing, *keys: str) -> None:
    ActionChains(page.driver).send_keys(*keys).perform()


def list_titles(page: Browsing) -> list[str]:
    return read_all(page, "#list label")


def read_draft(page: Browsing) -> str:
    saved = read_saved(page.course, Holder(), read_name(page))
    return saved.draft if saved is not None else ""


def test_a_reload_and_a_second_window_show_the_same(page: Browsing) -> None:
    ask(page, MODE)
    type_text(page, "#question", "half a quest")
    answer = list_answers(page)
    load_again(page)
    wait_for(lambda: list_answers(page) == answer)
    wait_for(lambda: read_box(page, "#question") == "half a quest" and "week1.md" in read(page, "#sources"))
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("window")
    try:
        page.driver.get(page.address)
        wait_for(lambda: list_answers(page) == answer)
        ask(page, f" {MEDIAN}")
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)
    load_again(page)
    wait_for(lambda: len(list_answers(page)) == 2)


def test_an_answer_goes_on_over_a_reload(page: Browsing, program: Program) -> None:
    # None that the cache knows.
    asked = "What is a mode good for?"
    with keep_busy(page):
        type_text(page, "#question", asked)
        press(page, Keys.ENTER)
        wait_for(lambda: "before you." in read(page, "#status"))
        wait_for(lambda: find_all(page, "#stop") and not find_all(page, "#ask"))
        load_again(page)
        wait_for(lambda: read_all(page, "#chat .user.message") == [asked])
    wait_for(lambda: len(list_answers(page)) == 1 and find_all(page, "#ask") and not find_all(page, "#stop"))
    assert "cut off" not in list_answers(page)[0]


def test_a_killed_server_loses_nothing(page: Browsing, program: Program) -> None:
    ask(page, MODE)
    answer = list_answers(page)
    type_text(page, "#question", MEDIAN)
    wait_for(lambda: read_draft(page) == MEDIAN)
    program.kill()
    program.start()
    load_again(page)
    wait_for(lambda: list_answers(page) == answer and read_box(page, "#question") == MEDIAN)
    with suppress(httpx.HTTPError), keep_busy(page):
        click(page, "#question textarea")
        press(page, Keys.ENTER)
        wait_for(lambda: "before you." in read(page, "#status"))
        program.kill()
    program.start()
    load_again(page)
    wait_for(lambda: len(list_answers(page)) == 2)
    wait_for(lambda: "cut off" in list_answers(page)[1] and read_all(page, "#chat .user.message") == [MODE, MEDIAN])
    ask(page, "Why?")
    read_log(page, "browser")


def test_the_list_is_searched_renamed_deleted_and_brought_back(page: Browsing) -> None:
    ask(page, "How does a kiln glow?")
    click(page, "#new")
    wait_for(lambda: not list_answers(page))
    ask(page, MEDIAN)
    find_all(page, "#search input, #search textarea")[0].send_keys("KILN")
    wait_for(lambda: list_titles(page) == ["How does a kiln glow?"])
    find_all(page, "#list label")[0].click()
    wait_for(lambda: read_all(page, "#chat .user.message") == ["How does a kiln glow?"])
    click(page, "#rename")
    box = wait_for(lambda: find_all(page, "#title input, #title textarea"))[0]
    wait_for(lambda: box.get_attribute("value") == "How does a kiln glow?")
    box.clear()
    box.send_keys("Kilns <b>and</b> glazes", Keys.ENTER)
    wait_for(lambda: "Kilns <b>and</b> glazes" in list_titles(page))
    href = wait_for(lambda: find_all(page, "#export a"))[0].get_attribute("href")
    text = httpx.get(str(href)).text
    assert text.startswith("# Kilns < b>and") and "> How does a kiln glow?" in text
    click(page, "#delete")
    wait_for(lambda: "Deleted" in read(page, "#told"))
    assert "Kilns <b>and</b> glazes" not in list_titles(page)
    click(page, "#undelete")
    wait_for(lambda: read_all(page, "#chat .user.message") == ["How does a kiln glow?"])
    assert "Kilns <b>and</b> glazes" in list_titles(page)


def test_keys_of_the_composer(page: Browsing) -> None:
    load_again(page)
    assert page.driver.execute_script("return document.activeElement === document.querySelector('#question textarea')")
    wait_for(lambda: not any(find_all(page, name)[0].is_enabled() for name in ("#ask", "#retry")))
    press(page, "What is")
    ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
    press(page, "the mode?")
    assert read_box(page, "#question") == "What is\nthe mode?"
    wait_for(find_all(page, "#ask")[0].is_enabled)
    press(page, Keys.ENTER)
    wait_for(lambda: "Answered by" in read(page, "#status") and read_box(page, "#question") == "")
    wait_for(find_all(page, "#retry")[0].is_enabled)
    assert "tokens" not in read(page, "#status")
    press(page, Keys.ARROW_UP)
    wait_for(lambda: read_box(page, "#question") == "What is\nthe mode?")
    click(page, "#figures input")
    wait_for(lambda: "tokens" in read(page, "#status"))
    click(page, "#figures input")


def test_escape_stops(page: Browsing) -> None:
    asked = "What is a mode, in short?"
    with keep_busy(page):
        type_text(page, "#question", asked)
        press(page, Keys.ENTER)
        wait_for(lambda: "before you." in read(page, "#status"))
        press(page, Keys.ESCAPE)
        wait_for(lambda: "Stopped before it began." in read(page, "#status"))
    wait_for(lambda: read_box(page, "#question") == asked)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (768, 1024), (1440, 900)])
def test_the_note_box_is_in_the_window(page: Browsing, width: int, height: int) -> None:
    metrics: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        ask(page, MODE)
        wait_for(lambda: find_all(page, "#chat button[aria-label='Dislike']"))[0].click()
        wait_for(lambda: find_all(page, "#note textarea"))
        boxes = "['#note', '#question', '#ask', '#keep']"
        read_bottom = f"{boxes}.map(each => document.querySelector(each).getBoundingClientRect().bottom)"
        assert page.driver.execute_script(f"return Math.max(...{read_bottom})") <= height
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width
        if width < 1100:
            assert not find_all(page, "#new")[0].is_displayed()
            click(page, "#talks-toggle")
            assert find_all(page, "#new")[0].is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
