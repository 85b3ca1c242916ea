"""The forms in which somebody else's rows are written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.tables.formats import explain_unread, read_conversation

ASKED = ["What is a mean?", "The sum divided by the count."]
TOLD = {"role": "assistant", "content": ASKED[1]}
TWICE = [*ASKED, "And a median?", "The value in the middle."]


def read(row: dict[str, Any], **columns: str) -> list[str]:
    conversation = read_conversation(row, columns)
    return [] if conversation is None else [turn["content"] for turn in conversation.turns]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": ASKED[0], "answer": ASKED[1]}, ASKED),
        ({"Instruction": ASKED[0], "Context": "", "Response": ASKED[1], "category": "open_qa"}, ASKED),
        ({"prompt": ASKED[0], "completion": f"{ASKED[1]}<|im_end|>"}, ASKED),
        ({"instruction": "Add these.", "input": "1 and 2", "output": "3"}, ["Add these.\n\n1 and 2", "3"]),
        ({"instruction": TWICE[2], "input": "", "output": TWICE[3], "history": [ASKED]}, TWICE),
        ({"messages": [{"role": "user", "content": ASKED[0]}, {"role": "assistant", "content": ASKED[1]}]}, ASKED),
        (
            {"messages": json.dumps([{"role": "user", "content": [{"type": "text", "text": ASKED[0]}]},
                                     {"role": "assistant", "content": ASKED[1]}])},
            ASKED,
        ),
        ({"conversations": [{"from": "human", "value": ASKED[0]}, {"from": "gpt", "value": ASKED[1]}]}, ASKED),
        (
            {"text": "<|im_start|>system\nTutor.<|im_end|>\n<|im_start|>user\nWhat is a mean?<|im_end|>\n"
                     "<|im_start|>assistant\nThe sum divided by the count.<|im_end|>"},
            ASKED,
        ),
        (
            {"text": "Below is a task.\n\n### Instruction:\nAdd these.\n\n### Input:\n1 and 2\n\n### Response:\n3"},
            ["Add these.\n\n1 and 2", "3"],
        ),
        ({"prompt": [{"role": "user", "content": ASKED[0]}], "completion": [TOLD]}, ASKED),
        ({"prompt": ASKED[0], "chosen": [TOLD], "rejected": [{"role": "assistant", "content": "No."}]}, ASKED),
        ({"chosen": [{"role": "user", "content": ASKED[0]}, {"role": "assistant", "content": ASKED[1]}]}, ASKED),
        ({"question": ASKED[0], "answers": {"text": [ASKED[1], "a sum"], "answer_start": [3, 9]}}, ASKED),
        ({"Questions": ASKED[0], "Answers": ASKED[1]}, ASKED),
        ({"text": "### Human: What is a mean?### Assistant: The sum divided by the count.</s>"}, ASKED),
        (
            {"dialogue": "Student: What is a mean? Teacher: The sum divided by the count.\n"
                         "Student: And a median?\nTeacher: The value in the middle."},
            TWICE,
        ),
    ],
)  # fmt: skip
def test_each_form_gives_the_same_turns(row: dict[str, Any], said: list[str]) -> None:
    assert read(row) == said


def test_a_conversation_begins_with_a_question_and_ends_with_an_answer() -> None:
    said = [
        ("assistant", "Hello!"),
        ("user", "What is"),
        ("user", "a mean?"),
        ("assistant", "A sum."),
        ("user", "Why?"),
    ]
    turns = [{"role": role, "content": text} for role, text in said]
    assert read({"messages": turns}) == ["What is\n\na mean?", "A sum."]


@pytest.mark.parametrize(
    "row",
    [
        {"question": "What is a mean?", "answer": "  "},
        {"question": None, "answer": float("nan")},
        {"text": "The mean is the sum divided by the count. Note: this is prose."},
        {"messages": [{"role": "user", "content": "What is a mean?"}]},
        {"messages": [1, None]},
        {"title": "Means"},
    ],
)
def test_a_row_without_question_and_answer_gives_none(row: dict[str, Any]) -> None:
    assert read_conversation(row, {}) is None


CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "from", "value"]), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(["messages", "conversations", "text", "question", "answer", "instruction", "input", "history"])


@given(st.dictionaries(KEYS, CELLS))
def test_no_row_is_too_odd_to_be_read(row: dict[str, Any]) -> None:
    conversation = read_conversation(row, {})
    if conversation is not None:
        roles = [turn["role"] for turn in conversation.turns]
        assert roles == ["user", "assistant"] * (len(roles) // 2) and roles
        assert all(turn["content"].strip() for turn in conversation.turns)


def test_columns_are_found_by_the_names_of_the_recipe() -> None:
    row = {"Frage": "Was ist das Mittel?", "Antwort": "Eine Summe.", "answer": "not this", "Text": "A passage."}
    conversation = read_conversation(row, {"question": "Frage", "answer": "Antwort", "context": "Text"})
    assert conversation is not None and conversation.context == "A passage."
    assert [turn["content"] for turn in conversation.turns] == ["Was ist das Mittel?", "Eine Summe."]


def test_a_turn_of_weight_0_is_read_and_not_trained() -> None:
    told = [{"role": "user", "content": ASKED[0]}, {"role": "assistant", "content": "Wrong.", "weight": 0},
            {"role": "user", "content": "No."}, {"role": "assistant", "content": ASKED[1], "weight": 1}]  # fmt: skip
    found = read_conversation({"messages": told}, {})
    assert found is not None
    assert [turn.get("weight", 1) for turn in found.turns] == [1, 0, 1, 1]
    assert found.pair == ("No.", ASKED[1])
    assert read_conversation({"messages": told[:2]}, {}) is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": ASKED[0], "answer": b"\x89PNG"}, "column 'answer' holds no text"),
        ({"question": {"id": 3}, "answer": ASKED[1]}, "column 'question' holds no text"),
        ({"messages": [{"name": "Ann"}]}, "column 'messages' holds no text"),
        ({"question": ASKED[0], "answer": ""}, "no question with an answer"),
    ],
)
def test_a_row_that_holds_no_conversation_is_refused_with_the_reason(row: dict[str, Any], reason: str) -> None:
    assert read_conversation(row, {}) is None
    assert explain_unread(row, {}) == reason


USER = {"role": "user", "content": ASKED[0]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        # Gemini, LangChain, Cohere, an export of Claude, OpenAI's evals, DeepSeek.
        (
            {
                "contents": [
                    {"role": "user", "parts": [{"text": ASKED[0]}]},
                    {"role": "model", "parts": [{"text": "M"}]},
                ]
            },
            [ASKED[0], "M"],
        ),
        ({"messages": [{"type": "human", "content": ASKED[0]}, {"type": "ai", "content": "M"}]}, [ASKED[0], "M"]),
        ({"messages": [USER, {"role": "Chatbot", "content": "M"}]}, [ASKED[0], "M"]),
        (
            {"chat_messages": [{"sender": "human", "text": ASKED[0]}, {"sender": "assistant", "text": "M"}]},
            [ASKED[0], "M"],
        ),
        ({"input": [{"role": "system", "content": "S"}, USER], "ideal": "M"}, [ASKED[0], "M"]),
        ({"text": "<｜User｜>What?<｜Assistant｜>That.<｜end▁of▁sentence｜>"}, ["What?", "That."]),
        ({"question": [{"type": "text", "text": "Q?"}], "answer": "M"}, ["Q?", "M"]),
        # MATH, SciQ, OpenBookQA, Kahoot, GSM8K.
        ({"problem": "Find $x$.", "level": "1", "solution": "$x=1$"}, ["Find $x$.", "$x=1$"]),
        ({"question": "Q?", "distractor1": "no", "correct_answer": "yes"}, ["Q?", "yes"]),
        (
            {"question_stem": "Q?", "choices": {"text": ["no", "yes"], "label": ["A", "B"]}, "answerKey": "B"},
            ["Q?\nA. no\nB. yes", "B. yes"],
        ),
        (
            {"Question": "Q?", "Answer 1": "no", "Answer 2": "yes", "Correct answer(s)": "2"},
            ["Q?\n1. no\n2. yes", "2. yes"],
        ),
        ({"question": "2+3?", "answer": "2+3=<<2+3=5>>5"}, ["2+3?", "2+3=5"]),
        ({"question": "A shift?", "answer": "std::cout << 2 >> x"}, ["A shift?", "std::cout << 2 >> x"]),
        # What says that there is nothing.
        ({"instruction": "Add.", "input": "<noinput>", "output": "3"}, ["Add.", "3"]),
        ({"question": "What does print give?", "answer": "None"}, ["What does print give?", "None"]),
        ({"question": "What is\r\nit?", "answer": "It."}, ["What is\nit?", "It."]),
    ],
)
def test_forms_of_other_programs(row: dict[str, Any], said: list[str]) -> None:
    assert read(row) == said


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": [USER, TOLD], "kto_tag": False}, "kto_tag"),
        ({"prompt": ASKED[0], "response": ASKED[1], "status": "discarded"}, "discarded"),
        ({"question": ASKED[0], "answer": "nan"}, "no question"),
        ({"choices": {"text": ["no", "yes"], "label": ["A", "B"]}, "answerKey": "B"}, "no question"),
        ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A", "train": False}]}, "no qu"),
        ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A", "loss": False}]}, "no qu"),
    ],
)
def test_what_must_not_be_trained_is_refused(row: dict[str, Any], reason: str) -> None:
    assert read(row) == []
    assert reason in explain_unread(row, {})
