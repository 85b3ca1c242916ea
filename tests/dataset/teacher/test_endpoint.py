"""A teacher behind a real HTTP server, which does all that servers do."""

import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.dataset.teacher.endpoint import open_endpoint
from mlx_tutor.dataset.teacher.examples import TeacherRows, ask_teacher, estimate_teaching, find_folder
from mlx_tutor.errors import DatasetError, RecipeError, TutorError
from mlx_tutor.records import Chunk
from mlx_tutor.settings import TeacherSettings
from mlx_tutor.workspace import Course
from tests.dataset.teacher.teacher_server import (
    CHUNKS,
    KEY,
    MODEL,
    Script,
    drop_connection,
    give_page,
    serve_teacher,
    stay_silent,
    write_completion,
    write_items,
)


@pytest.fixture
def script() -> Script:
    return Script(write_items)


@pytest.fixture
def settings(script: Script) -> Iterator[TeacherSettings]:
    with serve_teacher(script) as url:
        yield TeacherSettings(model=MODEL, base_url=url, concurrency=3, timeout=1.0, max_tokens=500)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, "demo")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Growing pauses as they are, but a tenth as long."""
    import openai._base_client as client

    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.05)
    monkeypatch.setattr(client, "MAX_RETRY_DELAY", 0.4)


def teach(course: Course, settings: TeacherSettings, chunks: list[Chunk] = CHUNKS) -> TeacherRows:
    with open_endpoint(settings) as teacher:
        return ask_teacher(course, chunks, teacher, settings, lambda name, done, total: None)


def read_all(course: Course) -> str:
    return "".join(path.read_text() for path in course.workspace.rglob("*") if path.is_file())


def test_every_chunk_gives_rows_and_the_server_is_never_asked_twice(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    script.delay = 0.05
    first = teach(course, settings)
    assert [len(first.pairs[chunk]) for chunk in CHUNKS] == [2] * 8
    assert all(evidence in chunk.text for chunk in CHUNKS for _, _, evidence in first.pairs[chunk])
    assert (first.usage.sent, first.usage.tokens_in, first.usage.tokens_out) == (8, 800, 400)
    assert 1 < script.most_at_a_time <= 3
    again = teach(course, replace(settings, base_url="http://127.0.0.1:9/v1"))
    assert (again.pairs, again.usage.sent, again.usage.kept) == (first.pairs, 0, 8)
    assert len(script.bodies) == 8


@pytest.mark.parametrize("fault", [(429, {"Retry-After": "1"}), (500, {}), (503, {}), drop_connection, stay_silent])
def test_passing_faults_are_waited_out(script: Script, settings: TeacherSettings, course: Course, fault: Any) -> None:
    script.faults = deque([fault, fault] if isinstance(fault, tuple) and not fault[1] else [fault])
    begun = time.monotonic()
    taught = teach(course, settings, CHUNKS[:2])
    assert len(taught.pairs) == 2 and not taught.usage.unanswered
    if fault == (429, {"Retry-After": "1"}):
        assert time.monotonic() - begun >= 1.0


@pytest.mark.parametrize("broken", ["", "I am sorry.", "KIND: explain\nQ: Why", '{"items": []}'])
def test_a_reply_of_no_use_is_asked_for_once_more_and_paid_once(
    script: Script, settings: TeacherSettings, course: Course, broken: str
) -> None:
    script.faults = deque([broken])
    taught = teach(course, settings, CHUNKS[:1])
    assert (len(taught.pairs), taught.rejected, taught.usage.sent) == (1, [], 2)
    assert [body["messages"][-1]["role"] for body in script.bodies] == ["user", "user"]
    assert teach(course, settings, CHUNKS[:1]).usage.sent == 0
    assert len(script.bodies) == 2


def test_a_reply_that_stays_broken_is_a_reason_in_the_report(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    script.answer = lambda body: "never" if "number 0" in body["messages"][-1]["content"] else write_items(body)
    taught = teach(course, settings)
    assert (taught.usage.sent, teach(course, settings).usage.sent) == (9, 0)
    assert len(taught.pairs) == 7
    assert [(chunk.source, item.answer, item.reason) for chunk, item in taught.rejected] == [
        ("week0.md", "never", "no labelled lines in the reply")
    ]


def test_one_chunk_without_a_reply_does_not_stop_the_others(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    def refuse_third(body: dict[str, Any]) -> str:
        if "number 3" in body["messages"][-1]["content"]:
            raise ConnectionError
        return write_items(body)

    script.answer = refuse_third
    taught = teach(course, settings)
    assert len(taught.pairs) == 7
    assert [(place, "connection broke" in why) for place, why in taught.usage.unanswered] == [
        ("week3.md, Week > Topic 3", True)
    ]
    script.answer = write_items
    assert (teach(course, settings).usage.sent, len(script.answered)) == (1, 8)


def test_a_server_that_goes_away_stops_the_build_and_loses_nothing(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    teach(course, settings, CHUNKS[:2])
    script.faults = deque([(500, {})] * 100)
    with pytest.raises(DatasetError, match=r"^The teacher does not answer: HTTP 500 not now\. .* to go on\.$"):
        teach(course, settings)
    script.faults.clear()
    assert teach(course, settings).usage.sent == 6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": "gpt-9"}, DatasetError, rf"does not answer as 'gpt-9': HTTP 404 .* Models there: {MODEL}\."),
        ({"base_url": "http://127.0.0.1:9/v1"}, DatasetError, r"^No server answers at http://127.0.0.1:9/v1 "),
        ({"base_url": ""}, RecipeError, "teacher.base_url must be an address"),
        ({"base_url": "http://me:word@x/v1"}, RecipeError, "without name or password"),
        ({"key_env": "TUTOR_TEST_UNSET"}, RecipeError, "TUTOR_TEST_UNSET of teacher.key_env is not set"),
        ({"key_env": "sk-abc123"}, RecipeError, "not the key itself"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_asked(
    script: Script, settings: TeacherSettings, course: Course, change: Any, error: type[TutorError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        teach(course, replace(settings, **change))
    assert "\n" not in str(caught.value)
    assert "sk-abc123" not in str(caught.value)
    assert script.answered == []


def test_a_wrong_key_is_refused_and_no_key_is_written_or_shown(
    script: Script, settings: TeacherSettings, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.key = KEY
    with pytest.raises(DatasetError, match="refuses a request without a key"):
        teach(course, settings)
    monkeypatch.setenv("TUTOR_TEST_KEY", "sk-wrong-and-secret")
    with pytest.raises(DatasetError, match="refuses the key in TUTOR_TEST_KEY") as caught:
        teach(course, replace(settings, key_env="TUTOR_TEST_KEY"))
    assert "sk-wrong" not in str(caught.value)
    monkeypatch.setenv("TUTOR_TEST_KEY", KEY)
    assert len(teach(course, replace(settings, key_env="TUTOR_TEST_KEY")).pairs) == 8
    assert KEY not in read_all(course) and os.environ["TUTOR_TEST_KEY"] == KEY


def test_half_an_emoji_can_be_kept(script: Script, settings: TeacherSettings, course: Course) -> None:
    script.answer = lambda body: write_items(body).replace("Because", "\ud83d Because")
    taught = teach(course, settings, CHUNKS[:1])
    assert next(iter(taught.pairs[CHUNKS[0]]))[0].answer.encode().startswith(b"Because")


@pytest.mark.parametrize(
    ("message", "name", "value"),
    [
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_completion_tokens", 500),
        ("Unsupported value: 'temperature' does not support 0.7 with this model.", "temperature", None),
    ],
)
def test_a_setting_that_a_server_does_not_take_is_left_out(
    script: Script, settings: TeacherSettings, course: Course, message: str, name: str, value: int | None
) -> None:
    script.faults = deque([(400, {}, message)])
    assert len(teach(course, settings).pairs) == 8
    assert [body.get(name) for body in script.bodies[1:]] == [value] * 8


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (400, "Model Not Exist", "does not answer as 'scripted-teacher': HTTP 400 Model Not Exist"),
        (402, "Insufficient Balance", "wants to be paid first: HTTP 402 Insufficient Balance"),
        (403, "Country not supported", "refuses a request without a key: HTTP 403 Country not supported"),
    ],
)
def test_what_no_further_request_would_mend_ends_asking(
    script: Script, settings: TeacherSettings, course: Course, status: int, message: str, said: str
) -> None:
    teach(course, settings, CHUNKS[:1])
    script.faults = deque([(status, {}, message)] * 2)
    with pytest.raises(DatasetError) as caught:
        teach(course, settings)
    assert said in str(caught.value)
    script.faults.clear()
    assert len(teach(course, settings).pairs) == 8


def test_a_piece_that_is_too_long_for_the_model_is_left_out(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    script.faults = deque([(400, {}, "This model's maximum context length is 512 tokens.")])
    taught = teach(course, settings)
    assert len(taught.pairs) == 7 and len(taught.usage.unanswered) == 1


def test_a_page_of_a_proxy_is_no_reply(script: Script, settings: TeacherSettings, course: Course) -> None:
    script.faults = deque([give_page])
    taught = teach(course, settings)
    assert [why for _, why in taught.usage.unanswered] == ["the reply is no chat completion"]
    assert len(list(find_folder(course).iterdir())) == 7


def test_the_budget_ends_asking_and_holds_over_builds(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    limited = replace(settings, price_in=1.0, price_out=2.0, budget_cost=0.0025, max_tokens=600)
    estimate = estimate_teaching(course, CHUNKS, limited)
    assert (estimate.requests, estimate.known) == (8, 0) and estimate.cost > limited.budget_cost
    taught = teach(course, limited)
    cost = taught.usage.cost(limited)
    assert 0 < cost <= limited.budget_cost and 0 < len(taught.pairs) < 8
    assert len(taught.pairs) + taught.usage.unasked == 8 and not taught.usage.unanswered
    assert (teach(course, limited).pairs, teach(course, limited).usage.sent) == (taught.pairs, 0)
    more = teach(course, replace(limited, budget_cost=1.0))
    assert len(more.pairs) == 8 and more.usage.kept == len(taught.pairs)
    assert len(teach(course, replace(limited, budget_cost=0.0, budget_tokens=100)).pairs) == 8


def test_thoughts_that_fill_the_reply_are_a_reason_and_not_asked_for_again(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    script.faults = deque([lambda handler: handler.give(200, write_completion("<think>Well, well", "length"))])
    taught = teach(course, settings)
    assert [item.reason for _, item in taught.rejected] == ["reply cut at teacher.max_tokens"]
    assert len(script.bodies) == 8


def test_only_replies_that_were_cut_are_paid_for_again_when_they_may_be_longer(
    script: Script, settings: TeacherSettings, course: Course
) -> None:
    whole = write_items({"messages": [{}, {"content": "[1] One two three four five six seven.\n\nKinds:"}]})
    script.faults = deque([lambda handler: handler.give(200, write_completion(whole, "length"))])
    taught = teach(course, settings)
    assert [item.reason for _, item in taught.rejected] == ["reply cut at teacher.max_tokens"]
    assert teach(course, replace(settings, max_tokens=400)).usage.sent == 0
    more = teach(course, replace(settings, max_tokens=900))
    assert (more.usage.sent, more.rejected, len(more.pairs)) == (1, [], 8)


def test_the_judge_is_asked_too_and_estimated(script: Script, settings: TeacherSettings, course: Course) -> None:
    teach(course, settings)
    judged = replace(settings, judge=9)
    estimate = estimate_teaching(course, CHUNKS, judged)
    assert (estimate.requests, estimate.known) == (16, 8)
    assert teach(course, judged).usage.sent == 8
    assert estimate_teaching(course, CHUNKS, judged).known == 16
    assert len(teach(course, judged).pairs) == 8
    assert not any(teach(course, replace(settings, judge=10)).pairs.values())


def test_an_interrupt_keeps_what_is_under_way(script: Script, settings: TeacherSettings, course: Course) -> None:
    script.delay = 0.2

    pressed: list[int] = []

    def interrupt(name: str, done: int, total: int) -> None:
        # With the first reply the others are sent; this comes with the second.
        if done == 2 and not pressed:
            pressed.append(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_endpoint(settings) as teacher:
        ask_teacher(course, CHUNKS, teacher, settings, interrupt)
    answered = len(script.answered)
    assert 2 < answered < 8
    assert len(list(find_folder(course).iterdir())) == answered
    script.delay = 0.0
    assert teach(course, settings).usage.sent == 8 - answered
    assert len(script.answered) == len(set(script.answered)) == 8
    assert json.loads(script.answered[0])[0]["role"] == "system"
    assert threading.active_count() < 30
