"""The page of explore."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mlx_tutor.dataset.explore import Exploration, explore_course
from mlx_tutor.files import write_jsonl
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Block, Document, Section
from mlx_tutor.study.web.explore import list_thin, render_exploration, write_exploration
from mlx_tutor.workspace import Course

EVIL = '<script>alert(1)</script> "&'
TEXT = f"A **mean** is a value. {EVIL} And so it goes on for a long while, word after word, until the very end. " * 3


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(tmp_path, "c")
    sections = tuple(Section((EVIL, f"Part {n}"), (Block("text", TEXT, page=n),)) for n in range(1, 30))
    write_jsonl(course.dataset / "documents.jsonl", [Document(f"{EVIL}.pdf", "", "", sections).to_row()])
    for split in ("train", "valid", "test"):
        messages = [{"role": "user", "content": EVIL}, {"role": "assistant", "content": EVIL}]
        origin = {"source": f"{EVIL}.pdf", "section": 3, "method": EVIL}
        write_jsonl(course.dataset / f"{split}.jsonl", [{"messages": messages, "origin": origin}] * 2)
    return course


@pytest.fixture
def found(course: Course) -> Exploration:
    return explore_course(course, Recipe(), len)


def test_the_page_runs_nothing_and_fetches_nothing(course: Course, found: Exploration) -> None:
    page = write_exploration(course, found).read_text(encoding="utf-8")
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert not re.search(r"(?:src|href)=", page)
    assert page.count("&lt;script&gt;") > 30


def test_the_pictures_are_whole(found: Exploration) -> None:
    pictures = re.findall(r"<svg.*?</svg>", render_exploration(found), re.DOTALL)
    assert len(pictures) > 5
    for picture in pictures:
        ElementTree.fromstring(picture)
    (cover,) = (picture for picture in pictures if "<title>" in picture)
    assert cover.count("<rect") == len(found.sections) == 29
    assert cover.count("var(--bad)") == len(list_thin(found.sections)) == 28


def test_thin_sections_stand_in_the_order_of_what_is_missing(found: Exploration) -> None:
    one, two, three = found.sections[:3]
    sections = [
        replace(one, words=100, rows=0, cover="none"),
        replace(two, words=900, rows=2, cover="few"),
        replace(three, words=500, rows=9, cover="enough"),
    ]
    assert [section.words for section in list_thin(sections)] == [900, 100]


def test_a_page_without_rows_says_so(found: Exploration) -> None:
    page = render_exploration(replace(found, splits={}, lengths=None, concepts=(), paragraphs=()))
    assert "no rows yet: mlx-tutor build" in page and "<h2>Coverage" not in page
    assert "Not measured" in render_exploration(replace(found, lengths=None))
