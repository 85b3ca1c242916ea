"""Pages as pictures, and the boxes of a passage on them; pictures of notebooks."""

from pathlib import Path

import pytest

from mlx_tutor.study.reader.pages import Drawer, Sheet, draw_page, find_boxes
from mlx_tutor.study.reader.pictures import decode_picture, read_pictures
from tests.study.reader.lessons import BULB, make_picture, write_lab, write_pdf


def make_sheet(lines: list[str]) -> Sheet:
    """Letters ten wide on lines twenty apart."""
    boxes = [
        (10.0 * x, 20.0 * y, 10.0 * x + 9, 20.0 * y + 12) for y, line in enumerate(lines) for x in range(len(line))
    ]
    return Sheet(1, 100, 100, "".join(lines), tuple(boxes), "", b"")


def test_a_passage_is_found_across_lines_hyphens_and_ligatures() -> None:
    sheet = make_sheet(["The ﬁrst de-", "rivative is", "zero here."])
    assert find_boxes(sheet, ["first derivative"]) == [(40, 0, 109, 12), (0, 20, 79, 32)]
    assert find_boxes(sheet, ["zero"]) == [(0, 40, 39, 52)]
    assert find_boxes(sheet, ["nothing of it", ""]) == []
    # It goes on at the next page, or begins with a number that is drawn elsewhere: half of it is enough.
    assert find_boxes(sheet, ["12. first derivative is zero here and everywhere"])[-1] == (0, 40, 89, 52)
    assert find_boxes(sheet, ["zero here and everywhere else"]) == []


def test_a_real_page_is_drawn_with_the_passage_where_it_is(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.pdf")
    sheet = draw_page(tmp_path / "a.pdf", 1)
    assert sheet is not None and sheet.pages == 2 and sheet.picture.startswith(b"\x89PNG")
    scale = sheet.width / 400
    boxes = find_boxes(sheet, [BULB])
    assert len(boxes) == 2
    assert boxes[0][0] == pytest.approx(40 * scale, abs=3) and boxes[0][3] == pytest.approx(80 * scale, abs=8)
    assert draw_page(tmp_path / "a.pdf", 3) is None


def test_what_is_no_pdf_is_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\nrubbish")
    assert Drawer().draw(tmp_path / "a.pdf", 1) is None
    assert Drawer().draw(tmp_path / "none.pdf", 1) is None


def test_pictures_are_those_that_are_what_they_say(tmp_path: Path) -> None:
    write_lab(tmp_path / "lab.ipynb")
    found = read_pictures(tmp_path / "lab.ipynb")
    assert [(picture.cell, picture.kind, picture.width, picture.height) for picture in found] == [
        (1, "image/png", 40, 20),
        (2, "image/jpeg", 40, 20),
    ]
    for wrong in ("no notebook", "[]", '{"cells": 3}', '{"cells": [{"outputs": [{"data": {"image/png": 3}}]}]}'):
        (tmp_path / "wrong.ipynb").write_text(wrong)
        assert read_pictures(tmp_path / "wrong.ipynb") == []
    assert decode_picture(1, "image/png", "not base64!") is None
    assert decode_picture(1, "image/jpeg", make_picture("PNG").hex()) is None
