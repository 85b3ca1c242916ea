"""The rating of a conversation on the page, while two runs are compared there; and who answers it."""

import gradio as gr

from mlx_tutor.errors import TutorError
from mlx_tutor.study.monitor.trial import read_rating, store_mark
from mlx_tutor.study.web.compare_tab import EVENT, find_session
from mlx_tutor.study.web.markup import draw_note, escape_text
from mlx_tutor.study.web.site import Site, describe_model

SCORES = tuple(range(1, 6))


def describe_who(site: Site) -> str:
    """Who answers, as the page says it: while two runs are compared, neither is named."""
    return "one of two runs, by chance" if site.trial is not None else describe_model(site.label)


def add_trial(site: Site, shown: gr.Textbox) -> None:
    """A row of scores for the conversation that `shown` names; nothing where no runs are compared."""
    if site.trial is None:
        return
    with gr.Row(elem_id="trial-row"):
        rating = gr.Radio(
            [(str(score), score) for score in SCORES],
            label="How good was this conversation? 1 poor to 5 excellent",
            elem_id="trial-rating",
        )
    said = gr.HTML(elem_id="trial-status", apply_default_css=False)

    # Gradio hands the request to whatever asks for it by its annotation.
    def keep(score: int, request: gr.Request) -> str:
        return rate_conversation(site, score, request)

    rating.input(keep, rating, said, **EVENT)
    shown.change(lambda name: (find_rating(site, name), ""), shown, [rating, said], **EVENT)


def find_rating(site: Site, name: str) -> int | None:
    """How the conversation of that name was rated, if it was."""
    try:
        return read_rating(site.course, site.trial, name) if site.trial is not None else None
    except TutorError:
        return None


def rate_conversation(site: Site, score: int, request: gr.Request) -> str:
    """Keep the rating of the conversation that the page shows; a later one replaces it."""
    talk = site.talks.live.get(find_session(site, request).shown)
    if site.trial is None or talk is None or not talk.conversation.turns:
        return "Ask something first."
    try:
        store_mark(site.course, site.trial, talk.id, "rating", 0, int(score))
    except TutorError as err:
        return draw_note("problem", str(err))
    return escape_text(f"Kept: {score} for this conversation.")
