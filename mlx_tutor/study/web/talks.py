"""The conversations that pages have open, each kept in the journal; several windows may show the same one."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlx_tutor.errors import CorpusError
from mlx_tutor.study.chat.conversation import Conversation, Plan, Turn
from mlx_tutor.study.chat.saved import (
    Holder,
    cut_turn,
    is_known,
    make_id,
    read_changed,
    read_saved,
    save_draft,
    save_manner,
    save_turns,
)
from mlx_tutor.study.web.model_worker import Task, is_busy
from mlx_tutor.workspace import Course

# Conversations that stay in memory; others are read from the journal when they are wanted.
MAX_TALKS = 64
# Seconds between two times that an answer under way is written.
SAVE_SECONDS = 2.0
NAME = re.compile(r"[\w-]{1,40}", re.ASCII)


@dataclass(slots=True, eq=False)
class Talk:
    """A conversation, its place in the queue, and what was thought of its answers.

    `thumbs` has the turn, its number in the journal and the judgement, by the turn's place in the conversation;
    `judged` is the number that a note goes to; `problem` says why it is not in the journal, "" when it is.
    """

    id: str
    course: Course
    holder: Holder
    conversation: Conversation
    draft: str = ""
    chat: Task | None = None
    thumbs: dict[int, tuple[Turn, int, bool]] = field(default_factory=dict)
    judged: int | None = None
    problem: str = ""
    written: int = 0
    # When it was written last: a terminal may go on with it meanwhile.
    changed: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def save(self, turns: Sequence[Turn] | None = None, draft: str | None = None) -> None:
        """Write what is new of the conversation, or of `turns` in its place; a problem is kept, and tried again."""
        turns = self.conversation.turns if turns is None else turns
        self.draft = self.draft if draft is None else draft
        # The last one may have been answered anew; when some were taken back, the others are as they were.
        start = min(self.written, len(turns) if len(turns) < self.written else max(0, len(turns) - 1))
        judged = self.thumbs.items()
        thumbs = {place: number for place, (turn, number, _) in judged if turn in turns[place : place + 1]}
        try:
            self.changed = save_turns(self.course, self.holder, self.id, turns, start, thumbs, draft, self.conversation)
        except CorpusError as err:
            self.problem = f"This conversation is not kept. {err}"
        else:
            self.problem, self.written = "", len(turns)

    def save_draft(self, text: str) -> None:
        """Keep what stands in the box for the next question."""
        self.draft = text
        try:
            save_draft(self.course, self.holder, self.id, text)
        except CorpusError as err:
            self.problem = f"This conversation is not kept. {err}"

    def save_manner(self) -> None:
        """Keep style and level."""
        try:
            save_manner(self.course, self.holder, self.id, self.conversation)
        except CorpusError as err:
            self.problem = f"This conversation is not kept. {err}"

    def is_outdated(self) -> bool:
        """Whether another program has written turns since; one that is being answered here is not."""
        with self.lock:
            if is_busy(self.chat) or self.problem or not self.changed:
                return False
            try:
                return read_changed(self.course, self.id) not in ("", self.changed)
            except CorpusError:
                return False

    def is_empty(self) -> bool:
        """Whether nothing has been asked or typed yet."""
        return not (self.conversation.turns or self.draft or is_busy(self.chat))


class PartSaver:
    """Writes an answer as it comes, so that a crash loses no more than two seconds of it."""

    def __init__(self, talk: Talk, question: str) -> None:
        self.talk = talk
        self.question = question
        self.turns = tuple(talk.conversation.turns)
        self.plan: Plan | None = None
        self.pieces: list[str] = []
        self.next = time.monotonic() + SAVE_SECONDS

    def write(self, piece: str) -> None:
        """Add a piece; where the journal cannot be written, the answer does not wait for it again."""
        self.pieces.append(piece)
        if time.monotonic() >= self.next and not self.talk.problem:
            self.save()
            self.next = time.monotonic() + SAVE_SECONDS

    def save(self, draft: str | None = None) -> None:
        """Write what there is, marked as cut."""
        plan = self.plan
        known = (plan.given, self.talk.conversation.model, plan.first, plan.topic) if plan else ((), "", 0)
        self.talk.save([*self.turns, cut_turn(self.question, "".join(self.pieces), *known)], draft)


class Talks:
    """The open conversations of a site, by name; those longest unused and saved go first."""

    def __init__(self) -> None:
        self.live: OrderedDict[str, Talk] = OrderedDict()
        self.lock = threading.RLock()

    def find(self, course: Course, holder: Holder, name: str, model: str, style: str | None) -> Talk:
        """The holder's conversation of that name, or a new one; a name that is not to be had is replaced."""
        with self.lock:
            talk = self.live.get(name)
            if talk is None or talk.holder != holder or talk.is_outdated():
                talk = self._read(course, holder, name, Conversation(style))
                talk.conversation.model = model
            self.live[talk.id] = talk
            self.live.move_to_end(talk.id)
            idle = [key for key, each in self.live.items() if not (is_busy(each.chat) or each.problem)]
            for key in idle[: max(0, len(self.live) - MAX_TALKS)]:
                del self.live[key]
            return talk

    def _read(self, course: Course, holder: Holder, name: str, fresh: Conversation) -> Talk:
        new = Talk(make_id(), course, holder, fresh)
        if not NAME.fullmatch(name):
            return new
        try:
            saved = read_saved(course, holder, name, fresh.style)
            if saved is None:
                return new if name in self.live or is_known(course, name) else Talk(name, course, holder, fresh)
        except CorpusError as err:
            new.problem = f"This conversation is not kept. {err}"
            # The page keeps its name for it, unless somebody else has it.
            new.id = new.id if name in self.live else name
            return new
        turns = saved.conversation.turns
        thumbs = {place: (turns[place], *judged) for place, judged in saved.thumbs.items() if place < len(turns)}
        place = (saved.id, course, holder, saved.conversation, saved.draft)
        return Talk(*place, thumbs=thumbs, written=len(turns), changed=saved.changed)

    def forget(self, name: str) -> None:
        """Stop what is under way in a conversation, and take it out of memory."""
        with self.lock:
            talk = self.live.pop(name, None)
        if talk is not None and talk.chat is not None:
            talk.chat.stop()
