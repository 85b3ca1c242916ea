"""Past exams (`dataset.holdout`) are there to measure with: the chat is not given them, nor is the quiz.

Only the mock exam asks them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from mlx_tutor.dataset.firewall import find_held
from mlx_tutor.dataset.repeats import ALIKE, INSIDE, cut_runs
from mlx_tutor.records import Document, Section


def leave_out_held(documents: Sequence[Document], holdout: Collection[str]) -> list[Document]:
    """The documents without past exams and their solutions; of the others, sections that hold one of theirs are empty.

    What an exam quotes of the course stays: a copy has all of an exam's section, and little beside it.
    """
    if not holdout:
        return list(documents)
    held = find_held(documents, holdout)
    exams = [cut_runs(section.text) for found in documents if found.source in held for section in found.sections]
    exams = [runs for runs in exams if runs]
    return [
        replace(document, sections=tuple(_empty_exams(document, exams)))
        for document in documents
        if document.source not in held
    ]


def _empty_exams(document: Document, exams: Sequence[set[int]]) -> Iterator[Section]:
    for section in document.sections:
        runs = cut_runs(section.text) if exams else set()
        is_copy = any(len(exam & runs) >= max(INSIDE * len(exam), ALIKE * len(runs)) for exam in exams)
        yield replace(section, blocks=()) if is_copy else section
