"""A headless Chromium at the real program's page, and what tests do with it."""

import inspect
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from mlx_tutor.workspace import Course
from tests.commands.conftest import run_program, start_program

# What the tests and the page exchange while it works, in seconds.
PATIENCE = 60.0
EVIL = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
NOTES = f"""# Gizmos

## Gizmo

A gizmo is a thing that nobody needs, as ${{document.title}} shows.

```
{EVIL} {{{{this}}}}
```
"""
# Writes down whom the server itself talks to or asks about.
WATCH = """
import os, sys
LOG = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def watch(event, arguments):
    if event == "socket.connect":
        os.write(LOG, f"{{arguments[1]!r}}\\n".encode())
    elif event == "socket.getaddrinfo":
        os.write(LOG, f"{{arguments[0]!r}}\\n".encode())
sys.addaudithook(watch)
"""


@dataclass(frozen=True, slots=True)
class Browsing:
    """A browser at a running server; `watched` has what the server itself called."""

    driver: webdriver.Chrome
    address: str
    course: Course
    watched: Path
    hosts: set[str]


@pytest.fixture(scope="module")
def server(finished_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Course, Path]]:
    folder = tmp_path_factory.mktemp("browser")
    shutil.copytree(finished_workspace, folder, dirs_exist_ok=True)
    course = Course(folder, "demo")
    (course.sources / "evil.md").write_text(NOTES)
    planted, watched = folder / "planted", folder / "watched.txt"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(WATCH.format(log=str(watched)))
    here = Path.cwd()
    os.chdir(folder)
    try:
        assert run_program("extract")[0] == 0
        process = start_program(
            *("serve", "--port", "0", "--set", "generate.max_tokens=150", "--set", "generate.temp=1.2"),
            PYTHONPATH=f"{planted}:{here}",
            PYTHONUNBUFFERED="1",
        )
    finally:
        os.chdir(here)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, process.communicate(timeout=10)
        yield line.split()[-1], course, watched
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def browsing(server: tuple[str, Course, Path]) -> Iterator[Browsing]:
    with open_chromium() as driver:
        yield Browsing(driver, *server, set())


@contextmanager
def open_chromium() -> Iterator[webdriver.Chrome]:
    """Headless Chromium that finds no host but this one."""
    binary, program = shutil.which("chromium"), shutil.which("chromedriver")
    if (binary is None or program is None) and not os.environ.get("CI"):
        pytest.skip("no chromium and chromedriver here")
    assert binary is not None and program is not None, "CI has to have chromium and chromedriver"
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = Service(program, log_output=subprocess.DEVNULL)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(browsing: Browsing) -> Iterator[Browsing]:
    """A fresh page; afterwards nothing may have gone elsewhere, and nothing may have been blocked or failed."""
    open_page(browsing)
    yield browsing
    check_page(browsing)


def open_page(page: Browsing) -> None:
    """A page with a new conversation."""
    page.driver.get(page.address)
    wait_for(lambda: read_name(page))
    before = read_name(page)
    click(page, "#new")
    wait_for(lambda: read_name(page) != before)


def load_again(page: Browsing) -> None:
    """What is typed before the page knows its conversation may be drawn over."""
    page.driver.refresh()
    wait_for(lambda: read_name(page))


def read_name(page: Browsing) -> str:
    """The name of the conversation that the page shows."""
    script = "return document.querySelector('#talk textarea, #talk input')?.value || ''"
    return str(page.driver.execute_script(script))


def check_page(page: Browsing) -> None:
    """Nothing may have gone elsewhere, and nothing may have been blocked or failed."""
    # pytest shows it where the test failed.
    print(read(page, "body"))
    for entry in read_log(page, "performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            page.hosts.add(urlsplit(message["params"]["request"]["url"]).netloc)
    entries = read_log(page, "browser")
    # Leaving a page ends what it was listening to, which Gradio reports.
    left = ("AbortError", "Connection errored out")
    said = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
    problems = [each for each in said if not any(word in each for word in left)]
    assert problems == []
    # Those without a name are data: and blob: addresses.
    assert {host.partition(":")[0] for host in page.hosts} - {""} == {"127.0.0.1"}


def read_log(page: Browsing, kind: str) -> list[dict[str, Any]]:
    """What the browser wrote down since the last time."""
    entries: list[dict[str, Any]] = page.driver.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def wait_for(look: Callable[[], Any]) -> Any:
    """What `look` gives, as soon as it is something: Gradio draws one part of a page after another."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    known = inspect.getclosurevars(look).nonlocals
    raise AssertionError(f"waited in vain, with {known}")


def find_all(page: Browsing, selector: str) -> list[WebElement]:
    return page.driver.find_elements(By.CSS_SELECTOR, selector)


def read(page: Browsing, selector: str) -> str:
    """The text that an element shows, in one go: it may be drawn anew meanwhile."""
    script = "const found = document.querySelector(arguments[0]); return found ? found.innerText : ''"
    return str(page.driver.execute_script(script, selector))


def read_all(page: Browsing, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(found => found.innerText)"
    texts: list[str] = page.driver.execute_script(script, selector)
    return texts


def read_box(page: Browsing, box: str) -> str:
    return str(page.driver.execute_script("return document.querySelector(arguments[0]).value", f"{box} textarea"))


def type_text(page: Browsing, box: str, text: str) -> None:
    page.driver.find_element(By.CSS_SELECTOR, f"{box} textarea").click()
    page.driver.execute_cdp_cmd("Input.insertText", {"text": text})
    wait_for(lambda: len(read_box(page, box)) >= len(text))


def click(page: Browsing, selector: str) -> None:
    page.driver.find_element(By.CSS_SELECTOR, selector).click()


def open_tab(page: Browsing, name: str) -> None:
    page.driver.find_element(By.XPATH, f"//button[@role='tab'][contains(., '{name}')]").click()


def ask(page: Browsing, question: str) -> None:
    type_text(page, "#question", question)
    click(page, "#ask")
    wait_for(lambda: read_box(page, "#question") == "")
    wait_for(lambda: "Answered by" in read(page, "#status"))


def list_answers(page: Browsing) -> list[str]:
    return read_all(page, "#chat .bot.message")


@contextmanager
def keep_busy(page: Browsing) -> Iterator[None]:
    """The model answers others until the end of the block."""
    with ExitStack() as stack:
        # Kept: a stream ends when nobody holds it.
        streams = []
        # Drawn, and several answers each: what was asked before is answered from the cache, without waiting.
        for seed in range(0, 64, 8):
            body = {"model": "demo", "messages": [{"role": "user", "content": "?"}], "stream": True, "max_tokens": 900}
            drawn = body | {"temperature": 1.5, "seed": seed, "n": 8}
            reply = stack.enter_context(httpx.stream("POST", f"{page.address}/v1/chat/completions", json=drawn))
            streams.append(reply.iter_raw())
            next(streams[-1])
        yield
