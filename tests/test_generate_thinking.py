"""A model that thinks: its thoughts are kept apart from what it says, wherever it speaks."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.evaluation.answers import Reply, answer_questions, count_unanswered, generate_replies, list_questions
from mlx_tutor.generate import PromptCache, generate_answer
from mlx_tutor.models import LoadedModel, load_model, render_prompt
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Message, split_thoughts
from mlx_tutor.settings import CourseSettings, GenerateSettings, ModelSettings
from mlx_tutor.study.chat.conversation import Conversation, answer_turn, plan_turn
from tests.chat_templates import QWEN3, QWEN3_THINKING
from tests.thinking_model import ANSWER, THOUGHTS, make_thinker

WHY: Message = {"role": "user", "content": "Why?"}
AGAIN: Message = {"role": "user", "content": "And then?"}
SAID: Message = {"role": "assistant", "content": ANSWER}
CHATS: list[list[Message]] = [[WHY], [AGAIN], [WHY, SAID, AGAIN]]
SETTINGS = GenerateSettings(max_tokens=80, repetition_penalty=1.0)


@pytest.fixture(scope="module", params=[QWEN3, QWEN3_THINKING], ids=["qwen3", "qwen3-thinking"])
def thinker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("thinker")
    return load_model(make_thinker(folder, CHATS, request.param), thinking=True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("So.", ("", "So.")),
        ("\n<think>\nHm.\n</think>\n\nSo.\n", ("Hm.", "So.\n")),
        ("<think>\n\n</think>\n\nSo.", ("", "So.")),
        ("<think>\nHm.\n</thi", ("Hm.\n</thi", "")),
        ("<thi", ("", "")),
        ("", ("", "")),
        ("a <think>b</think> c", ("", "a <think>b</think> c")),
        ("<think>a</think>b</think>c", ("a", "b</think>c")),
    ],
)
def test_thoughts_are_what_a_text_begins_with(text: str, parts: tuple[str, str]) -> None:
    assert split_thoughts(text) == parts


def test_the_answer_is_handed_on_without_the_thoughts(thinker: LoadedModel) -> None:
    pieces: list[str] = []
    answer = generate_answer(thinker, [WHY], SETTINGS, pieces.append)
    assert (answer.thoughts, answer.text, answer.problem) == (THOUGHTS, ANSWER, "")
    assert "".join(pieces) == ANSWER and len(pieces) > 1
    assert answer.tokens > len(THOUGHTS) + len(ANSWER)


def test_a_limit_that_comes_while_it_thinks_is_told(thinker: LoadedModel) -> None:
    pieces: list[str] = []
    answer = generate_answer(thinker, [WHY], replace(SETTINGS, max_tokens=12), pieces.append)
    assert (answer.text, answer.finish_reason, pieces) == ("", "length", [])
    assert answer.problem.startswith("All 12 tokens went into thoughts, so there is no answer. Raise generate.max_tok")


def test_answers_written_several_at_once_are_measured_without_thoughts(thinker: LoadedModel, tmp_path: Path) -> None:
    rows = [{"messages": [*chat, SAID]} for chat in CHATS[:2]]
    questions, _ = list_questions(rows, thinker.tokenizer, 512)
    replies = answer_questions(
        thinker, "base", "it", questions, SETTINGS, tmp_path / "answers.jsonl", lambda done: None
    )
    assert replies == [Reply(ANSWER, len(ANSWER), "stop")] * 2
    cut: list[Reply] = []
    prompts = [question.prompt for question in questions]
    generate_replies(thinker, prompts, replace(SETTINGS, max_tokens=12), lambda _, reply: cut.append(reply))
    assert count_unanswered({"base": replies, "tuned": cut}) == {"base": 0, "tuned": 2}


def test_a_chat_remembers_answers_and_no_thoughts(thinker: LoadedModel) -> None:
    recipe = Recipe(course=CourseSettings(system_prompt=""), model=ModelSettings(thinking=True), generate=SETTINGS)
    talk, cache = Conversation(), PromptCache()
    turns = [answer_turn(thinker, None, talk, str(asked["content"]), recipe, cache) for asked in (WHY, AGAIN)]
    assert [(turn.cited.answer.text, turn.cited.answer.thoughts) for turn in turns] == [(ANSWER, THOUGHTS)] * 2
    plan = plan_turn(thinker, None, talk.turns[:1], str(AGAIN["content"]), recipe)
    assert turns[1].cited.answer.prompt_tokens == len(render_prompt(thinker.tokenizer, plan.messages))
    assert THOUGHTS not in thinker.tokenizer.decode(render_prompt(thinker.tokenizer, plan.messages))
