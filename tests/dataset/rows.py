"""Courses written down in a test, and the rows that they give."""

from dataclasses import replace

from mlx_tutor.dataset.build import make_examples
from mlx_tutor.extract.markdown import add_markdown
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.languages.detect import detect_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Block, Document, Example, Section
from mlx_tutor.settings import CourseSettings

RECIPE = Recipe(course=CourseSettings(system_prompt="Tutor."))


def make_rows(text: str, seed: int = 0, language: str = "") -> list[Example]:
    """All rows of one Markdown file, before curation; English where a text so short cannot tell its language."""
    builder = SectionBuilder()
    add_markdown(builder, text)
    recipe = replace(RECIPE, dataset=replace(RECIPE.dataset, seed=seed))
    language = language or detect_language(text) or "en"
    document = Document("notes.md", "0" * 64, "Notes", builder.finish("Notes"), language)
    return list(make_examples([document], recipe))


def make_notebook_rows(*blocks: Block) -> list[Example]:
    """All rows of one notebook of a single section, before curation."""
    document = Document("lab.ipynb", "1" * 64, "Lab", (Section(("Lab", "Totals"), blocks),), "en")
    return list(make_examples([document], RECIPE))


def pick_rows(rows: list[Example], method: str) -> list[tuple[str, str]]:
    """Question and answer of the rows of one method."""
    return [(row.qa_pair.question, row.qa_pair.answer) for row in rows if row.origin.method == method]
