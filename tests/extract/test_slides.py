"""Slides that are shown step by step."""

from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import NameObject

from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.records import Section
from tests.extract.pdf_factory import draw_pdf, to_pdf

STEPS = [
    "A sample is drawn from a population at random.",
    "Its mean is an estimate of the mean of all.",
    "The error gets smaller when the sample grows.",
]


def draw_slide(title: str, lines: list[str], number: str) -> list[tuple[float, float, float, str]]:
    body = [(72.0, 160.0 + 30 * i, 11.0, line) for i, line in enumerate(lines)]
    return [(72.0, 90.0, 20.0, title), *body, (500.0, 815.0, 8.0, number)]


def list_texts(sections: tuple[Section, ...]) -> list[tuple[str, int, str]]:
    return [
        (section.heading[-1], section.blocks[0].page or 0, section.text.replace("\n\n", " ")) for section in sections
    ]


@pytest.mark.parametrize("number", ["2 / 9", "{page}"])
def test_a_slide_stands_once_in_its_last_step(tmp_path: Path, number: str) -> None:
    """Page numbers that count slides, or steps."""
    pages = [draw_slide("Samples", STEPS[:n], number.format(page=n)) for n in (1, 2, 3)]
    pages += [draw_slide("Populations", ["Nobody can ask a whole population."], "4")]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", pages))
    assert list_texts(sections) == [
        ("Samples", 3, " ".join(STEPS)), ("Populations", 4, "Nobody can ask a whole population."),
    ]  # fmt: skip


def test_what_a_later_step_takes_away_stays(tmp_path: Path) -> None:
    hint = "Think of the height of all people in a town."
    pages = [draw_slide("Samples", lines, "1") for lines in (STEPS[:1], [*STEPS[:1], hint], STEPS)]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", pages))
    assert list_texts(sections) == [("Samples", 2, hint), ("Samples", 3, " ".join(STEPS))]


def test_slides_of_one_title_with_other_texts_are_two(tmp_path: Path) -> None:
    pages = [draw_slide("Samples", [line], str(n)) for n, line in enumerate(STEPS)]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", pages))
    assert [text for _, _, text in list_texts(sections)] == STEPS


def test_one_label_makes_steps_of_pages_whose_text_moves(tmp_path: Path) -> None:
    """Beamer centres what is shown, so that the title too may stand elsewhere; its label stays."""
    pages = [
        [(72.0, top, 20.0, "Samples"), *[(72.0, top + 40 + 30 * i, 11.0, line) for i, line in enumerate(STEPS[:n])]]
        for n, top in ((1, 200.0), (2, 160.0), (3, 120.0))
    ]
    writer = PdfWriter(draw_pdf(tmp_path / "a.pdf", [*pages, draw_slide("Populations", ["All of them."], "2")]))
    label = {"/S": "/D", "/St": 1}
    numbers = [0, label, 1, label, 2, label, 3, {"/S": "/D", "/St": 2}]
    writer.root_object[NameObject("/PageLabels")] = to_pdf({"/Nums": numbers})
    writer.write(tmp_path / "b.pdf")
    _, sections = read_pdf(tmp_path / "b.pdf")
    assert [(page, text) for _, page, text in list_texts(sections)] == [(3, " ".join(STEPS)), (4, "All of them.")]
