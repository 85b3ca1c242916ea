"""The Quiz tab: the same questions, grades and journal as the quiz of the terminal."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlx_tutor import journal
from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.study.quiz.session import measure_progress
from mlx_tutor.study.web.owners import COOKIE
from mlx_tutor.study.web.quiz_tab import QuizHandlers, QuizView
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.study_parts import serve_owner
from tests.study.quiz.rows import make_row, write_rows
from tests.study.web.serving import make_site

ROWS = [
    make_row("What is a kite?", "A kite is a toy that flies in the wind on a string.", heading=["Toys", "Flying"]),
    make_row("What is a top?", "A top is a toy that spins on its tip.", heading=["Toys", "Spinning"], section=2),
]


@pytest.fixture
def handlers(tmp_path: Path, tiny_model: Path) -> Iterator[QuizHandlers]:
    site: Site = make_site(tmp_path, tiny_model)
    course = write_rows(tmp_path / "quiz", ROWS)
    yield QuizHandlers(replace(site, course=course))
    site.worker.close()


def begin(handlers: QuizHandlers, source: str = "", topic: str = "") -> QuizView:
    view: QuizView = handlers.start(QuizView(), source, topic)[0]
    assert view.question is not None
    return view


def test_a_topic_asks_its_own_questions_and_keeps_the_verdict_that_was_pressed(handlers: QuizHandlers) -> None:
    view = begin(handlers, "a.md", "Spinning")
    assert view.question is not None and view.question.text == "What is a top?"
    graded = handlers.check(view, "It spins.")
    assert "missing" in graded[8] and "tip" in graded[8]
    assert 'href="read/a.md?passage=' in graded[10]
    after = handlers.judge(graded[0], "a.md", "Spinning", "partly")
    assert "Kept as partly right. It comes back in" in after[2]
    # Within twenty minutes and nothing else left: asked again at once, as in the terminal.
    assert after[0].question.key == view.question.key and "You were asked this before." in after[2]
    course = handlers.site.course
    with open_journal(course, "") as connection:
        row = connection.execute("SELECT answer, proposed, verdict FROM quiz_answers").fetchone()
    assert (row["answer"], row["verdict"]) == ("It spins.", "partly")
    progress = measure_progress(course, list_questions(course))
    assert (progress.new, progress.waiting, progress.wrong) == (1, 1, 1)


def test_a_card_is_turned_and_judged_by_the_student(handlers: QuizHandlers) -> None:
    turned = handlers.reveal(begin(handlers))
    assert "How well did you know it?" in turned[8] and "Not recognized" not in turned[8]
    after = handlers.judge(turned[0], "", "", "right")
    assert "Kept as right." in after[2] and after[0].question.key != turned[0].question.key


def test_pressing_twice_keeps_one_answer(handlers: QuizHandlers) -> None:
    view = begin(handlers)
    after = handlers.judge(handlers.check(view, "a toy")[0], "", "", "wrong")
    # The second press comes with the view after the first: no grade, nothing to keep.
    handlers.judge(after[0], "", "", "wrong")
    with open_journal(handlers.site.course, "") as connection:
        assert connection.execute("SELECT count(*) FROM quiz_answers").fetchone()[0] == 1


def test_put_aside_and_brought_back(handlers: QuizHandlers) -> None:
    view = begin(handlers, "a.md", "Flying")
    after = handlers.put_aside(view, "a.md", "Flying")
    assert after[0].question is None and "Put aside" in after[2]
    assert after[-1]["visible"] and "(1)" in after[-1]["value"]
    back = handlers.restore(after[0], "a.md", "Flying")
    assert back[0].question is not None and not back[-1]["visible"]


def test_a_locked_journal_is_one_line_and_the_question_stays(
    handlers: QuizHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = handlers.check(begin(handlers), "a toy")[0]
    monkeypatch.setattr(journal, "BUSY_SECONDS", 0.05)
    with open_journal(handlers.site.course, "") as connection:
        connection.execute("BEGIN EXCLUSIVE")
        said: list[Any] = handlers.judge(view, "", "", "right")
    assert "another program is writing" in said[2]
    assert said[0]["__type__"] == "update" and "value" not in said[0]
    assert find_journal(handlers.site.course).is_file()


def test_without_rows_the_tab_says_what_to_do(tmp_path: Path, tiny_model: Path) -> None:
    site = make_site(tmp_path, tiny_model)
    try:
        opened = QuizHandlers(site).open(QuizView(), "", "")
        assert "mlx-tutor build" in opened[2]
        assert len(opened) == 18
    finally:
        site.worker.close()


def test_browsers_at_a_shared_page_have_a_quiz_of_their_own(handlers: QuizHandlers) -> None:
    shared = replace(handlers.site, is_shared=True)
    ada, bob = (SimpleNamespace(session_hash=name, cookies={COOKIE: name}) for name in ("ada", "bob"))
    view = serve_owner(shared, QuizHandlers, "start")(ada, QuizView(), "a.md", "Spinning")[0]
    graded = serve_owner(shared, QuizHandlers, "check")(ada, view, "It spins.")[0]
    assert "Kept as wrong" in serve_owner(shared, QuizHandlers, "judge", "wrong")(ada, graded, "a.md", "Spinning")[2]
    counts = [serve_owner(shared, QuizHandlers, "start")(who, QuizView(), "", "")[1] for who in (ada, bob)]
    assert "1 new, 1 waiting" in counts[0] and "2 new, 0 waiting" in counts[1]
    # The terminal's quiz and this machine's own page are somebody else's too.
    assert "2 new, 0 waiting" in handlers.start(QuizView(), "", "")[1]
