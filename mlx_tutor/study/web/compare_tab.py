"""The Compare tab of the web page: the same prompt to base, adapter and fused, one after the other."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from mlx_tutor.errors import ServeError, TutorError
from mlx_tutor.evaluation.compare import Comparison
from mlx_tutor.study.web.markup import LATEX, draw, draw_note, write_safe_markdown
from mlx_tutor.study.web.model_worker import Task, is_busy
from mlx_tutor.study.web.site import Session, Site, compare_site
from mlx_tutor.tables import Table

LABELS = ("base", "adapter", "fused")
# Of every event on the page: no public endpoint, and no limit but the worker's queue.
EVENT: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "show_progress": "hidden"}


def find_session(site: Site, request: gr.Request) -> Session:
    """The session of the page that asks; where there is no room for it, the page says so."""
    try:
        return site.find_session(str(request.session_hash))
    except ServeError as err:
        raise gr.Error(str(err), print_exception=False) from err


def add_compare(site: Site) -> None:
    """Prompt, three columns of text, and a table of timings."""
    with gr.Row(elem_id="compare-row"):
        prompt = gr.Textbox(
            elem_id="prompt", show_label=False, placeholder="The same prompt to every model", scale=8, max_lines=8
        )
        start = gr.Button("Compare", variant="primary", elem_id="compare", scale=1, min_width=100)
        stop = gr.Button("Stop", elem_id="compare-stop", scale=1, min_width=80)
    status = gr.HTML(
        draw_note("hint", "One model is in memory at a time: each is loaded, asked and unloaded."),
        elem_id="compare-status",
        apply_default_css=False,
    )
    with gr.Row(elem_id="columns"):
        columns = []
        for label in LABELS:
            with gr.Column(min_width=260, elem_classes="column"):
                gr.HTML(draw("column", label), apply_default_css=False)
                columns.append(gr.Markdown(elem_id=f"answer-{label}", latex_delimiters=LATEX, line_breaks=True))
    table = gr.HTML(elem_id="compare-table", apply_default_css=False)

    async def compare(text: str, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        session = find_session(site, request)
        try:
            task = compare_site(site, session, text or "")
        except TutorError as err:
            yield _show_problem(err)
            return
        async for _ in task.follow():
            yield (*(write_safe_markdown(task.read(label)) for label in LABELS), draw_progress(task), "")
        try:
            comparisons: list[Comparison] | None = task.take()
        except TutorError as err:
            yield _show_problem(err)
            return
        done = comparisons or []
        texts = {item.label: item.answer.text or item.answer.problem for item in done}
        said = "" if len(done) == len(LABELS) else "Stopped."
        yield (*(write_safe_markdown(texts.get(label, "")) for label in LABELS), said, draw_comparisons(done))

    def end(request: gr.Request) -> Any:
        task = find_session(site, request).comparison
        if task is None or not is_busy(task):
            return "There is nothing to stop."
        task.stop()
        return gr.skip()

    outputs = [*columns, status, table]
    for event in (start.click, prompt.submit):
        event(compare, prompt, outputs, trigger_mode="once", **EVENT)
    stop.click(end, None, status, **EVENT)


def _show_problem(err: TutorError) -> tuple[Any, ...]:
    return (*[gr.skip()] * len(LABELS), draw_note("problem", str(err)), gr.skip())


def draw_progress(task: Task) -> str:
    """Where in the queue, or who is speaking."""
    ahead = task.count_ahead()
    if ahead:
        return draw_note("waiting", f"Waiting: {ahead} before you.")
    speaking = [label for label in LABELS if task.read(label)]
    return draw_note("working", f"Asking: {speaking[-1] if speaking else LABELS[0]}.")


def draw_comparisons(comparisons: list[Comparison]) -> str:
    """Times and style of each answer, as HTML."""
    if not comparisons:
        return ""
    rows = [
        (
            comparison.label,
            str(comparison.answer.tokens),
            f"{comparison.answer.tokens_per_second:.1f}",
            f"{comparison.answer.first_token_seconds:.2f} s",
            f"{comparison.answer.peak_memory_gb:.2f} GB",
        )
        for comparison in comparisons
    ]
    return draw("table", Table(("model", "tokens", "tokens a second", "first token after", "peak memory"), rows))
