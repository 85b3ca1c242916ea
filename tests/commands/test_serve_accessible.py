"""The Chat tab by axe-core's rules, in light and dark, wide and narrow: nothing serious."""

import os
import shutil
import subprocess
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.commands.browsing import Browsing, ask, browsing, click, page, read, read_name, server, wait_for

__all__ = ["browsing", "page", "server"]
pytestmark = pytest.mark.browser

RUN = """
const done = arguments[0];
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}).then(found => done(
  found.violations.filter(each => ['serious', 'critical'].includes(each.impact))
    .map(each => [each.id, ...each.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])));
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


def test_nothing_serious(page: Browsing, axe: str) -> None:
    ask(page, "What is the mode?")
    for width, mode in ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")):
        metrics: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        page.driver.refresh()
        wait_for(lambda: read_name(page))
        click(page, "#question textarea")
        page.driver.execute_cdp_cmd("Input.insertText", {"text": "x"})
        page.driver.execute_script(axe)
        assert page.driver.execute_async_script(RUN) == [], (width, mode)
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


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
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
