"""What the buttons, keys and boxes of the Chat tab do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from mlx_tutor.errors import TutorError
from mlx_tutor.study.chat.conversation import Turn
from mlx_tutor.study.chat.saved import delete_saved, list_saved, make_id, rename_saved, restore_saved
from mlx_tutor.study.web.chat_view import (
    draw_buttons,
    draw_list,
    draw_problem,
    draw_progress,
    draw_result,
    draw_state,
    draw_turn_sources,
    draw_turns,
    show,
    show_talk,
)
from mlx_tutor.study.web.compare_tab import find_session
from mlx_tutor.study.web.markup import draw_note, escape_text, write_plain_markdown, write_safe_markdown
from mlx_tutor.study.web.model_worker import Task, is_busy
from mlx_tutor.study.web.owners import name_owner
from mlx_tutor.study.web.site import Session, Site, ask_site, judge_turn, note_turn, tell_exam
from mlx_tutor.study.web.talks import Talk


class TalkFinder:
    """Handlers of a site; each is told by the page which conversation it shows."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def find(self, name: str | None, request: gr.Request) -> Talk:
        """The conversation that a page shows, and from now on is followed by it."""
        talk = self.site.find_talk(name or "", name_owner(self.site, request))
        find_session(self.site, request).shown = talk.id
        return talk


