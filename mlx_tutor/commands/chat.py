"""Command: hold a conversation about the course."""

import io
import select
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlx_tutor.commands.options import common_options, model_options
from mlx_tutor.errors import TutorError
from mlx_tutor.files import check_new_file, write_text
from mlx_tutor.stages.ask import keep_conversation, show_last, show_reply, warn_changes, warn_passages
from mlx_tutor.stages.choose import choose_model
from mlx_tutor.stages.exam import run_exam, show_head
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job
from mlx_tutor.study.exam.offline import prepare_offline
from mlx_tutor.text import strip_controls

if TYPE_CHECKING:
    from mlx_tutor.generate import PromptCache
    from mlx_tutor.models import LoadedModel
    from mlx_tutor.study.chat.conversation import Conversation, Plan, Turn
    from mlx_tutor.study.chat.kept import KeptConversation
    from mlx_tutor.study.exam.mode import Exam
    from mlx_tutor.study.search.index import Index

HELP = (
    ("/sources", "what the model was given to read for the last answer"),
    ("/style NAME", "socratic, steps, direct, analogy or inquiry, from the next answer on; off: as the recipe says"),
    ("/level NAME", "your level, as beginner or high school, for the conversation; off: as the recipe says"),
    ("/retry", "answer the last question again, in other words"),
    ("/undo", "take back the last question and its answer"),
    ("/clear", "begin a new conversation"),
    ("/save FILE", "write the conversation as Markdown"),
    ("/help", "this list"),
    ("/quit", "end, as Ctrl-D does; Ctrl-C stops an answer"),
)
SLASHES = tuple(usage.split()[0] for usage, _ in HELP)
HISTORY_LINES = 1000
# A line that comes later than this (seconds) was typed, not pasted with the line before.
PASTE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ChatSession:
    """The state of a chat."""

    job: Job
    label: str
    loaded: "LoadedModel"
    index: "Index | None"
    conversation: "Conversation"
    cache: "PromptCache"
    interactive: bool
    exam: "Exam | None" = None
    kept: "KeptConversation | None" = None


@click.command()
@model_options("Talk with")
@click.option(
    "--continue",
    "wanted",
    is_flag=False,
    flag_value="",
    metavar="[TITLE]",
    help="Go on with the newest conversation, or with the newest that has these words in its title.",
)
@click.option("--exam", is_flag=True, help="Exam mode: offline, with a record of every question and answer.")
@common_options("course", "run", "overrides")
def command(options: Options, no_search: bool, base: bool, adapter: str | None, wanted: str | None, exam: bool) -> None:
    """Talk with your tutor about the course, with sources.

    Reads the newest fused model and corpora/NAME/dataset/documents.jsonl; writes corpora/NAME/index.sqlite, the search
    index, and corpora/NAME/.chat_history, what you typed. Turns that no longer fit into the model's context are left
    out. /help lists what else you can type; in a pipe, each line is a question. Conversations are kept in
    corpora/NAME/journal.sqlite, in one list with those of the web page; those of a pipe only with --continue. With
    --exam, the network is denied to this program and its record goes there; see mlx-tutor exam.

    Example: mlx-tutor chat --continue
    """
    if exam and wanted is not None:
        raise click.UsageError("An exam begins a conversation of its own: leave out --continue.")
    if exam:
        prepare_offline()
    job = open_job(options)
    if exam:
        from mlx_tutor.study.exam.mode import check_ready

        check_ready(job.course, job.recipe, fused=not base and adapter is None, search=not no_search)

    from mlx_tutor.generate import PromptCache
    from mlx_tutor.models import load_spec
    from mlx_tutor.study.chat.conversation import Conversation, find_style
    from mlx_tutor.study.chat.kept import KeptConversation, open_kept
    from mlx_tutor.study.search.index import open_index

    style = find_style(job.recipe.course.teaching_style)
    opened = None if wanted is None else open_kept(job.course, wanted, style)
    with ExitStack() as stack:
        index = None if no_search else stack.enter_context(open_index(job.course, job.recipe))
        if index is not None:
            warn_changes(job)
        model = choose_model(job, base, adapter)
        with job.screen.wait(f"loading {model.label}"):
            loaded = load_spec(model)
        record = None
        if exam:
            record = stack.enter_context(run_exam(job, model, search=index is not None))
        conversation, interactive = Conversation(style), sys.stdin.isatty()
        kept = None if exam or not (interactive or wanted is not None) else KeptConversation(job.course, conversation)
        if opened is not None:
            kept, conversation = opened[0], opened[0].conversation
        conversation.model = model.label
        chat = ChatSession(job, model.label, loaded, index, conversation, PromptCache(), interactive, record, kept)
        if chat.interactive:
            job.screen.say(f"{model.label} on {job.course.name}. Ask anything; /help lists commands, Ctrl-D ends.")
            if opened is not None:
                show_last(job, opened[0].conversation.turns, opened[1], model.label)
            stack.enter_context(keep_history(job, job.course.root / ".chat_history"))
        failures = run_chat(chat)
    if failures and not chat.interactive:
        raise click.exceptions.Exit(1)


