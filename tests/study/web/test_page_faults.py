"""The page while the journal cannot be written: one clear message, nothing half done, and the conversation goes on."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlx_tutor import journal
from mlx_tutor.evaluation.rate import ModelPair, prepare_pairs
from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.records import ModelSpec
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.study.chat.thumbs import SCHEMA
from mlx_tutor.study.exam.mode import Exam, add_entry, end_exam
from mlx_tutor.study.exam.record import FORMAT, read_lines, verify_lines
from mlx_tutor.study.search.index import open_index
from mlx_tutor.study.web.chat_handlers import ChatHandlers, ListHandlers
from mlx_tutor.study.web.rate_tab import RateHandlers
from mlx_tutor.study.web.site import Rating, Site, list_thumbs
from mlx_tutor.workspace import Course
from tests.evaluation.ratings import CRITERIA, PROMPTS
from tests.study.web.serving import make_site

SAID = {
    "locked": "another program is writing",
    "damaged": "damaged",
    "cut short": "damaged",
    "full": "the disk is full",
}
REQUEST: Any = SimpleNamespace(session_hash="a")
every_fault = pytest.mark.parametrize("fault", SAID)


@pytest.fixture
def site(fault: str, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that can be rated; its course lies on a disk of its own where that is to be full."""
    monkeypatch.setattr(journal, "BUSY_SECONDS", 0.05)
    with mount_disk(tmp_path) if fault == "full" else no_disk():
        made = make_site(tmp_path, tiny_model)
        base, fused = ModelSpec("base", tiny_model), ModelSpec("fused", tiny_model)
        models = ModelPair("demo", base, fused, GenerateSettings(max_tokens=4))
        # Made when the program starts.
        with open_index(made.course):
            pass
        rating = Rating("demo", CRITERIA, lambda report: prepare_pairs(made.course, models, PROMPTS, report))
        yield replace(made, rating=rating)
        made.worker.close()


@contextmanager
def no_disk() -> Iterator[None]:
    yield


@contextmanager
def mount_disk(folder: Path) -> Iterator[None]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root on Linux")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("this sandbox allows no mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def break_journal(course: Course, fault: str) -> Iterator[None]:
    """Until the end of the block, whose user then closes the other program, makes room, or moves the file away."""
    path = find_journal(course)
    if fault == "locked":
        other = sqlite3.connect(path)
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.close()
    elif fault == "full":
        filler = course.root / "filler"
        with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
        filler.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if fault == "cut short" else b"no database" * 99)
        yield
        path.unlink()


def collect(shown: AsyncIterator[Any]) -> list[Any]:
    async def run() -> list[Any]:
        return [each async for each in shown]

    return asyncio.run(run())


def ask(site: Site, question: str) -> str:
    """What the page says at the end."""
    return str(collect(ChatHandlers(site).ask(question, "a", REQUEST))[-1][2])


def judge(site: Site, liked: Any) -> str:
    event: Any = SimpleNamespace(index=(1, 0), liked=liked)
    return str(ChatHandlers(site).judge("a", REQUEST, event)[-1])


def is_told(said: Any, fault: str) -> bool:
    return str(said).count('class="problem"') == 1 and SAID[fault] in str(said) and "journal.sqlite" in str(said)


@every_fault
def test_thumbs(site: Site, fault: str) -> None:
    assert "Answered" in ask(site, "What is the mode?")
    assert "Kept" in judge(site, "Like")
    talk = site.find_talk("a")
    with break_journal(site.course, fault):
        for liked in ("Dislike", None):
            assert is_told(judge(site, liked), fault)
        assert is_told(ChatHandlers(site).keep_note("Because.", "a", REQUEST)[-1], fault)
        assert list_thumbs(talk) == ["Like"]
        assert "Answered" in ask(site, "Why?")
    assert "Kept" in judge(site, "Dislike")
    assert "kept" in ChatHandlers(site).keep_note("Because.", "a", REQUEST)[-1]
    with open_journal(site.course, SCHEMA) as connection:
        rows = [tuple(row) for row in connection.execute("SELECT question, liked, note FROM thumbs")]
    assert rows == [("What is the mode?", 0, "Because.")]
    assert list_thumbs(talk) == ["Dislike", None] and "Answered" in ask(site, "And?")


@pytest.mark.parametrize("fault", ["damaged"])
def test_a_note_to_a_judgement_that_is_gone(site: Site, fault: str) -> None:
    ask(site, "What is the mode?")
    judge(site, "Like")
    with break_journal(site.course, fault):
        pass
    assert "thumbs up or down first" in ChatHandlers(site).keep_note("Because.", "a", REQUEST)[-1]


@every_fault
def test_ratings(site: Site, fault: str) -> None:
    assert site.rating is not None
    handlers = RateHandlers(site, site.rating)
    shown = collect(handlers.begin("ada", REQUEST))[-1]
    assert "0 of" in shown[0]
    blind = site.find_session("a").pair
    with break_journal(site.course, fault):
        assert is_told(handlers.keep(0, "4", REQUEST), fault)
        assert is_told(handlers.skip(REQUEST)[0], fault)
        assert site.find_session("a").pair == blind
        # A full disk can still be read.
        for said in (handlers.follow(REQUEST)[0], collect(handlers.begin("ada", REQUEST))[-1][0]):
            assert is_told(said, fault) or (fault == "full" and "0 of" in said)
        assert "Answered" in ask(site, "What is the mode?")
    assert "of" in collect(handlers.begin("ada", REQUEST))[-1][0]
    assert handlers.keep(0, "4", REQUEST).startswith("Kept")


@pytest.mark.parametrize("fault", ["locked"])
def test_other_pages_do_not_wait_for_a_lock(site: Site, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.rating is not None
    handlers = RateHandlers(site, site.rating)
    collect(handlers.begin("ada", REQUEST))
    monkeypatch.setattr(journal, "BUSY_SECONDS", 0.5)

    async def begin() -> int:
        looks = 0
        waiting = asyncio.ensure_future(anext(handlers.begin("ada", REQUEST)))
        while not waiting.done():
            await asyncio.sleep(0.01)
            looks += 1
        assert is_told(waiting.result()[0], fault)
        return looks

    with break_journal(site.course, fault):
        assert asyncio.run(begin()) > 5


@every_fault
def test_an_exam(site: Site, fault: str) -> None:
    exam = Exam(site.course, "20260101-090000-ab12", "demo")
    assert add_entry(exam, "start", {"format": FORMAT, "course": site.course.name}) == ""
    site = replace(site, exam=exam)
    with break_journal(site.course, fault):
        for question in ("What is the mode?", "Why?"):
            said = ask(site, question)
            assert is_told(said, fault) and "NOT complete on disk" in said
        ListHandlers(site).begin("a", REQUEST)
        assert len(exam.waiting) == 5
    said = ask(site, "What is the median?")
    assert "Answered" in said and "NOT complete" not in said and exam.waiting == []
    assert end_exam(exam) == ""
    verdict = verify_lines(read_lines(site.course)[1], [])
    assert any("could not be written at their time" in remark for remark in verdict.remarks)
    # Whoever moves the journal away takes the start with it, and that shows.
    assert verdict.is_changed == (fault in ("damaged", "cut short"))
