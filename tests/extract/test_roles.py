"""What a file marks as an exercise or a solution keeps that mark, and what stands around it does not get one."""

from pathlib import Path

import pytest

from mlx_tutor.extract.markdown import read_markdown
from mlx_tutor.extract.webpage import read_html
from mlx_tutor.records import Section


def list_roles(sections: tuple[Section, ...]) -> list[tuple[str | None, str]]:
    return [(block.role, block.text) for section in sections for block in section.blocks]


MARKED = [("exercise 1", "Add two and three."), ("solution 1", "The sum is five.")]


@pytest.mark.parametrize(
    "text",
    [
        "::: exercise\nAdd two and three.\n:::\n\n::: solution\nThe sum is five.\n:::",
        "::: {.problem #sums}\nAdd two and three.\n\n:::: {.solution}\nThe sum is five.\n::::\n:::",
        "::: {#exr-sums}\nAdd two and three.\n:::\n\n"
        '::: {.callout-tip collapse="true" title="Lösung"}\nThe sum is five.\n:::',
        "```{exercise}\n:label: sums\n\nAdd two and three.\n```\n\n"
        "```{solution} sums\n:class: dropdown\n\nThe sum is five.\n```",
        "```{exercise-start}\n```\n\nAdd two and three.\n\n```{exercise-end}\n```\n\n```{solution-start} sums\n```\n\n"
        "The sum is five.\n\n```{solution-end}\n```",
        "!!! exercice\n\n    Add two and three.\n\n    ??? solution\n\n        The sum is five.",
        '<div class="exercise">\n\nAdd two and three.\n\n<details>\n<summary>Click to see the answer</summary>\n\n'
        "The sum is five.\n\n</details>\n</div>",
    ],
)
def test_marks_of_many_dialects_are_kept(text: str, tmp_path: Path) -> None:
    (tmp_path / "sums.md").write_text(f"# Sums\n\nBefore them.\n\n{text}\n\nAfter them.\n")
    _, sections = read_markdown(tmp_path / "sums.md")
    assert list_roles(sections) == [(None, "Before them."), *MARKED, (None, "After them.")]


def test_marks_of_html_are_kept_and_headings_inside_begin_no_section(tmp_path: Path) -> None:
    (tmp_path / "sums.html").write_text(
        "<h1>Sums</h1><p>Before them.</p><div data-type='exercise'><h3>Two numbers</h3><div data-type='problem'>"
        "<p>Add two and three.</p></div><div data-type='solution'><h3>Solution</h3><p>The sum is five.</p></div></div>"
        "<p>After them.</p>"
    )
    _, sections = read_html(tmp_path / "sums.html")
    assert len(sections) == 1
    roles = list_roles(sections)
    assert roles == [(None, "Before them."), ("exercise 1", "Two numbers"), *MARKED, (None, "After them.")]


@pytest.mark.parametrize(
    "text",
    [
        # An end is missing: all that follows would be a part of it.
        "::: exercise\nAdd two and three.\n\nAnd more.",
        "```{solution-start} sums\n```\n\nThe sum is five.\n\nAnd more.",
        '::: {.note title="A problem of taste"}\nAdd two and three.\n:::',
        "<details><summary>More about it</summary>\n\nThe sum is five.\n\n</details>",
    ],
)
def test_what_is_not_marked_or_does_not_end_gets_no_mark(text: str, tmp_path: Path) -> None:
    (tmp_path / "sums.md").write_text(f"# Sums\n\n{text}\n\nAfter it.\n")
    _, sections = read_markdown(tmp_path / "sums.md")
    assert {role for role, _ in list_roles(sections)} == {None}
