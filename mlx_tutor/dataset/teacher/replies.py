"""Asking a teacher many things: several at a time, within a budget, each only once.

Each reply is a file below `corpora/<course>/teacher/`, named by what was asked, and written as soon as it is there.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mlx_tutor.errors import DatasetError, TutorError
from mlx_tutor.files import hash_value, read_json, write_json
from mlx_tutor.records import Message
from mlx_tutor.settings import TeacherSettings

# After so many failures in a row the teacher counts as unreachable.
MOST_FAILURES = 3
# A second try often repairs an unreadable reply; a third does not help.
AGAIN = "Reply with the labelled lines only, each label at the beginning of its line."
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: a conversation, and the place that it is about; `again`: asked for the second time."""

    messages: tuple[Message, ...]
    place: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. With a `problem` nothing did, and nothing is kept.

    `cut`: it ends at `limit`, which is what `teacher.max_tokens` was. `looped`: it began to repeat itself; the repeats
    are not in `text`.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    cut: bool = False
    limit: int = 0
    problem: str = ""
    looped: bool = False


Ask = Callable[[Request], Reply]
# Given requests, and called with the index of one and its reply, in the order in which they end.
AskBatch = Callable[[Sequence[Request], Callable[[int, Reply], None]], None]
OnProgress = Callable[[str, int, int], None]
Waiting = deque[tuple[int, Request]]


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who is asked: by `ask` from `teacher.concurrency` threads, or by `ask_batch` from this one, all at once."""

    name: str
    ask: Ask | None = None
    ask_batch: AskBatch | None = None


@dataclass(slots=True)
class Usage:
    """Tokens of all replies that a dataset is made of, and how many requests were sent for it now."""

    tokens_in: int = 0
    tokens_out: int = 0
    sent: int = 0
    kept: int = 0
    # Requests that the budget had no room for.
    unasked: int = 0
    # Place and reason of each request that failed.
    unanswered: list[tuple[str, str]] = field(default_factory=list)

    def add(self, reply: Reply) -> None:
        """Count a reply."""
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out

    def cost(self, settings: TeacherSettings) -> float:
        """What the replies cost, in the currency of the recipe's prices."""
        return (self.tokens_in * settings.price_in + self.tokens_out * settings.price_out) / 1e6


def find_reply(folder: Path, settings: TeacherSettings, request: Request) -> Path:
    """Where the reply to a request is kept."""
    asked = [settings.model, settings.temperature, list(request.messages)]
    return folder / f"{hash_value(asked)}.json"


def read_reply(folder: Path, settings: TeacherSettings, request: Request) -> Reply | None:
    """The reply from an earlier build; None when there is none, or when it was cut and may now be longer."""
    path = find_reply(folder, settings, request)
    reply = Reply(**read_json(path)) if path.is_file() else None
    return None if reply is not None and reply.cut and reply.limit < settings.max_tokens else reply


def count_request(request: Request) -> int:
    """About how many tokens a request has."""
    return sum(len(message["content"]) for message in request.messages) // CHARACTERS_PER_TOKEN


def ask_all(
    requests: Sequence[Request],
    teacher: Teacher,
    folder: Path,
    settings: TeacherSettings,
    usage: Usage,
    is_usable: Callable[[str], bool],
    on_progress: OnProgress,
) -> list[Reply | None]:
    """The reply to each request, in order; None where there is none, with the reason in `usage`.

    What was answered before is read from `folder`. A reply that is not usable is asked for once more. The first
    request goes alone, so that a wrong key or model costs nothing. Ctrl-C waits for what is under way, since that is
    paid for; a second one does not. `on_progress` counts what is asked now.

    Raises:
        DatasetError: the teacher does not answer any more.
    """
    session = _Session(teacher, folder, settings, usage, is_usable)
    replies: list[Reply | None] = [None] * len(requests)
    waiting = session.look_up_all(requests, replies)
    total, done = len(waiting), 0
    if total:
        on_progress(teacher.name, done, total)

    def take(number: int, request: Request, reply: Reply) -> None:
        nonlocal done
        again = session.keep(request, reply)
        if again is not None:
            waiting.appendleft((number, again))
            return
        replies[number] = None if reply.problem else reply
        done += 1
        on_progress(request.place, done, total)

    try:
        if teacher.ask_batch is not None:
            session.ask_batch(waiting, teacher.ask_batch, take)
        else:
            session.ask_threads(waiting, take)
    except (KeyboardInterrupt, TutorError):
        if session.under_way and session.threads:
            on_progress("waiting for what is paid for; Ctrl-C again gives up", done, total)
            session.drain()
        raise
    finally:
        session.close()
    usage.unasked += len(waiting)
    return replies


