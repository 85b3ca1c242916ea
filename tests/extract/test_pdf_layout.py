"""What a page says by its layout: tables, code, lists, captions, footnotes, columns, the table of contents."""

from collections import Counter
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

from mlx_tutor.extract.joining import join_words
from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.records import Block
from tests.extract.pdf_factory import draw_pdf, stack

PROSE = [
    "A regression line is the line that is nearest to the points of a plot,",
    "where nearness is measured by the squares of the vertical distances, and",
    "every point counts in the same way whatever the others may be like.",
]


def read_blocks(path: Path) -> list[Block]:
    return [block for section in read_pdf(path)[1] for block in section.blocks]


def test_a_table_stays_a_table(tmp_path: Path) -> None:
    rows = [["Model", "Error", "Time"], ["Linear", "0.25", "1 s"], ["Tree", "0.2", "12 s"]]
    cells = [(72 + 90 * j, 200 + 18 * i, 11, cell) for i, row in enumerate(rows) for j, cell in enumerate(row)]
    blocks = read_blocks(draw_pdf(tmp_path / "a.pdf", [[*stack(PROSE), *cells, *stack(PROSE, top=280)]]))
    assert [block.kind for block in blocks] == ["text", "table", "text"]
    assert blocks[1].text == "| Model | Error | Time |\n|---|---|---|\n| Linear | 0.25 | 1 s |\n| Tree | 0.2 | 12 s |"


def test_cells_of_several_lines_and_empty_ones(tmp_path: Path) -> None:
    cells: list[tuple[float, float, float, str]] = [
        (72, 100, 11, "Source"), (200, 100, 11, "Amount"), (300, 100, 11, "Share"),
        (72, 118, 11, "Federal govern-"), (72, 131, 11, "ment"), (200, 124, 11, "129"), (300, 124, 11, "21 %"),
        (72, 149, 11, "Total"), (200, 149, 11, "606"),
    ]  # fmt: skip
    (block,) = read_blocks(draw_pdf(tmp_path / "a.pdf", [cells]))
    assert block.text.split("\n")[2:] == ["| Federal government | 129 | 21 % |", "| Total | 606 |  |"]


def test_a_table_goes_on_after_a_page_break(tmp_path: Path) -> None:
    def table(names: list[str]) -> list[tuple[float, float, float, str]]:
        rows = [["Name", "Value", "Unit"], *([name, "1", "s"] for name in names)]
        return [(72 + 90 * j, 200 + 18 * i, 11, cell) for i, row in enumerate(rows) for j, cell in enumerate(row)]

    (block,) = read_blocks(draw_pdf(tmp_path / "a.pdf", [table(["a1", "b1"]), table(["c1"])]))
    assert block.text.split("\n")[2:] == ["| a1 | 1 | s |", "| b1 | 1 | s |", "| c1 | 1 | s |"]


def test_columns_drawn_line_by_line_are_read_one_after_the_other(tmp_path: Path) -> None:
    left = [f"left column, line {word} of the text" for word in "one two three four five six seven eight nine".split()]
    right = [line.replace("left", "right") for line in left]
    lines = [piece for pair in zip(stack(left), stack(right, x=320), strict=True) for piece in pair]
    text = " ".join(block.text for block in read_blocks(draw_pdf(tmp_path / "a.pdf", [lines])))
    assert text.index("left column, line nine") < text.index("right column, line one")


def test_bullets_drawn_at_the_end_of_the_page(tmp_path: Path) -> None:
    bullets = [(60, 120, 11, "\u2022"), (60, 148, 11, "\u2022")]
    lines = stack(["The mean of all", "values", "The median"])
    (block,) = read_blocks(draw_pdf(tmp_path / "a.pdf", [[*lines, *bullets]]))
    assert block.text == "- The mean of all values\n- The median"


def test_a_caption_and_a_footnote_stand_apart(tmp_path: Path) -> None:
    first = [
        *stack(PROSE), (150, 200, 9, "Figure 1: Points and their line."), *stack(PROSE[:2], top=230),
        (72, 780, 8, "1 Gauss and Legendre both claimed it."),
    ]  # fmt: skip
    blocks = read_blocks(draw_pdf(tmp_path / "a.pdf", [first, stack(PROSE[2:])]))
    texts = [block.text for block in blocks]
    assert "Figure 1: Points and their line." in texts
    assert "1 Gauss and Legendre both claimed it." in texts
    assert texts.count(" ".join(PROSE)) == 2


def test_the_outline_names_headings_that_look_like_text(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    canvas = Canvas(str(path), invariant=1)
    for title, level in (("Models", 0), ("Linear ones", 1)):
        canvas.bookmarkPage(title)
        canvas.addOutlineEntry(title, title, level)
    canvas.drawString(72, 700, "1 Models")
    canvas.drawString(72, 660, "Linear ones")
    canvas.drawString(72, 640, "A line has two numbers.")
    canvas.save()
    sections = read_pdf(path)[1]
    assert [section.heading for section in sections] == [("1 Models", "Linear ones")]


def test_code_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    canvas = Canvas(str(path), invariant=1)
    canvas.drawString(72, 720, "A function is defined by a head and a body that is indented:")
    canvas.setFont("Courier", 10)
    for x, y, line in ((72, 690, "def f(x):"), (96, 678, "y = x + 1"), (96, 654, "return y")):
        canvas.drawString(x, y, line)
    canvas.save()
    blocks = read_blocks(path)
    assert [(block.kind, block.text) for block in blocks][1:] == [
        ("code", "def f(x):\n    y = x + 1\n\n    return y")
    ]  # fmt: skip


def test_text_that_stands_for_a_drawing_and_text_that_is_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    canvas = Canvas(str(path), invariant=1)
    canvas._code.append("/Artifact <</Type /Pagination>> BDC")
    canvas.drawString(72, 500, "Confidential")
    canvas._code.append("EMC /Span <</ActualText (efficient)>> BDC")
    canvas.drawString(72, 480, "e?cient")
    canvas._code.append("EMC")
    canvas.save()
    assert [block.text for block in read_blocks(path)] == ["efficient"]


def test_an_image_in_the_content_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    canvas = Canvas(str(path), invariant=1)
    canvas._code.append("BI /W 1 /H 1 /BPC 8 /CS /G ID a EI")
    canvas.drawString(72, 500, "Below an image")
    canvas.save()
    assert [block.text for block in read_blocks(path)] == ["Below an image"]


def test_a_page_that_stands_on_its_side(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    canvas = Canvas(str(path), invariant=1)
    canvas.rotate(90)
    canvas.drawString(100, -100, "Text that runs upwards")
    canvas.drawString(100, -114, "goes on below.")
    canvas.save()
    assert [block.text for block in read_blocks(path)] == ["Text that runs upwards goes on below."]


def test_what_keeps_its_place_at_the_end_of_a_line() -> None:
    words = Counter[str]()
    assert join_words("see https://a.b/c-", "d.html", words) == "see https://a.b/c-d.html"
    assert join_words("input/", "output", words) == "input/output"
    assert join_words("the Austin, Texas–", "based firm", words) == "the Austin, Texas–based firm"
    assert join_words("small-", "and medium-sized firms", words) == "small- and medium-sized firms"
