"""The questions of a mock exam: those of a past paper in their order with its points, or some of the course's."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlx_tutor.dataset.chunk import find_language
from mlx_tutor.dataset.mining.tasks import Task, list_tasks
from mlx_tutor.dataset.mining.worked import POINTS, find_solutions, write_pieces
from mlx_tutor.files import hash_value
from mlx_tutor.records import Document
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.quiz.questions import Reference, StudyQuestion
from mlx_tutor.study.quiz.topics import Topic, find_topics

MINUTES = re.compile(r"\b(?P<minutes>[1-9]\d{1,2})\s*(?:min\b|minut)", re.IGNORECASE)
# Minutes for a question that says no points, and of the course's short questions.
LONG_MINUTES, SHORT_MINUTES = 5, 2


@dataclass(frozen=True, slots=True)
class ExamQuestion:
    """A question with its points and the topic of the course that it is about.

    Without references the paper gives no answer. `shared` is what several questions of a paper have in common.
    """

    question: StudyQuestion
    points: int
    topic: str
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """What can be sat: `minutes` is how long it should take."""

    title: str
    questions: tuple[ExamQuestion, ...]
    minutes: int

    @property
    def points(self) -> int:
        return sum(question.points for question in self.questions)

    @property
    def unanswered(self) -> int:
        """How many questions come without an answer to grade by."""
        return sum(not question.question.references for question in self.questions)


def read_paper(
    document: Document, documents: Sequence[Document], find_chapter: Callable[[str], Topic | None]
) -> Paper | None:
    """A past exam as a paper; None where no question is found in it.

    Args:
        documents: All of the course: the solutions may be in a file of their own.
        find_chapter: The topic of the course that a question is about.
    """
    language = find_language(document)
    tasks = list_tasks(document, language, find_solutions(document, documents, language))
    questions, told = [], False
    for task in tasks:
        points = find_points(task, document)
        told |= points is not None
        text = POINTS.sub(_space, write_pieces(task.question)).strip()
        if not text:
            continue
        topic = find_chapter(text)
        name = f"{topic.source}: {topic.name}" if topic is not None else "(no chapter of the course found)"
        study = _make_question(task, document, clean_text(text), language)
        questions.append(ExamQuestion(study, points or 1, name, clean_text(task.shared)))
    if not questions:
        return None
    by_points = sum(question.points for question in questions) if told else LONG_MINUTES * len(questions)
    minutes = find_minutes(document, tasks[0]) or by_points
    return Paper(clean_text(document.source), tuple(questions), minutes)


def _space(match: re.Match[str]) -> str:
    return "\n" if "\n" in match[0] else " "


def find_minutes(document: Document, first: Task) -> int | None:
    """How long a paper says above its first question that it takes."""
    for section in document.sections[: first.question[0].section + 1]:
        for block in section.blocks:
            if block == first.question[0].block:
                return None
            if match := MINUTES.search(block.text):
                return int(match["minutes"])
    return None


def find_points(task: Task, document: Document) -> int | None:
    """The points of an exercise: those beside its label, else the sum of those in its text; None where it says none."""
    first = task.question[0]
    heading = document.sections[first.section].heading
    before = first.block.text.partition(first.text)[0].rpartition("\n")[2] if first.text else ""
    for text in (heading[-1] if task.depth and heading else "", before, write_pieces(task.question)):
        found = [int(match["points"]) for match in POINTS.finditer(text)]
        if found:
            return sum(found)
    return None


def _make_question(task: Task, document: Document, text: str, language: str) -> StudyQuestion:
    references = []
    if answer := clean_text(write_pieces(task.solution)).strip():
        first = task.solution[0]
        page, cell = first.block.page, first.block.cell
        heading = tuple(map(clean_text, task.place))
        references.append(
            Reference(answer, clean_text(document.source), page, cell, None, heading, clean_text(first.text))
        )
    key = hash_value(["exam", document.source, text])[:16]
    return StudyQuestion(key, "exam", text, tuple(references), (), language)


def draw_paper(questions: Sequence[StudyQuestion], count: int, seed: int) -> Paper:
    """Some of the course's own questions, one point each, from all its topics, in the order of the course.

    Args:
        questions: Those of the course, or of a part of it.
        count: How many at most.
    """
    shuffled = list(questions)
    random.Random(seed).shuffle(shuffled)
    taken: dict[str, int] = {}
    rounds: list[tuple[int, int, StudyQuestion, str]] = []
    for question in shuffled:
        topic = find_topics(question)[0]
        name = f"{topic.source}: {topic.name}"
        taken[name] = taken.get(name, 0) + 1
        rounds.append((taken[name], len(rounds), question, name))
    chosen = {question.key: name for *_, question, name in sorted(rounds, key=lambda entry: entry[:2])[:count]}
    picked = [ExamQuestion(question, 1, chosen[question.key]) for question in questions if question.key in chosen]
    return Paper(f"{len(picked)} questions of the course", tuple(picked), max(1, SHORT_MINUTES * len(picked)))
