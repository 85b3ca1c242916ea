"""The OpenAI-compatible API, talked to by OpenAI's own client."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from mlx_tutor.errors import ServeError
from mlx_tutor.generate import generate_answer
from mlx_tutor.hide import hide_code
from mlx_tutor.models import load_model
from mlx_tutor.records import Message
from mlx_tutor.study.chat import ask
from mlx_tutor.study.web.api_request import read_chat
from mlx_tutor.study.web.model_worker import Task
from tests.programs import MIXED, write_program
from tests.study.web.serving import RECIPE, Serving, make_site, serve_site

JSON_TYPE = {"Content-Type": "application/json"}
ASKED: Any = [{"role": "user", "content": "What is the mode?"}]


@pytest.fixture(scope="module")
def expected(tiny_model: Path) -> str:
    """What the model says by itself, under the recipe's system prompt."""
    messages: list[Message] = [{"role": "system", "content": "Tutor."}, *ASKED]
    return generate_answer(load_model(tiny_model), messages, RECIPE.generate).text


def test_the_loaded_model_is_listed_alone_and_with_its_course(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["demo", "demo+course"]
    assert client.models.retrieve("demo+course").id == "demo+course"
    with pytest.raises(openai.NotFoundError, match="this server has 'demo' and 'demo\\+course'"):
        client.models.retrieve("gpt-5")


def test_an_answer_at_once(client: openai.OpenAI, expected: str) -> None:
    reply = client.chat.completions.create(model="demo", messages=ASKED)
    assert reply.choices[0].message.content == expected
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None and reply.usage.completion_tokens == 12
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 12


def test_an_answer_in_pieces(client: openai.OpenAI, expected: str) -> None:
    chunks = list(
        client.chat.completions.create(
            model="demo", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.strip() == expected
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 12
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_request_changes_the_settings(client: openai.OpenAI) -> None:
    def ask(**changes: Any) -> str:
        reply = client.chat.completions.create(model="demo", messages=ASKED, **changes)
        return reply.choices[0].message.content or ""

    assert ask(temperature=1.0, seed=1) == ask(temperature=1.0, seed=1) != ask(temperature=1.0, seed=2)
    usage = client.chat.completions.create(model="demo", messages=ASKED, max_completion_tokens=3).usage
    assert usage is not None and usage.completion_tokens == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "other"}, "No model 'other'"),
        ({"messages": []}, "at least one message"),
        ({"messages": "What?"}, "list"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role has to be one of"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "text"),
        ({"messages": [{"role": "user", "content": None}]}, "text"),
        ({"messages": [*ASKED, {"role": "assistant", "content": "x"}]}, "user's"),
        ({"messages": [{"role": "system", "content": "x"}]}, "user's"),
        ({"tools": [{"type": "function"}]}, "tools is not supported"),
        ({"n": 100}, "n has to be a number between 1 and 8"),
        ({"n": 0}, "n has to be a number between 1 and 8"),
        ({"n": "two"}, "n has to be a number between 1 and 8"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "at most 4"),
        ({"stop": [1]}, "stop has to be"),
        ({"stop": "x" * 201}, "stop has to be"),
        ({"course": "yes"}, "course has to be true or false"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported"),
        ({"temperature": "hot"}, "temperature has to be a number"),
        ({"temperature": float("inf")}, "temperature has to be a number"),
        ({"max_tokens": 0}, "max_tokens has to be a number"),
        ({"max_tokens": True}, "max_tokens has to be a number"),
        ({"seed": 1.5}, "seed has to be a number"),
    ],
)
def test_what_is_not_offered_is_refused(serving: Serving, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ServeError, match=said):
        read_chat({"model": "demo", "messages": ASKED, **changes}, serving.site)


def test_text_in_parts_and_a_system_prompt_of_ones_own(serving: Serving) -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "the mode?\x1b"}]
    messages = [{"role": "developer", "content": "Mine."}, {"role": "user", "content": parts}]
    wanted = read_chat({"model": "demo", "messages": messages, "seed": -1}, serving.site)
    assert wanted.messages == [
        {"role": "system", "content": "Mine."},
        {"role": "user", "content": "What is\nthe mode?"},
    ]
    assert wanted.settings.seed == 2**63 - 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_one_clear_message(serving: Serving, client: openai.OpenAI, stream: bool) -> None:
    long: Any = [{"role": "user", "content": "mode " * 20_000}]
    with pytest.raises(openai.APIError, match="context holds 1024"):
        list(client.chat.completions.create(model="demo", messages=long, stream=stream))
    assert client.chat.completions.create(model="demo", messages=ASKED).choices


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null"])
def test_what_is_no_request_is_refused(serving: Serving, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    reply = httpx.post(f"{serving.address}/v1/chat/completions", content=body, headers=headers)
    assert reply.status_code == 400 and reply.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_its_turn(serving: Serving, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    tasks, begun, submit = list[Task](), threading.Event(), serving.site.worker.submit

    def submit_and_keep(work: Callable[[Task], Any]) -> Task:
        tasks.append(submit(work))
        begun.set()
        return tasks[-1]

    monkeypatch.setattr(serving.site.worker, "submit", submit_and_keep)
    # At temperature 0, this model does not end by itself.
    body = {"model": "demo", "messages": ASKED, "stream": stream, "max_tokens": 900}
    with closing(http.client.HTTPConnection(urlsplit(serving.address).netloc, timeout=60)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), JSON_TYPE)
        assert begun.wait(60)
        if stream:
            assert connection.getresponse().readline()
    answer = tasks[0].take(60)
    # None: the client was gone before its turn came.
    assert answer is None or answer[0].answer.finish_reason == "stopped"


def test_a_client_that_leaves_the_queue_is_gone_at_once(serving: Serving) -> None:
    gate = threading.Event()
    serving.site.worker.submit(lambda task: gate.wait(120))
    body = json.dumps({"model": "demo", "messages": ASKED})
    deadline = time.monotonic() + 60
    with closing(http.client.HTTPConnection(urlsplit(serving.address).netloc, timeout=60)) as connection:
        connection.request("POST", "/v1/chat/completions", body, JSON_TYPE)
        # The request waits behind the one that holds the gate.
        while (
            probe := serving.site.worker.submit(lambda task: None)
        ).count_ahead() < 2 and time.monotonic() < deadline:
            probe.stop()
            time.sleep(0.05)
        probe.stop()
    while (last := serving.site.worker.submit(lambda task: None)).count_ahead() > 1 and time.monotonic() < deadline:
        last.stop()
        time.sleep(0.05)
    assert last.count_ahead() == 1
    gate.set()
    last.take(30)


def test_a_course_without_code_has_none_in_its_api(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "generate_answer", write_program)
    recipe = replace(RECIPE, course=replace(RECIPE.course, allow_code=False))
    with (
        serve_site(make_site(tmp_path, tiny_model, recipe=recipe)) as running,
        openai.OpenAI(base_url=f"{running.address}/v1", api_key="none", max_retries=0) as opened,
    ):
        # A system prompt of the client's own does not lift it.
        asked: Any = [{"role": "system", "content": "You write programs."}, *ASKED]
        whole = opened.chat.completions.create(model="demo", messages=asked)
        pieces = opened.chat.completions.create(model="demo", messages=asked, stream=True)
        shown = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert whole.choices[0].message.content == shown.strip() == hide_code(MIXED) != MIXED
