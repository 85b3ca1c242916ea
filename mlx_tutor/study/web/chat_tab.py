"""The Chat tab of the web page: conversations, the open one, its composer, and the sources."""

from typing import Any

import gradio as gr

from mlx_tutor.study.chat.conversation import LEVELS, STYLES, find_style
from mlx_tutor.study.web.chat_handlers import ChatHandlers, ListHandlers
from mlx_tutor.study.web.chat_view import NO_SOURCES, PARTS
from mlx_tutor.study.web.compare_tab import EVENT
from mlx_tutor.study.web.markup import LATEX
from mlx_tutor.study.web.overview import list_examples
from mlx_tutor.study.web.site import Site

# Those that end when the page shows another conversation.
ONCE: dict[str, Any] = {**EVENT, "trigger_mode": "once"}
# In the browser: there is nothing to ask in an empty box.
OFFER_ASK = "text => ({__type__: 'update', interactive: text.trim() !== ''})"


def add_chat(site: Site, page: gr.Blocks) -> gr.Textbox:
    """The tab: conversations at the left, the open one with its composer, sources at the right; below when narrow.

    Returns what names the conversation that the page shows.
    """
    parts: dict[str, Any] = {}
    # What the page's script presses when keys or other windows ask for it, and which conversation is shown.
    parts["talk"] = talk = gr.Textbox(elem_id="talk", visible="hidden", label="Conversation")
    recall = gr.Button("Last question", elem_id="recall", visible="hidden")
    refresh = gr.Button("Look again", elem_id="refresh", visible="hidden")
    gr.Button("Conversations", elem_id="talks-toggle", size="sm")
    with gr.Row(elem_id="chat-row"):
        with gr.Column(elem_id="talks", scale=0, min_width=220):
            listed = _add_list(parts, in_exam=site.exam is not None)
        with gr.Column(elem_id="chat-column", scale=3, min_width=280):
            parts["chat"] = _add_chatbot(site)
            parts["status"] = gr.HTML(elem_id="status", apply_default_css=False)
            composed = _add_composer(site, parts)
        with gr.Column(elem_id="sources-column", scale=2, min_width=280):
            parts["sources"] = gr.HTML(NO_SOURCES, elem_id="sources", apply_default_css=False)
    _connect(site, page, parts, composed | {"recall": recall, "refresh": refresh})
    _connect_list(site, parts, listed)
    return talk


def _add_list(parts: dict[str, Any], *, in_exam: bool) -> dict[str, Any]:
    """The list of conversations. An exam has no rename and no delete: its record keeps all."""
    made: dict[str, Any] = {"new": gr.Button("New conversation", elem_id="new", size="sm", min_width=70)}
    made["search"] = gr.Textbox(
        elem_id="search",
        label="Search conversations",
        show_label=False,
        placeholder="Search",
        max_lines=1,
        container=False,
    )
    parts["list"] = gr.Radio([], label="Conversations", elem_id="list", container=False)
    with gr.Row(elem_id="talk-row"):
        made["rename"] = gr.Button("Rename", elem_id="rename", size="sm", min_width=60, visible=not in_exam)
        made["delete"] = gr.Button("Delete", elem_id="delete", size="sm", min_width=60, visible=not in_exam)
        parts["export"] = gr.HTML(elem_id="export", apply_default_css=False)
    with gr.Row(elem_id="title-row", visible=False) as made["title_row"]:
        made["title"] = gr.Textbox(elem_id="title", label="New title", max_lines=1, scale=3, min_width=100)
        made["keep_title"] = gr.Button("Keep", elem_id="keep-title", size="sm", scale=1, min_width=60)
    with gr.Row(elem_id="undelete-row", visible=False) as made["undelete_row"]:
        made["told"] = gr.HTML(elem_id="told", apply_default_css=False)
        made["undelete"] = gr.Button("Bring back", elem_id="undelete", size="sm", min_width=90)
    made["deleted"] = gr.Textbox(visible="hidden", label="Deleted", elem_id="deleted")
    return made


def _add_chatbot(site: Site) -> gr.Chatbot:
    examples: list[Any] = [{"text": question} for question in list_examples(site.course, site.recipe.dataset.holdout)]
    return gr.Chatbot(
        elem_id="chat",
        show_label=False,
        label="Conversation",
        height="100%",
        layout="bubble",
        latex_delimiters=LATEX,
        allow_tags=False,
        buttons=["copy"],
        examples=examples or None,
        placeholder="Ask anything about your course.",
    )


