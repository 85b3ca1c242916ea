"""Rows between tall brackets, which TeX hangs from their upper end."""

from pathlib import Path

import pytest

from mlx_tutor.extract.pdf import read_pdf
from tests.extract.pdf_factory import write_pdf

NAMES = [
    "parenleftbigg", "parenrightbigg", "bracketlefttp", "bracketleftbt", "bracketrighttp", "bracketrightbt",
    "braceleftbigg", "vextendsingle", "parenleftBigg", "parenrightBigg",
]  # fmt: skip
FONTS = {
    "F2": {
        "/Subtype": "/Type1",
        "/BaseFont": "/ABCDEF+Brackets",
        "/Widths": [600] * len(NAMES),
        "/FirstChar": 1,
        "/LastChar": len(NAMES),
        "/Encoding": {"/Differences": [1, *(f"/{name}" for name in NAMES)]},
    }
}
ABOVE, BELOW = "The text above the formula has some words.", "The text below it goes on as before."


def show(text: str, x: float, y: float, size: float = 10, font: str = "F1") -> str:
    return f"BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET "


def sign(name: str, x: float, y: float) -> str:
    return show(f"\\{NAMES.index(name) + 1:03o}", x, y, font="F2")


def read_blocks(path: Path, stream: str) -> list[tuple[str, str]]:
    """Kind and text of the blocks between the two lines of text."""
    whole = show(ABOVE, 72, 740) + stream + show(BELOW, 72, 640)
    write_pdf(path / "a.pdf", [whole], fonts=FONTS)
    blocks = [(str(block.kind), block.text) for section in read_pdf(path / "a.pdf")[1] for block in section.blocks]
    assert (blocks[0], blocks[-1]) == (("text", ABOVE), ("text", BELOW))
    return blocks[1:-1]


def grid(cells: list[list[str]], x: float, top: float, step: float = 20) -> str:
    return "".join(
        show(cell, x + step * j, top - 12 * i) for i, row in enumerate(cells) for j, cell in enumerate(row) if cell
    )


def test_a_matrix_in_signs_of_one_piece(tmp_path: Path) -> None:
    stream = show("M =", 72, 700) + sign("parenleftbigg", 94, 714) + grid([["p", "q"], ["r", "s"]], 102, 706)
    stream += sign("parenrightbigg", 130, 714) + show(", with a text.", 136, 700)
    assert read_blocks(tmp_path, stream) == [("text", "M = (p, q; r, s), with a text.")]


def test_a_column_and_a_matrix_in_pieces_are_no_table(tmp_path: Path) -> None:
    cells = [["1", "0", "7"], ["0", "2", "8"], ["3", "0", "9"]]

    def frame(left: float, right: float) -> str:
        names = [("bracketlefttp", left, 720), ("bracketleftbt", left, 702.2)]
        names += [("bracketrighttp", right, 720), ("bracketrightbt", right, 702.2)]
        return "".join(sign(*place) for place in names)

    stream = show("B =", 72, 700) + frame(92, 158) + grid(cells, 100, 712)
    stream += frame(166, 182) + grid([["x"], ["y"], ["z"]], 174, 712)
    assert read_blocks(tmp_path, stream) == [("text", "B = [1, 0, 7; 0, 2, 8; 3, 0, 9] [x; y; z]")]


def test_cases_end_before_the_number_of_their_equation(tmp_path: Path) -> None:
    rows = show("x", 110, 707) + show("if x > 0,", 150, 707) + show("0", 110, 693) + show("else.", 150, 693)
    stream = show("m\\(x\\) =", 72, 700) + sign("braceleftbigg", 104, 717) + rows + show("\\(4\\)", 400, 700)
    assert " ".join(text for _, text in read_blocks(tmp_path, stream)) == "m(x) = {x, if x > 0; 0, else. (4)"


def test_a_determinant_and_a_power_of_a_bracket(tmp_path: Path) -> None:
    bars = "".join(sign("vextendsingle", x, 715 - 6 * i) for x in (72, 108) for i in range(4))
    stream = bars + grid([["a", "b"], ["c", "d"]], 79, 706) + show("= ad", 118, 700)
    stream += sign("parenleftBigg", 150, 717) + show("u", 160, 706.5) + "158 702.6 10 0.4 re f " + show("v", 160, 692.5)
    stream += sign("parenrightBigg", 172, 717) + show("2", 178.5, 712, 7)
    assert read_blocks(tmp_path, stream) == [("text", "|a, b; c, d| = ad (u/v)^{2}")]


@pytest.mark.parametrize("gap", [3, 12])
def test_brackets_of_a_usual_size_hold_no_rows(tmp_path: Path, gap: float) -> None:
    """A list whose lines stand in brackets, each bracket drawn by itself."""
    lines = ["first remark", "second remark", "third remark"]
    stream = "".join(
        show("\\(", 72, 700 - 12 * i) + show(line, 76 + gap, 700 - 12 * i) + show("\\)", 150 + gap, 700 - 12 * i)
        for i, line in enumerate(lines)
    )
    text = " ".join(text for _, text in read_blocks(tmp_path, stream))
    assert ";" not in text and [text.count(line) for line in lines] == [1, 1, 1]
