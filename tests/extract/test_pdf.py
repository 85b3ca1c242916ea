"""PDFs: order, paragraphs, hyphens, headings, running lines, and what cannot be read."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.characters import clean_characters
from mlx_tutor.extract.joining import is_one_word, join_words
from mlx_tutor.extract.pdf import read_pdf
from tests.extract.pdf_factory import draw_pdf, stack

LEFT = [
    "A regression line is the line that is nearest to",
    "the points of a scatter plot when nearness is meas-",
    "ured by squares.",
]
RIGHT = ["The second column goes on with another thought", "that is well-known, and it ends here as well."]


def test_headings_pages_and_paragraphs(tmp_path: Path) -> None:
    first = [(72, 80, 20, "Regression"), *stack(LEFT), *stack(RIGHT, top=190)]
    second = [(72, 80, 20, "Residuals"), *stack(["A residual is what the line has left over."])]
    title, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", [first, second]))
    assert title == "Regression"
    assert [section.heading for section in sections] == [("Regression",), ("Residuals",)]
    assert [block.text for block in sections[0].blocks] == [
        "A regression line is the line that is nearest to the points of a scatter plot when nearness is measured by "
        "squares.",
        "The second column goes on with another thought that is well-known, and it ends here as well.",
    ]
    assert [block.page for section in sections for block in section.blocks] == [1, 1, 2]


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    pages = [[*stack(LEFT), *stack(RIGHT, x=320)]]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", pages))
    assert "squares. The second column" in sections[0].text.replace("\n\n", " ")


def test_a_sentence_goes_on_over_columns_and_pages(tmp_path: Path) -> None:
    pages = [
        stack(["The mean of a sample is the sum of all its values"]),
        stack(["divided by their number, and nothing else."]),
    ]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", pages))
    assert [block.text for block in sections[0].blocks] == [
        "The mean of a sample is the sum of all its values divided by their number, and nothing else."
    ]


def test_running_lines_and_page_numbers_go(tmp_path: Path) -> None:
    pages = [
        [(72, 40, 9, f"Statistics I, page {n}"), *stack([f"Body text of page {word} stays."]), (290, 810, 9, str(n))]
        for n, word in ((1, "one"), (2, "two"), (3, "three"))
    ]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", pages))
    text = " ".join(section.text for section in sections)
    assert "Statistics" not in text
    assert not any(character.isdigit() for character in text)
    assert text.count("stays.") == 3


def test_bullets_become_one_list(tmp_path: Path) -> None:
    lines = ["\u2022 the mean of all values", "\u2022 the median of all values", "\u2022 the mode"]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", [stack(lines)]))
    assert sections[0].blocks[0].text == "- the mean of all values\n- the median of all values\n- the mode"


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (b"GIF89a nothing", "not a PDF"), (b"%PDF-1.7\nnothing", "broken PDF")]
)
def test_what_is_no_pdf_has_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=f"^{reason}"):
        read_pdf(path)


def test_pages_without_text_look_scanned(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"^looks scanned: 12 pages without text$"):
        read_pdf(draw_pdf(tmp_path / "a.pdf", [[]] * 12))


def test_an_encrypted_pdf_says_what_to_do(tmp_path: Path) -> None:
    from pypdf import PdfWriter

    writer = PdfWriter(draw_pdf(tmp_path / "a.pdf", [stack(LEFT)]))
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "b.pdf")
    with pytest.raises(CorpusError, match=r"^encrypted; open it with its password"):
        read_pdf(tmp_path / "b.pdf")


def test_a_cut_pdf_never_ends_in_a_traceback(tmp_path: Path) -> None:
    data = draw_pdf(tmp_path / "a.pdf", [stack(LEFT), stack(RIGHT)]).read_bytes()
    for share in range(1, 10):
        path = tmp_path / f"{share}.pdf"
        path.write_bytes(data[: len(data) * share // 10])
        try:
            read_pdf(path)
        except CorpusError as err:
            assert "\n" not in str(err)


def test_hyphens_are_undone_by_the_documents_own_words() -> None:
    words = Counter({"regression": 2, "well-known": 1, "cost": 3, "benefit": 2})
    assert join_words("a regres-", "sion line", words) == "a regression line"
    assert join_words("a well-", "known fact", words) == "a well-known fact"
    assert join_words("a cost-", "benefit analysis", words) == "a cost-benefit analysis"
    assert join_words("the un\u2010", "known", words) == "the unknown"
    assert join_words("the pre-", "Christian era", words) == "the pre-Christian era"
    assert join_words("minus -", "3", words) == "minus - 3"


@given(st.text("abc xyz-", min_size=1, max_size=30), st.text("abc xyz", min_size=1, max_size=30))
def test_joining_never_loses_a_letter(text: str, following: str) -> None:
    joined = join_words(text.strip() or "a", following.strip() or "b", Counter())
    letters = [c for c in (text.strip() or "a") + (following.strip() or "b") if c.isalpha()]
    assert [c for c in joined if c.isalpha()] == letters


def test_ligatures_and_spaces() -> None:
    assert clean_characters("e\ufb03cient \ufb01t\xa0of  x\u00b2") == "efficient fit of x\u00b2"
    assert is_one_word("statis", "tics", Counter())


def test_authors_and_the_date_are_no_headings(tmp_path: Path) -> None:
    front = [(72, 80, 24, "A sheet of formulas"), (72, 110, 14, "Ada Lovelace"), (72, 130, 14, "May 5, 1842")]
    page = [*front, (72, 160, 18, "Numbers"), *stack(LEFT, top=190), (72, 260, 18, "Tables"), *stack(RIGHT, top=290)]
    _, sections = read_pdf(draw_pdf(tmp_path / "a.pdf", [page]))
    assert [section.heading[1:] for section in sections] == [(), ("Numbers",), ("Tables",)]
