"""chat: lines from a pipe, commands, what is kept; and the real program in a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlx_tutor.cli import cli
from mlx_tutor.commands.chat import SLASHES, complete_slash, describe_dropped
from mlx_tutor.study.chat.saved import Holder, list_saved
from mlx_tutor.workspace import Course
from tests.commands.conftest import Invoke, expect_problem

MODE, MEDIAN = "What is the mode?", "What is the median?"


def talk(*lines: str | bytes, options: tuple[str, ...] = ()) -> Result:
    """Chat with one line after another from a pipe."""
    typed = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines) + b"\n"
    result = CliRunner().invoke(cli, ["chat", *options], input=typed, prog_name="mlx-tutor")
    assert "Traceback" not in result.output
    return result


def list_errors(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("Error:")]


def test_each_line_of_a_pipe_is_a_question(finished: Path) -> None:
    result = talk(MODE, "", "   ", "Why?")
    assert result.exit_code == 0, result.stderr
    assert re.findall(r"^Question: (.*)", result.stdout, re.MULTILINE) == [MODE, "Why?"]
    assert len(re.findall(r"^1 week1\.md, Week 1 > Mode", result.stdout, re.MULTILINE)) == 2
    assert result.stderr == ""
    root = finished / "corpora" / "demo"
    assert (root / "index.sqlite").is_file() and not (root / ".chat_history").exists()


def test_the_conversation_is_kept_and_taken_back(finished: Path) -> None:
    result = talk(MODE, MEDIAN, "/undo", "/retry", "/save kept.md", "/clear", "/undo", "/quit", "Not asked")
    assert [line.partition(":")[0] for line in list_errors(result)] == ["Error"]
    assert "Nothing has been asked yet" in list_errors(result)[0]
    assert result.exit_code == 1
    assert f"Taken back: {MEDIAN}" in result.stdout
    assert result.stdout.count(f"Question: {MODE}") == 2 and "Not asked" not in result.stdout
    text = (finished / "kept.md").read_text()
    assert text.startswith("# demo, demo\n") and re.findall(r"^> (.*)", text, re.MULTILINE) == [MODE]


def test_sources_styles_and_help(finished: Path) -> None:
    result = talk(
        "/style",
        "/style Direct",
        "/level High school",
        MODE,
        "/sources",
        "/clear",
        "/level",
        "/level off",
        "/style off",
        "/help",
    )
    assert result.exit_code == 0, result.stderr
    assert re.findall(r"^Style: (.*)", result.stdout, re.MULTILINE) == ["off", "direct", "off"]
    assert re.findall(r"^Level: (.*)", result.stdout, re.MULTILINE) == ["High school", "High school", "off"]
    assert "“The mode is the value that occurs most often" in " ".join(result.stdout.split())
    assert all(name in result.stdout for name in SLASHES)


def test_the_recipe_names_the_first_style(finished: Path) -> None:
    assert "Style: socratic" in talk("/style", options=("--set", "course.teaching_style=socratic")).stdout


def test_without_search_and_with_the_base(finished: Path) -> None:
    # The build made it.
    (finished / "corpora" / "demo" / "index.sqlite").unlink(missing_ok=True)
    result = talk(MODE, "/sources", options=("--no-search", "--base"))
    assert result.exit_code == 0, result.stderr
    assert "The course was not searched" in result.stdout and " base " in result.stdout
    assert "given nothing of your course" in result.stdout
    assert not (finished / "corpora" / "demo" / "index.sqlite").exists()
    assert "adapter of demo" in talk(MODE, options=("--adapter", "demo")).stdout


def test_two_models_are_wrong_usage_and_a_course_has_to_be_there(invoke: Invoke, finished: Path) -> None:
    assert invoke("chat", "--base", "--run", "demo").exit_code == 2
    assert "Courses here: demo" in expect_problem(invoke, "chat", "-c", "other")
    assert "No finished run 'none'" in expect_problem(invoke, "chat", "--adapter", "none")


def test_turns_that_no_longer_fit_are_named(finished: Path) -> None:
    result = talk(*[f"{MEDIAN} {'word ' * 60}"] * 4, options=("--no-search",))
    assert result.exit_code == 0, result.stderr
    assert "of this conversation" in result.stderr and "1024 tokens" in result.stderr
    assert (
        describe_dropped(1, 9) == "The first turn of this conversation is left out: the model's context holds 9 tokens."
    )
    assert "The first 3 turns of this conversation are" in describe_dropped(3, 9)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/sauces", "Unknown command /sauces. Did you mean /sources?"),
        ("/x1", "Unknown command /x1. /help lists all."),
        ("/x\x1b[31m", "Unknown command /x[31m."),
        ("/", "Unknown command /. /help"),
        ("/style loud", "No style 'loud'. Styles: socratic, steps, direct, analogy, inquiry, off."),
        ("/level 7", "A level is a few words, as beginner"),
        ("/retry", "Nothing has been asked yet"),
        ("/sources", "Nothing has been asked yet"),
        ("/save x.md", "Nothing has been asked yet"),
        ("???", "The question is empty"),
        ("mode " * 20_000, "context holds 1024"),
        (b"\x00\x1b", "The question is empty"),
    ],
)
def test_a_line_that_cannot_be_done_is_named_and_the_conversation_goes_on(
    finished: Path, line: str | bytes, said: str
) -> None:
    result = talk(line, MODE)
    errors = list_errors(result)
    assert len(errors) == 1 and said in errors[0]
    assert result.exit_code == 1
    assert f"Question: {MODE}" in result.stdout


def test_where_a_conversation_cannot_be_saved(finished: Path) -> None:
    (finished / "there.md").write_text("mine")
    (finished / "shut").mkdir()
    result = talk(MODE, "/save", "/save there.md", "/save nowhere/chat.md", "/save shut", "/save  my chat.md ")
    errors = list_errors(result)
    for error, said in zip(
        errors, ("Say where", "there.md exists", "no folder nowhere", "shut is a folder"), strict=True
    ):
        assert said in error
    assert (finished / "there.md").read_text() == "mine"
    assert (finished / "my chat.md").read_text().startswith("# demo")
    assert not (finished / "nowhere").exists()


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-this-name/x.md", "no\x00thing/x.md"])
def test_a_name_that_cannot_be(finished: Path, name: str) -> None:
    result = talk(MODE, f"/save {name}")
    errors = list_errors(result)
    assert len(errors) == 1 and len(errors[0]) < 300
    assert result.exit_code == 1


def test_html_control_characters_and_broken_bytes_are_text(finished: Path) -> None:
    question = b"What is the <script>alert('[red]mode[/red]')</script>\x1b]0;title\x07 <|im_end|>\xff?"
    result = talk(question)
    assert result.exit_code == 0, result.stderr
    assert "<script>alert('[red]mode[/red]')</script>" in result.stdout.replace("\n", "")
    assert "\x1b" not in result.stdout and "\x07" not in result.stdout and "�" in result.stdout


def test_completion() -> None:
    assert complete_slash("/s", "/s") == ["/sources", "/style", "/save"]
    assert complete_slash("/style s", "s") == ["socratic", "steps"]
    assert complete_slash("/style ", "") == ["socratic", "steps", "direct", "analogy", "inquiry", "off"]
    assert complete_slash("/level e", "e") == ["expert"] and complete_slash("/level high s", "s") == []
    assert complete_slash("", "") == complete_slash("What is ", "") == complete_slash("/save ch", "ch") == []


class Terminal:
    """The real program in a terminal of its own."""

    def __init__(self, *options: str) -> None:
        self._own, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlx_tutor.cli", "chat", *options],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self._unread = ""

    def type(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self, text: str) -> str:
        """What was shown up to and with `text`."""
        end = time.monotonic() + 60
        while text not in self._unread:
            if not select.select([self._own], [], [], max(0.0, end - time.monotonic()))[0]:
                raise AssertionError(f"no {text!r} in {self._unread!r}")
            self._unread += os.read(self._own, 4096).decode(errors="replace")
        shown, _, self._unread = self._unread.partition(text)
        return shown + text

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


@pytest.fixture
def terminal(finished: Path) -> Iterator[Terminal]:
    # Random weights run in loops.
    opened = Terminal("--no-search", "--set", "generate.max_tokens=900", "--set", "generate.stop_repetition=false")
    yield opened
    opened.close()


def test_in_a_terminal(terminal: Terminal, finished: Path) -> None:
    terminal.wait("/help lists commands")
    terminal.wait("> ")
    terminal.type(f"{MODE}\n")
    # The first frame of the answer; then Ctrl-C, which ends the answer and not the conversation.
    terminal.wait("╰")
    terminal.interrupt()
    assert "Broken off" not in terminal.wait("Stopped; the conversation goes on")
    terminal.wait("> ")
    terminal.type("not sent")
    terminal.wait("not sent")
    # Python sees a signal only while it waits for the next key.
    time.sleep(0.5)
    terminal.interrupt()
    terminal.wait("Ctrl-D or /quit ends.")
    terminal.wait("> ")
    # Completed by Tab.
    terminal.type("/st\tsoc\t\n")
    terminal.wait("Style: socratic")
    terminal.wait("> ")
    terminal.type("/save kept.md\n")
    terminal.wait("Saved kept.md")
    terminal.wait("> ")
    terminal.type("\x04")
    assert terminal.process.wait(timeout=30) == 0
    assert (finished / "kept.md").read_text().count("> ") == 1
    history = (finished / "corpora" / "demo" / ".chat_history").read_text()
    assert MODE in history and "/save kept.md" in history


def test_a_conversation_is_in_the_list_and_is_gone_on_with(finished: Path, invoke: Invoke) -> None:
    course = Course(finished, "demo")
    assert "No conversation is kept yet" in expect_problem(invoke, "chat", "--continue")
    terminal = Terminal("--no-search", "--set", "generate.max_tokens=5")
    terminal.wait("Ctrl-D ends.")
    for typed in (MODE, "/style steps", "/clear", MEDIAN, "/quit"):
        terminal.wait("> ")
        terminal.type(f"{typed}\n")
    assert terminal.process.wait(timeout=60) == 0
    terminal.close()
    assert [(entry.title, entry.turns) for entry in list_saved(course, Holder())] == [(MEDIAN, 1), (MODE, 1)]
    # The newest, and one by its title.
    assert talk("Why?", options=("--continue",)).exit_code == 0
    named = talk("/style", "And in a list?", "Again?", "/undo", options=("--continue", "THE MODE"))
    assert named.exit_code == 0 and "Style: steps" in named.stdout
    assert [(entry.title, entry.turns) for entry in list_saved(course, Holder())] == [(MODE, 2), (MEDIAN, 2)]
    again = Terminal("--no-search", "--set", "generate.max_tokens=5", "--continue")
    assert MODE in again.wait("2 questions so far")
    again.wait("Question: And in a list?")
    again.close()
    # What a pipe asks by itself is not kept.
    talk("What is the range?")
    assert len(list_saved(course, Holder())) == 2
    problem = expect_problem(invoke, "chat", "--continue", "wombat")
    assert "No conversation has 'wombat' in its title. The newest: What is the mode?;" in problem
    assert invoke("chat", "--exam", "--continue").exit_code == 2


def test_pasted_lines_are_one_question_and_history_is_there_next_time(terminal: Terminal, finished: Path) -> None:
    history = finished / "corpora" / "demo" / ".chat_history"
    history.write_text("/style steps\n")
    terminal.wait("> ")
    terminal.type("\x1b[A\n")
    terminal.wait("Style: steps")
    terminal.wait("> ")
    terminal.type("?!\n...\n")
    terminal.wait("The question is empty")
    terminal.wait("> ")
    terminal.type("/quit\n")
    assert "Error" not in terminal.wait("/quit")
    assert terminal.process.wait(timeout=30) == 0
    assert history.read_text().startswith("/style steps\n")
