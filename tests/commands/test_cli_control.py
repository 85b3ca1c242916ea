"""Control sequences in files, rows and answers never reach a terminal."""

import io
import json
from pathlib import Path

import pytest
from rich.panel import Panel

from mlx_tutor.display import Screen, draw_facts
from mlx_tutor.generate import Answer
from mlx_tutor.study.chat import ask
from tests.commands.conftest import Invoke

BAD = "\x1b]0;owned\x07 \x1b[2J \x9b31m \x7f"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_command_passes_control_sequences_on(
    invoke: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = finished / "corpora" / "demo" / "sources"
    (sources / "bad\x1b[31m.md").write_text(f"# Kurtosis {BAD}\n\nKurtosis is {BAD} how heavy the tails are.\n")
    said = Answer(f"Tails {BAD}.", 1, 1, 1.0, 0.0, "stop", 0.0)
    monkeypatch.setattr(ask, "generate_answer", lambda *_: said)
    for words in (
        ("extract", "-v"),
        ("build", "-v"),
        ("show", "-n", "50"),
        ("explore",),
        ("ask", f"What is kurtosis {BAD}?"),
        ("ask", "What is kurtosis?", "--json"),
        ("compare", "--prompt", f"kurtosis {BAD}"),
        ("train", "--run", BAD),
    ):
        result = invoke(*words)
        shown = result.stdout + result.stderr
        assert not any(mark in shown for mark in ("\x1b", "\x07", "\x9b", "\x7f")), words
        if "--json" in words:
            assert json.loads(result.stdout)["passages"]


def test_a_terminal_gets_the_colours_of_the_program_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    screen = Screen()
    for console in (screen.remarks, screen.results):
        console.file = terminal
    screen.warn(BAD)
    screen.show(BAD, Panel(BAD, title=BAD), draw_facts([("file", BAD)]))
    shown = terminal.getvalue()
    assert "]0;owned" in shown and "\x1b]" not in shown and "\x1b[2J" not in shown and "\x9b" not in shown


def test_json_keeps_what_was_there(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(json=True).give_json({"text": BAD})
    shown = capsys.readouterr().out
    assert "\x9b" not in shown and "\x7f" not in shown and json.loads(shown) == {"text": BAD}
