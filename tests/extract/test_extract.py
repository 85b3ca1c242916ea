"""A whole course: what is read, what is remembered, what is said."""

import os
import tempfile
import unicodedata
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS, extract
from mlx_tutor.extract.extract import extract_course, find_changes, is_extract_current, read_documents, read_failures
from mlx_tutor.extract.sources import advise, list_sources
from mlx_tutor.extract.worker import read_in_workers
from mlx_tutor.files import read_json, write_text
from mlx_tutor.records import Section
from mlx_tutor.workspace import Course


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(tmp_path, "demo")
    (course.sources / "week1").mkdir(parents=True)
    (course.sources / "week1" / "a.md").write_text("# A\n\nText of a.")
    (course.sources / "b.txt").write_text("Text of b.")
    return course


def test_sources_are_found_recursively_and_in_order(course: Course) -> None:
    (course.sources / ".hidden").mkdir()
    (course.sources / ".hidden" / "c.md").write_text("no")
    (course.sources / "film.mp4").write_bytes(b"0")
    seen: list[tuple[str, int, int]] = []
    report = extract_course(course, lambda *event: seen.append(event))
    assert (report.documents, report.words, report.read, report.skipped) == (2, 6, 2, ("film.mp4",))
    assert [document.source for document in read_documents(course)] == ["b.txt", "week1/a.md"]
    assert sorted(source for source, _, _ in seen) == ["b.txt", "week1/a.md"]
    assert [event[1:] for event in seen] == [(1, 2), (2, 2)]


