"""Every assistant turn is trained, and looks as generation sees it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_tutor.dataset.messages import part_thoughts
from mlx_tutor.errors import DatasetError
from mlx_tutor.models import load_tokenizer, render_prompt
from mlx_tutor.records import Message
from mlx_tutor.training.rows import check_rows, tokenize_rows
from tests.chat_templates import QWEN2, QWEN3, QWEN3_2507, QWEN3_THINKING, QWEN25
from tests.model_factory import make_model, make_tokenizer

# Template, and whether thinking is on.
FORMS = {
    "qwen2": (QWEN2, False),
    "qwen2.5": (QWEN25, False),
    "qwen3": (QWEN3, False),
    "qwen3-2507": (QWEN3_2507, False),
    "qwen3 thinks": (QWEN3, True),
    "qwen3-thinking": (QWEN3_THINKING, True),
}
TEXT = st.text(st.characters(codec="ascii", exclude_characters="<>"), min_size=1, max_size=12).map(str.strip)


@pytest.fixture(scope="module", params=sorted(FORMS))
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = make_model(tmp_path_factory.mktemp("model"))
    template, thinking = FORMS[request.param]
    make_tokenizer(folder, template)
    return load_tokenizer(folder, thinking=thinking)


def make_chat(turns: list[tuple[str, str, str]]) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": "Tutor."}]
    for question, thoughts, answer in turns:
        turn: Message = {"role": "assistant", "content": answer}
        messages += [
            {"role": "user", "content": question},
            {**turn, "reasoning_content": thoughts} if thoughts else turn,
        ]
    return messages


@settings(max_examples=25, deadline=None)
@given(turns=st.lists(st.tuples(TEXT, TEXT, TEXT.filter(bool)), min_size=1, max_size=4))
def test_each_turn_is_trained_behind_the_prompt_that_generation_gets(
    tokenizer: Any, turns: list[tuple[str, str, str]]
) -> None:
    messages = make_chat(turns)
    found = tokenize_rows([{"messages": messages}], tokenizer, 4096)
    assert len(found.rows) == len(turns) and found.lines == (1,) * len(turns) and not found.dropped
    for i, (row, (_, thoughts, answer)) in enumerate(zip(found.rows, turns, strict=True)):
        prompt, trained = list(row.tokens[: row.offset]), tokenizer.decode(list(row.tokens[row.offset :]))
        # Generation has the answers of earlier turns, never their thoughts.
        said: list[Message] = [{"role": m["role"], "content": m["content"]} for m in messages[: 2 * i + 2]]
        assert prompt == render_prompt(tokenizer, said)
        if not tokenizer.thinking:
            assert trained == f"{answer}<|im_end|>"
        else:
            # What the template itself makes of the finished conversation, to its end token.
            whole = tokenizer.apply_chat_template([*said, messages[2 * i + 2]], tokenize=False, enable_thinking=True)
            assert tokenizer.decode(prompt) + trained == whole.removesuffix("\n")
            assert trained.removeprefix("<think>\n") == f"{thoughts}\n</think>\n\n{answer}<|im_end|>"
        assert row.supervised == len(row.tokens) - row.offset


def test_without_a_mask_the_questions_are_learned_too(tokenizer: Any) -> None:
    (row,) = tokenize_rows([{"messages": make_chat([("Why?", "", "So.")])}], tokenizer, 4096, mask_prompt=False).rows
    assert row.supervised == len(row.tokens) - 1


def test_thoughts_in_a_row_are_not_spoken_where_thinking_is_off(tokenizer: Any) -> None:
    row = {"messages": make_chat([("Why?", "", "<think>\nHm.\n</think>\n\nSo.")])}
    (found,) = tokenize_rows([row], tokenizer, 4096).rows
    trained = tokenizer.decode(list(found.tokens[found.offset :]))
    # A template that knows no thoughts takes them for a part of the answer.
    if "</think>" in tokenizer.chat_template and not tokenizer.thinking:
        assert trained == "So.<|im_end|>"
    else:
        assert trained.removeprefix("<think>\n") == "Hm.\n</think>\n\nSo.<|im_end|>"


def test_a_row_that_says_nothing_is_dropped_and_never_trained_for_its_end_token(tokenizer: Any) -> None:
    silent = [make_chat([("Why?", "Hm.", "")]), make_chat([("Why?", "", "<think>\nHm.\n</think>\n\n")])]
    rows = [{"messages": [part_thoughts(turn) if tokenizer.thinking else turn for turn in chat]} for chat in silent]
    found = tokenize_rows(rows, tokenizer, 4096)
    knows = "</think>" in tokenizer.chat_template
    assert found.dropped == {"empty answer": 2 if knows else 1}
    with pytest.raises(DatasetError, match=r"0 training rows are left \(2 empty answer\)|1 training rows are left"):
        check_rows(found, found)


def test_no_text_becomes_a_token_of_the_template(tokenizer: Any) -> None:
    """A lesson about chat templates: question, answer and thoughts quote the template's own tokens."""
    own = [token for token in tokenizer.get_added_vocab() if len(token) > 2]
    assert "<|im_start|>" in own and "<|im_end|>" in own
    quoted = "".join(f"{token} " for token in own if "think" not in token)
    plain = make_chat([("Why?", "", "So."), ("How?", "Hm.", "Thus.")])
    forged = make_chat([(f"Why {quoted}?", "", f"So {quoted} it is."), (f"How{quoted}?", f"Hm {quoted}.", f"{quoted}")])
    # Only the thoughts of a model that thinks may hold its tags.
    forged[1]["content"] = f"{forged[1]['content']} </think> <think>"
    expected = tokenize_rows([{"messages": plain}], tokenizer, 4096).rows
    found = tokenize_rows([{"messages": forged}], tokenizer, 4096).rows
    special = {tokenizer.convert_tokens_to_ids(token) for token in own}
    assert len(found) == len(expected) == 2
    for row, like in zip(found, expected, strict=True):
        assert [token for token in row.tokens if token in special] == [
            token for token in like.tokens if token in special
        ]
        assert row.tokens[-1] == like.tokens[-1] in tokenizer.eos_token_ids
    # What is asked is what was trained.
    assert list(found[1].tokens[: found[1].offset]) == render_prompt(
        tokenizer, [{"role": m["role"], "content": m["content"]} for m in forged[:-1]]
    )


def test_an_answer_of_weight_0_is_read_but_not_trained(tokenizer: Any) -> None:
    messages = make_chat([("Why?", "", "Wrong."), ("No.", "", "So.")])
    messages[2]["weight"] = 0
    found = tokenize_rows([{"messages": messages}], tokenizer, 4096)
    (row,) = found.rows
    assert found.dropped == {"weight 0": 1}
    assert "Wrong." in tokenizer.decode(list(row.tokens[: row.offset]))
    assert "So." in tokenizer.decode(list(row.tokens[row.offset :]))
