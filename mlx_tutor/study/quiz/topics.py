"""Topics of a course, its files and their chapters: questions are chosen and counted by them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlx_tutor.records import Document
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.quiz.questions import StudyQuestion
from mlx_tutor.study.quiz.session import QuestionState

# Title and chapter: deeper headings are too many to choose from.
DEPTH = 2


@dataclass(frozen=True, slots=True, order=True)
class Topic:
    """A chapter of a source: its outer headings, none for what stands above the first."""

    source: str
    heading: tuple[str, ...]

    @property
    def name(self) -> str:
        """The headings, without the title that all chapters of a file share where there is one below it."""
        return " > ".join(self.heading[1:] or self.heading) or "(before the first heading)"


@dataclass(frozen=True, slots=True)
class TopicCount:
    """How far the questions of a topic are learned; `right` are those whose last answer was."""

    questions: int = 0
    asked: int = 0
    right: int = 0
    due: int = 0


def find_topic(source: str, heading: Sequence[str]) -> Topic:
    """The topic of a section."""
    return Topic(source, tuple(heading[:DEPTH]))


def find_topics(question: StudyQuestion) -> list[Topic]:
    """The topics that answer a question, each once."""
    return list(dict.fromkeys(find_topic(reference.source, reference.heading) for reference in question.references))


def list_topics(questions: Iterable[StudyQuestion]) -> list[Topic]:
    """The topics that have questions, in the order of the course."""
    return list(dict.fromkeys(topic for question in questions for topic in find_topics(question)))


def list_course_topics(documents: Iterable[Document]) -> list[Topic]:
    """All topics of a course in their order, also those without a question."""
    return list(
        dict.fromkeys(
            find_topic(clean_text(document.source), tuple(map(clean_text, section.heading)))
            for document in documents
            for section in document.sections
        )
    )


def choose_questions(questions: Iterable[StudyQuestion], source: str = "", heading: str = "") -> list[StudyQuestion]:
    """The questions that a source answers, and in it a topic of that name; "" is for all."""
    return [
        question
        for question in questions
        if any(source in ("", topic.source) and heading in ("", topic.name) for topic in find_topics(question))
    ]


def count_topics(
    questions: Iterable[StudyQuestion], states: dict[str, QuestionState], now: datetime | None = None
) -> dict[Topic, TopicCount]:
    """How far each topic is learned; a question that several topics answer counts in each of them."""
    now = now or datetime.now(UTC)
    found: dict[Topic, list[QuestionState | None]] = defaultdict(list)
    for question in questions:
        for topic in find_topics(question):
            found[topic].append(states.get(question.key))
    counts = {}
    for topic, members in found.items():
        asked = [state for state in members if state is not None and state.is_asked]
        counts[topic] = TopicCount(
            len(members),
            len(asked),
            sum(state.verdict == "right" for state in asked),
            sum(state.due <= now for state in asked if not state.is_aside),
        )
    return counts