def test_unchanged_files_are_not_read_again(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    extract_course(course)
    assert is_extract_current(course)
    opened: list[str] = []

    def read(jobs: Sequence[tuple[Path, str]], ocr: str) -> Generator[tuple[str, Any]]:
        opened.extend(source for _, source in jobs)
        return read_in_workers(jobs, ocr=ocr)

    monkeypatch.setattr(extract, "read_in_workers", read)
    before = (course.dataset / "documents.jsonl").read_bytes()
    assert extract_course(course).is_current
    os.utime(course.sources / "b.txt", (1, 1))
    assert extract_course(course).reused == 2
    assert opened == []
    assert (course.dataset / "documents.jsonl").read_bytes() == before
    (course.sources / "b.txt").write_text("Other text.")
    assert find_changes(course) == ("b.txt",)
    assert extract_course(course).read == 1
    assert opened == ["b.txt"]


def test_removed_and_added_files_are_changes(course: Course) -> None:
    extract_course(course)
    (course.sources / "b.txt").unlink()
    (course.sources / "c.txt").write_text("New.")
    assert find_changes(course) == ("b.txt", "c.txt")
    extract_course(course)
    assert [document.source for document in read_documents(course)] == ["c.txt", "week1/a.md"]


def test_a_bad_file_is_one_line_and_the_rest_goes_on(course: Course) -> None:
    (course.sources / "bad.pdf").write_bytes(b"no pdf")
    (course.sources / "bad.ipynb").write_text("{")
    report = extract_course(course)
    assert report.documents == 2
    assert {failure.source: failure.reason for failure in report.failures} == {
        "bad.ipynb": "not a notebook: it is not JSON",
        "bad.pdf": "not a PDF",
    }
    assert extract_course(course).failures == report.failures == read_failures(course)


def test_nothing_to_read_says_what_to_do(tmp_path: Path) -> None:
    course = Course(tmp_path, "empty")
    course.sources.mkdir(parents=True)
    with pytest.raises(CorpusError, match=r"No course file in .*sources.*\.pdf"):
        extract_course(course)
    (course.sources / "a.txt").write_text("")
    with pytest.raises(CorpusError, match=r"could be read: a.txt: empty"):
        extract_course(course)
    with pytest.raises(CorpusError, match="mlx-tutor extract -c empty"):
        read_documents(course)


def test_a_damaged_cache_is_made_again(course: Course) -> None:
    extract_course(course)
    (course.dataset / "documents.jsonl").write_text("")
    assert not is_extract_current(course)
    assert extract_course(course).read == 2
    assert len(read_documents(course)) == 2


def read_all(course: Course) -> tuple[list[str], dict[str, str]]:
    """The sources that were read, and the reasons of the others."""
    report = extract_course(course)
    documents = [document.source for document in read_documents(course)]
    return documents, {failure.source: failure.reason for failure in report.failures}


def read_here(jobs: Sequence[tuple[Path, str]], ocr: str) -> Generator[tuple[str, Any]]:
    """As `read_in_workers`, in this process."""
    yield from ((source, extract.read_source(path, source)) for path, source in jobs)


def test_a_fault_of_a_reader_costs_its_file_and_keeps_its_traceback(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> tuple[str, tuple[Section, ...]]:
        raise ZeroDivisionError(f"no page in {path}")

    monkeypatch.setitem(READERS, ".txt", fail)
    entry, document = extract.read_source(course.sources / "b.txt", "b.txt")
    assert document is None
    assert entry["reason"] == "the reader failed (ZeroDivisionError); extract -v shows where"
    assert "no page in" in entry["trace"]
    monkeypatch.setattr(extract, "read_in_workers", read_here)
    report = extract_course(course)
    assert report.documents == 1
    assert "ZeroDivisionError" in report.failures[0].trace


def test_half_characters_become_replacement_characters(course: Course) -> None:
    text = r'{"cells": [{"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "s[0]", "outputs": ['
    text += r'{"output_type": "stream", "name": "stdout", "text": "\udcff and \ud83d\ude00"}]}, {"cell_type": "raw",'
    text += r' "metadata": {}, "source": "# \ud800"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}'
    (course.sources / "n.ipynb").write_text(text)
    assert read_all(course)[0] == ["b.txt", "n.ipynb", "week1/a.md"]
    assert read_documents(course)[1].sections[0].blocks[1].text == "\ufffd and \U0001f600"


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname == "Darwin", reason="macOS has no such names")
def test_names_of_any_bytes_and_of_both_forms(course: Course) -> None:
    Path(os.fsdecode(os.fsencode(course.sources) + b"/\xe4hren.md")).write_text("Ears of corn.")
    name = "\u00fcbung.md"
    (course.sources / unicodedata.normalize("NFD", name)).write_text("An exercise.")
    documents, failures = read_all(course)
    assert (set(documents), failures) == ({"b.txt", "week1/a.md", "\ufffdhren.md", name}, {})
    (course.sources / name).write_text("Another one.")
    documents, failures = read_all(course)
    assert documents.count(name) == 1
    assert list(failures) == [name]


@pytest.fixture
def plain_user() -> Iterator[Path]:
    """A folder that the process may write without the rights of root, which may read everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def test_what_may_not_be_read_is_named_until_it_may(plain_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The interpreter itself may be another user's.
    monkeypatch.setattr(extract, "read_in_workers", read_here)
    course = Course(plain_user, "demo")
    (course.sources / "locked").mkdir(parents=True)
    for name in ("a.md", "b.md", "locked/c.md"):
        (course.sources / name).write_text(f"# Text\n\nof {name}")
    (course.sources / "a.md").chmod(0)
    (course.sources / "locked").chmod(0)
    reason = "no permission to read it"
    assert read_all(course) == (["b.md"], {"a.md": reason, "locked": reason})
    assert is_extract_current(course)
    for name in ("a.md", "locked"):
        (course.sources / name).chmod(0o700)
    assert read_all(course) == (["a.md", "b.md", "locked/c.md"], {})


def test_links_stay_inside_the_course(course: Course) -> None:
    secret = course.workspace / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("not of the course")
    (course.sources / ".store").mkdir()
    (course.sources / ".store" / "d.txt").write_text("Text of d.")
    links: dict[str, Path | str] = {
        "out": secret,
        "key.txt": secret / "key.txt",
        "in": ".store",
        "a.md": "week1/a.md",
        "lost.md": "none.md",
    }
    links |= {"week1/up": "..", "week1/self": ".", "sources": course.sources}
    for name, target in links.items():
        (course.sources / name).symlink_to(target)
    documents, failures = read_all(course)
    assert documents == ["a.md", "b.txt", "in/d.txt", "week1/a.md"]
    assert sorted(failures) == ["key.txt", "lost.md", "out"]
    assert all("leads out" in failures[name] for name in ("key.txt", "out"))
    assert set(list_sources(course).known) == set(documents)


def test_files_of_other_kinds_are_named_with_what_to_do() -> None:
    names = ["week1/notes.rst", "style.css", *(f"img/{number}.PNG" for number in range(5)), "old.doc"]
    lines = list(advise(names))
    assert [line.partition(":")[0] for line in lines] == [
        "old.doc",
        "week1/notes.rst",
        "img/0.PNG, img/1.PNG, img/2.PNG and 2 more",
    ]
    assert "save it as .docx or PDF" in lines[0]


def test_each_document_says_its_language(tmp_path: Path) -> None:
    course = Course(tmp_path, "mixed")
    texts = {
        "a.md": "# Mittel\n\nDas Mittel ist die Summe der Werte, geteilt durch ihre Anzahl.\n",
        "b.md": "# Code\n\n```python\nprint('the mean of the values is', x)\n```\n",
        "c.md": "# 中位数\n\n中位数是把数据排序后位于中间的那个数。\n",
    }
    for name, text in texts.items():
        write_text(course.sources / name, text)
    extract_course(course)
    assert [document.language for document in read_documents(course)] == ["de", "de", "zh"]
    entries = read_json(course.dataset / "documents.json")["sources"]
    assert [entry["language"] for entry in entries] == ["de", "", "zh"]
