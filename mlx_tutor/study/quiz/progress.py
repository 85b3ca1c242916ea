"""Progress by topic: what was asked, right and due, and what the tuned model itself knows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlx_tutor.errors import TutorError
from mlx_tutor.evaluation.learned import SAID
from mlx_tutor.files import read_json
from mlx_tutor.records import Document
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.quiz.questions import StudyQuestion
from mlx_tutor.study.quiz.session import read_states
from mlx_tutor.study.quiz.topics import Topic, TopicCount, count_topics, find_topic, list_course_topics
from mlx_tutor.workspace import Course, list_runs

KNOWN, RECITED, UNKNOWN = "known", "recited only", "not yet"


@dataclass(frozen=True, slots=True)
class FactKnowledge:
    """A fact of the course and how far the tuned model of a run has it: known, recited only or not yet.

    Recited only: right in new wordings of what rows ask. Known: right in kinds of questions that no row of it has too.
    `left_out` is the kind that was not asked, for rows to train it: "" where none could be left out, None in records
    of older versions.
    """

    question: str
    answer: str
    place: str
    source: str
    section: int | None
    page: int | None
    cell: int | None
    level: str
    left_out: str | None


@dataclass(frozen=True, slots=True)
class Learned:
    """The facts that a run was asked for, in the order of the course; `available` is how many could be asked."""

    run: str
    finished: str
    available: int
    facts: tuple[FactKnowledge, ...]


@dataclass(frozen=True, slots=True)
class TopicProgress:
    """How far a topic is learned by the student and by the model: facts known of those asked; None: none was."""

    topic: Topic
    count: TopicCount
    known: tuple[int, int] | None


def read_learned(course: Course, run: str | None = None) -> Learned | None:
    """What the newest run that was asked knows (`evaluate --learned`), or the named one; None where none was asked."""
    for found in reversed(list_runs(course)):
        path = found.adapter / "evaluation.json"
        learned = read_json(path).get("learned") if path.is_file() and run in (None, found.name) else None
        if learned:
            facts = [_read_fact(entry) for entries in learned["lists"].values() for entry in entries]
            facts.sort(key=lambda fact: (fact.source, fact.page or fact.cell or 0, fact.section or 0, fact.place))
            return Learned(found.name, str(learned.get("finished", ""))[:16], learned["available"], tuple(facts))
    return None


def _read_fact(entry: Mapping[str, Any]) -> FactKnowledge:
    tuned = entry["tuned"]
    preferred = min(tuned["margins"]) > 0
    # Older records have no other kinds of questions.
    kinds = tuned.get("kinds") or {}
    known = all(margin > 0 for margin in kinds.values()) if kinds else preferred
    level = UNKNOWN if not preferred and tuned["said"] < SAID else KNOWN if known else RECITED
    return FactKnowledge(
        clean_text(entry["question"]),
        clean_text(entry["answer"]),
        clean_text(entry["place"]),
        clean_text(entry.get("source") or ""),
        entry.get("section"),
        entry.get("page"),
        entry.get("cell"),
        level,
        entry.get("left_out"),
    )


def measure_topics(
    course: Course,
    documents: Sequence[Document],
    questions: Collection[StudyQuestion],
    learned: Learned | None,
    now: datetime | None = None,
    owner: str = "",
) -> list[TopicProgress]:
    """Each topic of the course in its order; questions of tables come last."""
    counts = count_topics(questions, read_states(course, owner), now)
    known = count_known(documents, learned) if learned is not None else {}
    topics = dict.fromkeys([*list_course_topics(documents), *counts])
    return [TopicProgress(topic, counts.get(topic, TopicCount()), known.get(topic)) for topic in topics]


def count_known(documents: Sequence[Document], learned: Learned) -> dict[Topic, tuple[int, int]]:
    """Facts that are known, and facts asked, of each topic; those of a section that is gone are left out."""
    sections = {clean_text(document.source): document.sections for document in documents}
    counts: dict[Topic, tuple[int, int]] = {}
    for fact in learned.facts:
        found = sections.get(fact.source, ())
        if fact.section is None or fact.section >= len(found):
            continue
        topic = find_topic(fact.source, tuple(map(clean_text, found[fact.section].heading)))
        right, asked = counts.get(topic, (0, 0))
        counts[topic] = (right + (fact.level == KNOWN), asked + 1)
    return counts


def check_learned(learned: Learned | None, course: Course) -> Learned:
    """What was asked; raises TutorError with the command that asks."""
    if learned is None:
        raise TutorError(f"No model was asked what it knows yet. Run: mlx-tutor evaluate -c {course.name} --learned")
    return learned
