"""The numbers of an answer and the reader in headless Chromium, with real clicks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from mlx_tutor.generate import Answer
from mlx_tutor.models import load_model
from mlx_tutor.study.chat import ask
from mlx_tutor.study.web.model_worker import ModelWorker
from mlx_tutor.study.web.site import Site
from tests.commands.browsing import open_chromium, wait_for
from tests.study.reader.lessons import BULB, WIRE, write_lessons
from tests.study.web.serving import RECIPE, Serving, serve_site

pytestmark = pytest.mark.browser

INVENTED = "Penguins invented the filament in Antarctica."
SAID = f"{WIRE} {INVENTED}\n\n```\n{BULB}\n```\n\n- {BULB}\n- The restoring force of a spring grows with its stretch."
QUESTION = "What of the resistance of a wire, the bulb and the restoring force of a spring?"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Serving]:
    def say(*arguments: Any) -> Answer:
        arguments[3](SAID)
        return Answer(SAID, 9, 9, 9.0, 0.0, "stop", 0.0)

    course = write_lessons(tmp_path_factory.mktemp("reading"))
    site = Site(course, RECIPE, "demo", ModelWorker(lambda: load_model(tiny_model)), lambda: ())
    with pytest.MonkeyPatch.context() as patch, serve_site(site) as running:
        # What a model of random weights says, no course supports.
        patch.setattr(ask, "generate_answer", say)
        yield running


@pytest.fixture(scope="module")
def driver(serving: Serving) -> Iterator[webdriver.Chrome]:
    with open_chromium() as opened:
        opened.get(serving.address)
        wait_for(lambda: opened.find_elements(By.CSS_SELECTOR, "#ask"))
        opened.find_element(By.CSS_SELECTOR, "#question textarea").click()
        opened.execute_cdp_cmd("Input.insertText", {"text": QUESTION})
        opened.find_element(By.CSS_SELECTOR, "#ask").click()
        wait_for(lambda: len(read_all(opened, "#chat a.cited")) == 3)
        yield opened


def read_all(driver: webdriver.Chrome, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(found => found.innerText.trim())"
    texts: list[str] = driver.execute_script(script, selector)
    return texts


def open_window(driver: webdriver.Chrome, selector: str) -> str:
    """Click what opens a window, and go there; gives the window before."""
    first = driver.current_window_handle
    driver.find_element(By.CSS_SELECTOR, selector).click()
    wait_for(lambda: len(driver.window_handles) == 2)
    driver.switch_to.window(driver.window_handles[1])
    wait_for(lambda: driver.execute_script("return document.readyState") == "complete")
    return first


def test_numbers_stand_behind_what_is_supported(driver: webdriver.Chrome) -> None:
    assert read_all(driver, "#chat a.cited") == ["[1]", "[2]", "[3]"]
    assert read_all(driver, "#chat .unsupported") == [INVENTED]
    assert read_all(driver, "#chat pre code") == [BULB]
    numbers = [summary.partition(" ")[0] for summary in read_all(driver, "#sources details b")]
    assert numbers[:3] == ["[1]", "[2]", "[3]"]
    assert "Dotted: no sentence of the course says nearly the same." in read_all(driver, "#sources .hint")


def test_the_copy_button_takes_text(driver: webdriver.Chrome) -> None:
    driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    driver.find_elements(By.CSS_SELECTOR, "#chat button[aria-label='Copy message']")[-1].click()
    read = "const done = arguments[0]; navigator.clipboard.readText().then(done, error => done(String(error)))"
    copied = str(wait_for(lambda: driver.execute_async_script(read)))
    assert copied.startswith(f"{WIRE} [1] {INVENTED}\n") and "<" not in copied and f"- {BULB} [2]" in copied


@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_leads_to_the_marked_place(driver: webdriver.Chrome, width: int) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    first = open_window(driver, "#chat a.cited")
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.refresh()
        assert read_all(driver, "mark") == [WIRE] and "page 2 of 2" in read_all(driver, "header")[0]
        place = "const box = document.getElementById('cited').getBoundingClientRect(); return [box.top, box.bottom]"
        top, bottom = wait_for(lambda: driver.execute_script(place))
        assert 0 <= top < bottom <= 844
        drawn = "return [document.querySelectorAll('svg rect').length, document.documentElement.scrollWidth]"
        assert driver.execute_script(drawn) == [2, width]
        (link,) = driver.find_elements(By.LINK_TEXT, "Previous page")[:1]
        link.click()
        wait_for(lambda: BULB in read_all(driver, "main")[0])
        assert driver.title != "run" and driver.execute_script("return document.scripts.length") == 0
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.close()
        driver.switch_to.window(first)


def test_the_way_back_leads_to_the_conversation_as_it_was_left(driver: webdriver.Chrome, serving: Serving) -> None:
    driver.execute_script("window.stayed = true")
    shown = read_all(driver, "#chat .bot.message")
    first = open_window(driver, "#chat a.cited")
    second = driver.current_window_handle
    try:
        # Also from another page of the document.
        driver.find_element(By.LINK_TEXT, "Previous page").click()
        wait_for(lambda: BULB in read_all(driver, "main")[0])
        (back,) = driver.find_elements(By.LINK_TEXT, "← Back to the conversation")
        address = str(back.get_attribute("href"))
        back.click()
        driver.switch_to.window(first)
        wait_for(lambda: driver.execute_script("return document.visibilityState") == "visible")
        wait_for(lambda: driver.execute_script("return location.hash") == "")
        assert driver.execute_script("return window.stayed === true") and len(driver.window_handles) == 2
        assert read_all(driver, "#chat .bot.message") == shown
    finally:
        driver.switch_to.window(second)
        driver.close()
        driver.switch_to.window(first)
    # Where that window is closed, the conversation is opened anew; another one shown does not stand in the way.
    driver.switch_to.new_window("tab")
    try:
        driver.get(address)
        wait_for(lambda: read_all(driver, "#chat .bot.message") == shown)
        name = "return document.querySelector('#talk textarea, #talk input')?.value || ''"
        begun = wait_for(lambda: driver.execute_script(name))

        def begin() -> bool:
            driver.find_element(By.CSS_SELECTOR, "#new").click()
            return driver.execute_script(name) != begun and not read_all(driver, "#chat .bot.message")

        # Pressed while the page is still being drawn, nothing happens.
        wait_for(begin)
        driver.execute_script("location.href = arguments[0]", address)
        wait_for(lambda: read_all(driver, "#chat .bot.message") == shown)
    finally:
        driver.close()
        driver.switch_to.window(first)


def test_the_way_back_leads_to_a_tab(driver: webdriver.Chrome, serving: Serving) -> None:
    driver.find_element(By.XPATH, "//button[@role='tab'][contains(., 'Course')]").click()
    wait_for(lambda: read_all(driver, "#course a"))
    first = open_window(driver, "#course a[href*='read/']")
    try:
        back = driver.find_element(By.LINK_TEXT, "← Back to Course")
        assert back.get_attribute("href") == f"{serving.address}/#tab.Course"
        driver.get(str(back.get_attribute("href")))
        wait_for(lambda: read_all(driver, "#course a"))
        driver.get(f"{serving.address}/read/springs.md?from=javascript:alert(1)")
        assert driver.find_element(By.LINK_TEXT, "← To the tutor").get_attribute("href") == f"{serving.address}/"
    finally:
        driver.close()
        driver.switch_to.window(first)
    driver.find_element(By.XPATH, "//button[@role='tab'][contains(., 'Chat')]").click()


def test_pictures_of_a_notebook_are_drawn(driver: webdriver.Chrome, serving: Serving) -> None:
    driver.get(f"{serving.address}/read/lab.ipynb")
    drawn = "return [...document.images].every(image => image.complete && image.naturalWidth === 40)"
    driver.execute_script("for (const image of document.images) image.loading = 'eager'")
    wait_for(lambda: driver.execute_script(drawn))
    assert len(driver.find_elements(By.CSS_SELECTOR, "main img")) == 2
    driver.get(f"{serving.address}/read/springs.md")
    # What is not on the screen yet is not fetched.
    driver.execute_script("for (const image of document.images) image.loading = 'eager'")
    wait_for(lambda: driver.execute_script(drawn))
    assert read_all(driver, "figcaption")[2:] == [
        "From elsewhere Picture not shown: not fetched from https://example.org/spring.png",
        "Left out Picture not shown: ../secret.png is not among the course's files",
    ]
    assert len(driver.find_elements(By.CSS_SELECTOR, "figcaption math")) == 1
    high = "return document.querySelector('math[display=block]').getBoundingClientRect().height"
    assert driver.execute_script(high) > 20 and driver.title.startswith("Springs")
