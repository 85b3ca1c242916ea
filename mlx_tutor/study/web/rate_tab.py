"""The Rate tab of the web page: two answers without their names, scored into the same ratings as `mlx-tutor rate`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from mlx_tutor.errors import ServeError, TutorError
from mlx_tutor.evaluation.rate import (
    BlindPair,
    pick_pair,
    read_judgements,
    read_pairs,
    restore_skipped,
    step_back,
    store_score,
    store_skip,
)
from mlx_tutor.evaluation.raters import name_rater
from mlx_tutor.evaluation.tally import describe_verdict, summarize_ratings
from mlx_tutor.study.web.compare_tab import EVENT, find_session
from mlx_tutor.study.web.markup import LATEX, draw, draw_note, escape_text, write_safe_markdown
from mlx_tutor.study.web.model_worker import Task
from mlx_tutor.study.web.site import Rating, Session, Site

NAMES = ("A", "B")
SCORES = ("1", "2", "3", "4", "5")
INTRODUCTION = (
    "Two answers at a time, in random order: 1 is poor, 5 is excellent. Every score is kept at once. "
    "Where there are no answers yet, both models give them first, which may take minutes."
)


def add_rate(site: Site) -> None:
    """Who rates, the two answers, and a row of scores for each criterion."""
    if site.rating is None:
        gr.HTML("<p>There is nothing to rate yet: train a model with mlx-tutor run.</p>", apply_default_css=False)
        return
    rating = site.rating
    with gr.Row(elem_id="rater-row"):
        rater = gr.Textbox(elem_id="rater", show_label=False, placeholder="Your name", scale=8)
        begin = gr.Button("Begin", variant="primary", elem_id="begin", scale=1, min_width=100)
    status = gr.HTML(draw_note("hint", INTRODUCTION), elem_id="rate-status", apply_default_css=False)
    with gr.Column(visible=False, elem_id="pair") as shown:
        question = gr.HTML(elem_id="rated-question", apply_default_css=False)
        answers, scores = [], []
        with gr.Row(elem_id="pair"):
            for name in NAMES:
                with gr.Column(min_width=300, elem_classes="column"):
                    gr.HTML(draw("column", name), apply_default_css=False)
                    answers.append(gr.Markdown(elem_id=f"rated-{name}", latex_delimiters=LATEX, line_breaks=True))
                    scores += [gr.Radio(SCORES, label=criterion, interactive=True) for criterion in rating.criteria]
        with gr.Row():
            following = gr.Button("Next", variant="primary", elem_id="next", min_width=90)
            skip = gr.Button("Skip", elem_id="skip", min_width=90)
            back = gr.Button("Back", elem_id="back", min_width=90)
    handlers = RateHandlers(site, rating)
    outputs = [status, shown, question, *answers, *scores]
    for event in (begin.click, rater.submit):
        event(handlers.begin, rater, outputs, trigger_mode="once", **EVENT)
    for place, radio in enumerate(scores):
        radio.input(_make_keeper(handlers, place), radio, status, **EVENT)
    following.click(handlers.follow, None, outputs, **EVENT)
    skip.click(handlers.skip, None, outputs, **EVENT)
    back.click(handlers.back, None, outputs, **EVENT)


def _make_keeper(handlers: "RateHandlers", place: int) -> Any:
    def keep(score: str, request: gr.Request) -> str:
        return handlers.keep(place, score, request)

    return keep


class RateHandlers:
    """What the tab does. All but `keep` give status, pair, question, both answers and all scores."""

    def __init__(self, site: Site, rating: Rating) -> None:
        self.site = site
        self.rating = rating

    def find(self, request: gr.Request) -> Session:
        """The session of the page that asks."""
        return find_session(self.site, request)

    async def begin(self, rater: str, request: gr.Request) -> AsyncIterator[list[Any]]:
        """Show the first pair of this rater; make the answers where there are none."""
        session, course = self.find(request), self.site.course
        try:
            session.rater = await asyncio.to_thread(name_rater, course, rater or "")
            # In a thread: a locked journal is waited for, and the other pages shall not wait with it.
            if not await asyncio.to_thread(read_pairs, course, self.rating.run):
                task = self.site.worker.submit(self.prepare)
                async for _ in task.follow():
                    yield self.show_status(_draw_progress(task))
                task.take()
            await asyncio.to_thread(restore_skipped, course, self.rating.run, session.rater)
            yield await asyncio.to_thread(lambda: self.show(session, self.pick(session)))
        except TutorError as err:
            yield self.show_status(_draw_problem(err))

    def prepare(self, task: Task) -> int:
        """For the model thread: let both models answer."""
        self.site.worker.unload_model()

        def report(name: str, done: int, total: int) -> None:
            if task.is_stopped():
                raise ServeError("The answers were stopped; begin again to go on.")
            task.notes[str(done)] = (done, total)

        return self.rating.prepare(report)

    def pick(self, session: Session) -> BlindPair | None:
        """The next pair."""
        return pick_pair(self.site.course, self.rating.run, session.rater, self.rating.criteria)

    def keep(self, place: int, score: str, request: gr.Request) -> str:
        """Keep one score of the pair that is shown; `place` counts through the criteria of A, then of B."""
        session = self.find(request)
        answer, number = divmod(place, len(self.rating.criteria))
        if session.pair is None or score not in SCORES:
            return "Begin first."
        try:
            criterion = self.rating.criteria[number]
            store_score(self.site.course, session.rater, session.pair, answer, criterion, int(score))
        except TutorError as err:
            return _draw_problem(err)
        return escape_text(f"Kept: {NAMES[answer]}, {criterion}, {score}.")

    def follow(self, request: gr.Request) -> list[Any]:
        """The next pair; the same again while it lacks a score."""
        return self.move(request, self.pick)

    def skip(self, request: gr.Request) -> list[Any]:
        """Leave this pair out until the next time."""

        def leave(session: Session) -> BlindPair | None:
            if session.pair is not None:
                store_skip(self.site.course, session.rater, session.pair)
            return self.pick(session)

        return self.move(request, leave)

    def back(self, request: gr.Request) -> list[Any]:
        """The pair before this one."""
        place = (self.site.course, self.rating.run)
        return self.move(
            request,
            lambda session: step_back(*place, session.rater, self.rating.criteria, session.pair) or self.pick(session),
        )

    def move(self, request: gr.Request, pick: Any) -> list[Any]:
        """Show what `pick` gives of a session."""
        session = self.find(request)
        if not session.rater:
            return self.show_status("Begin first.")
        try:
            before, blind = session.pair, pick(session)
            same = blind is not None and blind.pair == before
            return self.show(session, blind, "Give every score, or skip. " if same else "")
        except TutorError as err:
            return self.show_status(_draw_problem(err))

    def show(self, session: Session, blind: BlindPair | None, said: str = "") -> list[Any]:
        """A pair with the scores that it has, or what the ratings say when there is none left."""
        count = 2 * len(self.rating.criteria)
        session.pair = blind.pair if blind is not None else None
        if blind is None:
            return [self.describe_end(), gr.update(visible=False), *[gr.skip()] * (3 + count)]
        values = [blind.scores.get((answer, name)) for answer in range(2) for name in self.rating.criteria]
        return [
            f"{said}{blind.done} of {blind.total} rated.",
            gr.update(visible=True),
            draw("strong", blind.question),
            *(write_safe_markdown(text) or "*nothing*" for text in blind.answers),
            *(str(value) if value is not None else None for value in values),
        ]

    def show_status(self, text: str) -> list[Any]:
        """Only say something."""
        return [text, *[gr.skip()] * (4 + 2 * len(self.rating.criteria))]

    def describe_end(self) -> str:
        """What all ratings of the run say."""
        course, run = self.site.course, self.rating.run
        pairs, judgements = read_pairs(course, run), read_judgements(course, run, self.rating.criteria)
        if not judgements:
            return "Nothing left to rate."
        lines = describe_verdict(summarize_ratings(pairs, judgements, self.rating.criteria))
        return "All done. " + draw("lines", lines)


def _draw_progress(task: Task) -> str:
    ahead = task.count_ahead()
    if ahead:
        return draw_note("waiting", f"Waiting: {ahead} before you.")
    done, total = max(task.notes.values(), default=(0, 0))
    return draw_note("working", f"Both models answer: {done} of {total}.")


def _draw_problem(err: TutorError) -> str:
    return draw_note("problem", str(err))
