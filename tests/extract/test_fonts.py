"""Glyphs to characters, layers, and files of which a part cannot be read."""

import shutil
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, NameObject

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.extract.fonts import find_character
from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.workspace import Course
from tests.extract.pdf_factory import draw_pdf, stack, to_pdf, write_pdf

# A font whose glyphs have numbers in place of names, for the letters that the tests use.
NUMBERED = {
    "/Subtype": "/Type1",
    "/BaseFont": "/ABCDEF+Serif",
    "/Encoding": {"/Differences": [32, *(f"/g{n}" for n in range(3, 98))]},
}


def read_text(path: Path) -> str:
    return "\n\n".join(section.text for section in read_pdf(path)[1])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/seven.taboldstyle", "7"), ("/f_f_i", "ffi"), ("/Q.swash", "Q"), ("/uni0398", "Θ"), ("/uni00660069", "fi"),
        ("/u1D465", "𝑥"), ("/uni00E9.alt2", "é"), ("/s_t.liga", "st"), ("/summation", "∑"),
        ("/g17", "\ufffd"), ("/uniD800", "\ufffd"), ("/u999999", "\ufffd"), ("/.notdef", "\ufffd"),
    ],
)  # fmt: skip
def test_names_of_glyphs(name: str, text: str) -> None:
    assert find_character(name) == text


def test_glyph_names_in_a_font(tmp_path: Path) -> None:
    encoding = {"/BaseEncoding": "/WinAnsiEncoding", "/Differences": [128, "/eight.oldstyle", "/f_t", "/uni03B1.sc"]}
    fonts = {"F2": {"/Subtype": "/Type1", "/BaseFont": "/ABCDEF+Serif", "/Encoding": encoding}}
    path = write_pdf(tmp_path / "a.pdf", ["BT /F2 11 Tf 72 700 Td (a\x81er \x80 times \x82) Tj ET"], fonts=fonts)
    assert read_text(path) == "after 8 times α"


