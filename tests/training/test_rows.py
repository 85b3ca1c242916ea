"""Every assistant turn is trained, and looks as generation sees it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_tutor.models import load_tokenizer, render_prompt
from mlx_tutor.training.rows import tokenize_rows
from tests.model_factory import CHATML, make_model, make_tokenizer

# As Qwen3's: thoughts of earlier turns are left out, an empty thought stands where thinking is off.
THINKING = (
    "{%- set ns = namespace(last=-1) %}{%- for m in messages %}{%- if m.role == 'user' %}"
    "{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}"
    "{%- for m in messages %}{%- set content = m.content %}{%- set thoughts = '' %}"
    "{%- if m.role == 'assistant' and '</think>' in content %}"
    "{%- set thoughts = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}"
    "{{- '<|im_start|>' + m.role + '\n' }}"
    "{%- if m.role == 'assistant' and loop.index0 > ns.last %}"
    "{{- '<think>\n' + thoughts + '\n</think>\n\n' }}{%- endif %}"
    "{{- content + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- endif %}"
)
TEMPLATES = {"chatml": CHATML, "thinking": THINKING}
TEXT = st.text(st.characters(codec="ascii", exclude_characters="<>"), min_size=1, max_size=12).map(str.strip)


@pytest.fixture(scope="module", params=sorted(TEMPLATES))
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = make_model(tmp_path_factory.mktemp(request.param))
    make_tokenizer(folder, TEMPLATES[request.param])
    return load_tokenizer(folder)


def make_chat(turns: list[tuple[str, str]]) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": "Tutor."}]
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return messages


@settings(max_examples=25, deadline=None)
@given(turns=st.lists(st.tuples(TEXT, TEXT.filter(bool)), min_size=1, max_size=4))
def test_each_turn_is_trained_behind_the_prompt_that_generation_gets(
    tokenizer: Any, turns: list[tuple[str, str]]
) -> None:
    messages = make_chat(turns)
    found = tokenize_rows([{"messages": messages}], tokenizer, 4096)
    assert len(found.rows) == len(turns) and found.lines == (1,) * len(turns) and not found.dropped
    for i, (row, (_, answer)) in enumerate(zip(found.rows, turns, strict=True)):
        prompt, trained = list(row.tokens[: row.offset]), list(row.tokens[row.offset :])
        assert prompt == render_prompt(tokenizer, messages[: 2 * i + 2])  # type: ignore[arg-type]
        assert tokenizer.decode(trained) == f"{answer}<|im_end|>"
        assert row.supervised == len(trained)


def test_without_a_mask_the_questions_are_learned_too(tokenizer: Any) -> None:
    (row,) = tokenize_rows([{"messages": make_chat([("Why?", "So.")])}], tokenizer, 4096, mask_prompt=False).rows
    assert row.supervised == len(row.tokens) - 1


def test_thoughts_in_a_row_are_not_spoken_where_thinking_is_off(tokenizer: Any) -> None:
    row = {"messages": make_chat([("Why?", "<think>\nHm.\n</think>\n\nSo.")])}
    (found,) = tokenize_rows([row], tokenizer, 4096).rows
    trained = tokenizer.decode(list(found.tokens[found.offset :]))
    # A template that knows no thoughts takes them for a part of the answer.
    knows = "enable_thinking" in tokenizer.chat_template
    assert trained == ("So.<|im_end|>" if knows else "<think>\nHm.\n</think>\n\nSo.<|im_end|>")
