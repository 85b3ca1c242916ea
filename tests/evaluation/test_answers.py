"""Answers written several at once: the same as one by one, and kept when interrupted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_map

from mlx_tutor.evaluation.answers import (
    Question,
    Reply,
    answer_questions,
    find_others,
    generate_replies,
    list_questions,
    read_replies,
)
from mlx_tutor.generate import compute_prefix, generate_answer
from mlx_tutor.models import LoadedModel, load_model, render_prompt
from mlx_tutor.settings import GenerateSettings
from tests.model_factory import make_model

TOPICS = ("the mean", "a median of four values", "it", "the least squares line through five points", "p < 0.05", "日本")
SETTINGS = GenerateSettings(max_tokens=24)


def make_rows() -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "system", "content": "Tutor."},
                {"role": "user", "content": f"What is {topic}?"},
                {"role": "assistant", "content": f"Answer: {topic}."},
            ]
        }
        for topic in TOPICS
    ]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Writes printable ASCII only, ids 3 to 96 of its tokenizer: broken bytes would all look the same."""
    loaded = load_model(make_model(tmp_path_factory.mktemp("model"), tie=False, bits=None))
    head = loaded.model.lm_head
    ids = mx.arange(head.weight.shape[0])[:, None]
    # An untrained network hardly changes the token that it has read.
    for layer in loaded.model.model.layers:
        layer.update(tree_map(lambda weight: 4 * weight if weight.ndim == 2 else weight, layer.parameters()))
    head.weight = mx.where((ids >= 3) & (ids <= 96), head.weight, 0.0)
    return loaded


@pytest.fixture(scope="module")
def questions(loaded: LoadedModel) -> list[Question]:
    return list_questions(make_rows(), loaded.tokenizer, 512)[0]


def reply_to_all(loaded: LoadedModel, questions: list[Question], settings: GenerateSettings, batch: int) -> list[Reply]:
    replies: dict[int, Reply] = {}
    generate_replies(loaded, [question.prompt for question in questions], settings, replies.__setitem__, batch)
    return [replies[i] for i in range(len(questions))]


def test_a_question_is_read_as_generation_reads_it(loaded: LoadedModel, questions: list[Question]) -> None:
    for question, topic in zip(questions, TOPICS, strict=True):
        assert list(question.prompt) == render_prompt(loaded.tokenizer, question.messages)
        assert question.text == f"What is {topic}?"
        assert question.reference == f"Answer: {topic}."


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_a_beginning_that_all_share_is_computed_once_and_changes_nothing(loaded: LoadedModel, penalty: float) -> None:
    rows = make_rows()
    for row in rows:
        row["messages"][0]["content"] = "You are a patient tutor who answers in one sentence."
    asked = list_questions(rows, loaded.tokenizer, 512)[0]
    assert compute_prefix(loaded, [question.prompt for question in asked])[0] > 60
    settings = replace(SETTINGS, repetition_penalty=penalty)
    alone = [generate_answer(loaded, question.messages, settings) for question in asked]
    together = reply_to_all(loaded, asked, settings, batch=4)
    assert [reply.text for reply in together] == [answer.text for answer in alone]
    assert len({reply.text for reply in together}) > 3


def test_every_turn_of_the_assistant_is_a_question(loaded: LoadedModel) -> None:
    rows = make_rows()[:2]
    rows[0]["messages"] += rows[1]["messages"][1:]
    rows[1]["messages"][-1] = {"role": "assistant", "content": " "}
    found, dropped = list_questions(rows, loaded.tokenizer, 512)
    assert [(question.line, len(question.messages)) for question in found] == [(1, 2), (1, 4)]
    assert dropped == {"empty answer": 1}
    found, dropped = list_questions(rows, loaded.tokenizer, 40)
    assert found == []
    assert dropped == {"longer than 40 tokens": 2, "empty answer": 1}


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_batched_is_one_by_one(loaded: LoadedModel, questions: list[Question], penalty: float) -> None:
    settings = replace(SETTINGS, repetition_penalty=penalty)
    expected = [generate_answer(loaded, question.messages, settings) for question in questions]
    # Batches that are wider than the questions, that are refilled, and of one row.
    for batch in (16, 4, 1):
        replies = reply_to_all(loaded, questions, settings, batch)
        assert [reply.text for reply in replies] == [answer.text for answer in expected]
        assert [reply.tokens for reply in replies] == [answer.tokens for answer in expected]
        assert all(reply.cut for reply in replies)
    assert len({answer.text for answer in expected}) == len(expected)
    assert all(answer.text.isascii() for answer in expected)


