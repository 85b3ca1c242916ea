"""Pictures that course files link to: found in every dialect, at their place, and only in the course's folder."""

import base64
from pathlib import Path

import pytest

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.study.reader.figures import Figure, find_name, measure_svg, read_links
from mlx_tutor.study.reader.shelf import list_figures
from mlx_tutor.workspace import Course
from tests.study.reader.lessons import make_picture

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><path id="a" d="M0 0"/></defs>{}</svg>'
LINKED = base64.b64encode(make_picture("PNG")).decode()


def show(folder: Path, text: str, name: str = "week 1/tides.md") -> list[Figure]:
    """The pictures of a file beside which lie some."""
    course = Course(folder, "demo")
    path = course.sources / name
    (path.parent / "img").mkdir(parents=True, exist_ok=True)
    for kind in ("PNG", "GIF", "WEBP"):
        (path.parent / "img" / f"moon.{kind.lower()}").write_bytes(make_picture(kind))
    (path.parent / "img" / "high tide.jpg").write_bytes(make_picture("JPEG"))
    (path.parent / "img" / "chart.svg").write_text(DRAWING.format('<use href="#a"/>'))
    (course.root / "secret.png").write_bytes(make_picture("PNG"))
    path.write_text(text)
    return list_figures(course, name, path)


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("![The moon](img/moon.png)", "The moon"),
        ('![The moon](./img/moon.gif "A title"){#fig-moon width=50%}', ""),
        ("![$F = m a$ at ebb](<img/high tide.jpg>)", "$F = m a$ at ebb"),
        ("![](img/high%20tide.jpg)", ""),
        ("![a][m]\n\n[m]: img/moon.webp", "a"),
        ("[![a](img/moon.png)](https://example.org)", "a"),
        ('<img src="img\\moon.png" alt="The moon">', "The moon"),
        ('<figure><img src="img/chart.svg"><figcaption>Ebb</figcaption></figure>', ""),
        ("```{figure} img/moon.png\n:name: moon\n:alt: The moon\n\nThe caption.\n```", "The moon"),
        ("```{image} img/moon.png\n:width: 200px\n```", ""),
        (":::{figure} img/moon.png\n:name: moon\nThe caption.\n:::", ""),
        ("```{figure-md} moon\n![The moon](img/moon.png)\n\nThe caption.\n```", "The moon"),
        ("::: {#fig-moon}\n![](img/moon.png)\n\nThe caption.\n:::", ""),
        ('```{r}\n#| fig-cap: "The moon"\nknitr::include_graphics("img/moon.png")\n```', "The moon"),
        ("![[moon.png]]", ""),
        ("![[img/moon.png|300]]", ""),
        ("![site](/week%201/img/moon.png)", "site"),
        (f"![inside](data:image/png;base64,{LINKED})", "inside"),
    ],
)
def test_a_picture_is_found_as_lecturers_write_it(tmp_path: Path, text: str, caption: str) -> None:
    (figure,) = show(tmp_path, f"# Tides\n\nThe moon pulls.\n\n{text}\n\nThe sea follows.\n")
    assert figure.problem == "" and figure.read() and figure.kind.startswith("image/")
    assert figure.link.caption == caption and figure.link.heading == "Tides"


def test_the_text_is_read_as_before_and_the_picture_stands_below_its_paragraph(tmp_path: Path) -> None:
    text = "# Tides\n\nThe moon ![m](img/moon.png) pulls.\n\n- Ebb ![e](img/moon.gif)\n- Flood\n"
    text += "\n## Map\n\n![map](a.png)\n\n## Winds\n\n| air | sea |\n|---|---|\n| ![w](img/moon.webp) | wet |\n\nEnd.\n"
    figures = show(tmp_path, text)
    places = [(f.link.caption, f.link.section, f.link.blocks, f.link.heading) for f in figures]
    assert places == [("m", 0, 1, "Tides"), ("e", 0, 2, "Tides"), ("map", 1, 0, "Map"), ("w", 1, 1, "Winds")]
    course = Course(tmp_path, "demo")
    extract_course(course)
    assert "moon.png" not in (course.dataset / "documents.jsonl").read_text()


@pytest.mark.parametrize(
    "address",
    [
        "../../../secret.png",
        "..%2f..%2f..%2fsecret.png",
        "..\\..\\..\\secret.png",
        "/../../secret.png",
        "../link.png",
        "../folder/secret.png",
        "../.hidden.png",
        "img/fake.png",
        "img",
        "",
        "?",
        "img/moon.png%00.txt",
        "week.md",
    ],
)
def test_nothing_outside_the_folder_and_no_other_file_is_shown(tmp_path: Path, address: str) -> None:
    show(tmp_path, "")
    course = Course(tmp_path, "demo")
    (course.sources / "link.png").symlink_to(course.root / "secret.png")
    (course.sources / "folder").symlink_to(course.root)
    (course.sources / ".hidden.png").write_bytes(make_picture("PNG"))
    (course.sources / "week 1" / "img" / "fake.png").write_text("secret")
    figures = show(tmp_path, f"# Tides\n\nThe moon.\n\n![The sea](<{address}>)\n")
    assert all(figure.problem and not figure.read() for figure in figures)


@pytest.mark.parametrize("address", ["https://example.org/a.png", "//example.org/a.png", "ftp://example.org/a.png"])
def test_a_picture_elsewhere_is_named_and_not_fetched(tmp_path: Path, address: str) -> None:
    (figure,) = show(tmp_path, f"# Tides\n\nThe moon.\n\n![The sea]({address})\n")
    assert figure.problem == f"not fetched from {address}" and figure.read() == b""


def test_a_name_stays_below_the_sources() -> None:
    assert find_name("../b/c.png", "a/x.md") == "b/c.png"
    assert find_name("../../c.png", "a/x.md") == "" and find_name("/etc/c.png", "a/x.md") == "etc/c.png"


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        "<foreignObject><p>Hello</p></foreignObject>",
        '<image href="https://example.org/a.png"/>',
        '<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="file:///etc/passwd"/>',
        "<style>@import 'a.css';</style>",
        '<rect style="fill: url(https://example.org/a)"/>',
        '<use href="other.svg#a"/>',
        '<set attributeName="onmouseover" to="alert(1)"/><a href="javascript:alert(1)"/>',
        "<?xml-stylesheet href='a.css'?>",
        "<g>",
    ],
)
def test_a_drawing_that_does_more_than_draw_is_not_shown(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "a.svg"
    path.write_text(DRAWING.format('<rect fill="url(#a)"/><style>.a{fill:red}</style>'))
    assert measure_svg(path) == ("image/svg+xml", 0, 0)
    path.write_text(DRAWING.format(inside))
    assert measure_svg(path) is None
    path.write_text('<!DOCTYPE svg [<!ENTITY a "b">]>' + DRAWING.format("&a;"))
    assert measure_svg(path) is None


def test_pictures_attached_to_a_notebook_are_no_links(tmp_path: Path) -> None:
    path = tmp_path / "lab.ipynb"
    cell = '{"cell_type": "markdown", "metadata": {}, "source": "# Lab\\n\\nScale. ![a](attachment:a.png) ![b](b.png)"}'
    path.write_text(f'{{"cells": [{cell}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 4}}')
    assert [link.address for link in read_links(path)] == ["b.png"]