@dataclass(slots=True)
class _Session:
    """Who asks, and what has become of their requests."""

    teacher: Teacher
    folder: Path
    settings: TeacherSettings
    usage: Usage
    is_usable: Callable[[str], bool]
    todo: "queue.SimpleQueue[tuple[int, Request] | None]" = field(default_factory=queue.SimpleQueue)
    done: "queue.SimpleQueue[tuple[int, Request, Reply | TutorError | None]]" = field(default_factory=queue.SimpleQueue)
    under_way: dict[int, Request] = field(default_factory=dict)
    threads: int = 0
    failures: int = 0
    answered: bool = False

    def ask_threads(self, waiting: Waiting, take: Callable[[int, Request, Reply], None]) -> None:
        """Ask in threads; daemons, since a second Ctrl-C must not wait for a slow server."""
        self.threads = self.settings.concurrency
        for _ in range(self.threads):
            threading.Thread(target=self._work, daemon=True).start()
        while waiting or self.under_way:
            while waiting and self.may_send() and self.has_room(waiting[0][1]):
                number, request = waiting.popleft()
                self.note(number, request)
                self.todo.put((number, request))
            if not self.under_way:
                return
            take(*self.receive())

    def ask_batch(self, waiting: Waiting, ask: AskBatch, take: Callable[[int, Request, Reply], None]) -> None:
        """Ask here, all that the budget has room for at once, and then again where a reply is of no use."""
        while waiting:
            sent: list[tuple[int, Request]] = []
            while waiting and self.has_room(waiting[0][1]):
                sent.append(waiting.popleft())
                self.note(*sent[-1])
            if not sent:
                return

            def receive(index: int, reply: Reply, sent: Sequence[tuple[int, Request]] = sent) -> None:
                number, request = sent[index]
                del self.under_way[number]
                take(number, request, reply)

            ask([request for _, request in sent], receive)

    def look_up_all(self, requests: Sequence[Request], replies: list[Reply | None]) -> Waiting:
        """Put the kept replies into `replies`, and return what is still to be asked, with its index."""
        waiting: Waiting = deque()
        for number, request in enumerate(requests):
            replies[number], missing = self.look_up(request)
            if missing is not None:
                waiting.append((number, missing))
        return waiting

    def look_up(self, request: Request) -> tuple[Reply | None, Request | None]:
        """The kept reply to a request, and what is still to be asked: it, or, if its reply is of no use, it again."""
        reply = read_reply(self.folder, self.settings, request)
        if reply is None:
            return None, request
        self.usage.add(reply)
        self.usage.kept += 1
        if self.is_final(request, reply):
            return reply, None
        second, missing = self.look_up(_repeat(request))
        return second or reply, missing

    def is_final(self, request: Request, reply: Reply) -> bool:
        """Whether there is nothing to gain from asking again; a reply that was cut would be cut again."""
        return reply.cut or request.again or self.is_usable(reply.text)

    def may_send(self) -> bool:
        """Whether a thread is free; the first request goes alone."""
        return len(self.under_way) < (self.settings.concurrency if self.answered else 1)

    def has_room(self, request: Request) -> bool:
        """Whether a request may be sent now, by the limits on what is spent."""
        prompts = sum(count_request(sent) for sent in self.under_way.values()) + count_request(request)
        replies = (len(self.under_way) + 1) * self.settings.max_tokens
        most = Usage(self.usage.tokens_in + prompts, self.usage.tokens_out + replies)
        tokens, cost = self.settings.budget_tokens, self.settings.budget_cost
        return not (tokens and most.tokens_in + most.tokens_out > tokens) and not (
            cost and most.cost(self.settings) > cost
        )

    def note(self, number: int, request: Request) -> None:
        """Count a request as sent."""
        self.under_way[number] = request
        self.usage.sent += 1

    def receive(self) -> tuple[int, Request, Reply]:
        """Wait for the next reply; raises what the teacher raised."""
        number, request, reply = self.done.get()
        del self.under_way[number]
        if isinstance(reply, TutorError):
            raise reply
        if reply is None:
            raise RuntimeError("the thread that asked the teacher ended with an error of its own")
        return number, request, reply

    def keep(self, request: Request, reply: Reply) -> Request | None:
        """Write a reply down; returns what to ask next when it is of no use."""
        if reply.problem:
            self.failures += 1
            if self.failures >= MOST_FAILURES:
                raise DatasetError(
                    f"The teacher does not answer: {reply.problem}. The old rows are as they were, and all replies so "
                    f"far are kept in {self.folder}. Run the same command to go on."
                )
            self.usage.unanswered.append((request.place, reply.problem))
            return None
        self.failures, self.answered = 0, True
        self.write(request, reply)
        self.usage.add(reply)
        return None if self.is_final(request, reply) else _repeat(request)

    def drain(self) -> None:
        """Wait for what is under way, and keep it."""
        while self.under_way:
            number, request, reply = self.done.get()
            del self.under_way[number]
            if isinstance(reply, Reply) and not reply.problem:
                self.write(request, reply)

    def write(self, request: Request, reply: Reply) -> None:
        """Keep a reply on the disk."""
        limit = {"limit": self.settings.max_tokens}
        write_json(find_reply(self.folder, self.settings, request), asdict(reply) | limit)

    def close(self) -> None:
        """Let the threads end."""
        for _ in range(self.threads):
            self.todo.put(None)

    def _work(self) -> None:
        assert self.teacher.ask is not None
        while (job := self.todo.get()) is not None:
            reply: Reply | TutorError | None = None
            try:
                reply = self.teacher.ask(job[1])
            except TutorError as err:
                reply = err
            finally:
                self.done.put((*job, reply))


def _repeat(request: Request) -> Request:
    """The same once more, with a word on the form; in one turn, since some templates refuse two of the user."""
    last = request.messages[-1]
    asked: Message = {"role": "user", "content": f"{last['content']}\n\n{AGAIN}"}
    return Request((*request.messages[:-1], asked), request.place, again=True)
