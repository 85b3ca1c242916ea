"""What explore counts."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.explore import (
    MOST_BINS,
    count_concepts,
    count_lengths,
    explore_course,
    find_paragraphs,
    judge_cover,
)
from mlx_tutor.dataset.mining.gaps import find_thin
from mlx_tutor.errors import CorpusError
from mlx_tutor.files import write_jsonl
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Block, Document, Example, Origin, QaPair, Section
from mlx_tutor.workspace import Course

FILLER = "Nothing of note is said in these words of a long and whole sentence that goes on and on. " * 4
MEDIAN = "The **median** is the value in the middle once all values are sorted by size."
OUTLIERS = f"Medians bear **outliers**. Means bend to outliers. {FILLER}"
DOCUMENTS = (
    Document(
        "a.pdf",
        "",
        "A",
        (
            Section(("A", "Median"), (Block("text", MEDIAN, page=1), Block("text", FILLER, page=3))),
            Section(("A", "Outliers"), (Block("text", OUTLIERS, page=3),)),
            Section(("A", "Short"), (Block("text", "The median again.", page=4),)),
        ),
    ),
    Document("b.ipynb", "", "B", (Section(("B",), (Block("text", MEDIAN, cell=2), Block("code", "x = 1", cell=3))),)),
)


def make_row(question: str, answer: str, section: int, **changes: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "qa_pair": {"question": question, "answer": answer, "type": "concept", "context": changes.pop("context", "")},
        "origin": {"source": "a.pdf", "section": section, "method": "definition"} | changes,
        "metadata": {"teaching_style": "direct"},
    }


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(tmp_path, "c")
    write_jsonl(course.dataset / "documents.jsonl", (document.to_row() for document in DOCUMENTS))
    return course


def write_rows(course: Course) -> None:
    rows = [
        make_row("What is a median?", "The middle.", 0),
        make_row("what  is a median?", "A cut.", 0),
        make_row("What is a median?", "The middle of a passage.", 0, context="A passage."),
        make_row("Who teaches?", "Ada.", 4, source="staff.csv", method="template fact"),
        {"messages": make_row("Hello?", "Yes.", 0)["messages"]},
    ]
    for split, found in (("train", rows[:3]), ("valid", rows[3:4]), ("test", rows[4:])):
        write_jsonl(course.dataset / f"{split}.jsonl", found)
    write_jsonl(course.dataset / "dropped.jsonl", [rows[0] | {"dropped": "exact duplicate"}] * 2)


def test_counts_words_pages_cells_and_rows(course: Course) -> None:
    write_rows(course)
    found = explore_course(course, Recipe(), len)
    first, second = found.sources
    assert (first.source, first.pages, first.cells, first.sections, first.rows) == ("a.pdf", 3, None, 3, 3)
    assert (second.pages, second.cells, second.words, second.rows) == (None, 2, 18, 0)
    assert found.splits == {"train": 3, "valid": 1, "test": 1}
    assert found.methods == {"definition": 3, "-": 1, "template fact": 1}
    assert found.kinds == {"concept": 4, "-": 1} and found.styles == {"direct": 4, "-": 1}
    assert found.elsewhere == {"-": 1, "staff.csv": 1} and found.dropped == {"exact duplicate": 2}
    assert found.lengths is not None and found.lengths.bins == ((0, 1, 0), (1, 2, 0), (2, 3, 5))


def test_coverage_tells_thin_sections_from_short_ones(course: Course) -> None:
    write_rows(course)
    sections = explore_course(course, Recipe()).sections
    assert [section.cover for section in sections] == ["enough", "none", "short", "none"]
    assert [section.rows for section in sections] == [3, 0, 0, 0]
    assert sections[1].place == "a.pdf, page 3, A > Outliers"
    assert [judge_cover(200, rows, 2) for rows in (0, 1, 2)] == ["none", "few", "enough"]
    assert [judge_cover(11, rows, 2) for rows in (0, 1, 2)] == ["short", "short", "enough"]


def test_thin_is_what_fill_gaps_takes_for_it(course: Course) -> None:
    write_rows(course)
    recipe = Recipe()
    found = explore_course(course, recipe)
    thin = {(s.source, s.section) for s in found.sections if s.cover in ("none", "few")}
    origin = Origin("a.pdf", 0, None, None, (), "definition", "")
    examples = [Example((), origin, QaPair("", (), "", "", ()), {})] * 3
    assert thin == find_thin(DOCUMENTS, examples, recipe.dataset.gap_rows) and thin


def test_a_course_without_rows_is_explored_too(course: Course) -> None:
    found = explore_course(course, Recipe(), len)
    assert (found.splits, found.methods, found.lengths, found.dropped) == ({}, {}, None, {})
    assert [repeat.text for repeat in found.paragraphs] == [MEDIAN] and not found.questions


def test_without_documents_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="extract"):
        explore_course(Course(tmp_path, "c"), Recipe())


def test_concepts_are_counted_in_one_form(course: Course) -> None:
    concepts = {concept.name: concept for concept in count_concepts(DOCUMENTS, Recipe())}
    median = concepts["median"]
    assert (median.times, median.sections, median.defined) == (4, 4, True)
    assert (concepts["outliers"].times, concepts["outliers"].defined) == (2, False)


def test_what_stands_twice_is_named_with_its_places(course: Course) -> None:
    write_rows(course)
    found = explore_course(course, Recipe())
    (paragraph,) = found.paragraphs
    assert paragraph.places == ("a.pdf, page 1, A > Median", "b.ipynb, cell 2, B")
    (question,) = found.questions
    assert (question.text, question.places) == ("What is a median?", ("The middle.", "A cut."))
    assert find_paragraphs([DOCUMENTS[0]]) == []


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_every_length_is_in_one_bin(lengths: list[int]) -> None:
    found = count_lengths(lengths, 1024)
    assert len(found.bins) <= MOST_BINS
    assert [low for low, _, _ in found.bins[1:]] == [high for _, high, _ in found.bins[:-1]]
    for low, high, count in found.bins:
        assert sum(low <= length < high for length in lengths) == count
    assert found.bins[0][0] == 0 and sum(count for _, _, count in found.bins) == len(lengths)
    assert found.longest == max(lengths)
