"""The Chat tab of the web page: the conversation, the composer below it, and the sources of an answer beside it."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from mlx_tutor.errors import TutorError
from mlx_tutor.records import describe_end
from mlx_tutor.study.chat.conversation import LEVELS, STYLES, Conversation, Turn, find_style
from mlx_tutor.study.exam.mode import describe_head
from mlx_tutor.study.web.compare_tab import EVENT, find_session
from mlx_tutor.study.web.markup import (
    LATEX,
    draw_note,
    draw_sources,
    escape_text,
    write_cited_markdown,
    write_plain_markdown,
    write_safe_markdown,
)
from mlx_tutor.study.web.model_worker import Task
from mlx_tutor.study.web.overview import list_examples
from mlx_tutor.study.web.site import Session, Site, ask_site, is_busy, judge_turn, list_thumbs, note_turn, tell_exam

NO_SOURCES = draw_note("hint", "What supports an answer stands here, word for word from your course.")


def add_chat(site: Site) -> None:
    """The chat tab: conversation and buttons at the left, sources at the right, or below on a narrow screen."""
    examples: list[Any] = [{"text": question} for question in list_examples(site.course)]
    with gr.Row(elem_id="chat-row"):
        with gr.Column(scale=3, min_width=320):
            chatbot = gr.Chatbot(
                elem_id="chat",
                show_label=False,
                height="100%",
                layout="bubble",
                latex_delimiters=LATEX,
                allow_tags=False,
                buttons=["copy"],
                examples=examples or None,
                placeholder="Ask anything about your course.",
            )
            status = gr.HTML(elem_id="status", apply_default_css=False)
            with gr.Row(elem_id="ask-row"):
                question = gr.Textbox(
                    elem_id="question", show_label=False, placeholder="Your question", scale=8, lines=1, max_lines=8
                )
                ask = gr.Button("Ask", variant="primary", elem_id="ask", scale=1, min_width=80)
                stop = gr.Button("Stop", elem_id="stop", scale=1, min_width=80)
            with gr.Row(elem_id="button-row"):
                retry = gr.Button("Retry", size="sm", elem_id="retry", min_width=70)
                undo = gr.Button("Undo", size="sm", elem_id="undo", min_width=70)
                clear = gr.Button("Clear", size="sm", elem_id="clear", min_width=70)
                style = gr.Dropdown(
                    [("Style: as the recipe", "off"), *((f"Style: {name}", name) for name in STYLES)],
                    value=find_style(site.recipe.course.teaching_style) or "off",
                    show_label=False,
                    elem_id="style",
                    min_width=190,
                    container=False,
                    filterable=False,
                )
                level = gr.Dropdown(
                    [("Level: as the recipe", "off"), *((f"Level: {name}", name) for name in LEVELS)],
                    value="off",
                    show_label=False,
                    elem_id="level",
                    min_width=190,
                    container=False,
                    filterable=False,
                )
            with gr.Row(elem_id="note-row", visible=False) as note_row:
                note = gr.Textbox(
                    elem_id="note", show_label=False, placeholder="What was good or wrong about it?", scale=8, lines=1
                )
                keep = gr.Button("Keep note", elem_id="keep", scale=1, min_width=100)
        with gr.Column(scale=2, min_width=300):
            sources = gr.HTML(NO_SOURCES, elem_id="sources", apply_default_css=False)

    view = [chatbot, sources, status, question]
    handlers = ChatHandlers(site)
    for event in (ask.click, question.submit):
        event(handlers.ask, question, view, trigger_mode="once", **EVENT)
    chatbot.example_select(handlers.ask_example, None, view, trigger_mode="once", **EVENT)
    retry.click(handlers.retry, None, view, trigger_mode="once", **EVENT)
    stop.click(handlers.stop, None, status, **EVENT)
    undo.click(handlers.undo, question, view, **EVENT)
    for event in (clear.click, chatbot.clear):
        event(handlers.clear, None, [*view, note_row], **EVENT)
    style.input(handlers.set_style, style, status, **EVENT)
    level.input(handlers.set_level, level, status, **EVENT)
    chatbot.select(handlers.show_turn, None, sources, **EVENT)
    chatbot.like(handlers.judge, None, [note_row, note, status], **EVENT)
    for event in (keep.click, note.submit):
        event(handlers.keep_note, note, [note_row, status], **EVENT)


class ChatHandlers:
    """What the buttons of the chat do. Those that show the conversation give chat, sources, status and question."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def find(self, request: gr.Request) -> Session:
        """The session of the page that asks."""
        return find_session(self.site, request)

    async def ask(self, question: str, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Answer the question in the box."""
        session = self.find(request)
        try:
            task = ask_site(self.site, session, question or "")
        except TutorError as err:
            yield gr.skip(), gr.skip(), draw_problem(err), gr.skip()
            return
        async for shown in self.follow(session, task, question, again=False):
            yield shown

    async def ask_example(self, request: gr.Request, chosen: gr.SelectData) -> AsyncIterator[tuple[Any, ...]]:
        """Ask the example that was clicked."""
        async for shown in self.ask(chosen.value["text"], request):
            yield shown

    async def retry(self, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Answer the last question again."""
        session = self.find(request)
        try:
            question = session.conversation.find_last().cited.question
            task = ask_site(self.site, session, "", again=True)
        except TutorError as err:
            yield gr.skip(), gr.skip(), draw_problem(err), gr.skip()
            return
        async for shown in self.follow(session, task, question, again=True):
            yield shown

    async def follow(
        self, session: Session, task: Task, question: str, *, again: bool
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Show how an answer comes, and at its end what supports it."""
        conversation = session.conversation
        before = draw_turns(conversation.turns[:-1] if again else conversation.turns)
        emptied: Any = gr.skip() if again else ""
        async for _ in task.follow():
            # Cleared meanwhile: this answer is no longer anybody's.
            if session.conversation is not conversation:
                return
            text = write_safe_markdown(task.read())
            pending = [{"role": "user", "content": write_plain_markdown(question)}]
            pending += [{"role": "assistant", "content": text}] if text else []
            yield before + pending, gr.skip(), draw_progress(task, len(conversation.turns)), emptied
            emptied = gr.skip()
        try:
            turn: Turn | None = task.take()
        except TutorError as err:
            yield draw_chat(session), gr.skip(), draw_problem(err), gr.skip() if again else question
            return
        if turn is None:
            yield draw_chat(session), gr.skip(), "Stopped before it began.", gr.skip() if again else question
            return
        told = f"{draw_result(turn, task)} {draw_head(self.site)}"
        yield draw_chat(session), draw_sources(turn.cited), told, gr.skip()

    def stop(self, request: gr.Request) -> Any:
        """End the answer under way, or leave the queue."""
        task = self.find(request).chat
        if task is None or not is_busy(task):
            return "There is nothing to stop."
        task.stop()
        return gr.skip()

    def undo(self, typed: str, request: gr.Request) -> tuple[Any, ...]:
        """Take back the last turn; its question goes back into the box, unless there is text in it."""
        session = self.find(request)
        if is_busy(session.chat):
            return gr.skip(), gr.skip(), "Stop the answer first.", gr.skip()
        try:
            turn = session.conversation.undo()
        except TutorError as err:
            return gr.skip(), gr.skip(), draw_problem(err), gr.skip()
        tell_exam(self.site, session, "/undo")
        left = session.conversation.turns
        shown = draw_sources(left[-1].cited) if left else NO_SOURCES
        return draw_chat(session), shown, "Taken back.", typed or turn.cited.question

    def clear(self, request: gr.Request) -> tuple[Any, ...]:
        """Begin anew; what was under way is stopped."""
        session = self.find(request)
        tell_exam(self.site, session, "/clear")
        if session.chat is not None:
            session.chat.stop()
        session.conversation = Conversation(session.conversation.style, session.conversation.level)
        session.chat, session.judged = None, None
        session.thumbs.clear()
        return [], NO_SOURCES, "", "", gr.update(visible=False)

    def set_style(self, style: str, request: gr.Request) -> str:
        """From the next answer on."""
        session = self.find(request)
        try:
            session.conversation.set_style(style)
        except TutorError as err:
            return draw_problem(err)
        tell_exam(self.site, session, "/style", style)
        return escape_text(f"Style of the next answer: {style}.")

    def set_level(self, level: str, request: gr.Request) -> str:
        """From the next answer on, for this conversation."""
        session = self.find(request)
        try:
            session.conversation.set_level(level)
        except TutorError as err:
            return draw_problem(err)
        tell_exam(self.site, session, "/level", level)
        return escape_text(f"Level of the next answers: {level}.")

    def show_turn(self, request: gr.Request, chosen: gr.SelectData) -> Any:
        """The sources of the turn that was clicked."""
        turns, place = self.find(request).conversation.turns, _find_place(chosen.index)
        return draw_sources(turns[place].cited) if 0 <= place < len(turns) else gr.skip()

    def judge(self, request: gr.Request, liked: gr.LikeData) -> tuple[Any, ...]:
        """Thumbs up, down, or taken back."""
        session, place = self.find(request), _find_place(liked.index)
        if not 0 <= place < len(session.conversation.turns):
            return gr.skip(), gr.skip(), "Wait for the answer."
        judgement = {"Like": True, True: True, "Dislike": False, False: False}.get(liked.liked)
        try:
            judge_turn(self.site, session, place, judgement)
        except TutorError as err:
            return gr.skip(), gr.skip(), draw_problem(err)
        if judgement is None:
            return gr.update(visible=False), "", "Your judgement is taken back."
        return gr.update(visible=True), "", "Kept in the journal of the course. A note helps more:"

    def keep_note(self, note: str, request: gr.Request) -> tuple[Any, ...]:
        """Keep the note on a judgement."""
        try:
            note_turn(self.site, self.find(request), note or "")
        except TutorError as err:
            return gr.skip(), draw_problem(err)
        return gr.update(visible=False), "Your note is kept."


def _find_place(index: Any) -> int:
    """The turn that a message belongs to."""
    number = index[0] if isinstance(index, list | tuple) else index
    return int(number) // 2


def draw_turns(turns: list[Turn]) -> list[dict[str, str]]:
    """Turns as the chat takes them."""
    messages = []
    for turn in turns:
        answer = turn.cited.answer
        text = write_cited_markdown(turn.cited) or write_safe_markdown(answer.problem) or "*nothing*"
        missing = "\n\n*not found in your course*" if turn.cited.supported is False else ""
        messages.append({"role": "user", "content": write_plain_markdown(turn.cited.question)})
        messages.append({"role": "assistant", "content": text + missing})
    return messages


def draw_chat(session: Session) -> Any:
    """The whole conversation with its thumbs."""
    return gr.update(value=draw_turns(session.conversation.turns), feedback_value=list_thumbs(session))


def draw_head(site: Site) -> str:
    """Where the record of an exam stands."""
    if site.exam is None:
        return ""
    problem = f"The record is NOT complete on disk. {site.exam.problem} " if site.exam.problem else ""
    return draw_note("problem", problem) + escape_text(f"{describe_head(site.exam)}.")


def draw_problem(err: TutorError) -> str:
    """An error as the status line shows it."""
    return draw_note("problem", str(err))


def draw_progress(task: Task, turns: int) -> str:
    """Where in the queue, or what was left out of the prompt."""
    ahead = task.count_ahead()
    if ahead:
        return draw_note("waiting", f"Waiting: {ahead} before you.")
    return f"{draw_note('working', 'Answering.')} {_describe_dropped(task)}"


def draw_result(turn: Turn, task: Task) -> str:
    """How an answer came to its end."""
    answer = turn.cited.answer
    if answer.from_cache:
        return f"From the cache: asked before, of the same model with the same passages. {_describe_dropped(task)}"
    parts = [
        f"{answer.tokens} tokens",
        f"{answer.tokens_per_second:.0f} a second",
        f"the first after {turn.cited.search_seconds + answer.first_token_seconds:.2f} s",
    ]
    return f"{', '.join(parts)}{describe_end(answer.finish_reason)}. {_describe_dropped(task)}"


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
