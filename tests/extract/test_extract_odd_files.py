"""Files as strangers hand them in: archives that lie, notebooks that lack what nbformat wants, hidden slides."""

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pptx import Presentation
from pptx.util import Inches
from pypdf import PdfWriter

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from mlx_tutor.records import Section
from tests.extract.office_factory import write_docx

RUSSIAN = "Масса тела не зависит от места, а вес зависит."


def read(path: Path) -> list[str]:
    sections: tuple[Section, ...] = READERS[path.suffix](path)[1]
    return [block.text for section in sections for block in section.blocks]


@pytest.mark.parametrize("head", ['<meta charset="windows-1251">', '<?xml version="1.0" encoding="windows-1251"?>'])
def test_a_page_says_its_own_encoding(tmp_path: Path, head: str) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(f"{head}<p>{RUSSIAN}</p>".encode("cp1251"))
    assert read(path) == [RUSSIAN]


def test_colours_of_a_terminal_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("It is \x1b[1;31mred\x1b[0m here.")
    assert read(path) == ["It is red here."]


def write_epub(path: Path, package: str, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", '<c><rootfile full-path="O/b.opf"/></c>')
        archive.writestr("O/b.opf", package)
        for name, text in files.items():
            archive.writestr(f"O/{name}", text)
    return path


ITEMS = (
    '<manifest><item id="a" href="a.xhtml"/><item id="b" href="b%20c.xhtml#x"/><item id="no" href="gone.xhtml"/>'
    '<item id="p" href="p.png" media-type="image/png"/></manifest>'
)
CHAPTERS: dict[str, str | bytes] = {
    "a.xhtml": "<h1>One</h1><p>First of all.</p>",
    "b c.xhtml": '<?xml version="1.0" encoding="UTF-16"?><h1>Two</h1><p>Größe.</p>'.encode("utf-16"),
    "p.png": b"\x89PNG",
}


@pytest.mark.parametrize(
    ("spine", "right"), [("b nobody no p a a", ["Größe.", "First of all."]), ("", ["First of all.", "Größe."])]
)
def test_a_book_whose_list_of_chapters_is_odd(tmp_path: Path, spine: str, right: list[str]) -> None:
    order = "".join(f'<itemref idref="{name}"/>' for name in spine.split())
    package = f"<package>{ITEMS}<spine>{order}</spine></package>"
    assert read(write_epub(tmp_path / "a.epub", package, CHAPTERS)) == right


def test_an_archive_that_unpacks_to_too_much_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("word/document.xml", "w") as file:
        for _ in range(210):
            file.write(b" " * 1_000_000)
    begun = time.process_time()
    with pytest.raises(CorpusError, match="unpack to 210 MB"):
        read(path)
    assert time.process_time() - begun < 1


CODE = {
    "cell_type": "code",
    "source": "1 + 1",
    "outputs": [{"output_type": "execute_result", "data": {"text/plain": "2"}}],
}
OLD = {"cell_type": "code", "input": "1 + 1", "outputs": [{"output_type": "pyout", "text": ["2"]}]}


@pytest.mark.parametrize(
    "notebook",
    [
        {"cells": [CODE]},
        {"cells": [CODE], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
        {"worksheets": [{"cells": [OLD]}], "nbformat": 3},
        {"worksheets": [{"cells": [OLD]}], "metadata": {"name": "a"}},
    ],
)
def test_a_notebook_without_its_metadata(tmp_path: Path, notebook: dict[str, Any]) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8-sig")
    assert read(path) == ["1 + 1", "2"]


def test_quotes_and_lists_deep_inside_of_each_other_keep_their_text(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(
        "\n".join(f"{'  ' * i}- level {i}." for i in range(18)) + "\n\n" + "> " * 18 + "A quote of a quote."
    )
    text = "\n".join(read(path))
    assert "level 17." in text and "A quote of a quote." in text


def test_a_word_file_with_changes_notes_and_hidden_text(tmp_path: Path) -> None:
    body = (
        '<w:p><w:r><w:t xml:space="preserve">It </w:t></w:r><w:del><w:r><w:delText>moves</w:delText></w:r></w:del>'
        "<w:ins><w:r><w:t>rests</w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>(for teachers)</w:t></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>.</w:t></w:r></w:p>'
    )
    assert read(write_docx(tmp_path / "a.docx", body)) == ["It rests."]


def test_hidden_slides_are_left_out_and_groups_are_read(tmp_path: Path) -> None:
    deck = Presentation()
    for name in ("Shown", "Hidden", "Last"):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = name
        inner = slide.shapes.add_group_shape().shapes.add_group_shape()
        inner.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = f"{name} text"
        if name == "Hidden":
            slide._element.set("show", "0")
    deck.save(str(tmp_path / "a.pptx"))
    sections = READERS[".pptx"](tmp_path / "a.pptx")[1]
    assert [(s.heading, s.text, s.blocks[0].page) for s in sections] == [
        (("Shown",), "Shown text", 1), (("Last",), "Last text", 3),
    ]  # fmt: skip


def test_a_pdf_without_pages_is_empty(tmp_path: Path) -> None:
    PdfWriter().write(tmp_path / "a.pdf")
    with pytest.raises(CorpusError, match="empty: it has no pages"):
        read(tmp_path / "a.pdf")
