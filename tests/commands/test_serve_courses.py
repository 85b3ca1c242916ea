"""Several courses on one page in headless Chromium: the choice at the top, and what stays with each."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from mlx_tutor.workspace import Course
from tests.commands.browsing import (
    PATIENCE,
    Browsing,
    ask,
    check_page,
    click,
    find_all,
    list_answers,
    open_chromium,
    read,
    read_all,
    read_box,
    read_name,
    type_text,
    wait_for,
)
from tests.commands.conftest import make_course, run_program, start_program

pytestmark = pytest.mark.browser
LENS = "# Optics\n\n## Lens\n\nA lens is a piece of glass that bends light.\n"


@pytest.fixture(scope="module")
def page(finished_workspace: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsing]:
    """Two courses: one with a run of its own, one of the base."""
    folder, here = tmp_path_factory.mktemp("courses"), Path.cwd()
    shutil.copytree(finished_workspace, folder, dirs_exist_ok=True)
    root = make_course(folder, "optics 2", tiny_model)
    for path in (root / "sources").iterdir():
        path.unlink()
    (root / "sources" / "lens.md").write_text(LENS)
    os.chdir(folder)
    try:
        assert run_program("extract", "-c", "optics 2")[0] == 0
        process = start_program("serve", "--port", "0", PYTHONPATH=str(here), PYTHONUNBUFFERED="1")
    finally:
        os.chdir(here)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1].partition("/c/")[0]
        assert address.startswith("http://"), process.communicate(timeout=10)
        with open_chromium() as driver:
            yield Browsing(driver, address, Course(folder, "demo"), folder / "none", set())
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def choose(page: Browsing, name: str) -> None:
    """Take another course by its link at the top."""
    page.driver.find_element(By.LINK_TEXT, name).click()
    wait_for(lambda: read(page, "h1") == name and read_name(page))


def test_each_course_keeps_its_own(page: Browsing) -> None:
    page.driver.get(page.address)
    wait_for(lambda: read(page, "h1") == "demo" and find_all(page, "#ask"))
    assert read_all(page, "nav[aria-label=Courses] a") == ["demo", "optics 2"]
    assert read_all(page, "nav a[aria-current=page]") == ["demo"]
    ask(page, "What is the mode?")
    wait_for(lambda: "week1.md" in read(page, "#sources") and "run demo" in read(page, "#status"))
    # Typed and not sent, when the course is changed.
    type_text(page, "#question", "And the median")
    choose(page, "optics 2")
    wait_for(lambda: not list_answers(page) and "mode" not in read(page, "#talks"))
    ask(page, "What is a lens?")
    wait_for(lambda: "lens.md" in read(page, "#sources") and "base model" in read(page, "#status"))
    first = page.driver.current_window_handle
    click(page, "#sources details summary")
    click(page, "#sources details a")
    wait_for(lambda: len(page.driver.window_handles) == 2)
    page.driver.switch_to.window(page.driver.window_handles[1])
    wait_for(lambda: "bends light" in read(page, "#cited"))
    assert page.driver.current_url.startswith(f"{page.address}/c/optics%202/read/lens.md")
    page.driver.close()
    page.driver.switch_to.window(first)
    choose(page, "demo")
    wait_for(lambda: len(list_answers(page)) == 1 and read_box(page, "#question") == "And the median")
    assert "lens" not in read(page, "#talks")
    check_page(page)


def test_the_choice_fits_a_narrow_screen(page: Browsing) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.driver.get(page.address)
        wait_for(lambda: find_all(page, "#ask"))
        assert page.driver.execute_script("return document.documentElement.scrollWidth") == 390
        sizes = [link.size for link in find_all(page, "nav[aria-label=Courses] a")]
        assert all(size["height"] >= 24 and size["width"] >= 24 for size in sizes)
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
