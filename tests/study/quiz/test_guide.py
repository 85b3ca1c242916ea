"""The study guide: what the rows of a course say, and nothing else."""

from pathlib import Path

from mlx_tutor.study.quiz.guide import make_guide, write_guide
from mlx_tutor.study.quiz.questions import list_questions
from tests.study.quiz.rows import make_row, write_rows

ROWS = [
    make_row("What is a spar?", "A spar is a rod <i>that</i> stretches the sail.", heading=["Kites", "Frame"]),
    make_row("Define an anchor.", "An anchor is what holds the line.", heading=["Kites", "Lines"], section=1, page=7),
    make_row(
        "What is the formula for the lift?",
        "$$L = c A v^2$$\nwhere $A$ is the area.",
        "formula",
        heading=["Kites", "Lines"],
        section=1,
    ),
    make_row("What do these symbols mean: $A$?\n$$L = c A v^2$$", "$A$ is the area.", "formula", section=1),
    make_row(
        "Is it right that more tail is always better?",
        "No. A long tail is heavy.",
        "correction",
        context="A long tail is heavy.",
        heading=["Kites", "Lines"],
        section=1,
    ),
    make_row("What is a bridle?", "A bridle sets the angle.", source="exam.md", heading=["Exam"], page=None),
]


def test_a_guide_has_terms_formulas_mistakes_and_questions_with_their_places(tmp_path: Path) -> None:
    course = write_rows(tmp_path, ROWS)
    guide = make_guide(course, list_questions(course), without=["exam.md"])
    text = write_guide(guide, "Kites & more")
    assert [entry.name for entry in guide.terms] == ["anchor", "spar"]
    assert "- **anchor** An anchor is what holds the line. (a.md, page 7, Kites > Lines)" in text
    assert "stretches the sail. (a.md" in text and "<i>" not in text
    assert "- **What is the formula for the lift?** $$L = c A v^2$$\n  where $A$ is the area. (a.md" in text
    assert text.count("These symbols".lower()) == 1 and "these symbols" in text.partition("## Questions")[2]
    assert "## Common mistakes\n\n- **Is it right that more tail is always better?** No. A long tail is heavy." in text
    assert "#### Lines\n\n- What is the formula for the lift?\n- Define an anchor." in text
    assert "bridle" not in text


def test_one_file_and_parts_that_a_course_has_nothing_for(tmp_path: Path) -> None:
    course = write_rows(tmp_path, ROWS)
    text = write_guide(make_guide(course, list_questions(course), source="exam.md"), "Exam")
    assert "bridle" in text and "spar" not in text
    assert "## Formulas" not in text and "## Common mistakes" not in text
    empty = write_guide(make_guide(course, list_questions(course), source="none.md"), "None")
    assert "hold no definition" in empty
