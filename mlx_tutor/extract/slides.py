"""Slides shown step by step: the pages of one slide become one page."""

import re
from collections.abc import Iterator, Sequence

from mlx_tutor.extract.segments import Line

# Share of the lines of a step that the next step still shows.
LEAST_SHARED = 0.5
# What only this step has is kept if it has this many words; less is a piece of a formula.
LEAST_WORDS = 4


def merge_steps(pages: Sequence[Sequence[Line]], labels: Sequence[str] = ()) -> tuple[list[list[Line]], list[int]]:
    """The pages with each slide only once, in its last step.

    Pages keep their numbers. The page of an earlier step is left empty, or with its title and what no later step shows.

    Args:
        labels: The label of each page; Beamer gives all steps of a slide the same. Empty: there are none.

    Returns:
        The pages, and for each page the number (from 1) of the one with the last step of its slide.
    """
    merged = [list(page) for page in pages]
    last = list(range(1, len(pages) + 1))
    has_labels = len(set(labels)) > 1 and len(labels) == len(pages)
    later = ""
    for i in reversed(range(len(pages) - 1)):
        page, following = pages[i], pages[i + 1]
        same_label = has_labels and bool(labels[i]) and labels[i] == labels[i + 1]
        if last[i + 1] == i + 2:
            later = ""
        later += f" {_join(following)} "
        rest = [line for line in page if not _is_held(line, later)]
        if not _is_step(page, following, same_label=same_label):
            continue
        last[i] = last[i + 1]
        known = set(later.split())
        words = [word for line in rest for word in line.text.split() if word not in known]
        title = _find_title(page)
        if len(words) < LEAST_WORDS:
            rest = []
        elif title and title not in rest:
            rest = [title, *rest]
        merged[i] = rest
    return merged, last


def _is_step(page: Sequence[Line], following: Sequence[Line], *, same_label: bool) -> bool:
    """Whether the second page is the next step of the same slide."""
    title, other = _find_title(page), _find_title(following)
    if title is None or other is None:
        return False
    if not same_label and (
        title.text != other.text or abs(title.y - other.y) > 2 or abs(title.x - other.x) > 2 or title.size != other.size
    ):
        return False
    text = _join(following)
    held = sum(_is_held(line, text) for line in page)
    return same_label or held >= LEAST_SHARED * len(page)


def _find_title(page: Sequence[Line]) -> Line | None:
    """The line in the largest type, the highest of them."""
    lines = [line for line in page if sum(character.isalpha() for character in line.text) > 2]
    return max(lines, key=lambda line: (line.size, line.y), default=None)


def _is_held(line: Line, text: str) -> bool:
    return all(f" {row} " in text for row in _write_rows(line))


def _join(page: Sequence[Line]) -> str:
    return f" {' '.join(row for line in page for row in _write_rows(line))} "


def _write_rows(line: Line) -> Iterator[str]:
    """The words of a line, or of each row of a table; bare numbers as #, since page numbers may count the steps."""
    rows = [" ".join(text for cell in row for text in cell) for row in line.rows] or [line.text]
    for row in rows:
        number = re.fullmatch(r"[\W\d]*", row)
        yield " ".join(re.sub(r"\d+", "#", row).split() if number else row.split())
