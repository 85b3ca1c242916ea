"""Powers and indices of formulas, and the marks of footnotes."""

from pathlib import Path

import pytest

from mlx_tutor.extract.characters import clean_characters
from mlx_tutor.extract.content import Run
from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.extract.scripts import join_runs
from tests.extract.pdf_factory import write_pdf


def make_runs(*parts: tuple[str, float, float, float]) -> list[Run]:
    """Runs from text, size, rise and the room before it; a letter is half its size wide."""
    runs, x = [], 72.0
    for text, size, rise, gap in parts:
        x += gap
        runs.append(Run(text, x, x + 0.5 * size * len(text), 500 + rise, size, False, False, 0, 2.5))
        x = runs[-1].end
    return runs


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([("about 10", 10, 0, 0), ("23", 7, 4, 0), ("particles", 10, 0, 3)], "about 10^{23} particles"),
        ([("v", 10, 0, 0), ("0", 7, -1.5, 0), ("+ at", 10, 0, 3)], "v_0 + at"),
        ([("the sum x", 10, 0, 0), ("2", 7, 4, 0), ("i", 7, -2.5, -3.5), ("is", 10, 0, 4)], "the sum x^2_i is"),
        ([("a", 10, 0, 0), ("−", 7, 4, 0), ("1", 7, 4, 1), (".", 10, 0, 0)], "a^{−1}."),
        ([("H", 10, 0, 0), ("2", 7, -1.5, 0), ("O and CO", 10, 0, 0), ("2", 7, -1.5, 0)], "H_2O and CO_2"),
        ([("log", 10, 0, 0), ("2", 7, -2, 0), ("n and sin", 10, 0, 1), ("2", 7, 4, 0), ("x", 10, 0, 1)],
         "log_2n and sin^2x"),
        ([("at 30", 10, 0, 0), ("◦", 7, 4, 0), ("C", 10, 0, 0)], "at 30°C"),
        # A footnote, an ordinal, small capitals, a prime.
        ([("as Gauss said", 10, 0, 0), ("3", 7, 4, 0), ("in a letter", 10, 0, 3)], "as Gauss said3 in a letter"),
        ([("the end.", 10, 0, 0), ("12", 7, 4, 0)], "the end.12"),
        ([("the 19", 10, 0, 0), ("th", 7, 4, 0), ("century", 10, 0, 3)], "the 19th century"),
        ([("N", 10, 0, 0), ("EWTON", 8, 0, 0), ("said", 10, 0, 3)], "NEWTON said"),
        ([("f", 10, 0, 0), ("′", 7, 4, 0), ("(x)", 10, 0, 0)], "f′(x)"),
    ],
)  # fmt: skip
def test_scripts(parts: list[tuple[str, float, float, float]], text: str) -> None:
    assert join_runs(make_runs(*parts)) == text


def test_a_sign_that_the_map_of_a_font_leaves_out(tmp_path: Path) -> None:
    """Maps of TeX's fonts lack some signs; the encoding in the font's program has them."""
    from pypdf.generic import DecodedStreamObject

    codes, program = DecodedStreamObject(), DecodedStreamObject()
    codes.set_data(b"begincmap 1 beginbfchar <41> <0041> endbfchar endcmap")
    signs = b"dup 88 /summationdisplay put\ndup 62 /greaterorequalslant put\n"
    program.set_data(b"%!PS\n/Encoding 256 array\n" + signs + b"readonly def\ncurrentfile eexec\n")
    font = {"/Subtype": "/Type1", "/BaseFont": "/ABCDEF+CMEX10", "/ToUnicode": codes, "/FontDescriptor": {
        "/Type": "/FontDescriptor", "/FontName": "/ABCDEF+CMEX10", "/Flags": 4, "/FontFile": program}}  # fmt: skip
    stream = "BT /F1 11 Tf 72 700 Td (Take the ) Tj /F2 11 Tf (X) Tj /F1 11 Tf ( of values ) Tj /F2 11 Tf (>) Tj ET"
    path = write_pdf(tmp_path / "a.pdf", [stream], fonts={"F2": font})
    assert read_pdf(path)[1][0].text == "Take the ∑ of values ⩾"


def test_an_encoding_goes_before_that_of_the_font_program(tmp_path: Path) -> None:
    from pypdf.generic import DecodedStreamObject

    program = DecodedStreamObject()
    program.set_data(b"%!PS\n/Encoding 256 array\ndup 33 /parenleftBigg put\nreadonly def\ncurrentfile eexec\n")
    font = {"/Subtype": "/Type1", "/BaseFont": "/ABCDEF+CMEX10", "/FontDescriptor": {
        "/Type": "/FontDescriptor", "/FontName": "/ABCDEF+CMEX10", "/Flags": 4, "/FontFile": program},
        "/Encoding": {"/Differences": [32, "/parenleftBigg", "/parenrightBigg"]}}  # fmt: skip
    stream = "BT /F1 11 Tf 72 700 Td (The chance P) Tj /F2 11 Tf ( ) Tj /F1 11 Tf (A) Tj /F2 11 Tf (!) Tj ET"
    path = write_pdf(tmp_path / "a.pdf", [stream], fonts={"F2": font})
    assert read_pdf(path)[1][0].text.replace(" ", "") == "ThechanceP(A)"


def test_a_stroke_through_a_sign() -> None:
    assert clean_characters("a ⁄= b, x \u0338∈ S, 1⁄2") == "a ≠ b, x ∉ S, 1⁄2"
