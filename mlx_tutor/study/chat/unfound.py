"""Questions that the course did not answer, for the lecturer: what was asked about what, and not by whom."""

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from mlx_tutor.errors import CorpusError
from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.study.chat.ask import CitedAnswer, clean_text
from mlx_tutor.workspace import Course

# The day alone: a time of day could tell who it was.
SCHEMA = """
CREATE TABLE IF NOT EXISTS unfound (
    id INTEGER PRIMARY KEY, day TEXT NOT NULL, question TEXT NOT NULL, topic TEXT NOT NULL
);
"""
NOWHERE = "(nothing in the course is near it)"
MAX_QUESTION = 500


@dataclass(frozen=True, slots=True)
class UnfoundTopic:
    """How many questions about a topic found nothing, and those asked most, each with its count."""

    topic: str
    times: int
    questions: tuple[tuple[str, int], ...]


def note_unfound(course: Course, cited: CitedAnswer) -> None:
    """Keep a question whose answer nothing in the course supports; where the journal is busy, it is left out."""
    if cited.supported is not False:
        return
    near = cited.passages[0] if cited.passages else None
    topic = " > ".join((near.source, *near.heading[:2])) if near is not None else NOWHERE
    row = (f"{datetime.now(UTC):%Y-%m-%d}", clean_text(cited.question).strip()[:MAX_QUESTION], clean_text(topic))
    with suppress(CorpusError), open_journal(course, SCHEMA) as journal:
        journal.execute("INSERT INTO unfound (day, question, topic) VALUES (?, ?, ?)", row)


def list_unfound(course: Course) -> list[UnfoundTopic]:
    """Topics by how often the course had no answer about them, the most asked first."""
    if not find_journal(course).is_file():
        return []
    with open_journal(course, SCHEMA) as journal:
        rows = journal.execute("SELECT question, topic FROM unfound ORDER BY id").fetchall()
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    wording: dict[str, str] = {}
    for row in rows:
        key = " ".join(row["question"].casefold().split())
        asked[row["topic"]][wording.setdefault(key, row["question"])] += 1
    topics = [UnfoundTopic(topic, counts.total(), tuple(counts.most_common())) for topic, counts in asked.items()]
    return sorted(topics, key=lambda found: -found.times)
