"""How the quiz goes on after an answer: simpler after a wrong one, harder after right ones. The rules:

- After a **wrong** answer the prerequisite is offered: the place of the nearest definition before the question, in the
  order of the course, of a concept that its answer names; without one, the place of the answer itself.
- After `RUN` **right** answers in a row on a topic, the next question is a harder new one of the topic, the hardest
  first: by its kind (definitions, then what a cell prints, then comparisons, then reasons), and of those the one whose
  answer names most concepts. Without a harder one, the usual order holds.
- A partly right answer changes nothing, and ends a row of right ones.
"""

import re
from collections.abc import Sequence

from mlx_tutor.languages.defining import find_term
from mlx_tutor.study.quiz.questions import StudyQuestion
from mlx_tutor.study.quiz.session import open_quiz, read_states
from mlx_tutor.study.quiz.topics import find_topics
from mlx_tutor.workspace import Course

# So many right answers in a row on a topic call for a harder question.
RUN = 2
KINDS = ("definition", "output", "comparison", "reason")


def find_prerequisite(questions: Sequence[StudyQuestion], question: StudyQuestion) -> str:
    """Where to read first, after a wrong answer; see the module. `questions` are all of the course, in its order."""
    place = next((at for at, other in enumerate(questions) if other.key == question.key), 0)
    text = question.references[0].answer
    for other in reversed(questions[:place]):
        term = find_term(other.text)
        if term and re.search(rf"(?<!\w){re.escape(term)}(?!\w)", text, re.IGNORECASE):
            return other.references[0].place
    return question.references[0].place


def count_right(course: Course, questions: Sequence[StudyQuestion], question: StudyQuestion, owner: str = "") -> int:
    """How many of the last answers on the question's first topic are right, back to the first that is not."""
    topic = find_topics(question)[0]
    keys = {other.key for other in questions if topic in find_topics(other)}
    latest = "SELECT key, verdict FROM quiz_answers WHERE owner = ? ORDER BY id DESC LIMIT 200"
    with open_quiz(course) as journal:
        rows = journal.execute(latest, (owner,)).fetchall()
    verdicts = [row["verdict"] for row in rows if row["key"] in keys]
    return next((at for at, verdict in enumerate(verdicts) if verdict != "right"), len(verdicts))


def pick_harder(
    course: Course, questions: Sequence[StudyQuestion], last: StudyQuestion, owner: str = ""
) -> StudyQuestion | None:
    """A harder new question of the topic of the last one, where the last answers call for it; see the module."""
    if count_right(course, questions, last, owner) < RUN:
        return None
    topic, states = find_topics(last)[0], read_states(course, owner)
    harder = [
        other
        for other in questions
        if other.key not in states and topic in find_topics(other) and _rank(other) > _rank(last)
    ]
    return max(harder, key=_rank, default=None)


def _rank(question: StudyQuestion) -> tuple[int, int]:
    return KINDS.index(question.kind) if question.kind in KINDS else 0, len(question.concepts)
