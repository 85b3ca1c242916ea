"""Conversations in the journal: what comes back, whose they are, and what a search finds."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mlx_tutor.generate import Answer
from mlx_tutor.journal import find_journal, open_journal
from mlx_tutor.records import CUT
from mlx_tutor.study.chat import saved, thumbs
from mlx_tutor.study.chat.ask import CitedAnswer
from mlx_tutor.study.chat.conversation import Turn
from mlx_tutor.study.chat.saved import (
    Holder,
    cut_turn,
    delete_saved,
    list_saved,
    read_saved,
    rename_saved,
    restore_saved,
    save_draft,
    save_turns,
)
from mlx_tutor.study.chat.support import Source
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.workspace import Course

ME, OTHER, EXAM = Holder(), Holder("another browser"), Holder("", "20260101-090000-ab12")
PASSAGE = Passage("kiln.pdf", 2, ("Kilns", "Firing"), "Bisque is fired first.\n\nGlaze follows.", ((0, 4, None),), 1.5)
SOURCE = Source("kiln.pdf", 2, ("Kilns", "Firing"), 4, None, "Bisque is fired first.", "First comes bisque.")


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    yield Course(tmp_path, "pottery")


def make_turn(question: str, text: str = "First comes bisque.") -> Turn:
    answer = Answer(text, 40, 7, 9.5, 0.2, "stop", 1.0, 12, "hm")
    cited = CitedAnswer(question, answer, (PASSAGE,), (SOURCE,), True, 1, 0.1, 0.7, 0.0)
    return Turn(cited, (PASSAGE,), question, 0, 1, "pottery-2")


def save(course: Course, holder: Holder, name: str, *questions: str) -> None:
    save_turns(course, holder, name, [make_turn(question) for question in questions], 0, {})


def list_titles(course: Course, holder: Holder = ME, wanted: str = "") -> list[str]:
    return [entry.title for entry in list_saved(course, holder, wanted)]


def test_a_conversation_comes_back_as_it_was(course: Course) -> None:
    turns = [make_turn("What is fired first?"), make_turn("Why?")]
    save_turns(course, ME, "a", turns, 0, {})
    back = read_saved(course, ME, "a")
    assert back is not None and back.conversation.turns == turns
    save_turns(course, ME, "a", turns[:1], 1, {})
    back = read_saved(course, ME, "a")
    assert back is not None and back.conversation.turns == turns[:1]


def test_a_journal_of_an_older_program_keeps_what_it_has(course: Course) -> None:
    number = thumbs.write_thumb(course, "pottery", "What is slip?", "Wet clay.", True)
    save_turns(course, ME, "a", [make_turn("What is slip?")], 0, {0: number})
    back = read_saved(course, ME, "a")
    assert back is not None and back.thumbs == {0: (number, True)}
    with open_journal(course, thumbs.SCHEMA) as journal:
        assert journal.execute("SELECT count(*) FROM thumbs").fetchone()[0] == 1


def test_turns_of_another_version_keep_their_text(course: Course) -> None:
    save(course, ME, "a", "What is slip?", "Why is it wet?")
    with sqlite3.connect(find_journal(course)) as journal:
        row = json.loads(journal.execute("SELECT turn FROM conversation_turns WHERE number = 0").fetchone()[0])
        row["cited"]["colour"] = "of a later version"
        del row["given"]
        journal.execute("UPDATE conversation_turns SET turn = ? WHERE number = 0", (json.dumps(row),))
        journal.execute("UPDATE conversation_turns SET turn = '{' WHERE number = 1")
    back = read_saved(course, ME, "a")
    assert back is not None
    told = [(turn.cited.question, turn.cited.answer.text, turn.model) for turn in back.conversation.turns]
    assert told == [
        ("What is slip?", "First comes bisque.", "pottery-2"),
        ("Why is it wet?", "First comes bisque.", "pottery-2"),
    ]


def test_nobody_sees_what_others_have(course: Course) -> None:
    for holder in (ME, OTHER, EXAM):
        save(course, holder, f"of-{holder.owner[:3]}{holder.exam[:4]}", f"Asked by {holder}?")
    assert [len(list_titles(course, holder)) for holder in (ME, OTHER, EXAM)] == [1, 1, 1]
    for holder in (OTHER, EXAM):
        assert read_saved(course, holder, "of-") is None
        assert not save_draft(course, holder, "of-", "mine now")
        assert not rename_saved(course, holder, "of-", "mine now")
        assert not delete_saved(course, holder, "of-")
    back = read_saved(course, ME, "of-")
    assert back is not None and (back.draft, back.title) == ("", f"Asked by {ME}?")


def test_the_title_is_the_first_question_until_it_is_renamed(course: Course) -> None:
    save(course, ME, "a", "What is\n  slip? " + "And why " * 30)
    (title,) = list_titles(course)
    assert title.startswith("What is slip? And why") and title.endswith("…") and len(title) <= saved.LONGEST_TITLE
    assert rename_saved(course, ME, "a", " Slip,\x1b and more ") and not rename_saved(course, ME, "a", " \n")
    save(course, ME, "a", "What is slip?", "And glaze?")
    assert list_titles(course) == ["Slip, and more"]


def test_a_search_looks_into_titles_questions_answers_and_drafts(course: Course) -> None:
    save(course, ME, "a", "Was ist ÖLFARBE?")
    save_turns(course, ME, "b", [make_turn("What is slip?", "100 % water_and clay")], 0, {})
    save_draft(course, ME, "c", "about engobe")
    found = {
        wanted: len(list_titles(course, ME, wanted)) for wanted in ("ölfarbe", "0 % w", "r_a", "_", "engobe", "kiln")
    }
    assert found == {"ölfarbe": 1, "0 % w": 1, "r_a": 1, "_": 1, "engobe": 1, "kiln": 0}


def test_what_is_deleted_comes_back_within_an_hour_only(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    save(course, ME, "a", "What is slip?")
    save(course, ME, "b", "What is glaze?")
    assert delete_saved(course, ME, "a") and list_titles(course) == ["What is glaze?"]
    assert read_saved(course, ME, "a") is None
    assert restore_saved(course, ME, "a") and len(list_titles(course)) == 2
    monkeypatch.setattr(saved, "KEPT_DELETED", timedelta(seconds=-2))
    assert delete_saved(course, ME, "a") and delete_saved(course, ME, "b")
    assert not restore_saved(course, ME, "a")
    with sqlite3.connect(find_journal(course)) as journal:
        assert journal.execute("SELECT conversation FROM conversation_turns").fetchall() == [("b",)]


def test_a_cut_answer_says_so(course: Course) -> None:
    turn = cut_turn("What is slip?", "Wet", [PASSAGE], "pottery-2", 0)
    save_turns(course, ME, "a", [turn], 0, {})
    back = read_saved(course, ME, "a")
    assert back is not None
    answer = back.conversation.turns[0].cited.answer
    assert (answer.text, answer.finish_reason) == ("Wet", CUT) and "cut off" in answer.problem


def test_a_journal_that_was_moved_away_gets_the_whole_conversation(course: Course) -> None:
    turns = [make_turn("What is slip?"), make_turn("Why?"), make_turn("And glaze?")]
    save_turns(course, ME, "a", turns[:2], 0, {})
    find_journal(course).unlink()
    save_turns(course, ME, "a", turns, 2, {})
    back = read_saved(course, ME, "a")
    assert back is not None and back.conversation.turns == turns
    assert replace(back.conversation, turns=[]).style is None
