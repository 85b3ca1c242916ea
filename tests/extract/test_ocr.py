import shutil
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader, PdfWriter

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.extract import extract_course, is_extract_current, read_documents
from mlx_tutor.extract.ocr import check_ocr, make_runs
from mlx_tutor.workspace import Course
from tests.extract.pdf_factory import draw_pdf, scan_page, stack

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs the program tesseract")
TEXT = [
    "The median is the middle value of a sorted sample.",
    "It does not move when one value is very large,",
    "so it is called a robust measure of the centre.",
]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course of one PDF: a page of text, a scanned one, an empty one."""
    course = Course(tmp_path, "c")
    course.sources.mkdir(parents=True)
    scan = draw_pdf(tmp_path / "scan.pdf", [stack(TEXT)])
    scan_page(scan)
    text = draw_pdf(tmp_path / "text.pdf", [stack(["A mean is a sum divided by a count."]), []])
    writer = PdfWriter()
    first, empty = PdfReader(text).pages
    for page in (first, PdfReader(scan).pages[0], empty):
        writer.add_page(page)
    writer.write(course.sources / "week1.pdf")
    return course


def test_scanned_pages_are_named(course: Course) -> None:
    report = extract_course(course)
    assert [(scan.source, scan.read, scan.unread) for scan in report.scans] == [("week1.pdf", (), (2,))]
    assert extract_course(course).is_current


@needs_tesseract
def test_scanned_pages_are_read_when_asked_for(course: Course) -> None:
    extract_course(course)
    report = extract_course(course, ocr="eng")
    assert [(scan.read, scan.unread) for scan in report.scans] == [((2,), ())]
    blocks = [block for section in read_documents(course)[0].sections for block in section.blocks]
    # The paragraph goes on over the page break.
    assert " ".join(TEXT) in blocks[-1].text
    # Asked for once, it stays.
    assert extract_course(course).is_current and is_extract_current(course)


@needs_tesseract
def test_a_language_that_is_not_installed(course: Course) -> None:
    with pytest.raises(CorpusError, match="does not know xyz"):
        extract_course(course, ocr="eng+xyz")


def test_without_tesseract_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusError, match=r"brew install tesseract.*program is missing"):
        check_ocr("eng")


def test_specks_are_left_out_and_lines_keep_one_size() -> None:
    words: dict[str, list[Any]] = {
        "text": ["mean", "x", "Sum"],
        "conf": [95, 10, 90],
        "left": [0, 0, 300],
        "top": [40, 40, 0],
    }
    lines: dict[str, list[Any]] = {
        "width": [200, 9, 200],
        "height": [60, 9, 100],
        "block_num": [1] * 3,
        "par_num": [1] * 3,
    }
    runs = make_runs({**words, **lines, "line_num": [1, 1, 1]}, 800)
    assert [(run.text, run.x, run.size) for run in runs] == [("mean", 0.0, 24.0), ("Sum", 72.0, 24.0)]
