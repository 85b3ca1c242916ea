"""Files added on the Course tab in headless Chromium, from the choice of a file to the answer that cites it."""

import re
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.commands.browsing import (
    Browsing,
    ask,
    browsing,
    find_all,
    list_answers,
    open_tab,
    page,
    read,
    read_all,
    read_log,
    read_name,
    server,
    wait_for,
)

__all__ = ["browsing", "page", "server"]
pytestmark = pytest.mark.browser
EROSION = "# Geology\n\n## Erosion\n\nErosion is the wearing away of rock by water and wind.\n"
SAID, STATE = "#upload-said", "#course"


def add(page: Browsing, *paths: Path) -> None:
    """Choose files and add them, and wait until the last one is told of."""
    page.driver.find_element(By.CSS_SELECTOR, "#upload-files").send_keys("\n".join(map(str, paths)))
    page.driver.find_element(By.CSS_SELECTOR, "#upload-add").click()
    wait_for(lambda: page.driver.find_element(By.CSS_SELECTOR, "#upload-add").is_enabled() and read(page, SAID))


def test_a_file_is_added_read_and_cited_at_once(page: Browsing, tmp_path: Path) -> None:
    (tmp_path / "rocks & rivers.md").write_text(EROSION)
    open_tab(page, "Course")
    wait_for(lambda: "Coverage:" in read(page, STATE))
    assert "mlx-tutor run -c demo" in read(page, "#upload p")
    add(page, tmp_path / "rocks & rivers.md")
    assert "rocks & rivers.md is added: 11 words in 1 section." in read(page, SAID)
    assert "The model itself was not trained on it" in read(page, SAID)
    wait_for(lambda: re.search(r"rocks & rivers\.md\s.*the model was not trained on it", read(page, STATE)))
    assert "The sources changed since" in read(page, STATE)
    open_tab(page, "Chat")
    ask(page, "What is erosion?")
    assert "rocks & rivers.md, Geology > Erosion" in read(page, "#sources")
    assert len(list_answers(page)) == 1


def test_wrong_files_are_told_and_one_in_use_is_replaced_when_asked(browsing: Browsing, tmp_path: Path) -> None:
    page = browsing
    page.driver.get(page.address)
    wait_for(lambda: read_name(page))
    before = (page.course.sources / "week2.md").read_bytes()
    for name, content in (
        ("nothing.pdf", b""),
        ("page.pdf", b"%PDF-1.4"),
        ("run.exe", b"MZ"),
        ("week2.md", b"# A\n\nB c."),
    ):
        (tmp_path / name).write_bytes(content)
    open_tab(page, "Course")
    wait_for(lambda: find_all(page, "#upload-add"))
    page.driver.find_element(By.CSS_SELECTOR, "#upload-add").click()
    wait_for(lambda: read(page, SAID) == "Choose a file first.")
    add(page, *(tmp_path / name for name in ("nothing.pdf", "page.pdf", "run.exe", "week2.md")))
    said = read_all(page, f"{SAID} li.problem")
    assert [line.partition(" ")[0] for line in said] == ["nothing.pdf", "page.pdf", "run.exe", "week2.md"]
    assert all("is not added: " in line for line in said) and len(read_all(page, f"{SAID} li")) == 4
    assert (page.course.sources / "week2.md").read_bytes() == before
    page.driver.find_element(By.XPATH, "//button[text()='Replace week2.md']").click()
    wait_for(lambda: "week2.md is replaced: " in read(page, SAID) and "documents with" in read(page, SAID))
    assert (page.course.sources / "week2.md").read_bytes() == b"# A\n\nB c."
    assert not list(page.course.sources.glob(".*"))
    # The browser's log has each refusal, as it has to.
    read_log(page, "browser")