def run_chat(chat: ChatSession) -> int:
    """Take line after line until the end; returns how many could not be done."""
    failures = 0
    for line in read_lines(chat.interactive):
        try:
            if line.lstrip().startswith("/"):
                if not run_slash(chat, line.strip()):
                    break
            elif line.strip():
                answer_line(chat, line)
        except TutorError as err:
            click.echo(f"Error: {strip_controls(adapt_hints(str(err)))}", err=True)
            failures += 1
        except KeyboardInterrupt:
            if not chat.interactive:
                raise
            chat.job.screen.say("\nBroken off; the conversation goes on.")
        if chat.exam is not None and line.strip():
            show_head(chat.job, chat.exam)
    return failures


def read_lines(interactive: bool) -> Iterator[str]:
    """What is typed, or the lines of a pipe; invalid bytes become a replacement character."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if not interactive:
        yield from sys.stdin
        return
    while True:
        try:
            click.echo()
            line = input("> ")
            # Pasted lines are one question, even where readline returns them one by one.
            while not line.startswith("/") and select.select([sys.stdin], [], [], PASTE_SECONDS)[0]:
                line += "\n" + input()
        except KeyboardInterrupt:
            click.echo("\nCtrl-D or /quit ends.")
        except EOFError:
            click.echo()
            return
        else:
            yield line


@contextmanager
def keep_history(job: Job, path: Path) -> Iterator[None]:
    """Editing, completion of commands, and what was typed in earlier conversations; where Python has readline."""
    try:
        import readline
    except ImportError:
        yield
        return

    def complete(text: str, state: int) -> str | None:
        found = complete_slash(readline.get_line_buffer(), text)
        return f"{found[state]} " if state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n")
    # On macOS, libedit has the same module name.
    readline.parse_and_bind("bind ^I rl_complete" if "libedit" in str(readline.__doc__) else "tab: complete")
    readline.set_history_length(HISTORY_LINES)
    try:
        if path.is_file():
            readline.read_history_file(path)
    except OSError as err:
        job.screen.warn(f"{path} cannot be read ({err}); what was typed before is not at hand.")
    try:
        yield
    finally:
        try:
            readline.write_history_file(path)
        except OSError as err:
            job.screen.warn(f"{path} cannot be written ({err}); what you typed is not kept.")


def complete_slash(line: str, word: str) -> list[str]:
    """What `word`, the last of `line`, may become: a command, a style, or a level."""
    from mlx_tutor.study.chat.conversation import LEVELS, STYLES

    before = line[: len(line) - len(word)].split()
    values = {"/style": STYLES, "/level": LEVELS}.get(before[0], ()) if len(before) == 1 else ()
    choices: Sequence[str] = SLASHES if not before else (*values, "off") if values else ()
    return [choice for choice in choices if choice.startswith(word)] if word or before else []


@contextmanager
def catch_interrupt(active: bool) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the answer to end, a second one aborts it; yields a function that tells of the first.

    Keys are not echoed meanwhile: they would break the live display.
    """
    pressed: list[bool] = []

    def press(*_: object) -> None:
        pressed.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if not active:
        yield lambda: False
        return
    previous, echoing = signal.signal(signal.SIGINT, press), termios.tcgetattr(sys.stdin)
    silent = [*echoing]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
    try:
        yield lambda: bool(pressed)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, echoing)
        signal.signal(signal.SIGINT, previous)


