"""The API's answers from the course, with their sources; stop sequences, and several answers at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.errors import ServeError
from mlx_tutor.generate import Answer
from mlx_tutor.records import Message
from mlx_tutor.study.chat import ask
from mlx_tutor.study.web.api_request import read_chat
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.stops import StopFinder
from tests.study.web.serving import Serving

QUOTE = "A median is the value in the middle once all values are sorted."
ASKED: Any = [{"role": "user", "content": "What is the median?"}]


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Message]]:
    """What a model that knows the course was asked; it says one sentence of it, and one of its own, in small pieces."""
    asked: list[Sequence[Message]] = []

    def recite(
        loaded: Any,
        messages: Sequence[Message],
        settings: Any,
        on_text: Callable[[str], None],
        cache: Any,
        is_stopped: Callable[[], bool],
    ) -> Answer:
        asked.append(messages)
        whole, said = f"{QUOTE} Number {settings.seed} is mine.\n\nQuestion: what next?", ""
        for start in range(0, len(whole), 3):
            if is_stopped():
                break
            said += whole[start : start + 3]
            on_text(whole[start : start + 3])
        return Answer(said, 20, 9, 30.0, 0.1, "stop" if said == whole else "stopped", 0.1)

    monkeypatch.setattr(ask, "generate_answer", recite)
    return asked


@pytest.mark.parametrize("way", [{"model": "demo+course"}, {"model": "demo", "extra_body": {"course": True}}])
def test_an_answer_from_the_course_has_its_sources(
    client: openai.OpenAI, prompts: list[Sequence[Message]], way: dict[str, Any]
) -> None:
    choice: Any = client.chat.completions.create(messages=ASKED, **way).choices[0]
    assert choice.supported is True
    assert [(found["source"], found["quote"].replace("**", "")) for found in choice.sources] == [("notes.md", QUOTE)]
    assert choice.sources[0]["heading"] == ["Statistics", "Median"] and choice.sources[0]["sentence"] == QUOTE
    # The passage stands before the question, in what the model reads.
    assert "once all values are sorted" in prompts[0][-1]["content"]
    assert prompts[0][-1]["content"].endswith("What is the median?")
    assert prompts[0][0]["content"].startswith("Tutor.")


def test_the_last_chunk_of_a_stream_has_the_sources(client: openai.OpenAI, prompts: list[Sequence[Message]]) -> None:
    chunks: list[Any] = list(client.chat.completions.create(model="demo+course", messages=ASKED, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].choices[0].sources[0]["quote"].startswith("A **median**")
    assert not any(hasattr(chunk.choices[0], "sources") for chunk in chunks[:-1])


def test_the_model_alone_has_no_sources(client: openai.OpenAI, prompts: list[Sequence[Message]]) -> None:
    choice = client.chat.completions.create(model="demo", messages=ASKED, extra_body={"course": False}).choices[0]
    assert not hasattr(choice, "sources") and prompts[0][-1] == ASKED[0]


def test_a_question_that_refers_back_finds_its_topic(client: openai.OpenAI, prompts: list[Sequence[Message]]) -> None:
    messages: Any = [*ASKED, {"role": "assistant", "content": "The middle."}, {"role": "user", "content": "Why?"}]
    client.chat.completions.create(model="demo+course", messages=messages)
    assert "once all values are sorted" in prompts[0][-1]["content"]
    assert [message["role"] for message in prompts[0]] == ["system", "user", "assistant", "user"]
    assert prompts[0][1] == ASKED[0]


def test_what_the_course_does_not_say(client: openai.OpenAI, prompts: list[Sequence[Message]]) -> None:
    asked: Any = [{"role": "user", "content": "Zebra?"}]
    choice: Any = client.chat.completions.create(model="demo+course", messages=asked).choices[0]
    assert choice.supported is False and choice.sources == [] and choice.passages == []
    with pytest.raises(openai.BadRequestError, match="question is empty"):
        client.chat.completions.create(model="demo+course", messages=[{"role": "user", "content": "?!"}])


def test_without_search_there_is_no_course(site: Site) -> None:
    site = replace(site, search=False)
    with pytest.raises(ServeError, match="--no-search"):
        read_chat({"model": "demo", "messages": ASKED, "course": True}, site)
    with pytest.raises(ServeError, match=r"this server has 'demo'\."):
        read_chat({"model": "demo+course", "messages": ASKED}, site)


@pytest.mark.parametrize("stop", ["\n\nQuestion:", ["never", "Question:", "\n\nQ"]])
@pytest.mark.parametrize("model", ["demo", "demo+course"])
def test_an_answer_ends_before_its_stop(
    client: openai.OpenAI, prompts: list[Sequence[Message]], stop: Any, model: str
) -> None:
    whole = client.chat.completions.create(model=model, messages=ASKED, stop=stop).choices[0]
    chunks = client.chat.completions.create(model=model, messages=ASKED, stop=stop, stream=True)
    pieces = [chunk.choices[0] for chunk in chunks]
    streamed = "".join(piece.delta.content or "" for piece in pieces)
    assert whole.message.content == streamed.strip() == f"{QUOTE} Number 0 is mine."
    assert whole.finish_reason == pieces[-1].finish_reason == "stop"


def test_no_source_is_named_for_what_was_cut_off(client: openai.OpenAI, prompts: list[Sequence[Message]]) -> None:
    choice: Any = client.chat.completions.create(model="demo+course", messages=ASKED, stop=" is the value").choices[0]
    assert choice.message.content == "A median" and choice.sources == [] and choice.supported is False


def test_a_stop_that_never_comes_holds_nothing_back(client: openai.OpenAI, prompts: list[Sequence[Message]]) -> None:
    chunks = client.chat.completions.create(model="demo", messages=ASKED, stop=["next?!", "what next? "], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).endswith("what next?")


def test_several_answers(client: openai.OpenAI, prompts: list[Sequence[Message]]) -> None:
    reply: Any = client.chat.completions.create(model="demo+course", messages=ASKED, n=3, seed=5)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert [f"Number {seed} is" in reply.choices[seed - 5].message.content for seed in (5, 6, 7)] == [True] * 3
    assert all(choice.sources for choice in reply.choices)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (20, 27)
    texts = ["", "", ""]
    for chunk in client.chat.completions.create(model="demo", messages=ASKED, n=3, seed=5, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == [choice.message.content for choice in reply.choices]


def test_a_hundred_answers_are_one_clear_refusal(serving: Serving, prompts: list[Sequence[Message]]) -> None:
    body = {"model": "demo", "messages": ASKED, "n": 100}
    reply = httpx.post(f"{serving.address}/v1/chat/completions", json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "n has to be a number between 1 and 8."
    assert not prompts


def test_several_answers_of_a_real_model_differ(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="demo", messages=ASKED, n=2, temperature=1.0, max_tokens=8)
    first, second = (choice.message.content for choice in reply.choices)
    assert first and second and first != second


@given(st.lists(st.text("ab", min_size=0, max_size=3), max_size=12), st.lists(st.text("ab", min_size=1), max_size=4))
def test_pieces_do_not_change_where_an_answer_ends(pieces: list[str], stops: list[str]) -> None:
    finder, whole = StopFinder(stops), "".join(pieces)
    shown = "".join([*map(finder.feed, pieces), finder.finish()])
    ends = [place for stop in stops if (place := whole.find(stop)) >= 0]
    # A stop that ends earlier may begin later: whatever comes first in the stream ends it.
    assert shown == finder.text and whole.startswith(shown) and finder.found == bool(ends)
    assert not any(stop in shown for stop in stops)
    if not ends:
        assert shown == whole