def _add_composer(site: Site, parts: dict[str, Any]) -> dict[str, Any]:
    """Question, the button that asks or stops, what can be done with the last answer, and the note on a judgement."""
    made: dict[str, Any] = {}
    with gr.Row(elem_id="note-row", visible=False) as made["note_row"]:
        made["note"] = gr.Textbox(
            elem_id="note",
            label="Note on your judgement",
            show_label=False,
            placeholder="What was good or wrong about it?",
            scale=8,
            lines=1,
        )
        made["keep"] = gr.Button("Keep note", elem_id="keep", scale=1, min_width=100)
    with gr.Row(elem_id="ask-row"):
        parts["question"] = gr.Textbox(
            elem_id="question",
            label="Your question",
            show_label=False,
            placeholder="Your question (Enter sends, Shift+Enter begins a line)",
            scale=8,
            lines=1,
            max_lines=8,
            autofocus=True,
        )
        parts["ask"] = gr.Button("Ask", variant="primary", elem_id="ask", scale=1, min_width=80, interactive=False)
        parts["stop"] = gr.Button("Stop", variant="stop", elem_id="stop", scale=1, min_width=80, visible=False)
    with gr.Row(elem_id="button-row"):
        parts["retry"] = gr.Button("Retry", size="sm", elem_id="retry", min_width=70, interactive=False)
        parts["undo"] = gr.Button("Undo", size="sm", elem_id="undo", min_width=70, interactive=False)
        style = find_style(site.recipe.course.teaching_style) or "off"
        for name, choices, value in (("style", STYLES, style), ("level", LEVELS, "off")):
            title = name.capitalize()
            parts[name] = gr.Dropdown(
                [(f"{title}: as the recipe", "off"), *((f"{title}: {choice}", choice) for choice in choices)],
                value=value,
                label=f"{title} of the answers",
                show_label=False,
                elem_id=name,
                min_width=190,
                container=False,
                filterable=False,
            )
        # Nothing reads it on the server, so Gradio would show it as fixed.
        made["figures"] = gr.Checkbox(
            label="Figures", elem_id="figures", container=False, min_width=90, interactive=True
        )
    return made


def _connect(site: Site, page: gr.Blocks, parts: dict[str, Any], made: dict[str, Any]) -> None:
    handlers = ChatHandlers(site)
    view = [parts[name] for name in PARTS]
    question, talk, status = parts["question"], parts["talk"], parts["status"]
    page.load(handlers.open, talk, view, js="() => window.tutor.readTalk()", **EVENT)
    for event in (parts["ask"].click, question.submit):
        event(handlers.ask, [question, talk], view, **ONCE)
    figures = made["figures"]
    page.load(None, None, figures, js="() => window.tutor.readFigures()", api_visibility="private")
    question.change(None, question, parts["ask"], js=OFFER_ASK, api_visibility="private")
    parts["chat"].example_select(handlers.ask_example, talk, view, **ONCE)
    parts["retry"].click(handlers.retry, talk, view, **ONCE)
    parts["stop"].click(handlers.stop, talk, status, **EVENT)
    parts["undo"].click(handlers.undo, [question, talk], view, **EVENT)
    made["recall"].click(handlers.recall, talk, question, **EVENT)
    made["refresh"].click(handlers.refresh, talk, view, **ONCE)
    for name, handler in (("style", handlers.set_style), ("level", handlers.set_level)):
        parts[name].input(handler, [parts[name], talk], status, **EVENT)
    parts["chat"].select(handlers.show_turn, talk, parts["sources"], **EVENT)
    noted = [made["note_row"], made["note"], status]
    # An exam is judged by others; without a handler Gradio shows no thumbs.
    if site.exam is None:
        parts["chat"].like(handlers.judge, talk, noted, **EVENT)
    for event in (made["keep"].click, made["note"].submit):
        event(handlers.keep_note, [made["note"], talk], [made["note_row"], status], **EVENT)


def _connect_list(site: Site, parts: dict[str, Any], made: dict[str, Any]) -> None:
    handlers = ListHandlers(site)
    view, talk = [parts[name] for name in PARTS], parts["talk"]
    made["new"].click(handlers.begin, talk, view, **EVENT)
    parts["list"].input(handlers.switch, parts["list"], view, **EVENT)
    made["search"].change(handlers.search, [made["search"], talk], parts["list"], trigger_mode="always_last", **EVENT)
    made["rename"].click(handlers.ask_title, talk, [made["title_row"], made["title"]], **EVENT)
    for event in (made["keep_title"].click, made["title"].submit):
        event(handlers.rename, [made["title"], talk], [made["title_row"], *view], **EVENT)
    gone = [made["undelete_row"], made["told"], made["deleted"], *view]
    made["delete"].click(handlers.delete, talk, gone, **EVENT)
    made["undelete"].click(handlers.restore, [made["deleted"], talk], gone, **EVENT)
