"""A page on which two runs answer: one for each conversation, unnamed, and both judged by those who ask."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlx_tutor.models import load_model
from mlx_tutor.study.monitor.counts import read_counts
from mlx_tutor.study.monitor.trial import Trial, find_arm, read_trials
from mlx_tutor.study.web.model_worker import ModelWorker, Task
from mlx_tutor.study.web.monitor_tab import draw_monitor
from mlx_tutor.study.web.page import build_page
from mlx_tutor.study.web.site import Site, ask_site, judge_turn
from mlx_tutor.study.web.talks import Talks
from mlx_tutor.study.web.trial_tab import describe_who, find_rating, rate_conversation
from tests.model_factory import make_model
from tests.study.web.serving import make_site


@pytest.fixture
def site(tmp_path: Path, tiny_model: Path) -> Iterator[Site]:
    made = make_site(tmp_path, tiny_model)
    other = make_model(tmp_path / "other", seed=5)
    made.worker.close()
    worker = ModelWorker(lambda: load_model(tiny_model), {"hot": lambda: load_model(other)})
    yield replace(made, label="mild", worker=worker, trial=Trial("mild", "hot"))
    worker.close()


def take_path(site: Site, arm: str, task: Task) -> Path:
    return site.worker.take_model(arm).path


def ask(site: Site, page: str, question: str) -> Any:
    return ask_site(site, site.find_talk(page), question).take(60)


def test_each_conversation_has_one_run_and_its_judgements_go_there(site: Site) -> None:
    assert site.trial is not None
    arms: dict[str, str] = {}
    for number in range(30):
        page = f"page{number}"
        arms[page] = find_arm(site.course, site.trial, site.find_talk(page).id)
        if set(arms.values()) == {"mild", "hot"}:
            break
    first, second = next(iter(arms)), page
    for page in (first, second):
        turn = ask(site, page, "What is the mode?")
        assert turn.model == arms[page] and ask(site, page, "And the median?").model == arms[page]
    # Two models, really.
    paths = [site.worker.submit(partial(take_path, site, arm)).take(60) for arm in arms.values()]
    assert len(set(paths)) == 2
    judge_turn(site, site.find_talk(first), 0, True)
    request: Any = SimpleNamespace(session_hash=second)
    site.find_session(second).shown = second
    assert "Kept: 2" in rate_conversation(site, 2, request)
    found = read_trials(site.course)[0]
    assert found["runs"][arms[first]]["good"] == 1 and found["runs"][arms[second]]["ratings"] == [2]
    counts = read_counts(site.course)
    assert {row["model"]: row["questions"] for row in counts["served"]} == {"mild": 2, "hot": 2}
    assert counts["thumbs"] == {arms[first]: {"up": 1, "down": 0}}
    # Who asks stays blind while it lasts.
    said = draw_monitor(site)
    assert "4 on the page by either run" in said and "hot" not in said and "mild" not in said
    assert "hot against mild" in draw_monitor(replace(site, trial=None))
    assert describe_who(site) == "one of two runs, by chance"


def test_the_page_can_be_built(site: Site) -> None:
    # Gradio warns of a handler that it cannot call, and a warning is an error here.
    async def build() -> str:
        return str(build_page(site).get_config_file())

    assert "How good was this conversation?" in asyncio.run(build())


def test_a_conversation_without_a_turn_is_not_rated(site: Site) -> None:
    request: Any = SimpleNamespace(session_hash="new")
    assert "Ask something first" in rate_conversation(site, 5, request)


def test_a_conversation_that_is_opened_again_keeps_its_run_and_its_rating(site: Site) -> None:
    assert site.trial is not None
    names = [f"page{number}" for number in range(6)]
    before = {name: ask(site, name, "What is the mode?").model for name in names}
    site.find_session("window").shown = names[0]
    request: Any = SimpleNamespace(session_hash="window")
    rate_conversation(site, 4, request)
    anew = replace(site, talks=Talks())
    assert {name: ask(anew, name, "And the median?").model for name in names} == before
    assert [find_rating(anew, name) for name in names[:2]] == [4, None]
    assert sum(of["conversations"] for of in read_trials(site.course)[0]["runs"].values()) == len(names)


def test_a_thumb_on_an_answer_from_before_the_comparison_is_no_part_of_it(site: Site) -> None:
    alone = replace(site, trial=None, label="old")
    ask(alone, "page", "What is the mode?")
    compared = replace(site, talks=Talks())
    ask(compared, "page", "And the median?")
    for place in (0, 1):
        judge_turn(compared, compared.find_talk("page"), place, True)
    assert sum(of["up"] for of in read_trials(site.course)[0]["runs"].values()) == 1
