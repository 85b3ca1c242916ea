"""`mlx-tutor quiz`, in a pipe and on a terminal."""

import builtins
import json
import os
import pty
import select
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mlx_tutor.cli import cli
from mlx_tutor.journal import open_journal
from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.study.quiz.session import SCHEMA
from mlx_tutor.workspace import Course
from tests.commands.conftest import Invoke


def take_quiz(text: str, *arguments: str) -> Result:
    """Answer by a pipe."""
    return CliRunner().invoke(cli, ["quiz", *arguments], input=text, prog_name="mlx-tutor")


def read_answers(workspace: Path) -> list[Any]:
    with open_journal(Course(workspace, "demo"), SCHEMA) as journal:
        return journal.execute("SELECT * FROM quiz_answers").fetchall()


def test_a_pipe_answers_line_by_line(built: Path) -> None:
    result = take_quiz("no idea\n\n", "--count", "3")
    assert result.exit_code == 0, result.output
    assert "1 of 3, new" in result.stdout and "3 of 3, new" in result.stdout
    assert "Not recognized as right" in result.stdout and "No answer" in result.stdout
    assert "2 answered: 2 wrong." in result.stdout and "week" in result.stdout
    assert "missing" in result.stdout and "comes back in 1 minute" in result.stdout
    assert [row["answer"] for row in read_answers(built)] == ["no idea", ""]


def test_the_right_answers_are_right(built: Path) -> None:
    questions = list_questions(Course(built, "demo"))
    asked = json.loads(take_quiz("\n" * len(questions), "--count", str(len(questions)), "--json").stdout)["answers"]
    references = {answer["question"]: answer["reference"] for answer in asked}
    assert len(references) == len(questions) >= 16
    (built / "corpora" / "demo" / "journal.sqlite").unlink()
    text = "".join(f"{answer['reference']}\n" for answer in asked)
    result = take_quiz(text, "--count", str(len(questions)), "--json")
    found = json.loads(result.stdout)
    assert {answer["verdict"] for answer in found["answers"]} == {"right"}
    assert all(answer["source"].startswith("week") and answer["heading"] for answer in found["answers"])
    assert found["standing"]["new"] == 0 and found["standing"]["waiting"] == len(questions)


def test_due_only_tells(built: Path) -> None:
    take_quiz("no idea\n", "--count", "1")
    told = take_quiz("", "--due")
    assert told.stdout.startswith("demo: 0 of") and "1 waiting; 1 not right last time" in told.stdout
    assert json.loads(take_quiz("", "--due", "--json").stdout)["standing"]["wrong"] == 1
    assert len(read_answers(built)) == 1


def test_bytes_that_are_no_text_and_scripts_are_text(built: Path) -> None:
    result = CliRunner().invoke(cli, ["quiz", "--count", "2"], input=b"\xff\xfe[bold]\x1b[31m\n<script>\n")
    assert result.exit_code == 0, result.output
    assert "\x1b[31m" not in result.stdout and "2 answered" in result.stdout


def test_without_rows_it_says_what_to_do(workspace: Path, invoke: Invoke) -> None:
    result = invoke("quiz")
    assert result.exit_code == 1
    assert "mlx-tutor build -c demo" in result.stderr and result.stderr.count("\n") == 1


def test_without_fsrs_it_says_what_to_install(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "fsrs":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    result = take_quiz("", "--due")
    assert result.exit_code == 1
    assert result.stderr == "Error: The quiz needs the package fsrs. Install it with: pip install 'mlx-tutor[cards]'\n"


def test_a_damaged_journal_is_one_line(built: Path) -> None:
    (built / "corpora" / "demo" / "journal.sqlite").write_bytes(b"not a database " * 99)
    result = take_quiz("no idea\n")
    assert result.exit_code == 1 and "damaged" in result.stderr and result.stderr.count("\n") == 1


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self.file = pty.fork()
        if not self.pid:
            os.environ |= {"TERM": "xterm", "COLUMNS": "70"}
            os.execv(sys.executable, [sys.executable, "-m", "mlx_tutor.cli", *arguments])

    def wait_for(self, text: str) -> str:
        """What is shown until `text` is; everything after it waits for the next call."""
        shown, end = "", time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < end, shown
            if select.select([self.file], [], [], 1)[0]:
                shown += os.read(self.file, 1).decode(errors="replace")
        return shown

    def type(self, keys: str) -> None:
        os.write(self.file, keys.encode())

    def press(self, key: str) -> None:
        """Type one key once the program reads keys; what was typed before that is thrown away."""
        while termios.tcgetattr(self.file)[3] & termios.ICANON:
            time.sleep(0.01)
        self.type(key)

    def end(self) -> int:
        """The exit status."""
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.file)
        return os.waitstatus_to_exitcode(status)


def test_one_key_overrules_the_grade(built: Path) -> None:
    terminal = Terminal("quiz", "--count", "3")
    terminal.wait_for("> ")
    terminal.type("no idea\n")
    assert "Not recognized as right" in terminal.wait_for("q leave")
    terminal.press("r")
    terminal.wait_for("Kept as right. It comes back in 10 minutes.")
    terminal.wait_for("> ")
    terminal.type("\n")
    assert "No answer" in terminal.wait_for("q leave")
    terminal.press("x")
    terminal.wait_for("Put aside.")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert "1 answered: 1 right." in terminal.wait_for("put aside")
    assert terminal.end() == 0
    (row,) = read_answers(built)
    assert (row["proposed"], row["verdict"], row["answer"]) == ("wrong", "right", "no idea")
    assert "1 put aside" in take_quiz("", "--due").stdout
    assert "1 put aside" not in take_quiz("", "--due", "--restore").stdout


def test_leaving_at_the_grade_keeps_the_answer(built: Path) -> None:
    terminal = Terminal("quiz")
    terminal.wait_for("> ")
    terminal.type("no idea\n")
    terminal.wait_for("q leave")
    terminal.press("\x03")
    terminal.wait_for("1 answered: 1 wrong.")
    terminal.wait_for("in 1 minute.")
    assert terminal.end() == 0
    assert [row["verdict"] for row in read_answers(built)] == ["wrong"]
