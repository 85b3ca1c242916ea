"""Worked answers as chats, and their thoughts taken apart for a model that thinks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.messages import has_format, part_thoughts, write_messages
from mlx_tutor.records import Message, QaPair

LINES = st.lists(st.from_regex(r"\A[A-Z][a-z0-9 .:]{0,20}\Z"), max_size=3).map(tuple)


@given(thoughts=LINES, related=LINES, answer=st.from_regex(r"\A[A-Z][a-z]{0,9}\.(\n\n- [a-z]{1,9})?\Z"))
def test_steps_become_thoughts_and_what_is_left_is_the_answer_without_them(
    thoughts: tuple[str, ...], related: tuple[str, ...], answer: str
) -> None:
    qa = QaPair("Why?", thoughts, answer, "explain", related)
    *before, told = map(part_thoughts, write_messages(qa, "Tutor."))
    *same, plain = write_messages(replace(qa, thought_process=()), "Tutor.")
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
