"""A model in this process as the teacher: in batches, reply by reply, and what does not end is said."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.dataset.teacher.examples import TeacherRows, ask_teacher, find_folder
from mlx_tutor.dataset.teacher.replies import AskBatch, Reply, Request, Teacher
from mlx_tutor.models import LoadedModel, load_model
from mlx_tutor.records import Message
from mlx_tutor.settings import TeacherSettings
from mlx_tutor.stages.teacher import answer_requests
from mlx_tutor.workspace import Course
from tests.dataset.teacher.teacher_server import CHUNKS, write_items

SETTINGS = TeacherSettings(model="mlx:tiny", max_tokens=40, concurrency=3, kinds_at_once=10)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, "demo")


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


def write_requests(*texts: str) -> list[Request]:
    turns: list[Message] = [{"role": "user", "content": text} for text in texts]
    return [Request((turn,), f"piece {number}") for number, turn in enumerate(turns)]


def teach(course: Course, ask: AskBatch, settings: TeacherSettings = SETTINGS) -> TeacherRows:
    return ask_teacher(course, CHUNKS, Teacher("tiny", ask_batch=ask), settings, lambda name, done, total: None)


def answer_well(requests: list[Request]) -> list[Reply]:
    bodies = [{"messages": list(request.messages)} for request in requests]
    return [Reply(write_items(body), 100, 50) for body in bodies]


def test_each_request_gets_its_own_reply_and_what_does_not_fit_says_so(loaded: LoadedModel) -> None:
    requests = write_requests("What is a mean?", "x" * 2000, "Why is the sky blue, and why not green?", "Who?")
    found: dict[int, Reply] = {}
    answer_requests(loaded, requests, replace(SETTINGS, temperature=0.0), found.__setitem__)
    assert sorted(found) == [0, 1, 2, 3]
    assert "do not fit into the model's context of 1024" in found[1].problem and not found[1].text
    for index in (0, 2, 3):
        single: dict[int, Reply] = {}
        answer_requests(loaded, requests[index : index + 1], replace(SETTINGS, temperature=0.0), single.__setitem__)
        assert found[index] == single[0]
        assert found[index].cut or found[index].looped or found[index].tokens_out < 40


def test_a_reply_that_repeats_itself_is_ended_and_said(loaded: LoadedModel) -> None:
    found: dict[int, Reply] = {}
    settings = replace(SETTINGS, temperature=0.0, max_tokens=400)
    answer_requests(loaded, write_requests("What is a mean?", "Who?"), settings, found.__setitem__)
    # A small network without sampling falls into a loop.
    assert any(reply.looped and not reply.cut and reply.tokens_out < 400 for reply in found.values())


def test_every_reply_is_kept_at_once_and_the_next_build_goes_on(course: Course) -> None:
    asked: list[int] = []

    def break_off(requests, on_reply) -> None:  # type: ignore[no-untyped-def]
        asked.append(len(requests))
        for index in (3, 0, 5):
            on_reply(index, answer_well(requests)[index])
            assert len(list(find_folder(course).iterdir())) == (3, 0, 5).index(index) + 1
        raise KeyboardInterrupt

    def go_on(requests, on_reply) -> None:  # type: ignore[no-untyped-def]
        asked.append(len(requests))
        for index, reply in enumerate(answer_well(requests)):
            on_reply(index, reply)

    with pytest.raises(KeyboardInterrupt):
        teach(course, break_off)
    taught = teach(course, go_on)
    assert asked == [8, 5] and [len(taught.pairs[chunk]) for chunk in CHUNKS] == [2] * 8
    assert (taught.usage.sent, taught.usage.kept) == (5, 3)


def test_replies_of_no_use_are_asked_for_again_together(course: Course) -> None:
    asked: list[list[str]] = []

    def ask(requests, on_reply) -> None:  # type: ignore[no-untyped-def]
        asked.append([request.place for request in requests])
        good = answer_well(requests)
        for index in reversed(range(len(requests))):
            bad = len(asked) == 1 and index in (2, 4)
            on_reply(index, Reply("Of course!", 9, 3) if bad else good[index])

    taught = teach(course, ask)
    assert [len(places) for places in asked] == [8, 2]
    assert {place.partition(",")[0] for place in asked[1]} == {"week2.md", "week4.md"}
    assert [len(taught.pairs[chunk]) for chunk in CHUNKS] == [2] * 8 and not taught.rejected


def test_loops_and_cuts_are_reasons_and_not_asked_for_again(course: Course) -> None:
    def ask(requests, on_reply) -> None:  # type: ignore[no-untyped-def]
        for index, reply in enumerate(answer_well(requests)):
            on_reply(index, replace(reply, looped=index == 1, cut=index == 2))

    taught = teach(course, ask)
    assert taught.usage.sent == 8
    assert [(chunk.source, item.reason) for chunk, item in taught.rejected] == [
        ("week1.md", "the reply began to repeat itself"),
        ("week2.md", "reply cut at teacher.max_tokens"),
    ]
    assert teach(course, ask).usage.sent == 0


def test_the_budget_holds_in_this_process_too(course: Course) -> None:
    def ask(requests, on_reply) -> None:  # type: ignore[no-untyped-def]
        for index, reply in enumerate(answer_well(requests)):
            on_reply(index, reply)

    taught = teach(course, ask, replace(SETTINGS, budget_tokens=1400))
    assert 0 < taught.usage.sent < 8 and taught.usage.sent + taught.usage.unasked == 8
    assert taught.usage.tokens_in + taught.usage.tokens_out <= 1400
