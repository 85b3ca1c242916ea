"""How the quiz adapts: what to read after a wrong answer, and what is asked after right ones."""

from pathlib import Path

from mlx_tutor.study.quiz.adapt import find_prerequisite, pick_harder
from mlx_tutor.study.quiz.grade import Verdict, grade_answer
from mlx_tutor.study.quiz.questions import StudyQuestion, list_questions
from mlx_tutor.study.quiz.session import store_answer
from mlx_tutor.study.web.quiz_tab import QuizView, write_request
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import make_row, write_rows

ROWS = [
    make_row("What is a residual?", "A residual is observed less predicted.", "definition", page=1),
    make_row("What is a slope?", "A slope is how fast a line rises.", "definition", page=2),
    make_row("What is an outlier?", "An outlier is a value far from all others.", "definition", page=3),
    make_row(
        "Why is an outlier seen at once?", "Because its residual is large.", "reason", related=["residual"], page=4
    ),
    make_row("How do slope and level differ?", "A slope is a rate.", "comparison", related=["rate"], page=5),
    make_row("What is a tree?", "A tree has branches.", "definition", heading=["Week 2"], page=6),
]


def read(folder: Path) -> tuple[Course, list[StudyQuestion]]:
    course = write_rows(folder, ROWS)
    return course, list_questions(course)


def find(questions: list[StudyQuestion], start: str) -> StudyQuestion:
    return next(question for question in questions if question.text.startswith(start))


def answer(course: Course, question: StudyQuestion, verdict: Verdict) -> None:
    store_answer(course, question, "So.", grade_answer(question, "So."), verdict)


def test_the_definition_that_an_answer_needs_is_offered(tmp_path: Path) -> None:
    _, questions = read(tmp_path)
    assert find_prerequisite(questions, find(questions, "Why is an outlier")) == "a.md, page 1, Week 1"
    # Nothing before it defines what its answer names.
    assert find_prerequisite(questions, find(questions, "What is an outlier")) == "a.md, page 3, Week 1"
    assert find_prerequisite(questions, find(questions, "What is a residual")) == "a.md, page 1, Week 1"


def test_right_answers_in_a_row_bring_harder_questions_of_the_topic(tmp_path: Path) -> None:
    course, questions = read(tmp_path)
    residual, slope, outlier = (find(questions, f"What is a{rest}") for rest in (" residual", " slope", "n outlier"))
    answer(course, residual, "right")
    assert pick_harder(course, questions, residual) is None
    answer(course, slope, "right")
    harder = pick_harder(course, questions, slope)
    assert harder is not None and harder.text.startswith("Why is an outlier")
    answer(course, harder, "partly")
    assert pick_harder(course, questions, harder) is None
    answer(course, outlier, "right")
    answer(course, find(questions, "What is a tree"), "right")
    # Another topic's answers are no part of the row.
    assert pick_harder(course, questions, outlier) is None
    answer(course, residual, "right")
    comparison = pick_harder(course, questions, residual)
    assert comparison is not None and comparison.text.startswith("How do slope")
    answer(course, comparison, "right")
    assert pick_harder(course, questions, comparison) is None


def test_after_a_wrong_answer_the_chat_is_asked_for_a_simple_explanation(tmp_path: Path) -> None:
    _, questions = read(tmp_path)
    question = questions[0]
    assert write_request(QuizView(question)) == question.text
    right = grade_answer(question, "A residual is observed less predicted.")
    assert write_request(QuizView(question, grade=right)) == question.text
    assert write_request(QuizView(question, grade=grade_answer(question, ""))) == question.text
    wrong = write_request(QuizView(question, "A fish.", grade_answer(question, "A fish.")))
    assert wrong == f"Explain simply, in small steps and with an example: {question.text}"