@pytest.mark.parametrize(("name", "value"), [("evaluation.answers.SHORT", 75), ("generate.PREFILL", 7)])
def test_long_prompts_by_themselves_and_in_pieces_give_the_same(
    loaded: LoadedModel, questions: list[Question], monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    expected = reply_to_all(loaded, questions, SETTINGS, 4)
    lengths = [len(question.prompt) + SETTINGS.max_tokens for question in questions]
    assert min(lengths) <= 75 < max(lengths)
    monkeypatch.setattr(f"mlx_tutor.{name}", value)
    assert reply_to_all(loaded, questions, SETTINGS, 4) == expected


def test_what_another_run_was_answered_is_not_asked_again(
    loaded: LoadedModel, questions: list[Question], tmp_path: Path
) -> None:
    first, second = (tmp_path / name / "answers.jsonl" for name in ("demo", "demo-2"))
    for path in (first, second):
        path.parent.mkdir()
    answer_questions(loaded, "base", "a", questions[:2], SETTINGS, first, lambda done: None)
    kept = first.read_text().replace('"answer": "', '"answer": "as kept: ')
    # The other run is being asked just now.
    first.write_text(kept + kept[:40])
    assert find_others(second) == [first]

    def ask(fingerprint: str, path: Path) -> list[str]:
        done: list[int] = []
        found = answer_questions(
            loaded, "base", fingerprint, questions[:3], SETTINGS, path, done.append, find_others(path)
        )
        assert done[-1] == 3
        return [reply.text[:8] for reply in found]

    texts = ask("a", second)
    assert texts[:2] == ["as kept:"] * 2 and texts[2] != "as kept:" and first.read_text() == kept + kept[:40]
    # They are its own now.
    first.unlink()
    assert ask("a", second) == texts and "as kept:" not in ask("b", second)


def test_the_end_token_ends_an_answer_as_one_by_one(
    loaded: LoadedModel, questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generate_answer(loaded, questions[0].messages, SETTINGS).text
    token = loaded.tokenizer.encode(whole, add_special_tokens=False)[6]
    monkeypatch.setattr(loaded.tokenizer, "eos_token_ids", {token})
    expected = [generate_answer(loaded, question.messages, SETTINGS) for question in questions]
    replies = reply_to_all(loaded, questions, SETTINGS, 4)
    assert [reply.text for reply in replies] == [answer.text for answer in expected]
    assert [reply.cut for reply in replies] == [answer.finish_reason == "length" for answer in expected]
    assert not replies[0].cut and replies[0].tokens < SETTINGS.max_tokens


def test_an_answer_ends_where_the_context_does(loaded: LoadedModel, questions: list[Question]) -> None:
    narrow = replace(loaded, config={**loaded.config, "max_position_embeddings": len(questions[0].prompt) + 5})
    assert reply_to_all(narrow, questions[:1], SETTINGS, 4)[0].tokens == 5


def stop_at(count: int) -> Callable[[int], None]:
    def on_done(done: int) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return on_done


def test_what_was_interrupted_goes_on(loaded: LoadedModel, questions: list[Question], tmp_path: Path) -> None:
    def answer(path: Path, on_done: Callable[[int], None] = lambda done: None, fingerprint: str = "a") -> list[Reply]:
        return answer_questions(loaded, "base", fingerprint, questions, SETTINGS, path, on_done)

    expected = answer(tmp_path / "whole.jsonl")
    path = tmp_path / "answers.jsonl"
    with pytest.raises(KeyboardInterrupt):
        answer(path, stop_at(2))
    assert len(read_replies(path)) == 2
    # Torn inside a letter of several bytes.
    path.write_bytes(path.read_bytes() + '{"key": "日'.encode()[:-1])
    counts: list[int] = []
    assert answer(path, counts.append) == expected
    assert counts == list(range(2, len(questions) + 1))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(questions)
    # All there: nothing is written. Another model: everything is.
    assert answer(path) == expected
    assert path.read_text(encoding="utf-8").splitlines() == lines
    answer(path, fingerprint="b")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 * len(questions)


def test_the_same_question_is_answered_once(loaded: LoadedModel, questions: list[Question], tmp_path: Path) -> None:
    twice = [questions[0], questions[1], questions[0]]
    replies = answer_questions(loaded, "base", "a", twice, SETTINGS, tmp_path / "a.jsonl", lambda done: None)
    assert replies[0] == replies[2] != replies[1]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 2