class ChatHandlers(TalkFinder):
    """What is done with the open conversation. Those that change it give all PARTS of the tab."""

    async def open(self, name: str, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Show the conversation that this page showed before it was loaded, or the newest; go on with its answer."""
        talk = await asyncio.to_thread(self.find_first, name, request)
        session = find_session(self.site, request)
        said = draw_state(self.site, talk)
        # Without a draft, what is typed meanwhile stays.
        question = talk.draft or gr.skip()
        yield await asyncio.to_thread(show_talk, self.site, talk, question=question, status=said)
        if is_busy(talk.chat) and talk.chat is not None:
            async for shown in self.follow(session, talk, talk.chat):
                yield shown

    def find_first(self, name: str | None, request: gr.Request) -> Talk:
        """The conversation of that name, else the newest, else a new one."""
        talk = self.find(name, request)
        if not talk.is_empty():
            return talk
        try:
            newest = list_saved(self.site.course, talk.holder, most=1)
        except TutorError:
            return talk
        # Whoever began a new conversation in this window finds it again, empty as it is.
        return self.find(newest[0].id, request) if newest and not name else talk

    async def refresh(self, name: str, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Show what another window made of the conversation; what is typed here stays."""
        talk = await asyncio.to_thread(self.find, name, request)
        session = find_session(self.site, request)
        yield await asyncio.to_thread(show_talk, self.site, talk)
        if is_busy(talk.chat) and talk.chat is not None:
            async for shown in self.follow(session, talk, talk.chat):
                yield shown

    async def ask(self, question: str, name: str, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Answer the question in the box."""
        talk = await asyncio.to_thread(self.find, name, request)
        session = find_session(self.site, request)
        try:
            task = await asyncio.to_thread(ask_site, self.site, talk, question or "")
        except TutorError as err:
            yield show(status=draw_problem(err))
            return
        async for shown in self.follow(session, talk, task, emptied=""):
            yield shown

    async def ask_example(
        self, name: str, request: gr.Request, chosen: gr.SelectData
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Ask the example that was clicked."""
        async for shown in self.ask(chosen.value["text"], name, request):
            yield shown

    async def retry(self, name: str, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Answer the last question again."""
        talk = await asyncio.to_thread(self.find, name, request)
        session = find_session(self.site, request)
        try:
            task = await asyncio.to_thread(ask_site, self.site, talk, "", again=True)
        except TutorError as err:
            yield show(status=draw_problem(err))
            return
        async for shown in self.follow(session, talk, task):
            yield shown

    async def follow(
        self, session: Session, talk: Talk, task: Task, emptied: Any = None
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Show how an answer comes, and at its end what supports it; `emptied` is put into the box at first."""
        again, question = bool(task.notes.get("again")), str(task.notes.get("question"))
        before = draw_turns(talk.conversation.turns[:-1] if again else talk.conversation.turns)
        first: dict[str, Any] = {"talk": talk.id, **draw_buttons(talk)}
        first |= {"list": await asyncio.to_thread(draw_list, self.site, talk)}
        first |= {} if emptied is None else {"question": emptied}
        said = ""
        async for _ in task.follow():
            # The page shows another conversation by now; this one goes on by itself.
            if session.shown != talk.id:
                return
            if task.future.done():
                break
            pending = [{"role": "user", "content": write_plain_markdown(question)}]
            if text := write_safe_markdown(task.read()):
                pending.append({"role": "assistant", "content": text})
            status = draw_progress(task)
            yield show(chat=before + pending, **first, **({"status": status} if status != said else {}))
            first, said = {}, status
        # An answer from the cache is there at once: the box is still full.
        left = {"question": first["question"]} if "question" in first else {}
        yield await asyncio.to_thread(self.finish, talk, task, again, left)

    def finish(self, talk: Talk, task: Task, again: bool, left: dict[str, Any]) -> tuple[Any, ...]:
        """The conversation after an answer; a question that was not answered goes back into the box."""
        problem = ""
        try:
            turn: Turn | None = task.take()
        except TutorError as err:
            turn, problem = None, draw_problem(err)
        if turn is not None:
            told = f"{draw_result(self.site, turn, task)} {draw_state(self.site, talk)}"
            return show_talk(self.site, talk, status=told, **left)
        talk.save()
        back = {}
        if not again:
            back["question"] = str(task.notes.get("question"))
            talk.save_draft(back["question"])
        return show_talk(self.site, talk, status=problem or "Stopped before it began.", **back)

    def stop(self, name: str, request: gr.Request) -> Any:
        """End the answer under way, or leave the queue."""
        task = self.find(name, request).chat
        if task is None or not is_busy(task):
            return "There is nothing to stop."
        task.stop()
        return gr.skip()

    def undo(self, typed: str, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Take back the last turn; its question goes back into the box, unless there is text in it."""
        talk = self.find(name, request)
        if is_busy(talk.chat):
            return show(status="Stop the answer first.")
        try:
            turn = talk.conversation.undo()
        except TutorError as err:
            return show(status=draw_problem(err))
        tell_exam(self.site, talk, "/undo")
        question = typed or turn.cited.question
        talk.save(draft=question)
        return show_talk(self.site, talk, status=f"Taken back. {draw_state(self.site, talk)}", question=question)

    def recall(self, name: str, request: gr.Request) -> Any:
        """The last question, for the empty box."""
        turns = self.find(name, request).conversation.turns
        return turns[-1].cited.question if turns else gr.skip()

    def set_style(self, style: str, name: str, request: gr.Request) -> str:
        """From the next answer on."""
        talk = self.find(name, request)
        try:
            talk.conversation.set_style(style)
        except TutorError as err:
            return draw_problem(err)
        talk.save_manner()
        tell_exam(self.site, talk, "/style", style)
        return escape_text(f"Style of the next answer: {style}.")

    def set_level(self, level: str, name: str, request: gr.Request) -> str:
        """From the next answer on, for this conversation."""
        talk = self.find(name, request)
        try:
            talk.conversation.set_level(level)
        except TutorError as err:
            return draw_problem(err)
        talk.save_manner()
        tell_exam(self.site, talk, "/level", level)
        return escape_text(f"Level of the next answers: {level}.")

    def show_turn(self, name: str, request: gr.Request, chosen: gr.SelectData) -> Any:
        """The sources of the turn that was clicked."""
        turns, place = self.find(name, request).conversation.turns, _find_place(chosen.index)
        return draw_turn_sources(self.site, turns[place]) if 0 <= place < len(turns) else gr.skip()

    def judge(self, name: str, request: gr.Request, liked: gr.LikeData) -> tuple[Any, ...]:
        """Thumbs up, down, or taken back."""
        talk, place = self.find(name, request), _find_place(liked.index)
        if not 0 <= place < len(talk.conversation.turns):
            return gr.skip(), gr.skip(), "Wait for the answer."
        judgement = {"Like": True, True: True, "Dislike": False, False: False}.get(liked.liked)
        try:
            judge_turn(self.site, talk, place, judgement)
        except TutorError as err:
            return gr.skip(), gr.skip(), draw_problem(err)
        if judgement is None:
            return gr.update(visible=False), "", "Your judgement is taken back."
        return gr.update(visible=True), "", "Kept in the journal of the course. A note helps more:"

    def keep_note(self, note: str, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Keep the note on a judgement."""
        try:
            note_turn(self.site, self.find(name, request), note or "")
        except TutorError as err:
            return gr.skip(), draw_problem(err)
        return gr.update(visible=False), "Your note is kept."


class ListHandlers(TalkFinder):
    """What is done with the list of conversations."""

    def begin(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Begin a new conversation in the manner of the one that is open, which stays in the list."""
        old = self.find(name, request)
        tell_exam(self.site, old, "/clear")
        talk = self.find(make_id(), request)
        talk.conversation.style, talk.conversation.level = old.conversation.style, old.conversation.level
        return show_talk(self.site, talk, question="", status=draw_state(self.site, talk))

    def switch(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Open another conversation."""
        talk = self.find(name, request)
        tell_exam(self.site, talk, "/open")
        said = "Its last question is being answered." if is_busy(talk.chat) else ""
        return show_talk(self.site, talk, question=talk.draft, status=f"{said} {draw_state(self.site, talk)}")

    def search(self, wanted: str, name: str, request: gr.Request) -> Any:
        """List those that have the words in their title or text."""
        return draw_list(self.site, self.find(name, request), wanted or "")

    def ask_title(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Offer a box for a new title."""
        talk = self.find(name, request)
        titles = [entry.title for entry in list_saved(self.site.course, talk.holder) if entry.id == talk.id]
        return gr.update(visible=bool(titles)), "".join(titles)

    def rename(self, title: str, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Take the new title."""
        talk = self.find(name, request)
        try:
            done = rename_saved(self.site.course, talk.holder, talk.id, title or "")
        except TutorError as err:
            return gr.skip(), *show(status=draw_problem(err))
        said = "Renamed." if done else draw_problem("A title needs a letter, and a conversation that has begun.")
        return gr.update(visible=not done), *show(status=said, list=draw_list(self.site, talk))

    def delete(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Delete the open conversation, which can be brought back."""
        talk = self.find(name, request)
        if self.site.exam is not None:
            return gr.skip(), gr.skip(), gr.skip(), *show(status="An exam keeps its conversations.")
        try:
            listed = {entry.id: entry.title for entry in list_saved(self.site.course, talk.holder)}
            done = delete_saved(self.site.course, talk.holder, talk.id)
        except TutorError as err:
            return gr.skip(), gr.skip(), gr.skip(), *show(status=draw_problem(err))
        if not done:
            return gr.skip(), gr.skip(), gr.skip(), *show(status="There is nothing to delete.")
        self.site.talks.forget(talk.id)
        left = [entry for entry in listed if entry != talk.id]
        following = self.find(left[0] if left else make_id(), request)
        said = draw_note("hint", f"Deleted “{listed.get(talk.id, 'it')}”. For an hour, it can be brought back.")
        shown = show_talk(self.site, following, question=following.draft, status="")
        return gr.update(visible=True), said, talk.id, *shown

    def restore(self, deleted: str, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Bring back what was deleted last, and open it."""
        talk = self.find(name, request)
        try:
            done = restore_saved(self.site.course, talk.holder, deleted or "")
        except TutorError as err:
            return gr.skip(), gr.skip(), gr.skip(), *show(status=draw_problem(err))
        if not done:
            return gr.update(visible=False), "", "", *show(status="It has been removed for good.")
        back = self.find(deleted, request)
        return gr.update(visible=False), "", "", *show_talk(self.site, back, question=back.draft, status="It is back.")


def _find_place(index: Any) -> int:
    """The turn that a message belongs to."""
    number = index[0] if isinstance(index, list | tuple) else index
    return int(number) // 2
