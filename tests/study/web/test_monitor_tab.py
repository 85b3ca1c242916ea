"""What a running server counts: the Monitor tab, /metrics, and the cache of answers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlx_tutor.errors import ServeError, TutorError
from mlx_tutor.journal import find_journal
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import ServeSettings
from mlx_tutor.study.exam.mode import Exam
from mlx_tutor.study.monitor.counts import read_counts, read_questions
from mlx_tutor.study.monitor.metrics import write_metrics
from mlx_tutor.study.web import model_worker
from mlx_tutor.study.web.api_answers import answer_request, describe_support
from mlx_tutor.study.web.api_request import read_chat
from mlx_tutor.study.web.middleware import is_from_here
from mlx_tutor.study.web.monitor_tab import draw_monitor
from mlx_tutor.study.web.site import Site
from tests.study.web.serving import RECIPE, make_site, serve_site

LOGGED = replace(RECIPE, serve=ServeSettings(log_questions=True, cached_answers=3))


def ask_api(address: str, question: str, **more: Any) -> dict[str, Any]:
    body = {"model": "demo", "messages": [{"role": "user", "content": question}], "course": True, **more}
    reply: dict[str, Any] = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=60).json()
    return reply


def ask_site(site: Site, question: str, **more: Any) -> dict[str, Any]:
    """The first choice of a reply, without a server."""
    body = {"model": "demo", "messages": [{"role": "user", "content": question}], "course": True, **more}
    wanted = read_chat(body, site)
    cited = site.submit("API", lambda task: answer_request(site, wanted, task)).take(60)[0]
    return {"text": cited.answer.text} | describe_support(cited)


def read_metrics(text: str) -> dict[tuple[str, str], float]:
    """Samples as Prometheus's own parser reads them, by name and labels."""
    return {
        (sample.name, ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def make(tmp_path: Path, tiny_model: Path) -> Iterator[Any]:
    made: list[Site] = []

    def build(recipe: Recipe = RECIPE) -> Site:
        made.append(make_site(tmp_path, tiny_model, recipe=recipe))
        return made[-1]

    yield build
    for site in made:
        site.worker.close()


def test_questions_are_counted_and_not_kept(make: Any) -> None:
    with serve_site(make()) as running:
        ask_api(running.address, "What is the mode?")
        ask_api(running.address, "Zebra?", course=False)
        ask_api(running.address, "mode " * 20_000)
        found = read_counts(running.site.course)
        reply = httpx.get(f"{running.address}/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = read_metrics(reply.text)
    assert (found["questions"], found["searched"], found["not_found"]) == (2, 1, 1)
    assert found["errors"] == {"ModelError": 1} and found["tokens"] == 24
    assert found["served"] == [{"place": "API", "model": "demo", "questions": 2}]
    assert found["first_token_seconds"]["median"] > 0 and found["tokens_per_second"]["count"] == 2
    assert found["memory_gb"] > 0
    assert found["questions_logged"] == 0 and b"Zebra" not in find_journal(running.site.course).read_bytes()
    assert samples["mlx_tutor_questions_total", "model=demo,place=API"] == 2
    assert samples["mlx_tutor_errors_total", "kind=ModelError"] == 1
    assert samples["mlx_tutor_first_token_seconds_bucket", "le=+Inf"] == 2
    assert samples["mlx_tutor_first_token_seconds_count", ""] == 2
    assert samples["mlx_tutor_first_token_seconds_sum", ""] > 0
    assert samples["mlx_tutor_waiting", ""] == 0


def test_questions_are_kept_where_the_recipe_says_so(make: Any) -> None:
    site = make(LOGGED)
    for question in ("What is the mode?", "Zebra?"):
        ask_site(site, question)
    kept, said = read_questions(site.course), draw_monitor(site)
    assert [(each["question"], each["supported"]) for each in kept] == [("What is the mode?", False), ("Zebra?", False)]
    assert set(kept[0]) == {"time", "place", "model", "question", "supported"}
    assert "Questions are kept, without names" in said and "2 of 2 (100%)" in said
    # Whoever opens the page does not read what others asked.
    assert "Zebra" not in said


def test_a_question_asked_again_is_answered_from_the_cache(make: Any) -> None:
    site = make(LOGGED)
    first, again = ask_site(site, "What is the mode?"), ask_site(site, "What is the mode?")
    others = [ask_site(site, "What is the mode?", max_tokens=3)]
    others += [ask_site(site, "What is the mode?", temperature=1.0, seed=4), ask_site(site, "What is it?")]
    # Three are kept, and the first was used longest ago.
    others.append(ask_site(site, "What is the mode?"))
    assert again == {**first, "from_cache": True} and "from_cache" not in first
    assert not any("from_cache" in choice for choice in others) and len(site.answers) == 3
    found = read_counts(site.course)
    assert found["from_cache"] == 1 and found["first_token_seconds"]["count"] == 5


def test_another_model_has_its_own_answers(make: Any) -> None:
    site = make(LOGGED)
    ask_site(site, "What is the mode?")
    site.worker.submit(lambda task: site.worker.unload_model()).take(60)
    # The same path may hold another model by now.
    assert "from_cache" not in ask_site(site, "What is the mode?")


def test_an_exam_has_no_cache_and_no_counts(make: Any) -> None:
    site = make(LOGGED)
    site = replace(site, exam=Exam(site.course, "20260101-090000-ab12", "demo"))
    for _ in range(2):
        site.submit("page", lambda task: []).take(60)
    with pytest.raises(TutorError):
        site.submit("page", lambda task: (_ for _ in ()).throw(ServeError("No."))).take(60)
    assert site.answers.remember(print) is print
    found = read_counts(site.course)
    assert found["questions"] == 0 and not found["errors"]


def test_a_full_queue_is_counted(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_worker, "MAX_WAITING", -1)
    site = make()
    with pytest.raises(ServeError):
        site.submit("page", lambda task: [])
    assert read_counts(site.course)["errors"] == {"ServeError": 1}


def test_metrics_are_for_this_machine() -> None:
    for client, host, here in (
        ("127.0.0.1", "127.0.0.1:7860", True),
        ("::1", "localhost:7860", True),
        ("192.168.1.9", "192.168.1.2:7860", False),
        # A share link's tunnel ends on this machine, and names another.
        ("127.0.0.1", "abc.gradio.live", False),
        ("192.168.1.9", "127.0.0.1:7860", False),
    ):
        scope = {"type": "http", "client": (client, 1), "headers": [(b"host", host.encode())]}
        assert is_from_here(scope) is here, (client, host)


def test_labels_are_escaped(make: Any) -> None:
    name = 'a "b"\\\nc'
    site = replace(make(), label=name)
    ask_site(site, "Why?", model=name)
    samples = read_metrics(write_metrics(read_counts(site.course), 0))
    assert samples["mlx_tutor_questions_total", f"model={name},place=API"] == 1
