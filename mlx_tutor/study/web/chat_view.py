"""What the Chat tab shows: turns, sources, the list of conversations, and how an answer came about."""

from typing import Any

import gradio as gr

from mlx_tutor.errors import TutorError
from mlx_tutor.records import CUT, describe_end
from mlx_tutor.study.chat.conversation import Turn
from mlx_tutor.study.chat.saved import list_saved
from mlx_tutor.study.exam.mode import describe_head
from mlx_tutor.study.web.markup import (
    draw,
    draw_note,
    draw_sources,
    escape_text,
    prepare_source,
    write_cited_markdown,
    write_plain_markdown,
    write_safe_markdown,
)
from mlx_tutor.study.web.model_worker import Task, is_busy
from mlx_tutor.study.web.site import Site, describe_model, list_thumbs
from mlx_tutor.study.web.talks import Talk

NO_SOURCES = draw_note("hint", "What supports an answer stands here, word for word from your course.")
# The parts of the tab that change together, in the order in which handlers give them.
PARTS = (
    *("chat", "sources", "status", "question", "talk", "ask", "stop", "retry", "undo", "list", "export"),
    *("style", "level"),
)


def show(**parts: Any) -> tuple[Any, ...]:
    """New values for some parts; the others stay."""
    return tuple(parts.get(name, gr.skip()) for name in PARTS)


def show_talk(site: Site, talk: Talk, **parts: Any) -> tuple[Any, ...]:
    """The whole conversation, its sources, and the buttons as they are now."""
    turns = talk.conversation.turns
    shown = {
        "chat": draw_chat(talk),
        "sources": draw_turn_sources(site, turns[-1]) if turns else NO_SOURCES,
        "talk": talk.id,
        "list": draw_list(site, talk),
        "style": talk.conversation.style or "off",
        "level": talk.conversation.level or "off",
        **draw_buttons(talk),
    }
    return show(**(shown | parts))


def draw_turn_sources(site: Site, turn: Turn) -> str:
    """What supports an answer, and who gave it: an old conversation may be another model's."""
    blind = site.trial is not None or not turn.model
    who = "" if blind else draw_note("hint", f"Answered by {describe_model(turn.model)}.")
    if turn.cited.answer.finish_reason == CUT:
        # It was not compared with the course; what was read for it is shown.
        return who + draw("cut_sources", [prepare_source(passage, "", passage) for passage in turn.cited.passages])
    return who + draw_sources(turn.cited)


def draw_buttons(talk: Talk) -> dict[str, Any]:
    """Ask or Stop, and what can be done with the conversation as it is."""
    busy, asked = is_busy(talk.chat), bool(talk.conversation.turns)
    return {
        "ask": gr.update(visible=not busy),
        "stop": gr.update(visible=busy),
        "retry": gr.update(interactive=asked and not busy),
        "undo": gr.update(interactive=asked and not busy),
        "export": draw("export", talk.id if asked else ""),
    }


def draw_list(site: Site, talk: Talk, wanted: str = "") -> Any:
    """The conversations of the one who sees this one, which is marked."""
    try:
        found = list_saved(site.course, talk.holder, wanted)
    except TutorError:
        # The status line says why; the list stays as it is.
        return gr.skip()
    label = "Conversations" if not wanted.strip() else f"Conversations with “{wanted.strip()[:40]}”"
    chosen = talk.id if any(entry.id == talk.id for entry in found) else None
    return gr.update(choices=[(entry.title, entry.id) for entry in found], value=chosen, label=label)


def draw_turns(turns: list[Turn]) -> list[dict[str, str]]:
    """Turns as the chat takes them."""
    messages = []
    for turn in turns:
        answer = turn.cited.answer
        text = write_cited_markdown(turn.cited) or write_safe_markdown(answer.problem) or "*nothing*"
        missing = "\n\n*not found in your course*" if turn.cited.supported is False else ""
        if answer.text and answer.finish_reason == CUT:
            missing = f"\n\n*{answer.problem}*"
        messages.append({"role": "user", "content": write_plain_markdown(turn.cited.question)})
        messages.append({"role": "assistant", "content": text + missing})
    return messages


def draw_chat(talk: Talk) -> Any:
    """The whole conversation with its thumbs."""
    return gr.update(value=draw_turns(talk.conversation.turns), feedback_value=list_thumbs(talk))


def draw_state(site: Site, talk: Talk) -> str:
    """Where the record of an exam stands, and whether the conversation is kept."""
    if site.exam is None:
        return draw_note("problem", talk.problem) if talk.problem else ""
    problem = f"The record is NOT complete on disk. {site.exam.problem} " if site.exam.problem else talk.problem
    return (draw_note("problem", problem) if problem else "") + escape_text(f"{describe_head(site.exam)}.")


def draw_problem(err: TutorError | str) -> str:
    """An error as the status line shows it."""
    return draw_note("problem", str(err))


def draw_progress(task: Task) -> str:
    """Where in the queue, that the model is being loaded, or what was left out of the prompt."""
    ahead = task.count_ahead()
    if ahead:
        return draw_note("waiting", f"Waiting: {ahead} before you.")
    return f"{draw_note('working', task.notes.get('loading', 'Answering.'))} {_describe_dropped(task)}"


def draw_result(site: Site, turn: Turn, task: Task) -> str:
    """How an answer came to its end; the figures are for whoever asks for them."""
    answer = turn.cited.answer
    figures = (
        f"{answer.tokens} tokens, {answer.tokens_per_second:.0f} a second, "
        f"the first after {turn.cited.search_seconds + answer.first_token_seconds:.2f} s"
    )
    who = "one of two runs" if site.trial is not None else describe_model(turn.model)
    said = escape_text(f"Answered by {who}{describe_end(answer.finish_reason)}.")
    if answer.from_cache:
        return f"{said} From the cache: the same was asked before. {_describe_dropped(task)}"
    return f"{said} {draw('figures', figures)} {_describe_dropped(task)}"


def _describe_dropped(task: Task) -> str:
    plan = task.notes.get("plan")
    if plan is None:
        return ""
    parts = []
    if plan.dropped:
        parts.append("The beginning of this conversation no longer fits into the model's context and is left out.")
    if plan.found and not (plan.given or plan.recalled):
        parts.append("No passage of the course fits beside this question; the model answers from its own knowledge.")
    return " ".join(parts)
