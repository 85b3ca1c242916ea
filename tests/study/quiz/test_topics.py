"""Topics: what can be chosen, and how far each is learned."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlx_tutor.records import Document, Section
from mlx_tutor.study.quiz.grade import grade_answer
from mlx_tutor.study.quiz.questions import StudyQuestion, list_questions
from mlx_tutor.study.quiz.session import list_due, read_states, store_answer, suspend_question
from mlx_tutor.study.quiz.topics import Topic, choose_questions, count_topics, list_course_topics, list_topics
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import make_row, write_rows

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ROWS = [
    make_row("What is a kite?", "A kite is a toy that flies in the wind on a string.", heading=["Toys", "Flying", "A"]),
    make_row("What is a glider?", "A glider is a plane without an engine.", heading=["Toys", "Flying", "B"], section=1),
    make_row("What is a top?", "A top is a toy that spins on its tip.", heading=["Toys", "Spinning"], section=2),
    make_row("What is a kite?", "A kite is a bird of prey with a forked tail.", source="birds.md", heading=["Birds"]),
]


def ask(course: Course) -> dict[str, StudyQuestion]:
    return {question.text: question for question in list_questions(course)}


def test_a_topic_is_a_chapter_and_holds_what_is_below_it(tmp_path: Path) -> None:
    questions = list_questions(write_rows(tmp_path, ROWS))
    flying, spinning = Topic("a.md", ("Toys", "Flying")), Topic("a.md", ("Toys", "Spinning"))
    birds = Topic("birds.md", ("Birds",))
    assert set(list_topics(questions)) == {flying, spinning, birds}
    assert (flying.name, birds.name) == ("Flying", "Birds")
    assert [q.text for q in choose_questions(questions, "a.md", "Flying")] == ["What is a kite?", "What is a glider?"]
    # A term that two files define is asked under both.
    assert [q.text for q in choose_questions(questions, "birds.md")] == ["What is a kite?"]
    assert choose_questions(questions) == questions
    assert not choose_questions(questions, "birds.md", "Flying")


def test_each_topic_counts_what_was_asked_right_and_due(tmp_path: Path) -> None:
    course = write_rows(tmp_path, ROWS)
    found = ask(course)
    for text, answer, verdict in (
        ("What is a kite?", "A toy on a string that flies in the wind.", "right"),
        ("What is a glider?", "a fish", "wrong"),
    ):
        store_answer(course, found[text], answer, grade_answer(found[text], answer), verdict, NOW)  # type: ignore[arg-type]
    suspend_question(course, found["What is a top?"], NOW)
    later = NOW + timedelta(hours=1)
    counts = count_topics(found.values(), read_states(course), later)
    flying = counts[Topic("a.md", ("Toys", "Flying"))]
    assert (flying.questions, flying.asked, flying.right, flying.due) == (2, 2, 1, 2)
    top = counts[Topic("a.md", ("Toys", "Spinning"))]
    assert (top.questions, top.asked, top.right, top.due) == (1, 0, 0, 0)
    assert counts[Topic("birds.md", ("Birds",))].right == 1
    # What was put aside is never due.
    assert [question.text for question, _ in list_due(course, list(found.values()))] == [
        "What is a glider?",
        "What is a kite?",
    ]


def test_chapters_without_questions_are_topics_of_the_course_too() -> None:
    sections = tuple(Section(heading, ()) for heading in ((), ("T",), ("T", "One"), ("T", "One", "Deep"), ("T", "Two")))
    topics = list_course_topics([Document("a.md", "", "T", sections)])
    assert [topic.name for topic in topics] == ["(before the first heading)", "T", "One", "Two"]
