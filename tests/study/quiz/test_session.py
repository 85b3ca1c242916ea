"""What is asked, how it is graded, and when it comes back."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.errors import DatasetError
from mlx_tutor.journal import open_journal
from mlx_tutor.languages.defining import find_term
from mlx_tutor.study.quiz.grade import Grade, Verdict, grade_answer
from mlx_tutor.study.quiz.questions import StudyQuestion, list_questions
from mlx_tutor.study.quiz.session import (
    SCHEMA,
    describe_wait,
    list_due,
    measure_progress,
    pick_question,
    read_states,
    restore_questions,
    store_answer,
    suspend_question,
)
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import COUNT, METRIC, make_row, write_rows

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def ask(folder: Path, *rows: dict[str, Any]) -> StudyQuestion:
    """The only question that rows give."""
    (question,) = list_questions(write_rows(folder, rows))
    return question


def test_wordings_and_sources_of_one_term_are_one_question(tmp_path: Path) -> None:
    question = ask(
        tmp_path,
        make_row("Give a short definition of a metric tree.", METRIC),
        make_row("What is meant by the metric tree?", METRIC),
        make_row("Define metric tree.", "A metric tree is a chart of causes.", source="b.ipynb", page=None, cell=7),
    )
    assert question.text == "What is meant by the metric tree?"
    assert [reference.place for reference in question.references] == ["a.md, page 3, Week 1", "b.ipynb, cell 7, Week 1"]


def test_a_key_outlives_seeds_better_answers_and_new_file_names(tmp_path: Path) -> None:
    one = ask(tmp_path / "1", make_row("What is a metric tree?", METRIC))
    other = ask(tmp_path / "2", make_row("Define the metric tree.", "A better answer.", source="z.md"))
    assert one.key == other.key
    assert ask(tmp_path / "3", make_row("What is a metric?", METRIC)).key != one.key
    assert ask(tmp_path / "4", make_row("What is a metric tree?", METRIC, "reason")).key != one.key


@pytest.mark.parametrize(
    "row",
    [
        make_row("What is a mode?", METRIC, context="A passage."),
        make_row("Explain modes.", METRIC, "explain"),
        make_row("Complete this sentence.", METRIC, "completion"),
        make_row("What is a mode?", "word " * 61),
        make_row("What is a mode?", "It is given by:"),
        make_row("What is a mode?", " "),
        make_row("Name three fruits.", "Apples.", "open_qa", method="general instruction"),
        make_row("Who won?", "That is not part of what I teach.", "fact", method="not in the course"),
        make_row("What is a mode?", METRIC, source=None),
        {"messages": make_row("What?", "That.")["messages"]},
        {"messages": make_row("What?", "That.")["messages"], "qa_pair": {"question": 3}, "origin": {"source": "a"}},
    ],
)
def test_what_cannot_be_checked_is_not_asked(tmp_path: Path, row: dict[str, Any]) -> None:
    course = write_rows(tmp_path, [row])
    with pytest.raises(DatasetError, match=r"no row with a short answer.*whole sentences"):
        list_questions(course)


def test_finds_the_term_of_every_wording() -> None:
    for wording in ("What is {}?", "What is meant by {}?", "Define {}.", "Give a short definition of {}."):
        assert find_term(wording.format("a metric tree")) == "metric tree"
    assert find_term("What does the term metric tree mean?") == "metric tree"
    assert find_term("Why is the sky blue?") is None


@pytest.mark.parametrize(
    ("answer", "verdict", "named"),
    [
        (METRIC, "right", ("formula", "writes", "indicator", "product", "sum", "simpler")),
        ("formulas: products and sums of simpler indicators", "right", None),
        ("It writes an indicator as a sum.", "right", ("writes", "indicator", "sum")),
        ("a formula, some product", "partly", ("formula", "product")),
        ("Formula.", "wrong", ("formula",)),
        # What the question says itself is no answer.
        ("A metric tree is a tree of metrics.", "wrong", ()),
        ("", "wrong", ()),
        ("\x00\x1b[31m", "wrong", ()),
    ],
)
def test_grades_by_the_key_concepts(
    tmp_path: Path, answer: str, verdict: Verdict, named: tuple[str, ...] | None
) -> None:
    grade = grade_answer(ask(tmp_path, make_row("What is a metric tree?", METRIC)), answer)
    assert grade.verdict == verdict
    assert named is None or grade.named == named
    assert len(grade.named) + len(grade.missing) == 6
    assert grade.rouge1 == 1.0 if answer == METRIC else grade.rouge1 < 1.0


def test_concepts_of_several_words_count_as_one(tmp_path: Path) -> None:
    row = make_row("What is a z-test?", "A z-test rests on the normal distribution.", related=["normal distribution"])
    question = ask(tmp_path, row)
    assert grade_answer(question, "the normal one").missing == ("rests", "normal distribution")
    half = grade_answer(question, "a normal distribution")
    assert (half.named, half.verdict) == (("normal distribution",), "partly")


def test_numbers_and_negation_make_it_partly_right(tmp_path: Path) -> None:
    row = make_row("What is the limit?", "The limit is 50 rows of the large table.")
    limit = ask(tmp_path, row)
    assert grade_answer(limit, "50 rows, large table").verdict == "right"
    wrong = grade_answer(limit, "60 rows, large table")
    assert (wrong.verdict, wrong.remark) == ("partly", "the number 50 is missing")
    median = ask(tmp_path, make_row("What is a robust value?", "It does not move when an outlier grows."))
    assert grade_answer(median, "it does not move with a growing outlier").verdict == "right"
    opposite = grade_answer(median, "it moves with a growing outlier")
    assert (opposite.verdict, opposite.remark) == ("partly", "the course negates what you do not")


def test_the_closest_of_several_answers_counts(tmp_path: Path) -> None:
    question = ask(
        tmp_path,
        make_row("What is a tree?", "A tree is a plant with a trunk."),
        make_row("Define tree.", "A tree is a graph without cycles.", source="b.md"),
    )
    grade = grade_answer(question, "graph without a cycle")
    assert (grade.verdict, grade.reference.source) == ("right", "b.md")


@pytest.mark.parametrize(
    ("answer", "verdict", "remark"),
    [
        ("3\na, b", "right", "2 of 2 lines are as printed"),
        ("  3 \n\na,b ", "right", "2 of 2 lines are as printed"),
        ("3\nb, a", "partly", "1 of 2 lines are as printed"),
        ("3", "partly", "1 of 2 lines are as printed; you gave 1"),
        ("a, b\n3", "wrong", "0 of 2 lines are as printed"),
        ("33\na b", "wrong", "0 of 2 lines are as printed"),
    ],
)
def test_what_a_program_prints_is_right_or_not(tmp_path: Path, answer: str, verdict: Verdict, remark: str) -> None:
    question = ask(tmp_path, make_row(COUNT, "It prints:\n\n```text\n3\na, b\n```", "output"))
    grade = grade_answer(question, answer)
    assert (grade.verdict, grade.remark) == (verdict, remark)


def test_another_script_is_graded_too(tmp_path: Path) -> None:
    question = ask(tmp_path, make_row("什么是中位数?", "排序后位于中间的值"))
    assert grade_answer(question, "排序后中间的值").verdict == "right"
    assert grade_answer(question, "天气很好").verdict == "wrong"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    rows = [make_row(f"What is {term}?", f"{term} is the share of {term}ish rows.") for term in ("aa", "bb", "cc")]
    return write_rows(tmp_path, rows)


def answer_next(course: Course, verdict: Verdict, now: datetime, last: str | None = None) -> tuple[str, datetime]:
    """Answer the next question; returns its key and when it comes back."""
    picked = pick_question(course, list_questions(course), last, now)
    assert picked is not None
    reference = picked[0].references[0]
    grade = Grade("wrong", 0.0, (), (), "", 0.0, 0.0, reference)
    return picked[0].key, store_answer(course, picked[0], "something", grade, verdict, now)


def test_what_was_wrong_comes_back_before_new_questions(course: Course) -> None:
    first, due = answer_next(course, "wrong", NOW)
    assert due == NOW + timedelta(minutes=1)
    second, _ = answer_next(course, "right", NOW + timedelta(seconds=10), first)
    assert second != first
    again = pick_question(course, list_questions(course), second, NOW + timedelta(minutes=2))
    assert again is not None and again[0].key == first and not again[1]


def test_right_answers_come_back_later_each_time_and_wrong_ones_soon(course: Course) -> None:
    questions = list_questions(course)[:1]
    now, waits = NOW, []
    for _ in range(5):
        reference = questions[0].references[0]
        grade = Grade("right", 1.0, (), (), "", 1.0, 1.0, reference)
        due = store_answer(course, questions[0], "yes", grade, "right", now)
        waits.append(due - now)
        now = due
    assert waits == sorted(waits) and waits[-1] > timedelta(days=20)
    grade = Grade("right", 1.0, (), (), "", 1.0, 1.0, reference)
    assert store_answer(course, questions[0], "yes", grade, "wrong", now) - now == timedelta(minutes=10)


def test_the_last_question_is_not_asked_twice_in_a_row_while_there_are_others(course: Course) -> None:
    last, asked = None, []
    for minute in range(4):
        last, _ = answer_next(course, "wrong", NOW + timedelta(minutes=minute), last)
        asked.append(last)
    assert all(one != other for one, other in pairwise(asked))
    assert len(set(asked)) < len(asked)


def test_nothing_is_asked_when_nothing_is_due(course: Course) -> None:
    questions = list_questions(course)
    now = NOW
    while (picked := pick_question(course, questions, None, now)) and now < NOW + timedelta(hours=1):
        grade = Grade("right", 1.0, (), (), "", 1.0, 1.0, picked[0].references[0])
        store_answer(course, picked[0], "yes", grade, "right", now)
        now += timedelta(seconds=30)
    assert picked is None
    progress = measure_progress(course, questions, now)
    assert (progress.new, progress.due, progress.waiting, progress.wrong) == (0, 0, 3, 0)
    assert progress.next_due is not None and progress.next_due > now + timedelta(days=1)
    later = measure_progress(course, questions, now + timedelta(days=30))
    assert (later.due, later.waiting, later.next_due) == (3, 0, None)


def test_a_question_put_aside_is_not_asked_until_restored(course: Course) -> None:
    questions = list_questions(course)
    for question in questions[:2]:
        suspend_question(course, question, NOW)
    picked = pick_question(course, questions, None, NOW)
    assert picked is not None and picked[0] is questions[2]
    answer_next(course, "right", NOW)
    suspend_question(course, questions[2], NOW)
    assert pick_question(course, questions, None, NOW) is None
    assert measure_progress(course, questions, NOW).aside == 3
    assert restore_questions(course) == 3
    progress = measure_progress(course, questions, NOW)
    assert (progress.new, progress.waiting, progress.aside) == (2, 1, 0)


def test_the_journal_keeps_what_was_proposed_and_what_was_decided(course: Course) -> None:
    answer_next(course, "right", NOW)
    with open_journal(course, SCHEMA) as journal:
        (row,) = journal.execute("SELECT * FROM quiz_answers").fetchall()
    assert (row["answer"], row["proposed"], row["verdict"]) == ("something", "wrong", "right")
    assert row["place"] == "a.md, page 3, Week 1" and row["time"] == "2026-03-01T09:00:00+00:00"


def test_questions_that_are_gone_wait_for_their_return(course: Course) -> None:
    key, _ = answer_next(course, "wrong", NOW)
    questions = [question for question in list_questions(course) if question.key != key]
    progress = measure_progress(course, questions, NOW + timedelta(days=1))
    assert (progress.questions, progress.due) == (2, 0)
    assert measure_progress(course, list_questions(course), NOW + timedelta(days=1)).due == 1


@pytest.mark.parametrize(
    ("wait", "text"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=61), "in 1 minute"),
        (timedelta(minutes=10), "in 10 minutes"),
        (timedelta(hours=1), "in 1 hour"),
        (timedelta(hours=23), "in 23 hours"),
        (timedelta(hours=24), "tomorrow"),
        (timedelta(days=8, hours=2), "in 8 days"),
    ],
)
def test_says_when_a_question_comes_back(wait: timedelta, text: str) -> None:
    assert describe_wait(NOW + wait, NOW) == text


def test_what_was_learned_before_there_were_owners_is_the_local_users(tmp_path: Path) -> None:
    course = write_rows(tmp_path, [make_row("What is a metric tree?", METRIC), make_row("What is a top?", "A toy.")])
    first, second = list_questions(course)
    store_answer(course, first, "It grows.", grade_answer(first, "It grows."), "right", NOW)
    suspend_question(course, second, NOW)
    with open_journal(course, "") as journal:
        journal.execute("CREATE TABLE kept AS SELECT key, card, due, verdict, aside FROM quiz_questions")
        journal.execute("DROP TABLE quiz_questions")
        journal.execute("ALTER TABLE quiz_answers DROP COLUMN owner")
        # As the version before wrote it.
        journal.execute(
            "CREATE TABLE quiz_questions (key TEXT PRIMARY KEY, card TEXT NOT NULL, due TEXT NOT NULL, "
            "verdict TEXT NOT NULL, aside INTEGER NOT NULL DEFAULT 0)"
        )
        journal.execute("INSERT INTO quiz_questions SELECT * FROM kept")
    progress = measure_progress(course, [first, second], NOW)
    assert (progress.new, progress.waiting, progress.aside) == (0, 1, 1)
    assert read_states(course)[first.key].is_asked and not read_states(course, "ada")
    assert store_answer(course, first, "", grade_answer(first, ""), "right", NOW + timedelta(days=9)) > NOW


def test_each_owner_learns_alone(tmp_path: Path) -> None:
    course = write_rows(tmp_path, [make_row("What is a metric tree?", METRIC), make_row("What is a top?", "A toy.")])
    first, second = list_questions(course)
    store_answer(course, first, "It grows.", grade_answer(first, "It grows."), "wrong", NOW, "ada")
    suspend_question(course, second, NOW, "ada")
    assert [measure_progress(course, [first, second], NOW, owner).new for owner in ("", "ada", "bob")] == [2, 0, 2]
    store_answer(course, first, "It grows.", grade_answer(first, "It grows."), "right", NOW, "bob")
    assert [read_states(course, owner)[first.key].verdict for owner in ("ada", "bob")] == ["wrong", "right"]
    assert list_due(course, [first, second]) == [] and len(list_due(course, [first, second], "bob")) == 1
    assert (restore_questions(course, "bob"), restore_questions(course, "ada")) == (0, 1)
    picked = pick_question(course, [first, second], first.key, NOW, "ada")
    assert picked == (second, True)