def test_greek_in_the_symbol_font_and_signs_of_wingdings(tmp_path: Path) -> None:
    fonts = {
        "F2": {"/Subtype": "/Type1", "/BaseFont": "/ABCDEF+Symbol"},
        "F3": {"/Subtype": "/TrueType", "/BaseFont": "/ABCDEF+Wingdings-Regular", "/Encoding": "/WinAnsiEncoding"},
    }
    stream = "BT /F1 11 Tf 72 700 Td (The rate ) Tj /F2 11 Tf (l) Tj /F1 11 Tf ( is small ) Tj /F3 11 Tf (\xe0) Tj"
    path = write_pdf(tmp_path / "a.pdf", [f"{stream} /F1 11 Tf ( rare events) Tj ET"], fonts=fonts)
    assert read_text(path) == "The rate λ is small → rare events"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course of three pages: readable, glyphs that are mapped to private characters, readable."""
    course = Course(tmp_path, "c")
    course.sources.mkdir(parents=True)
    pages = [
        f"BT /{font} 24 Tf 72 700 Td (Part {word}) Tj /{font} 12 Tf 0 -40 Td (The {word} page is here.) Tj ET"
        for font, word in (("F1", "one"), ("F2", "two"), ("F1", "three"))
    ]
    codes = DecodedStreamObject()
    codes.set_data(b"begincmap 1 beginbfrange <20> <7E> <E100> endbfrange endcmap")
    font = {"/Subtype": "/Type1", "/BaseFont": "/Helvetica", "/Encoding": "/WinAnsiEncoding", "/ToUnicode": codes}
    write_pdf(course.sources / "week1.pdf", pages, fonts={"F2": font})
    return course


def test_a_page_of_glyphs_without_characters_is_named_and_left_out(course: Course) -> None:
    report = extract_course(course)
    assert [(scan.source, scan.unreadable, scan.unread) for scan in report.scans] == [("week1.pdf", (2,), ())]
    (document,) = read_documents(course)
    assert [block.page for section in document.sections for block in section.blocks] == [1, 3]
    assert [section.heading for section in document.sections] == [("Part one",), ("Part three",)]


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs the program tesseract")
def test_a_page_of_glyphs_without_characters_is_read_by_ocr(course: Course) -> None:
    report = extract_course(course, ocr="eng")
    assert [(scan.read, scan.unreadable) for scan in report.scans] == [((2,), ())]
    assert "The two page is here." in "".join(section.text for section in read_documents(course)[0].sections)


def test_a_file_of_glyph_numbers_says_so(tmp_path: Path) -> None:
    font = {
        "/Subtype": "/Type0", "/BaseFont": "/ABCDEF+Serif", "/Encoding": "/Identity-H",
        "/DescendantFonts": [{"/Type": "/Font", "/Subtype": "/CIDFontType2", "/BaseFont": "/ABCDEF+Serif"}],
    }  # fmt: skip
    path = write_pdf(tmp_path / "a.pdf", ["BT /F2 11 Tf 72 700 Td <0037004B0048> Tj ET"], fonts={"F2": font})
    with pytest.raises(CorpusError, match=r"^its fonts do not say which characters they draw; extract --ocr"):
        read_pdf(path)


def test_one_unknown_sign_does_not_cost_a_page(tmp_path: Path) -> None:
    stream = "BT /F1 11 Tf 72 700 Td (The map f ) Tj /F2 11 Tf (x) Tj /F1 11 Tf ( g is linear and goes on.) Tj ET"
    path = write_pdf(tmp_path / "a.pdf", [stream], fonts={"F2": NUMBERED})
    assert read_text(path) == "The map f \ufffd g is linear and goes on."


def test_a_broken_page_costs_one_page(tmp_path: Path) -> None:
    words = ("Mass", "Time", "Force")
    pages = [[(72.0, 80.0, 20.0, word), *stack([f"{word} has a unit of its own."])] for word in words]
    writer = PdfWriter(draw_pdf(tmp_path / "a.pdf", pages))
    # Operators that draw a form of which there is no stream.
    content = DecodedStreamObject()
    content.set_data(b"/X Do")
    writer.pages[1][NameObject("/Contents")] = writer._add_object(content)
    writer.pages[1][NameObject("/Resources")] = to_pdf({"/XObject": {"/X": {"/Subtype": "/Form"}}})
    writer.write(tmp_path / "b.pdf")
    seen: list[tuple[int, str]] = []
    _, sections = read_pdf(tmp_path / "b.pdf", on_page=lambda page, state: seen.append((page, state)))
    assert seen == [(2, "broken")]
    assert [block.page for section in sections for block in section.blocks] == [1, 3]


def test_a_file_that_opens_without_a_password_is_read(tmp_path: Path) -> None:
    writer = PdfWriter(draw_pdf(tmp_path / "a.pdf", [stack(["Force is mass times acceleration."])]))
    writer.encrypt("", "owner", algorithm="AES-256")
    writer.write(tmp_path / "b.pdf")
    assert PdfReader(tmp_path / "b.pdf").is_encrypted
    assert read_text(tmp_path / "b.pdf") == "Force is mass times acceleration."


def test_layers_that_are_off_are_not_read(tmp_path: Path) -> None:
    writer = PdfWriter()
    shown, hidden = (writer._add_object(to_pdf({"/Type": "/OCG", "/Name": name})) for name in ("task", "answer"))
    either = to_pdf({"/Type": "/OCMD", "/OCGs": [shown, hidden], "/P": "/AnyOn"})
    both = to_pdf({"/Type": "/OCMD", "/OCGs": [shown, hidden], "/P": "/AllOn"})
    rule = to_pdf({"/Type": "/OCMD", "/VE": ["/Not", hidden]})
    form = DecodedStreamObject()
    form.update({NameObject("/Subtype"): NameObject("/Form"), NameObject("/OC"): hidden})
    form.set_data(b"BT /F1 11 Tf 72 500 Td (A hidden form.) Tj ET")
    lines = {"L0": "What is 6 times 7?", "L1": "It is 42.", "L2": "In either.", "L3": "In both.", "L4": "Not hidden."}
    page = writer.add_blank_page(595, 842)
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica", "/Encoding": "/WinAnsiEncoding"}
    layers = {"/L0": shown, "/L1": hidden, "/L2": either, "/L3": both, "/L4": rule}
    named = {"/Font": {"/F1": font}, "/Properties": layers, "/XObject": {"/X": writer._add_object(form)}}
    content = DecodedStreamObject()
    drawn = [
        f"/OC /{name} BDC BT /F1 11 Tf 72 {700 - 40 * i} Td ({text}) Tj ET EMC"
        for i, (name, text) in enumerate(lines.items())
    ]
    content.set_data("\n".join([*drawn, "/X Do"]).encode())
    page[NameObject("/Contents")], page[NameObject("/Resources")] = writer._add_object(content), to_pdf(named)
    writer.root_object[NameObject("/OCProperties")] = to_pdf({"/OCGs": [shown, hidden], "/D": {"/OFF": [hidden]}})
    writer.write(tmp_path / "a.pdf")
    assert read_text(tmp_path / "a.pdf").split("\n\n") == ["What is 6 times 7?", "In either.", "Not hidden."]
