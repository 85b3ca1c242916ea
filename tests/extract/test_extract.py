"""A whole course: what is read, what is remembered, what is said."""

import os
from pathlib import Path

import pytest

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.extract import extract_course, find_changes, is_extract_current, read_documents, read_failures
from mlx_tutor.extract.text import read_text
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
    assert seen == [("b.txt", 1, 2), ("week1/a.md", 2, 2)]


def test_unchanged_files_are_not_read_again(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    extract_course(course)
    assert is_extract_current(course)
    opened: list[str] = []

    def read(path: Path) -> tuple[str, tuple[Section, ...]]:
        opened.append(path.name)
        return read_text(path)

    monkeypatch.setitem(READERS, ".txt", read)
    monkeypatch.setitem(READERS, ".md", read)
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
