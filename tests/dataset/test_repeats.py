"""One text in several places: kept once, and never on both sides of the split."""

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.repeats import drop_repeats
from mlx_tutor.dataset.split import split_examples
from mlx_tutor.extract.extract import extract_course
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Block, Document, Example, Origin, QaPair, Section
from mlx_tutor.settings import CourseSettings
from mlx_tutor.workspace import Course
from tests.commands.conftest import TERMS
from tests.extract.pdf_factory import draw_pdf, stack

PAGE = (
    "A queue hands out its oldest element first. Each new element goes to the end, so that nobody waits for ever, "
    "and both steps take the same time however long the queue has become."
)
MORE = (
    "Printers and ticket offices work like this, and so do the buffers between two programs that run at other speeds."
)
OTHER = (
    "A stack gives back what was put down last. Calls of functions use one, since the last that began has to end "
    "before those that called it may go on with their work."
)


def write(source: str, *texts: str) -> Document:
    return Document(
        source, source, source, tuple(Section((f"Part {i}",), (Block("text", t),)) for i, t in enumerate(texts))
    )


def list_kept(*documents: Document, holdout: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    kept = drop_repeats(documents, holdout).documents
    return [(document.source, i) for document in kept for i, s in enumerate(document.sections) if s.blocks]


def test_slides_and_their_handout_are_one_text_and_the_fuller_one_stays() -> None:
    slides, handout = write("slides.pdf", PAGE, OTHER), write("handout.pdf", f"{PAGE} {MORE}", OTHER.upper())
    once = drop_repeats([slides, handout])
    assert list_kept(slides, handout) == [("handout.pdf", 0), ("handout.pdf", 1)]
    (first, *_) = (repeat for repeat in once.repeats if repeat.source == "slides.pdf")
    assert (first.section, first.other_source, first.other) == (0, "handout.pdf", "handout.pdf, Part 0")
    assert [len(d.sections) for d in once.documents] == [2, 2], "the numbers of sections do not change"


def test_markdown_stays_before_the_pdf_that_was_made_of_it() -> None:
    """The PDF's headings were not found: its one section stands in three of the notes."""
    parts = (PAGE, OTHER, MORE)
    assert list_kept(write("a.pdf", " ".join(parts)), write("b.md", *parts)) == [("b.md", 0), ("b.md", 1), ("b.md", 2)]


def test_of_two_versions_of_a_notebook_each_part_stays_once() -> None:
    old = write(
        "lab-old.ipynb", PAGE, f"{OTHER} {MORE}", "What was taken away later has a text of its own, of a few words."
    )
    new = write(
        "lab.ipynb", f"{PAGE} {MORE}", OTHER, "What came later has another text, which the old one does not have."
    )
    kept = list_kept(old, new)
    assert kept == [("lab-old.ipynb", 1), ("lab-old.ipynb", 2), ("lab.ipynb", 0), ("lab.ipynb", 2)]


def test_what_was_left_out_for_a_page_that_goes_itself_is_not_lost() -> None:
    words = [f"word{i}" for i in range(100)]
    chain = [
        write(f"{i}.pdf", " ".join(words[start:] + [f"new{i}x{n}" for n in range(start)]))
        for i, start in enumerate((0, 15, 30))
    ]
    chain = [write(d.source, d.sections[0].text + f" tail{i}" * 4 * i) for i, d in enumerate(chain)]
    once = drop_repeats(chain)
    kept = {document.source for document in once.documents if document.sections[0].blocks}
    runs = {d.source: d.sections[0].text.split() for d in chain}
    for repeat in once.repeats:
        assert repeat.other_source in kept
        assert len(set(runs[repeat.source]) & set(runs[repeat.other_source])) >= 0.7 * len(set(runs[repeat.source]))


def test_a_section_whose_example_is_quoted_elsewhere_keeps_what_it_says_itself() -> None:
    notes = write("a.md", f"Queues are taught first here. {PAGE}", f"{OTHER} As it was said before: {PAGE} {MORE}")
    once = drop_repeats([notes])
    assert not once.repeats
    assert once.alike["a.md", 0] == once.alike["a.md", 1]


def test_texts_of_one_form_with_other_facts_stay() -> None:
    texts = [
        f"The {name} of a course is {fact}, and it is due in week {i}." for i, (name, fact) in enumerate(TERMS.items())
    ]
    assert len(list_kept(write("a.md", *texts))) == len(texts)


def test_an_exam_that_is_held_out_stays_and_its_solutions_go() -> None:
    exam, notes = write("exam.pdf", PAGE), write("notes.md", OTHER, MORE)
    solutions = write("solutions.md", f"{PAGE} Solution: {MORE}")
    assert list_kept(exam, solutions, notes) == [("solutions.md", 0), ("notes.md", 0)]
    assert list_kept(exam, solutions, notes, holdout=("exam.pdf",)) == [
        ("exam.pdf", 0),
        ("notes.md", 0),
        ("notes.md", 1),
    ]


def make_example(source: str, section: int) -> Example:
    qa = QaPair(f"What is {source} {section}?", (), f"It is {section}.", "fact", ())
    return Example((), Origin(source, section, None, None, (), "test", ""), qa, {})


def test_sections_that_are_partly_alike_share_a_split() -> None:
    random.seed(3)
    words = [f"w{i}" for i in range(4000)]
    texts = [" ".join(random.sample(words, 60)) for _ in range(40)]
    half = [f"{text[: len(text) // 2]} {' '.join(random.sample(words, 30))}" for text in texts]
    once = drop_repeats([write("a.md", *texts), write("b.md", *half)])
    assert not once.repeats
    assert {once.alike["a.md", i] == once.alike["b.md", i] for i in range(40)} == {True}
    assert len(set(once.alike.values())) == 40
    rows = [make_example(source, i) for source in ("a.md", "b.md") for i in range(40)]
    for seed in range(5):
        dealt = split_examples(rows, 0.1, 0.1, seed, once.alike)
        sections = [{row.origin.section for row in split} for split in dealt.values()]
        assert sum(map(len, sections)) == 40 and all(sections)


def test_a_page_that_quotes_every_other_does_not_make_one_group_of_the_course() -> None:
    random.seed(4)
    texts = [" ".join(f"t{i}x{n}" for n in range(40)) for i in range(30)]
    summary = write(
        "summary.md", " ".join(text[: len(text) // 2] + f" s{i}x s{i}y" * 20 for i, text in enumerate(texts))
    )
    once = drop_repeats([write("a.md", *texts), summary])
    assert len(set(once.alike.values())) == 1 and len(once.alike) <= 8


def test_three_thousand_sections_take_seconds() -> None:
    """With a form that all share, and every ninth copied."""
    random.seed(5)
    words = [f"w{i}" for i in range(20_000)]
    form = "Answer all questions on this sheet, show each step of your work, and hand it in by Friday at noon. "
    texts = [form + " ".join(random.sample(words, 100)) for _ in range(2700)]
    documents = [write(f"{i}.md", *texts[10 * i : 10 * i + 10]) for i in range(270)]
    documents.append(write("copy.pdf", *(f"{text} The end of it." for text in texts[::9])))
    begun = time.process_time()
    once = drop_repeats(documents)
    assert time.process_time() - begun < 12
    assert len(once.repeats) == 300


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(tmp_path, "twice")
    course.sources.mkdir(parents=True)
    sections = [f"## {term}\n\n{text} It is used in {term.lower()} plots." for term, text in TERMS.items()]
    (course.sources / "notes.md").write_text("# Notes\n\n" + "\n\n".join(sections) + "\n")
    return course


def count_words(messages: Any) -> int:
    return sum(len(message["content"].split()) for message in messages)


def build(course: Course) -> Any:
    extract_course(course)
    recipe = Recipe(course=CourseSettings(system_prompt="Tutor."))
    return build_dataset(course, replace(recipe), count_words, "tokenizer")


def test_a_page_in_two_files_gives_rows_once_and_is_named(course: Course) -> None:
    before = build(course)
    texts = [f"{text} It is used in {term.lower()} plots." for term, text in list(TERMS.items())[:3]]
    draw_pdf(
        course.sources / "slides.pdf",
        [[(72.0, 90.0, 20.0, term), *stack([text])] for term, text in zip(TERMS, texts, strict=False)],
    )
    report = build(course)
    assert [(r.source, r.page, r.other_source) for r in report.repeats] == [
        ("slides.pdf", n, "notes.md") for n in (1, 2, 3)
    ]
    assert report.dropped["text of notes.md"] == 3
    assert report.splits == before.splits and set(report.sources) == {"notes.md"}
    dropped = [row for row in read_rows(course, "dropped") if row["origin"]["method"] == "repeat"]
    assert dropped[0]["messages"][-1]["content"].startswith("notes.md, Notes > ")
