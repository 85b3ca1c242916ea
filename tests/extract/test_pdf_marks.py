"""What stands beside the words of a PDF: accents, bullets, numbers of lines, gaps around emphasised words."""

from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.records import Block
from tests.extract.pdf_factory import draw_pdf, stack, write_pdf

FONTS: dict[str, dict[str, Any]] = {
    "F2": {"/Subtype": "/Type1", "/BaseFont": "/Helvetica-Bold", "/Encoding": "/WinAnsiEncoding"},
    "F3": {
        "/Subtype": "/Type1",
        "/BaseFont": "/Helvetica",
        "/Encoding": {
            "/BaseEncoding": "/WinAnsiEncoding",
            "/Differences": [1, "/caron", "/dotlessi", "/ring", "/trianglerightsld", "/acutecomb", "/breve"],
        },
    },
    "F4": {"/Subtype": "/Type1", "/BaseFont": "/ZapfDingbats"},
    "F5": {"/Subtype": "/TrueType", "/BaseFont": "/ABCDEF+Wingdings-Regular", "/Encoding": "/WinAnsiEncoding"},
    "F6": {"/Subtype": "/Type1", "/BaseFont": "/Symbol"},
}


def read_blocks(path: Path, stream: str) -> list[Block]:
    write_pdf(path / "a.pdf", [stream], fonts=FONTS)
    return [block for section in read_pdf(path / "a.pdf")[1] for block in section.blocks]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("[(le pr\xb4)333(ef) 0 (et et la t\x88)333(ete)]", "le préfet et la tête"),
        ("[(die M\xa8)333(uhle dort)]", "die Mühle dort"),
        # After its letter, as other programs draw it.
        ("[(una man\x98) 333 ( ana)]", "una man˜ ana"),
        ("[(la cafe)445(\xb4)-112( noir)]", "la café noir"),
        ("[(el nin)445(\x98)-112(o juega)]", "el niño juega"),
        # Below the letter, over a letter without its dot, over a capital that stands at the beginning.
        ("[(le gar\xb8)333(con)]", "le garçon"),
        ("[(un ma\xa8)305(\x02s)]", "un maïs"),
        ("[(\xb4)333(etat)]", "état"),
        ("[(ku\x01)333(zel)]", "kužel"),
        ("[(ett l\x03)333(as)]", "ett lås"),
        ("[(sa\x06)333(gata)]", "sağata"),
        # Signs that stand for themselves.
        ("[(20 \xb0C and a \xb4 mark)]", "20 °C and a ´ mark"),
    ],
)
def test_accents_join_their_letters(tmp_path: Path, shown: str, text: str) -> None:
    (block,) = read_blocks(tmp_path, f"BT /F3 11 Tf 72 700 Td {shown} TJ ET")
    assert block.text == text


def test_an_accent_that_is_moved_to_its_capital(tmp_path: Path) -> None:
    stream = "BT /F1 11 Tf 72 700 Td (La ) Tj 14.2 2 Td (\xb4) Tj -2 -2 Td (Etoile) Tj ET"
    assert [block.text for block in read_blocks(tmp_path, stream)] == ["La Étoile"]


def test_a_hat_over_a_letter_of_a_formula(tmp_path: Path) -> None:
    stream = "BT /F1 11 Tf 72 700 Td (The estimate ) Tj /F3 11 Tf [(\x88)333(p)] TJ /F1 11 Tf ( is near p.) Tj ET"
    assert [block.text for block in read_blocks(tmp_path, stream)] == ["The estimate p\u0302 is near p."]


def test_emphasised_words_make_no_table(tmp_path: Path) -> None:
    """Words in another font, after gaps that no space fills, in lines that are alike."""
    lines = [
        ("We call the number of heads a", "random", "variable"),
        ("and write it with a capital that is", "never", "bold in this course,"),
        ("since the value that it takes is then", "small", "and stands below."),
    ]
    spaced = "BT /F1 11 Tf 72 700 Td 15 TL "
    packed = spaced
    for before, word, after in lines:
        spaced += f"({before}) Tj /F2 11 Tf [-300 ({word})] TJ /F1 11 Tf [-300 ({after})] TJ T* "
        gaps = ")-300(".join(before.split()), ")-300(".join(after.split())
        packed += f"[({gaps[0]})] TJ [-300] TJ /F2 11 Tf [({word})] TJ [-300] TJ /F1 11 Tf [({gaps[1]})] TJ T* "
    whole = " ".join(" ".join(line) for line in lines)
    for stream in (spaced, packed):
        assert [(block.kind, block.text) for block in read_blocks(tmp_path, stream + "ET")] == [("text", whole)]


