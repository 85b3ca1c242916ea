"""A conversation of the terminal in the journal, in one list with those of this machine's own page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlx_tutor.errors import CorpusError, TutorError
from mlx_tutor.study.chat.conversation import Conversation, Turn
from mlx_tutor.study.chat.saved import (
    Entry,
    Holder,
    cut_turn,
    list_saved,
    make_id,
    read_changed,
    read_saved,
    save_manner,
    save_turns,
)
from mlx_tutor.workspace import Course

HOLDER = Holder()
# Titles that an error offers.
NAMED = 3


@dataclass(slots=True)
class KeptConversation:
    """A conversation with its name in the journal; `problem` says why it is not there, "" when it is.

    `changed` is when it was written last, as far as is known here: a page may go on with it meanwhile.
    """

    course: Course
    conversation: Conversation
    id: str = field(default_factory=make_id)
    changed: str = ""
    written: int = 0
    problem: str = ""

    def save(self, question: str = "") -> None:
        """Write what is new; with a question, that it is being answered. A problem is kept, and tried again."""
        turns: Sequence[Turn] = self.conversation.turns
        if question:
            turns = [*turns, cut_turn(question, "", (), self.conversation.model, 0)]
        elif not turns and not self.written:
            return
        # The last one may have been answered anew; when some were taken back, the others are as they were.
        start = min(self.written, len(turns) if len(turns) < self.written else max(0, len(turns) - 1))
        try:
            self.changed = save_turns(self.course, HOLDER, self.id, turns, start, {}, None, self.conversation)
        except CorpusError as err:
            self.problem = f"This conversation is not kept. {err}"
        else:
            self.problem, self.written = "", len(turns)

    def save_manner(self) -> None:
        """Keep style and level of a conversation that has begun."""
        if self.written:
            try:
                save_manner(self.course, HOLDER, self.id, self.conversation)
            except CorpusError as err:
                self.problem = f"This conversation is not kept. {err}"

    def refresh(self) -> bool:
        """Take in what a page has added meanwhile; whether there was something."""
        try:
            if not self.changed or read_changed(self.course, self.id) in ("", self.changed):
                return False
            saved = read_saved(self.course, HOLDER, self.id, self.conversation.style)
        except CorpusError:
            # Saving it will say so.
            return False
        if saved is None:
            return False
        self.conversation.turns[:] = saved.conversation.turns
        self.changed, self.written = saved.changed, len(saved.conversation.turns)
        return True

    def begin_anew(self) -> None:
        """Leave the conversation in the journal, and go on as another one without turns."""
        self.conversation.clear()
        self.id, self.changed, self.written = make_id(), "", 0


def open_kept(course: Course, wanted: str, style: str | None = None) -> tuple[KeptConversation, str]:
    """A conversation to go on with, and its title: the newest, or the newest with `wanted` in its title or as its name.

    Raises:
        TutorError: there is none.
        CorpusError: the journal cannot be read.
    """
    found = [entry for entry in list_saved(course, HOLDER) if entry.turns]
    if not found:
        raise TutorError("No conversation is kept yet. Begin one with: mlx-tutor chat")
    entry = _find_entry(found, wanted)
    saved = read_saved(course, HOLDER, entry.id, style)
    if saved is None:
        raise TutorError(f"The conversation {entry.title!r} was deleted just now.")
    turns = len(saved.conversation.turns)
    return KeptConversation(course, saved.conversation, entry.id, saved.changed, turns), entry.title


def _find_entry(found: Sequence[Entry], wanted: str) -> Entry:
    for entry in found:
        if wanted in ("", entry.id) or wanted.casefold() in entry.title.casefold():
            return entry
    titles = "; ".join(entry.title for entry in found[:NAMED])
    raise TutorError(f"No conversation has {wanted!r} in its title. The newest: {titles}.")
