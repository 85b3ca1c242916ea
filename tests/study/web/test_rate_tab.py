"""Rating on the page: two raters at once and a third in the terminal, blind, in one count."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlx_tutor.evaluation.rate import ModelPair, pick_pair, prepare_pairs, read_judgements, store_score
from mlx_tutor.evaluation.raters import list_raters
from mlx_tutor.records import ModelSpec
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.study.web.rate_tab import RateHandlers
from mlx_tutor.study.web.site import Rating, Site
from tests.evaluation.ratings import CRITERIA, PROMPTS
from tests.study.web.serving import make_site

FIRST, SECOND = (SimpleNamespace(session_hash=name) for name in ("a", "b"))


@pytest.fixture
def site(tmp_path: Path, tiny_model: Path) -> Iterator[Site]:
    made = make_site(tmp_path, tiny_model)
    base, fused = ModelSpec("base", tiny_model), ModelSpec("fused", tiny_model)
    models = ModelPair("demo", base, fused, GenerateSettings(max_tokens=4))
    rating = Rating("demo", CRITERIA, lambda report: prepare_pairs(made.course, models, PROMPTS[:3], report))
    yield replace(made, rating=rating)
    made.worker.close()


async def begin(handlers: RateHandlers, rater: str, request: Any) -> list[Any]:
    return [shown async for shown in handlers.begin(rater, request)][-1]


def score_pair(handlers: RateHandlers, request: Any, score: int) -> list[Any]:
    for place in range(2 * len(CRITERIA)):
        assert handlers.keep(place, str(score), request).startswith("Kept")
    return handlers.follow(request)


def test_three_raters_of_one_contest(site: Site) -> None:
    assert site.rating is not None
    handlers, course = RateHandlers(site, site.rating), site.course

    async def begin_both() -> tuple[list[Any], list[Any]]:
        # Neither finds answers, and they are made once.
        return await asyncio.gather(begin(handlers, "Ada", FIRST), begin(handlers, " bob ", SECOND))

    assert [shown[0] for shown in asyncio.run(begin_both())] == ["0 of 3 rated."] * 2
    for _ in range(2):
        score_pair(handlers, FIRST, 4)
        score_pair(handlers, SECOND, 2)
    while blind := pick_pair(course, "demo", "cyd", CRITERIA):
        for answer in range(2):
            for criterion in CRITERIA:
                store_score(course, "cyd", blind.pair, answer, criterion, 3)
    assert handlers.keep(0, "5", SECOND).startswith("Kept")
    # Bob leaves in the middle of a pair; he comes back with another page, and finds it as it was.
    site.close_session("b")
    again = asyncio.run(begin(handlers, "BOB", SECOND))
    assert again[0] == "2 of 3 rated." and again[5:] == ["5", None, None, None]
    assert "Give every score" in handlers.follow(SECOND)[0]
    last = score_pair(handlers, FIRST, 4)
    assert "All done" in last[0] and "Krippendorff" in last[0]
    given = {(j.rater, j.pair): set(j.scores["base"].values()) for j in read_judgements(course, "demo", CRITERIA)}
    assert sorted(rater for rater, _ in given) == ["Ada"] * 3 + ["bob"] * 2 + ["cyd"] * 3
    assert {rater: scores for (rater, _), scores in given.items()} == {"Ada": {4}, "bob": {2}, "cyd": {3}}
    assert list_raters(course, "demo") == {"Ada": 3, "bob": 3, "cyd": 3}


def test_a_page_without_a_name_rates_nothing(site: Site) -> None:
    assert site.rating is not None
    handlers = RateHandlers(site, site.rating)
    assert "who rates" in asyncio.run(begin(handlers, " \x1b", FIRST))[0]
    assert handlers.follow(FIRST)[0] == "Begin first."
