"""Every tab and page by axe-core's rules, in light and dark, wide and narrow: nothing serious."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.commands.browsing import (
    Browsing,
    ask,
    browsing,
    click,
    find_all,
    open_tab,
    page,
    read,
    read_log,
    read_name,
    server,
    type_text,
    wait_for,
)
from tests.commands.conftest import run_program

__all__ = ["browsing", "page", "server"]
pytestmark = pytest.mark.browser

RUN = """
const done = arguments[0];
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}).then(found => done(
  found.violations.filter(each => ['serious', 'critical'].includes(each.impact))
    .map(each => [each.id, ...each.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])));
"""
# Wider than a phone.
WIDE = f"""# Wide

$$y = {" + ".join(f"b_{{{i}}} x_{{{i}}}" for i in range(40))}$$

| {" | ".join(f"column {i}" for i in range(12))} |
|{"---|" * 12}
| {" | ".join(f"value {i}" for i in range(12))} |

```python
print("{"wide " * 40}")
```
"""
# What is pressed and does not show its name in full, or stands outside of its row.
CUT = """
return [...document.querySelectorAll('#chat-row button, #figures, #style, #level, .overflow-menu > button')]
  .filter(each => each.offsetParent && !each.closest('#chat')).filter(each => {
    const [own, row] = [each, each.closest('.row') || document.body].map(found => found.getBoundingClientRect());
    return each.scrollWidth > each.clientWidth + 1 || own.right > row.right + 1 || own.height > 60;
  }).map(each => each.id || each.innerText);
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's program: the file of MLX_TUTOR_AXE, else from npm's registry."""
    if named := os.environ.get("MLX_TUTOR_AXE"):
        return Path(named).read_text(encoding="utf-8")
    if shutil.which("npm") is None:
        pytest.skip("axe-core is not at hand: no npm here, and MLX_TUTOR_AXE names no axe.min.js")
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", "axe-core@4", "--silent"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("axe-core is not at hand: npm's registry does not answer")
    if done.returncode:
        pytest.skip("axe-core is not at hand: npm's registry cannot be reached")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def show_as(page: Browsing, width: int, mode: str) -> None:
    """The page in a window of that width, light or dark."""
    metrics: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def find_serious(page: Browsing, axe: str) -> list[Any]:
    """What axe-core finds that is serious or worse, with the first elements of each rule."""
    page.driver.execute_script(axe)
    # Colours that are on their way to others count for nothing.
    moving = "return document.getAnimations().filter(each => each instanceof CSSTransition).length"
    wait_for(lambda: page.driver.execute_script(moving) == 0)
    found: list[Any] = page.driver.execute_async_script(RUN)
    return found


def walk_tabs(page: Browsing) -> Iterator[str]:
    """Each state of each tab, by its name."""
    wait_for(lambda: read_name(page))
    click(page, "#question textarea")
    page.driver.execute_cdp_cmd("Input.insertText", {"text": "x"})
    yield "Chat"
    yield from walk_quiz(page)
    yield from walk_mock(page)
    reach_tab(page, "Progress")
    wait_for(lambda: find_all(page, "#progress table"))
    yield "Progress"
    reach_tab(page, "Guide")
    wait_for(lambda: "Study guide" in read(page, "#guide"))
    yield "Guide"
    reach_tab(page, "Compare")
    type_text(page, "#prompt", "What is the mode?")
    click(page, "#compare")
    wait_for(lambda: find_all(page, "#compare-table table"))
    yield "Compare"
    reach_tab(page, "Rate")
    type_text(page, "#rater", "axe")
    click(page, "#begin")
    wait_for(lambda: read(page, "#rated-question"))
    yield "Rate"
    reach_tab(page, "Monitor")
    wait_for(lambda: find_all(page, "#monitor table"))
    yield "Monitor"
    reach_tab(page, "Course")
    wait_for(lambda: find_all(page, "#course table"))
    yield "Course"


def walk_quiz(page: Browsing) -> Iterator[str]:
    """A question, and one that is graded."""
    reach_tab(page, "Quiz")
    wait_for(lambda: read(page, "#quiz-question"))
    yield "Quiz"
    click(page, "#quiz-reveal")
    wait_for(lambda: "How well" in read(page, "#quiz-verdict"))
    click(page, "#quiz-right")
    wait_for(lambda: "Kept" in read(page, "#quiz-status"))
    click(page, "#quiz-list button")
    wait_for(lambda: find_all(page, "#quiz-due table"))
    type_text(page, "#quiz-answer", "The middle")
    click(page, "#quiz-check")
    wait_for(lambda: read(page, "#quiz-verdict"))
    yield "Quiz, graded"


def walk_mock(page: Browsing) -> Iterator[str]:
    """What can be sat, an exam that runs, and its report."""
    reach_tab(page, "Mock exam")
    wait_for(lambda: find_all(page, "#mock-begin"))
    yield "Mock exam"
    click(page, "#mock-begin")
    wait_for(lambda: "left" in read(page, "#mock-clock"))
    type_text(page, "#mock-answer", "The middle")
    click(page, "#mock-end")
    wait_for(lambda: find_all(page, "#mock-sure") and read(page, "#mock-sure"))
    yield "Mock exam, running"
    click(page, "#mock-sure")
    wait_for(lambda: "points" in read(page, "#mock-report"))
    yield "Mock exam, report"


def reach_tab(page: Browsing, name: str) -> None:
    """Open a tab, on a phone from the menu of those without room."""
    if not any(tab.text.strip() == name and tab.is_displayed() for tab in find_all(page, "button[role=tab]")):
        click(page, ".overflow-menu > button")
        wait_for(lambda: find_all(page, ".overflow-dropdown button"))
        next(entry for entry in find_all(page, ".overflow-dropdown button") if entry.text.strip() == name).click()
    else:
        open_tab(page, name)


@pytest.fixture(autouse=True)
def window(browsing: Browsing) -> Iterator[None]:
    """The window as it was, whatever a test made of it."""
    yield
    browsing.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize(("width", "mode"), [(1440, "light"), (390, "dark")])
def test_nothing_serious_on_any_tab(page: Browsing, axe: str, width: int, mode: str) -> None:
    ask(page, "What is the mode?")
    show_as(page, width, mode)
    page.driver.refresh()
    found = {name: find_serious(page, axe) for name in walk_tabs(page)}
    assert {name: each for name, each in found.items() if each} == {}


def test_nothing_serious_in_the_reader_and_the_report_of_explore(
    page: Browsing, axe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(page.course.workspace)
    (page.course.sources / "wide.md").write_text(WIDE)
    assert run_program("extract")[0] == 0 and run_program("explore")[0] == 0
    addresses = [
        f"{page.address}/read/week1.md?passage={quote('The median is the value in the middle')}#cited",
        f"{page.address}/read/evil.md",
        f"{page.address}/read/wide.md",
        f"{page.address}/read/none.md",
        (page.course.dataset / "explore.html").as_uri(),
    ]
    found = {}
    for width, mode in ((1440, "light"), (390, "dark")):
        show_as(page, width, mode)
        for address in addresses:
            page.driver.get(address)
            found[address, width, mode] = find_serious(page, axe)
    # The page that says so is no page.
    said = [entry["message"] for entry in read_log(page, "browser") if entry["level"] == "SEVERE"]
    assert all("read/none.md" in message and "404" in message for message in said), said
    assert {name: each for name, each in found.items() if each} == {}


def test_buttons_show_their_names_in_full(page: Browsing) -> None:
    ask(page, "What is the mode?")
    click(page, "#chat button[aria-label*=islike]")
    wait_for(lambda: read(page, "#keep"))
    for width in (1440, 1280, 390):
        metrics: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        wait_for(partial(page.driver.execute_script, f"return innerWidth === {width}"))
        assert page.driver.execute_script(CUT) == [], width
    # On a phone, the tabs without room are behind a button that says so.
    label = "return getComputedStyle(document.querySelector('.overflow-menu > button'), '::after').content"
    wait_for(lambda: page.driver.execute_script(label) == '"More"')
