"""Worked answers as chats, and their thoughts taken apart for a model that thinks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.messages import add_grounding, has_format, part_thoughts, write_messages
from mlx_tutor.evaluation.style import list_related
from mlx_tutor.languages.table import list_languages, read_frame
from mlx_tutor.records import Message, QaPair, split_question
from mlx_tutor.settings import CourseSettings

COURSE = CourseSettings(system_prompt="Tutor.")
LINES = st.lists(st.from_regex(r"\A[A-Z][a-z0-9 .:]{0,20}\Z"), max_size=3).map(tuple)


@given(
    language=st.sampled_from([*list_languages(), "", "ar"]),
    thoughts=LINES,
    related=LINES,
    answer=st.from_regex(r"\A[A-Z][a-z]{0,9}\.(\n\n- [a-z]{1,9})?\Z"),
)
def test_steps_become_thoughts_and_what_is_left_is_the_answer_without_them(
    language: str, thoughts: tuple[str, ...], related: tuple[str, ...], answer: str
) -> None:
    qa = QaPair("Why?", thoughts, answer, "explain", related)
    *before, told = map(part_thoughts, write_messages(qa, COURSE, language=language))
    *same, plain = write_messages(replace(qa, thought_process=()), COURSE, language=language)
    assert (before, told["content"]) == (same, plain["content"])
    steps = "\n".join(f"{i}. {step}" for i, step in enumerate(thoughts, 1))
    assert told.get("reasoning_content", "") == steps
    assert has_format(told["content"]) is bool(related)


@pytest.mark.parametrize(
    ("content", "said", "thoughts"),
    [
        # Somebody else's rows, and rows that were edited by hand.
        ("<think>\nHm.\n</think>\n\nSo.", "So.", "Hm."),
        ("<think>\n\n</think>\n\nSo.", "So.", None),
        ("<think>\nand so on", "", "and so on"),
        ("Step by step:\n1. A new step.\n\nAnswer: So.", "So.", "1. A new step."),
        ("Step by step, it goes: so.", "Step by step, it goes: so.", None),
    ],
)
def test_thoughts_of_rows_from_elsewhere(content: str, said: str, thoughts: str | None) -> None:
    told = part_thoughts({"role": "assistant", "content": content})
    assert (told["content"], told.get("reasoning_content")) == (said, thoughts)
    user: Message = {"role": "user", "content": content}
    assert part_thoughts(user) == user
    kept: Message = {"role": "assistant", "content": "So.", "reasoning_content": "Hm."}
    assert part_thoughts(kept) == kept


@pytest.mark.parametrize("language", list_languages())
def test_the_frame_of_an_answer_is_in_its_language_and_that_of_a_passage_in_the_courses(language: str) -> None:
    qa = QaPair("x?", ("a", "b"), "y.", "explain", ("z",), context="The passage.")
    course = CourseSettings(system_prompt="Tutor.", language=language)
    system, user, told = write_messages(qa, course, "notes.md, page 2", language="es")
    assert told["content"].startswith("Paso a paso:\n1. a\n2. b\n\nRespuesta: y.")
    assert list_related(told["content"]) == ["z"] and has_format(told["content"])
    assert system["content"] == f"Tutor.\n\n{read_frame(language)['grounding']}"
    assert add_grounding(system["content"], "en") == system["content"]
    assert user["content"].endswith(f"</passage 1>\n\n{read_frame(language)['question']}x?")
    assert split_question(user["content"]) == (user["content"].rpartition("\n\n")[0], "x?")


def test_a_passage_that_holds_a_question_of_its_own() -> None:
    qa = QaPair("Warum?", (), "Darum.", "reading", (), context="Vorher.\nQuestion: Why?\nFrage: Wie?")
    asked = write_messages(qa, CourseSettings(language="de"))[1]["content"]
    assert split_question(asked)[1] == "Warum?"
    assert split_question("Frage: Warum?") == ("", "Frage: Warum?")


@pytest.mark.parametrize("language", list_languages())
def test_frames_are_whole_and_apart(language: str) -> None:
    frame, english = read_frame(language), read_frame("en")
    assert set(english) <= set(frame) and all(frame.values())
    assert ("prompt" in frame) == (language != "en")
    own = [frame[part] for part in english if language == "en" or frame[part] == english[part]]
    assert len(own) == (len(english) if language == "en" else 0)
