"""Files whose name says another kind than they are: read as what they are, or named with what to do."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from mlx_tutor.extract.extract import read_source
from mlx_tutor.extract.sources import list_sources
from mlx_tutor.workspace import Course
from tests.extract.office_factory import write_docx
from tests.extract.pdf_factory import draw_pdf

NOTEBOOK = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Cogs\n", "A cog turns a cog."]}]}


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", b"\x89PNG\r\n\x1a\n\0\0", "it is a PNG picture"),
        ("a.md", b"\xff\xd8\xff\xe0\0\0", "it is a JPEG picture"),
        ("a.docx", b"{\\rtf1 Hello}", "it is an RTF text; save it as .docx or PDF"),
        (
            "a.ipynb",
            b"<!DOCTYPE html>\n<html>Log in</html>",
            "it is a web page, such as the one that asks for a password",
        ),
        ("a.pdf", b"\n<html>Log in</html>", "it is a web page, such as the one that asks for a password"),
        ("a.ipynb", b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
        ("a.md", b"\x1f\x8b\x08\0", "it is compressed with gzip; unpack it"),
        ("a.pptx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of an old Office program"),
    ],
)
def test_what_no_reader_takes_is_named(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    entry, document = read_source(path, name)
    assert document is None
    assert reason in entry["reason"]


def test_an_archive_is_no_notebook(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    assert read_source(path, path.name)[0]["reason"] == "it is a ZIP archive; unpack it"


def test_other_kinds_are_read_as_what_they_are(tmp_path: Path) -> None:
    draw_pdf(tmp_path / "b.pdf", [[(72, 72, 11, "A cog turns a cog.")]])
    write_docx(tmp_path / "b.docx", "<w:p><w:r><w:t>A cog turns a cog.</w:t></w:r></w:p>")
    shutil.move(tmp_path / "b.pdf", tmp_path / "pdf.md")
    shutil.move(tmp_path / "b.docx", tmp_path / "docx.pdf")
    (tmp_path / "notebook.md").write_text(json.dumps({**NOTEBOOK, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    (tmp_path / "page.md").write_text("<!DOCTYPE html>\n<html><body><p>A cog turns a cog.</p></body></html>")
    for name in ("pdf.md", "docx.pdf", "notebook.md", "page.md"):
        entry, document = read_source(tmp_path / name, name)
        assert document is not None, (name, entry["reason"])
        assert [block.text for section in document.sections for block in section.blocks] == ["A cog turns a cog."]


def test_what_office_leaves_beside_an_open_file_is_no_source(tmp_path: Path) -> None:
    course = Course(tmp_path, "c")
    course.sources.mkdir(parents=True)
    (course.sources / "~$notes.docx").write_bytes(b"\x03abc")
    (course.sources / "a.md").write_text("A cog.")
    assert list(list_sources(course).known) == ["a.md"]
