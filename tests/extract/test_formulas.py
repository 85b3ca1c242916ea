"""Formulas that stand above each other, and what only looks like them."""

from pathlib import Path

import pytest

from mlx_tutor.extract.pdf import read_pdf
from tests.extract.pdf_factory import write_pdf

FONTS = {
    "F2": {
        "/Subtype": "/Type1",
        "/BaseFont": "/ABCDEF+Signs",
        "/Widths": [600] * 3,
        "/FirstChar": 1,
        "/LastChar": 3,
        "/Encoding": {"/Differences": [1, "/summation", "/radical", "/product"]},
    }
}


def show(text: str, x: float, y: float, size: float = 11, font: str = "F1") -> str:
    return f"BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET "


def read_text(path: Path, stream: str) -> str:
    write_pdf(path / "a.pdf", [stream], fonts=FONTS)
    return "\n\n".join(section.text for section in read_pdf(path / "a.pdf")[1])


def test_a_fraction_on_a_line_of_its_own(tmp_path: Path) -> None:
    stream = show("v =", 100, 700) + show("s + d", 124, 707.5) + "122 702.6 30 0.4 re f " + show("t", 135, 692.5)
    assert read_text(tmp_path, stream) == "v = (s + d)/t"


def test_a_small_fraction_in_a_text(tmp_path: Path) -> None:
    stream = show("It is", 72, 700) + show("1", 97.2, 704, 8) + "97 702.7 m 102 702.7 l S " + show("2", 97.2, 696, 8)
    assert read_text(tmp_path, stream + show("of the base.", 106, 700)) == "It is 1/2 of the base."


def test_a_sum_with_its_limits(tmp_path: Path) -> None:
    stream = show("S =", 100, 700) + show("n", 125, 714, 8) + show("\x01", 123, 709, 14, "F2")
    stream += show("k=0", 120.5, 687, 8) + show("a", 133, 700) + show("k", 139, 698, 8)
    assert read_text(tmp_path, stream) == "S = ∑_{k=0}^n a_k"


def test_a_sum_in_a_line_of_text(tmp_path: Path) -> None:
    """TeX sets the limits at the right there, and hangs the sign from above the line."""
    stream = show("Let", 72, 700) + show("\x01", 91, 708.2, 11, "F2") + show("m", 98, 705, 8) + show("j=1", 98, 697, 8)
    stream += show("b", 112, 700) + show("j", 118.2, 698, 8) + show("be known.", 124, 700)
    assert read_text(tmp_path, stream) == "Let ∑_{j=1}^m b_j be known."


def test_an_integral_a_limit_and_a_power_of_a_power(tmp_path: Path) -> None:
    stream = show("lim", 72, 700) + show("n", 77, 692, 7) + show("a", 90, 700) + show("n", 96.2, 698, 7)
    assert read_text(tmp_path, stream) == "lim_n a_n"
    stream = show("the area e", 72, 700) + show("x", 122, 704, 8) + show("2", 126.1, 708, 6) + show("is", 133, 700)
    assert read_text(tmp_path, stream) == "the area e^{x^2} is"
    integral = {"F2": {**FONTS["F2"], "/Encoding": {"/Differences": [1, "/integraldisplay"]}}}
    stream = show("F =", 72, 700) + show("\x01", 95, 715, 11, "F2") + show("b", 106, 712, 8) + show("a", 101, 690, 8)
    write_pdf(tmp_path / "b.pdf", [stream + show("f(t) dt", 114, 700)], fonts=integral)
    assert read_pdf(tmp_path / "b.pdf")[1][0].text == "F = ∫_a^b f(t) dt"


def test_a_root(tmp_path: Path) -> None:
    stream = (
        show("r =", 100, 700) + show("\x02", 120, 708, 11, "F2") + "126.6 709 30 0.4 re f " + show("x + y", 127, 700)
    )
    assert read_text(tmp_path, stream) == "r = √(x + y)"


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        # A word that is underlined, with a line below it.
        (show("a very important", 72, 700) + "124 698 51 0.5 re f " + show("word that stands on two lines", 72, 687),
         "a very important word that stands on two lines"),
        # A heading in the middle, underlined.
        (show("Statistics", 200, 700) + "200 698 45 0.5 re f " + show("Tuesdays", 200, 686), "Statistics Tuesdays"),
    ],
)  # fmt: skip
def test_other_rules_make_no_fraction(tmp_path: Path, stream: str, text: str) -> None:
    assert " ".join(read_text(tmp_path, stream).split()) == text


def test_rules_of_a_table_make_no_fraction(tmp_path: Path) -> None:
    rows = [("Town", "2019", "2020"), ("Ulm", "12", "15"), ("Bonn", "7", "9")]
    stream = "".join(show(cell, 72 + 80 * j, 700 - 16 * i) for i, row in enumerate(rows) for j, cell in enumerate(row))
    stream += "".join(f"72 {696 - 16 * i} 200 0.4 re f 152 {696 - 16 * i} 25 0.4 re f " for i in range(3))
    assert read_text(tmp_path, stream) == "| Town | 2019 | 2020 |\n|---|---|---|\n| Ulm | 12 | 15 |\n| Bonn | 7 | 9 |"