def answer_line(chat: ChatSession, question: str, replaces: "Turn | None" = None) -> None:
    """Answer a question as it comes, and show what supports it."""
    from mlx_tutor.models import context_length
    from mlx_tutor.study.chat.conversation import answer_turn
    from mlx_tutor.study.exam.mode import log_answer, record_turn

    job, context = chat.job, context_length(chat.loaded.config)
    if chat.kept is not None and replaces is None and chat.kept.refresh():
        job.screen.say("This conversation went on in another window; the model knows what was said there.", "dim")
    with ExitStack() as stack:
        stack.callback(keep_conversation, job, chat.kept)
        if replaces is None:
            keep_conversation(job, chat.kept, question)
        writers: list[Callable[[str, str], None]] = []
        shown: list[str] = []
        if chat.exam is not None:
            shown = stack.enter_context(record_turn(chat.exam, question, again=replaces is not None))

        def write(piece: str) -> None:
            shown.append(piece)
            writers[0](chat.label, piece)

        def begin(plan: "Plan") -> None:
            if plan.dropped:
                job.screen.say(describe_dropped(plan.first, context), "dim")
            if chat.index is not None:
                warn_passages(job, context, plan.found, plan.given + plan.recalled)
            writers.append(stack.enter_context(job.screen.watch_answers([chat.label])))
            writers[0](chat.label, "")

        is_stopped = stack.enter_context(catch_interrupt(chat.interactive))
        turn = answer_turn(
            chat.loaded,
            chat.index,
            chat.conversation,
            question,
            job.recipe,
            chat.cache,
            begin,
            write,
            is_stopped,
            replaces,
            exam=chat.exam is not None,
        )
        # Logged before the answer is shown as finished.
        if chat.exam is not None:
            log_answer(chat.exam, turn.cited)
    if not chat.interactive or replaces is not None:
        job.screen.show(f"Question: {turn.cited.question}")
    show_reply(job, chat.label, turn.cited)
    if turn.cited.answer.finish_reason == "stopped":
        job.screen.say("Stopped; the conversation goes on from here. /undo takes this answer back.", "dim")


def describe_dropped(first: int, context: int) -> str:
    """How much of the conversation the model no longer knows."""
    turns, verb = ("turn", "is") if first == 1 else (f"{first} turns", "are")
    return f"The first {turns} of this conversation {verb} left out: the model's context holds {context} tokens."


def run_slash(chat: ChatSession, line: str) -> bool:
    """Run a command of the conversation; returns whether to go on.

    Raises:
        TutorError: no such command, or one that cannot be done.
    """
    from mlx_tutor.study.chat.ask import clean_text
    from mlx_tutor.study.exam.mode import log_event

    line = clean_text(line)
    name, argument = line.split()[0], " ".join(line.split(maxsplit=1)[1:])
    screen, conversation = chat.job.screen, chat.conversation
    if chat.exam is not None and name in SLASHES:
        log_event(chat.exam, name, argument)
    match name:
        case "/quit":
            return False
        case "/help":
            from mlx_tutor.display import draw_facts

            screen.show(draw_facts(HELP))
        case "/sources":
            show_sources(chat)
        case "/style" | "/level":
            screen.show(change_manner(conversation, name, argument))
            if chat.kept is not None:
                chat.kept.save_manner()
        case "/retry":
            turn = conversation.find_last()
            answer_line(chat, turn.cited.question, turn)
        case "/undo":
            screen.show(f"Taken back: {conversation.undo().cited.question}")
            keep_conversation(chat.job, chat.kept)
        case "/clear":
            # Where it is kept, it stays there.
            (conversation.clear if chat.kept is None else chat.kept.begin_anew)()
            screen.show("A new conversation.")
        case "/save":
            screen.show(f"Saved {save_chat(chat, argument)}")
        case _:
            near = get_close_matches(name.lower(), SLASHES, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise TutorError(f"Unknown command {name[:40]}. {hint}/help lists all.")
    return True


def change_manner(conversation: "Conversation", name: str, value: str) -> str:
    """Set the style or level of the next answers, or leave it where nothing is said; and what it is now."""
    if name == "/style":
        if value:
            conversation.set_style(value.lower())
        return f"Style: {conversation.style or 'off'}"
    if value:
        conversation.set_level(value)
    return f"Level: {conversation.level or 'off'}"


def show_sources(chat: ChatSession) -> None:
    """The passages behind the last answer, in full."""
    from mlx_tutor.display import draw_sources
    from mlx_tutor.study.chat.ask import clean_text, describe_place

    passages = chat.conversation.find_last().cited.passages
    if not passages:
        chat.job.screen.show("The model was given nothing of your course for the last answer.")
        return
    chat.job.screen.show(
        draw_sources([(clean_text(describe_place(passage)), clean_text(passage.text)) for passage in passages])
    )


def save_chat(chat: ChatSession, name: str) -> Path:
    """Write the conversation where `name` says.

    Raises:
        TutorError: nothing to save, no name, or a place where nothing can be written.
    """
    from mlx_tutor.study.chat.conversation import write_markdown

    chat.conversation.find_last()
    if not name:
        raise TutorError("Say where: /save FILE")
    text = write_markdown(chat.conversation.turns, f"{chat.job.course.name}, {chat.label}")
    try:
        path = Path(name).expanduser()
        check_new_file(path)
        write_text(path, text)
    except (OSError, RuntimeError) as err:
        # The name is too long, or names the home of an unknown user.
        reason = err.strerror if isinstance(err, OSError) else err
        raise TutorError(f"{name[:60]} cannot be written ({reason}). Give another name.") from err
    return path
