"""chat --exam as the real program, on a machine without a network, and the records that it leaves.

Exam mode cannot be taken back, so each exam is a process of its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlx_tutor.study.exam.record import FORMAT, hash_entry, write_line
from tests.commands.conftest import Invoke, expect_problem, run_program
from tests.namespaces import UNSHARE, can_mount, cut_off

MODE, MEDIAN = "What is the mode?", "What is the median?"
CODE = r"[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}"
CHAT = [sys.executable, "-m", "mlx_tutor.cli", "chat", "--exam"]
# A library that every Python process loads, and that tries to call out as long as it lives.
PLANTED = """
import os, socket, subprocess, sys, threading, time

def call_out():
    while True:
        for call in (lambda: socket.create_connection(("10.9.8.7", 443), 1), lambda: subprocess.run(["true"])):
            try:
                call()
            except OSError:
                pass
        time.sleep(0.05)

if "--exam" in sys.orig_argv:
    threading.Thread(target=call_out, daemon=True).start()
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def set_environment(**more: str) -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200", **more}


def take_exam(*lines: str, options: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Take an exam without a network, a line from a pipe after the other."""
    command = [*CHAT, *options]
    return subprocess.run(
        cut_off(*command) if sys.platform == "linux" else command,
        input="".join(f"{line}\n" for line in lines),
        env=set_environment(**environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def search_course(invoke: Invoke) -> None:
    """Make the search index, as the exam demands."""
    assert invoke("ask", MODE).exit_code == 0


def verify(invoke: Invoke, file: Path, *codes: str) -> dict[str, object]:
    heads = [word for code in codes for word in ("--head", code)]
    result = invoke("exam", "verify", str(file), *heads, "--json")
    found: dict[str, object] = json.loads(result.stdout)
    assert result.exit_code == int(bool(found["changed"]))
    return found


def test_an_exam_and_its_record(invoke: Invoke, finished: Path, tmp_path: Path) -> None:
    search_course(invoke)
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(PLANTED)
    done = take_exam(MODE, "/undo", "/save kept.md", "???", MEDIAN, "/retry", "/clear", PYTHONPATH=str(planted))
    assert "Traceback" not in done.stderr, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    # /save after /undo, and ???: the exam went on.
    assert len(errors) == 2 and done.returncode == 1
    out = " ".join(done.stdout.split())
    assert "offline variables on" in out and "audit hook on" in out
    assert re.search(r"system sandbox (?:not available|on|off)", out)
    if sys.platform == "linux":
        assert "before the hook, nothing sent: no route" in out
    for target in ("name example.org", "address 1.1.1.1", "a new program"):
        assert f"{target}: denied by us" in out
    codes = re.findall(f"[cC]ode[a-z, ]*:? ({CODE})", out)
    assert len(codes) >= 8 and len(set(codes)) == len(codes)

    assert invoke("exam", "export", "--output", "record.jsonl").exit_code == 0
    record = finished / "record.jsonl"
    found = verify(invoke, record, codes[0], codes[-1])
    assert found["changed"] is False and found["vouched"] == found["entries"] and found["remarks"] == []
    assert found["end"] == "ended by the user" and found["questions"] == 4 and found["answers"] == 3
    entries = [json.loads(line) for line in record.read_text().splitlines()]
    texts = [entry["data"]["text"] for entry in entries if entry["kind"] == "question"]
    # What was taken back and cleared is still there, and so is what could not be answered.
    assert texts == [MODE, "???", MEDIAN, MEDIAN]
    assert [e["data"]["name"] for e in entries if e["kind"] == "event"] == ["/undo", "/save", "/retry", "/clear"]
    assert next(e["data"]["reason"] for e in entries if e["kind"] == "unanswered").startswith("TutorError: The q")
    denied = {(e["data"]["event"], e["data"]["target"].split(" ")[0]) for e in entries if e["kind"] == "denied"}
    assert denied >= {("socket.getaddrinfo", "10.9.8.7"), ("subprocess.Popen", "true")}
    start = entries[0]["data"]
    assert {"model.safetensors", "config.json"} <= set(start["files"]["model"])
    assert "adapters.safetensors" in start["files"]["adapter"] and "train.jsonl" in start["files"]["dataset"]
    assert list(start["files"]["index"]) == ["index.sqlite"] and "mlx" in start["packages"]

    said = invoke("exam", "verify", "-v", str(record), "--head", codes[0], "--head", codes[-1])
    assert said.exit_code == 0 and said.stdout.rstrip().endswith("Not changed.") and MODE in said.stdout
    record.write_text(record.read_text().replace(MODE, "What is a mood?"))
    said = invoke("exam", "verify", str(record), "--head", codes[-1])
    assert said.exit_code == 1 and said.stdout.rstrip().endswith("The record WAS CHANGED.")
    assert re.search(r"^Changed: entry \d+ was changed", said.stdout, re.MULTILINE)


def wait_for(read: Path, pattern: str) -> str:
    """The last match in a file that is being written."""
    for _ in range(1200):
        if found := re.findall(pattern, read.read_text() if read.exists() else ""):
            return str(found[-1])
        time.sleep(0.1)
    raise AssertionError(f"no {pattern} in {read.read_text()}")


def test_a_killed_exam_leaves_its_record(invoke: Invoke, finished: Path) -> None:
    search_course(invoke)
    shown = finished / "shown"
    with shown.open("w") as output:
        process = subprocess.Popen(
            CHAT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            text=True,
            env=set_environment(PYTHONUNBUFFERED="1"),
        )
        assert process.stdin is not None
        process.stdin.write(f"{MODE}\n")
        process.stdin.flush()
        code = wait_for(shown, f"Record: entry 3, code ({CODE})")
        process.kill()
        process.stdin.close()
        process.wait()
    assert invoke("exam", "export", "-o", "record.jsonl").exit_code == 0
    found = verify(invoke, finished / "record.jsonl", code)
    assert found["changed"] is False and found["vouched"] == 3 and found["end"] is None
    assert "there is no end: after entry 3 the program was killed" in str(found["remarks"])
    assert "no end" in invoke("exam", "list").stdout


FULL = """
mount -t tmpfs -o size=2m none "$0" && cp -a corpora/demo/. "$0" && mount --bind "$0" corpora/demo
wait_for() { for i in $(seq 600); do grep -q "$1" shown && return; sleep 0.1; done; exit 9; }
{
    wait_for "Start code"
    dd if=/dev/zero of=corpora/demo/filler bs=1k 2>/dev/null
    echo "What is the mode?"
    wait_for "entry 3 (2 not on disk)"
    rm corpora/demo/filler
    echo "What is the median?"
} | "$@" > shown 2>&1
cp corpora/demo/journal.sqlite journal.sqlite
"""


@linux
def test_a_full_disk_is_said_and_the_gap_stays_visible(invoke: Invoke, finished: Path) -> None:
    search_course(invoke)
    disk = finished / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("cannot mount a tmpfs here")
    subprocess.run(
        [*UNSHARE, "sh", "-c", FULL, str(disk), *CHAT], env=set_environment(PYTHONUNBUFFERED="1"), check=True
    )
    shown = (finished / "shown").read_text()
    assert "NOT complete on disk" in shown and "disk is full" in shown and "LOST" not in shown
    shutil.copy(finished / "journal.sqlite", finished / "corpora" / "demo" / "journal.sqlite")
    assert invoke("exam", "export", "-o", "record.jsonl").exit_code == 0
    found = verify(invoke, finished / "record.jsonl", re.findall(f"End code[a-z, ]*: ({CODE})", shown)[0])
    assert found["changed"] is False and found["questions"] == found["answers"] == 2
    assert "entries 2, 3 could not be written at their time" in str(found["remarks"])


def test_what_keeps_an_exam_from_starting(invoke: Invoke, finished: Path) -> None:
    code, out, err = run_program("chat", "--exam")
    assert code == 1 and out == "" and err.count("\n") == 1
    assert "not everything is on disk: no search index" in err and "mlx-tutor ask -c demo" in err
    search_course(invoke)
    (finished / "corpora" / "demo" / "journal.sqlite").write_bytes(b"not a database " * 100)
    shutil.rmtree(finished / "fused_models" / "demo")
    code, _, err = run_program("chat", "--exam")
    assert code == 1 and "no fused model (make it with:" in err and "fuse --run demo" in err
    code, out, err = run_program("chat", "--exam", "--adapter", "demo")
    assert code == 1 and "its record cannot be written" in err and "damaged" in err and "Start code" not in out


def test_what_the_commands_say_of_nothing(invoke: Invoke, finished: Path) -> None:
    assert "No exam of 'demo' yet" in invoke("exam", "list").stdout
    assert json.loads(invoke("exam", "list", "--json").stdout) == []
    assert "has no exam yet" in expect_problem(invoke, "exam", "export")
    assert "cannot be read" in expect_problem(invoke, "exam", "verify", "none.jsonl")
    assert "is not an exam code" in expect_problem(invoke, "exam", "verify", "none.jsonl", "--head", "x")
    assert invoke("exam").exit_code == 2


ODD: tuple[object, ...] = (None, 7, "x", True, [], {}, [7], {"x": 7}, [[]], {"exam": 7}, "\x1b]0;Not changed.\x07")


@pytest.mark.parametrize("odd", ODD)
def test_whatever_a_forged_record_says_it_is_judged(invoke: Invoke, tmp_path: Path, odd: object) -> None:
    start = {"format": FORMAT, **dict.fromkeys(("course", "files", "recipe", "layers", "self_test"), odd)}
    files = {"format": FORMAT, "files": {"model": odd}, "recipe": {"exam": odd}, "layers": [odd], "self_test": [odd]}
    rest = dict.fromkeys(("text", "name", "times", "event", "late", "reason", "format"), odd)
    lines, before = [], ""
    for number, (kind, data) in enumerate(
        [
            ("start", start),
            ("start", files),
            *[(kind, rest) for kind in ("denied", "gap", "answer", "x\n\x1b[2J", "end")],
        ],
        1,
    ):
        entry = {"exam": "e", "number": number, "time": "\x1b[2J", "seconds": 0.0, "kind": kind, "data": data}
        entry["before"] = before
        entry["hash"] = before = hash_entry(entry)
        lines.append(write_line(entry))
    (tmp_path / "forged.jsonl").write_text("\n".join(lines))
    for options in ([], ["-v"], ["--json"]):
        result = invoke("exam", "verify", str(tmp_path / "forged.jsonl"), *options)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert "\x1b" not in result.stdout and "entry 2 is a start, where no start belongs" in result.stdout
