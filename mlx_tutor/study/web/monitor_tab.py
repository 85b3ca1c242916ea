"""The Monitor tab of the web page, and the same counts for a Prometheus on this machine."""

from collections import Counter
from typing import Any

import gradio as gr
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from mlx_tutor.errors import TutorError
from mlx_tutor.study.monitor.counts import read_counts, tabulate_counts
from mlx_tutor.study.monitor.metrics import CONTENT_TYPE, write_metrics
from mlx_tutor.study.monitor.trial import describe_trial, read_trials, tabulate_trial
from mlx_tutor.study.web.compare_tab import EVENT
from mlx_tutor.study.web.markup import draw, draw_note
from mlx_tutor.study.web.middleware import is_from_here
from mlx_tutor.study.web.site import Site
from mlx_tutor.tables import Table


def add_monitor(site: Site, tab: Any) -> None:
    """The counts, read whenever the tab is opened or the button is pressed."""
    shown = gr.HTML(elem_id="monitor", apply_default_css=False)
    refresh = gr.Button("Refresh", size="sm", elem_id="monitor-refresh", scale=0, min_width=90)
    for event in (tab.select, refresh.click):
        event(lambda: draw_monitor(site), None, shown, **EVENT)


def draw_monitor(site: Site) -> str:
    """Everything that was counted, as HTML; why it cannot be read, where it cannot."""
    try:
        found, trials = read_counts(site.course), read_trials(site.course)
    except TutorError as err:
        return draw_note("problem", str(err))
    if site.trial is not None:
        # Who reads here may be asked, and is not to see which run answered.
        found, trials = hide_arms(found), [trial for trial in trials if trial["trial"] != site.trial.name]
    since = f" since {found['since'][:16].replace('T', ' ')} UTC" if found["since"] else ""
    logged = "Questions are kept, without names" if site.recipe.serve.log_questions else "No question is kept"
    waiting = site.worker.count_all()
    said = f"Counted on this machine{since}. {logged}. Waiting or being answered now: {waiting}."
    if site.trial is not None:
        said += " Two runs are compared; how they are judged: mlx-tutor monitor."
    return draw("monitor", said, tabulate_counts(found), list(map(draw_trial, trials)))


def hide_arms(found: dict[str, Any]) -> dict[str, Any]:
    """The counts with both runs of a comparison as one."""
    served = Counter[str]()
    for row in found["served"]:
        served[row["place"]] += row["questions"]
    thumbs = {name: sum(of[name] for of in found["thumbs"].values()) for name in ("up", "down")}
    rows = [{"place": place, "model": "either run", "questions": count} for place, count in sorted(served.items())]
    return found | {"served": rows, "thumbs": {"either run": thumbs}}


def draw_trial(found: dict[str, Any]) -> tuple[str, Table, list[str]]:
    """A comparison of two runs: its title, its table, and what the test says."""
    return found["trial"], tabulate_trial(found), list(describe_trial(found))


def make_metrics(site: Site) -> APIRouter:
    """GET /metrics; who is not on this machine finds nothing."""
    router = APIRouter()

    @router.get("/metrics")
    def send_metrics(request: Request) -> Response:
        if not is_from_here(request.scope):
            return PlainTextResponse("There is nothing here.\n", 404)
        try:
            text = write_metrics(read_counts(site.course), site.worker.count_all())
        except TutorError as err:
            return PlainTextResponse(f"{err}\n", 503)
        return Response(text, media_type=CONTENT_TYPE)

    return router
