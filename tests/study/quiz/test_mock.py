"""Mock exams: papers with their points, answers that stay, a time that ends, points and topics."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlx_tutor.errors import TutorError
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.journal import open_journal
from mlx_tutor.study.quiz.mock import (
    begin_exam,
    change_verdict,
    count_topic_points,
    find_running,
    hand_in,
    list_exams,
    read_exam,
    save_answer,
)
from mlx_tutor.study.quiz.papers import Paper, draw_paper, read_paper
from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.study.quiz.topics import Topic
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import make_row, write_rows

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
EXAM = """
# Kites, summer term

You have 75 minutes. Use no books.

## Exercise 1 (6 points)

What keeps a kite in the air while the wind blows, and what ends its flight?

**Solution:** Lift keeps a kite in the air; a torn string ends its flight.

## Exercise 2

a) Name the parts of a kite. (2 points)

b) Say what a bridle does. (3 points)

**Solution:**

a) Sail, spars, bridle and tail.

b) A bridle sets the angle to the wind.
"""
NUMBERED = """
# Kites, winter term

1. (3 points) What is a spar?

   Answer: A rod that stretches the sail.

2. Why does a kite need a tail? (5 points)

   Answer: The drag of a tail keeps the kite upright.

3. Who flew the first kite?
"""
ROWS = [
    make_row(f"What is a {name}?", f"A {name} is a part that {does}.", heading=["Kites", chapter], section=i)
    for i, (name, does, chapter) in enumerate(
        [
            ("spar", "stretches the sail", "Frame"),
            ("bridle", "sets the angle to the wind", "Lines"),
            ("reel", "holds the line", "Lines"),
            ("winder", "takes the line in", "Lines"),
            ("knot", "keeps two lines together", "Lines"),
        ]
    )
]


def read(tmp_path: Path, **texts: str) -> dict[str, Paper | None]:
    course = Course(tmp_path, "c")
    course.sources.mkdir(parents=True)
    for name, text in texts.items():
        (course.sources / f"{name}.md").write_text(text)
    extract_course(course)
    documents = read_documents(course)
    chapter = Topic("notes.md", ("Kites", "Flight"))
    return {
        document.source: read_paper(document, documents, lambda text: chapter if "kite" in text else None)
        for document in documents
    }


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return write_rows(tmp_path, ROWS)


def begin(course: Course, minutes: int = 10, count: int = 5) -> int:
    return begin_exam(course, draw_paper(list_questions(course), count, 1), minutes, NOW).number


def test_a_past_paper_keeps_its_order_its_points_and_its_time(tmp_path: Path) -> None:
    paper = read(tmp_path, exam=EXAM)["exam.md"]
    assert paper is not None
    assert (paper.minutes, paper.points, paper.unanswered) == (75, 11, 0)
    first, second = paper.questions
    assert (first.points, second.points) == (6, 5)
    assert second.question.text == "a) Name the parts of a kite.\nb) Say what a bridle does."
    assert first.question.references[0].answer.startswith("Lift keeps")
    assert first.topic == "notes.md: Flight"


def test_numbered_questions_each_have_their_own_answer(tmp_path: Path) -> None:
    paper = read(tmp_path, winter=NUMBERED)["winter.md"]
    assert paper is not None
    assert [question.points for question in paper.questions] == [3, 5, 1]
    answers = [[r.answer for r in question.question.references] for question in paper.questions]
    assert answers == [["A rod that stretches the sail."], ["The drag of a tail keeps the kite upright."], []]
    # No time is said: a minute a point.
    assert (paper.minutes, paper.unanswered) == (9, 1)
    assert paper.questions[0].topic == "(no chapter of the course found)"


def test_solutions_in_a_file_of_their_own_are_found(tmp_path: Path) -> None:
    solutions = "# Solutions\n\n## Exercise 1\n\nThe tail has drag.\n"
    sheet = "# Exam\n\n## Exercise 1 (4 points)\n\nWhat does a tail of a kite have?\n"
    paper = read(tmp_path, **{"exam2025": sheet, "exam2025_solutions": solutions})["exam2025.md"]
    assert paper is not None
    assert [q.question.references[0].answer for q in paper.questions] == ["The tail has drag."]


def test_notes_are_no_paper(tmp_path: Path) -> None:
    assert read(tmp_path, notes="# Kites\n\nA kite is a toy that flies.\n")["notes.md"] is None


def test_drawn_questions_come_from_all_topics_in_the_order_of_the_course(course: Course) -> None:
    questions = list_questions(course)
    for seed in range(5):
        paper = draw_paper(questions, 2, seed)
        assert {question.topic for question in paper.questions} == {"a.md: Frame", "a.md: Lines"}
        assert paper.questions[0].question.text == "What is a spar?"
    assert len({draw_paper(questions, 2, seed).questions[1].question.text for seed in range(12)}) > 1


def test_answers_stay_until_the_exam_is_handed_in(course: Course) -> None:
    number = begin(course)
    assert save_answer(course, number, 0, "A part that stret", NOW)
    assert save_answer(course, number, 0, "A part that stretches the sail.", NOW + timedelta(minutes=1))
    running = find_running(course, NOW + timedelta(minutes=2))
    assert running is not None and running.find_answer(0).text == "A part that stretches the sail."
    assert save_answer(course, number, 1, "a fish", NOW)
    done = hand_in(course, number, NOW + timedelta(minutes=3))
    assert [done.find_answer(i).verdict for i in range(5)] == ["right", *["wrong"] * 4]
    assert (done.reached, done.points) == (1.0, 5)
    assert find_running(course, NOW + timedelta(minutes=4)) is None
    assert [exam.number for exam in list_exams(course)] == [number]
    # Nothing can be changed afterwards, and handing in again grades nothing anew.
    assert not save_answer(course, number, 1, "A part that sets the angle to the wind.", NOW + timedelta(minutes=4))
    change_verdict(course, number, 1, "partly")
    again = hand_in(course, number, NOW + timedelta(minutes=5))
    assert (again.reached, again.handed_in) == (1.5, done.handed_in)


def test_the_time_ends_also_when_nobody_looks(course: Course) -> None:
    number = begin(course, minutes=10)
    save_answer(course, number, 0, "A part that stretches the sail.", NOW + timedelta(minutes=9))
    assert not save_answer(course, number, 1, "too late", NOW + timedelta(minutes=10, seconds=30))
    assert find_running(course, NOW + timedelta(hours=5)) is None
    exam = read_exam(course, number)
    assert exam.handed_in == NOW + timedelta(minutes=10)
    assert exam.reached == 1.0 and exam.find_answer(1).text == ""


def test_one_exam_at_a_time_and_none_without_questions_or_time(course: Course) -> None:
    begin(course)
    with pytest.raises(TutorError, match="running already"):
        begin(course)
    hand_in(course, 1, NOW)
    with pytest.raises(TutorError, match="minutes"):
        begin(course, minutes=0)
    with pytest.raises(TutorError, match="no question"):
        begin_exam(course, Paper("empty", (), 5), 5, NOW)


def test_points_by_topic_and_questions_that_nobody_can_grade(tmp_path: Path) -> None:
    paper = read(tmp_path, winter=NUMBERED)["winter.md"]
    assert paper is not None
    course = Course(tmp_path, "c")
    number = begin_exam(course, paper, 60, NOW).number
    save_answer(course, number, 1, "Its drag keeps the kite upright.", NOW)
    save_answer(course, number, 2, "Nobody knows.", NOW)
    exam = hand_in(course, number, NOW)
    assert exam.find_answer(2).verdict is None
    topics = {found.topic: (found.reached, found.points) for found in count_topic_points(exam)}
    assert topics == {"notes.md: Flight": (5.0, 6), "(no chapter of the course found)": (0.0, 3)}
    assert change_verdict(course, number, 2, "right").reached == 6.0


def test_exams_of_different_owners_run_side_by_side(course: Course) -> None:
    paper = draw_paper(list_questions(course), 2, 1)
    ada, bob, own = (begin_exam(course, paper, 5, NOW, owner) for owner in ("ada", "bob", ""))
    assert not save_answer(course, ada.number, 0, "mine", NOW, "bob")
    assert save_answer(course, ada.number, 0, "hers", NOW, "ada")
    with pytest.raises(TutorError, match="no such mock exam"):
        hand_in(course, ada.number, NOW, "bob")
    with pytest.raises(TutorError, match="no such mock exam"):
        read_exam(course, bob.number)
    assert hand_in(course, ada.number, NOW, "ada").find_answer(0).text == "hers"
    with pytest.raises(TutorError, match="no such mock exam"):
        change_verdict(course, ada.number, 0, "right", "bob")
    assert [exam.number for exam in list_exams(course, "ada")] == [ada.number] and list_exams(course) == []
    running = find_running(course, NOW)
    assert running is not None and running.number == own.number


def test_exams_from_before_there_were_owners_stay(course: Course) -> None:
    number = begin(course)
    save_answer(course, number, 0, "A part", NOW)
    with open_journal(course, "") as journal:
        journal.execute("ALTER TABLE mock_exams DROP COLUMN owner")
    assert hand_in(course, number, NOW).find_answer(0).text == "A part"
    assert [exam.number for exam in list_exams(course)] == [number]