@pytest.mark.parametrize(
    "mark",
    ["/F3 9 Tf (\x04)", "/F4 9 Tf (n)", "/F4 9 Tf (\xe4)", "/F5 9 Tf (\xa7)", "/F5 9 Tf (\xd8)", "/F6 11 Tf (\xb7)"],
)
def test_bullets_of_many_fonts_make_a_list(tmp_path: Path, mark: str) -> None:
    items = ["Mass is a property of a body.", "Weight is a force.", "Both are proportional here."]
    stream = "".join(
        f"BT {mark.split('(', maxsplit=1)[0]} 50 {700 - 22 * i} Td ({mark.split('(')[1]} Tj ET "
        f"BT /F1 11 Tf 64 {700 - 22 * i} Td ({item}) Tj ET "
        for i, item in enumerate(items)
    )
    assert [block.text for block in read_blocks(tmp_path, stream)] == ["\n".join(f"- {item}" for item in items)]


SQUARE = "{x} {y} 5 5 re f"
TRIANGLE = "{x} {y} m {x} {top} l {right} {y} l h f"


@pytest.mark.parametrize("shape", [SQUARE, TRIANGLE, "q 5 0 0 5 {x} {y} cm 0 0 1 1 re B Q"])
def test_drawn_bullets_make_a_list(tmp_path: Path, shape: str) -> None:
    items = ["A square stands before this", "and another before that", "as in many slides"]
    stream = ""
    for i, item in enumerate(items):
        y = 700 - 22 * i
        stream += f"BT /F1 11 Tf 64 {y} Td ({item}) Tj ET {shape.format(x=50, y=y + 1, right=55, top=y + 6)} "
    assert [block.text for block in read_blocks(tmp_path, stream)] == ["\n".join(f"- {item}" for item in items)]


def test_other_shapes_are_no_bullets(tmp_path: Path) -> None:
    """The end of a proof, a rule under a word, the line of a fraction, a picture."""
    stream = (
        "BT /F1 11 Tf 72 700 Td (This ends the proof.) Tj ET 300 700 6 6 re f 72 697 40 0.5 re f "
        "BT /F1 11 Tf 72 670 Td (What comes next is new.) Tj ET 10 560 50 60 re f"
    )
    text = " ".join(block.text for block in read_blocks(tmp_path, stream))
    assert text == "This ends the proof. What comes next is new."


TEXT = [
    "The variance of a sample says how far its values are from their mean, and",
    "it is the mean of the squares of the distances, which makes it a measure",
    "that a single far value moves a lot. Its square root is called deviation,",
    "has the unit of the values, and is for this reason read more often than it",
    "in the reports of laboratories, where every number stands with its error.",
    "The rest of the chapter shows how both are found by a program.",
]


@pytest.mark.parametrize(("x", "size", "step"), [(50, 11, 1), (52, 6, 1), (480, 8, 1)])
def test_numbers_of_lines_are_left_out(tmp_path: Path, x: float, size: float, step: int) -> None:
    numbers = [(x, 120.0 + 14 * i, size, str(8 + step * i)) for i in range(len(TEXT))]
    lines = [piece for pair in zip(numbers, stack(TEXT), strict=True) for piece in pair]
    sections = read_pdf(draw_pdf(tmp_path / "a.pdf", [lines]))[1]
    assert [block.text for section in sections for block in section.blocks] == [" ".join(TEXT)]


def test_numbers_of_rows_stay(tmp_path: Path) -> None:
    rows = [("1", "Mercury", "no moon"), ("2", "Venus", "no moon"), ("3", "Earth", "one moon"), ("4", "Mars", "two"),
            ("5", "Jupiter", "many of them"), ("6", "Saturn", "many of them")]  # fmt: skip
    cells = [(72.0 + 60 * j, 200.0 + 18 * i, 11.0, cell) for i, row in enumerate(rows) for j, cell in enumerate(row)]
    (block,) = read_pdf(draw_pdf(tmp_path / "a.pdf", [cells]))[1][0].blocks
    assert block.kind == "table" and "| 5 | Jupiter | many of them |" in block.text


def test_numbers_of_a_listing_are_left_out(tmp_path: Path) -> None:
    code = ["total = 0", "for x in values:", "total += x", "print(total)"]
    stream = "BT /F1 11 Tf 72 740 Td (A program that adds numbers:) Tj ET "
    for i, line in enumerate(code):
        y = 700 - 13 * i
        stream += f"BT /F1 6 Tf 62 {y} Td ({i + 1}) Tj ET BT /C 10 Tf 72 {y} Td ({line}) Tj ET "
    fonts = {"C": {"/Subtype": "/Type1", "/BaseFont": "/Courier", "/Encoding": "/WinAnsiEncoding"}}
    write_pdf(tmp_path / "a.pdf", [stream], fonts=fonts)
    assert [block.text for block in read_pdf(tmp_path / "a.pdf")[1][0].blocks][1] == "\n".join(code)
