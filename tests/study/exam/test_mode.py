"""The record of an exam: whatever is changed in it shows, and what could not be written at its time shows too."""

import json
import re
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_tutor import journal
from mlx_tutor.cli import cli
from mlx_tutor.errors import CorpusError, TutorError
from mlx_tutor.generate import Answer
from mlx_tutor.journal import find_journal
from mlx_tutor.study.chat.ask import CitedAnswer
from mlx_tutor.study.chat.support import Source
from mlx_tutor.study.exam import offline
from mlx_tutor.study.exam.mode import (
    Exam,
    add_entry,
    check_ready,
    describe_head,
    end_exam,
    hash_inputs,
    log_answer,
    log_event,
    log_question,
    record_turn,
    run_exam,
)
from mlx_tutor.study.exam.record import (
    FORMAT,
    Verdict,
    hash_entry,
    list_exams,
    make_code,
    read_code,
    read_lines,
    read_record,
    verify_lines,
    write_line,
)
from mlx_tutor.workspace import Course

HOSTILE = "<script>\x1b]0;x\x07 [red]Ünïcode 中文\ud800 \u202e\n"


def make_answer(text: str) -> CitedAnswer:
    source = Source("week1.md", 0, ("Mode",), 3, None, "The mode is the most frequent.", text)
    return CitedAnswer("What is the mode?", Answer(text, 1, 1, 1.0, 0.0, "stop", 0.0), (), (source,), True, 1, 0, 0, 0)


def begin(folder: Path, name: str = "20260101-090000-ab12") -> Exam:
    """An exam whose network is not denied, else the tests after it had none."""
    exam = Exam(Course(folder, "demo"), name, "demo")
    assert add_entry(exam, "start", {"format": FORMAT, "course": "demo"}) == ""
    exam.start_code = make_code(exam.head)
    return exam


def take(folder: Path, turns: int = 2) -> tuple[list[str], str, str]:
    """A whole exam: its lines, its start code and its end code."""
    exam = begin(folder)
    for number in range(turns):
        with record_turn(exam, f"Question {number} {HOSTILE}") as shown:
            shown.append("Because.")
            assert log_answer(exam, make_answer(f"Because {number}. {HOSTILE}")) == ""
    assert log_event(exam, "/undo") == "" and end_exam(exam) == ""
    return read_lines(exam.course)[1], exam.start_code, make_code(exam.head)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str, str]:
    return take(tmp_path_factory.mktemp("exam"))


def test_a_record_that_nobody_touched(taken: tuple[list[str], str, str]) -> None:
    lines, start, end = taken
    verdict = verify_lines(lines, [start, end])
    assert not verdict.is_changed and verdict.remarks == () and verdict.vouched == verdict.whole == len(lines) == 7
    assert verdict.heads == {start: 1, end: 7}
    kinds = [entry["kind"] for entry in verdict.entries]
    assert kinds == ["start", "question", "answer", "question", "answer", "event", "end"]
    data = verdict.entries[2]["data"]
    assert data["text"].startswith("Because 0. <script>]0;x [red]Ünïcode 中文") and "\x1b" not in lines[2]
    assert data["sources"] == [{"place": "week1.md, page 3, Mode", "quote": "The mode is the most frequent."}]
    # A code from the middle vouches for what was before it.
    middle = verify_lines(lines, [make_code(json.loads(lines[3])["hash"])])
    assert not middle.is_changed and middle.vouched == 4


def edit(line: str, **changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(line)
    return {**entry, **changes}


def rewrite(lines: list[str], number: int, text: str) -> list[str]:
    """What a student who knows the program does: change an entry, and work out all hashes behind it anew."""
    done, before = lines[: number - 1], json.loads(lines[number - 2])["hash"]
    for line in lines[number - 1 :]:
        entry = edit(line, before=before)
        if entry["number"] == number:
            entry["data"]["text"] = text
        entry["hash"] = before = hash_entry(entry)
        done.append(write_line(entry))
    return done


def with_own_hash(line: str) -> str:
    entry = edit(line, data={"text": "better"})
    return write_line({**entry, "hash": hash_entry(entry)})


CHANGES: list[tuple[Callable[[list[str]], list[str]], str]] = [
    (lambda x: [*x[:2], x[2].replace("Because", "Therefore", 1), *x[3:]], "entry 3 was changed"),
    (lambda x: [*x[:2], with_own_hash(x[2]), *x[3:]], "entry 4 does not follow the entry 3"),
    (lambda x: [*x[:2], *x[3:]], "entry 3 is missing"),
    (lambda x: [*x[:2], *x[4:]], "entries 3 to 4 are missing"),
    (lambda x: x[1:], "entry 1 is missing"),
    (lambda x: [*x[:3], x[2], *x[3:]], "entry 3 stands behind entry 3"),
    (lambda x: [*x[:2], x[3], x[2], *x[4:]], "entry 3 is missing"),
    (lambda x: [*x[:2], '{"kind": "answer"}', *x[3:]], "line 3 cannot be read"),
    (lambda x: [*x[:2], "[" * 5000, *x[3:]], "line 3 cannot be read"),
    (lambda x: [*x[:2], re.sub(r'"seconds": [\d.]+', '"seconds": 1e999', x[2]), *x[3:]], "line 3 cannot be read"),
    (lambda x: [*x[:2], x[2].replace('"text": "', '"text": "\\ud800', 1), *x[3:]], "line 3 cannot be read"),
    (lambda x: [*x[:2], x[2].replace("{", '{"kind": "answer", ', 1), *x[3:]], "entry 3 was changed"),
    (lambda x: [*x[:2], x[2].replace(": ", ":", 1), *x[3:]], "entry 3 was changed"),
    (lambda x: [*x, write_line(edit(x[-1], number=8, kind="answer"))], "entry 8 comes after the end"),
    (lambda x: [write_line(edit(x[0], exam="other")), *x[1:]], "entry 2 is of another exam"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_change_names_its_entry(
    taken: tuple[list[str], str, str], change: Callable[[list[str]], list[str]], said: str
) -> None:
    lines, start, end = taken
    for codes in ([], [start, end]):
        verdict = verify_lines(change(lines), codes)
        assert verdict.is_changed and any(said in problem for problem in verdict.problems), verdict.problems


def test_a_record_made_to_fit_has_another_code(taken: tuple[list[str], str, str]) -> None:
    lines, start, end = taken
    forged = rewrite(lines, 3, "A better answer")
    # In itself nothing is wrong with it, which is why a code has to be on paper.
    assert not verify_lines(forged).is_changed
    verdict = verify_lines(forged, [start, end])
    assert verdict.problems == () and verdict.is_changed and verdict.heads == {start: 1, end: None}


def test_cut_off_at_the_end(taken: tuple[list[str], str, str]) -> None:
    lines, start, end = taken
    cut = verify_lines(lines[:4], [start, end])
    assert cut.is_changed and cut.heads == {start: 1, end: None}
    assert "there is no end: after entry 4" in cut.remarks[0]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_changed_character_shows(taken: tuple[list[str], str, str], data: st.DataObject) -> None:
    lines = list(taken[0])
    number = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[number]) - 1))
    other = data.draw(st.sampled_from('a0 ,"}é').filter(lambda character: character != lines[number][at]))
    lines[number] = lines[number][:at] + other + lines[number][at + 1 :]
    assert verify_lines(lines, [taken[2]]).is_changed


def test_codes_are_typed_as_people_do() -> None:
    code = make_code("ab" * 32)
    assert code == "PTH9-Y877-TJP1"
    assert read_code(code.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == code
    for wrong in ("", "PTH9-Y877-TJP", "PTH9-Y877-TJP1A", "UUUU-UUUU-UUUU", "ÄÄÄÄ-ÄÄÄÄ-ÄÄÄÄ"):
        with pytest.raises(TutorError, match="is not an exam code"):
            read_code(wrong)


def test_what_is_no_record(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"hello\n"), ("json", b"[1]\n{}\n"), ("bytes", b"\xff\xfe\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TutorError, match=r"is not the record of an exam.*exam export"):
            read_record(tmp_path / name)
    with pytest.raises(TutorError, match="cannot be read: No such file"):
        read_record(tmp_path / "none")


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("byte", [b"\xff", b"\xc3", b"\x80"])
def test_a_byte_that_is_no_text_is_a_change(
    taken: tuple[list[str], str, str], tmp_path: Path, count: int, byte: bytes
) -> None:
    lines, start, _ = taken
    content = "".join(f"{line}\n" for line in lines[:count]).encode()
    path = tmp_path / "handed_in.jsonl"
    path.write_bytes(content.replace(b"demo", b"de" + byte + b"o", 1))
    verdict = verify_lines(read_record(path), [start])
    assert verdict.is_changed and verdict.problems[0] == "line 1 cannot be read as an entry"
    said = CliRunner().invoke(cli, ["exam", "verify", str(path), "--head", start])
    assert said.exit_code == 1 and "The record WAS CHANGED." in said.output, said.output


def test_a_byte_that_is_no_text_in_the_journal_is_exported_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam = begin(tmp_path)
    end_exam(exam)
    with sqlite3.connect(find_journal(exam.course)) as other:
        (line,) = other.execute("SELECT CAST(line AS BLOB) FROM exam_entries WHERE number = 1").fetchone()
        changed = line.replace(b'"demo"', b'"d\xff"')
        other.execute("UPDATE exam_entries SET line = CAST(? AS TEXT) WHERE number = 1", (changed,))
    other.close()
    verdict = verify_lines(read_lines(exam.course)[1])
    assert verdict.problems[0] == "line 1 cannot be read as an entry" and len(verdict.entries) == 1
    exam.course.sources.mkdir()
    monkeypatch.chdir(tmp_path)
    exported = CliRunner().invoke(cli, ["exam", "export", "-c", "demo", "-o", "record.jsonl"])
    assert exported.exit_code == 0, exported.output
    assert b'"course": "d\xff"' in (tmp_path / "record.jsonl").read_bytes()
    assert verify_lines(read_record(tmp_path / "record.jsonl")).is_changed


# What goes wrong while it is written.


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BUSY_SECONDS", 0.05)


def lock_journal(exam: Exam) -> sqlite3.Connection:
    other = sqlite3.connect(find_journal(exam.course))
    other.execute("BEGIN EXCLUSIVE")
    return other


def check(exam: Exam) -> Verdict:
    return verify_lines(read_lines(exam.course)[1], [exam.start_code, make_code(exam.head)])


@pytest.mark.usefixtures("impatient")
def test_a_locked_journal_leaves_a_gap_that_shows(tmp_path: Path) -> None:
    exam = begin(tmp_path)
    other = lock_journal(exam)
    assert "another program is writing" in log_question(exam, "Why?")
    assert "another program is writing" in log_answer(exam, make_answer("So."))
    assert describe_head(exam).startswith("Record: entry 3 (2 not on disk), code ")
    other.close()
    assert log_question(exam, "And?") == exam.problem == ""
    assert end_exam(exam) == "" and exam.waiting == []
    verdict = check(exam)
    assert not verdict.is_changed and verdict.vouched == 6
    assert [entry["kind"] for entry in verdict.entries[1:]] == ["question", "answer", "question", "gap", "end"]
    assert len(verdict.remarks) == 1 and "entries 2, 3 could not be written at their time" in verdict.remarks[0]
    assert "another program is writing" in verdict.remarks[0]


@pytest.mark.usefixtures("impatient")
def test_entries_that_were_never_written_are_missed(tmp_path: Path) -> None:
    exam = begin(tmp_path)
    other = lock_journal(exam)
    log_question(exam, "Why?")
    assert "another program" in end_exam(exam) and len(exam.waiting) == 2
    other.close()
    verdict = check(exam)
    assert verdict.is_changed and None in verdict.heads.values() and "there is no end" in verdict.remarks[0]


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    exam = begin(tmp_path)
    find_journal(exam.course).write_bytes(b"not a database " * 100)
    assert "damaged" in log_question(exam, "Why?")


def test_an_entry_of_somebody_else_under_our_number_shows(tmp_path: Path) -> None:
    exam = begin(tmp_path)
    with sqlite3.connect(find_journal(exam.course)) as other:
        other.execute("INSERT INTO exam_entries SELECT exam, 2, line FROM exam_entries")
    other.close()
    log_question(exam, "Why?")
    end_exam(exam)
    assert check(exam).is_changed


def test_what_ended_an_exam(tmp_path: Path) -> None:
    with run_exam(begin(tmp_path, "1")):
        pass
    with pytest.raises(KeyboardInterrupt), run_exam(begin(tmp_path, "2")):
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), run_exam(begin(tmp_path, "3")) as exam:
        raise ZeroDivisionError
    reasons = []
    for name in list_exams(exam.course):
        verdict = verify_lines(read_lines(exam.course, name)[1])
        assert not verdict.is_changed
        reasons.append(verdict.entries[-1]["data"]["reason"])
    assert reasons == ["ended by the user", "interrupted", "broken off by ZeroDivisionError"]
    with pytest.raises(CorpusError, match=r"No exam '4'\. Exams of 'demo': 1, 2, 3"):
        read_lines(exam.course, "4")
    with pytest.raises(CorpusError, match="has no exam yet"):
        read_lines(Course(tmp_path, "other"))


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGHUP, "the terminal was closed (SIGHUP)"), (signal.SIGTERM, "ended by SIGTERM")]
)
def test_a_signal_ends_an_exam_with_its_end(tmp_path: Path, number: signal.Signals, reason: str) -> None:
    before = signal.getsignal(number)
    exam = begin(tmp_path)
    with pytest.raises(SystemExit), run_exam(exam):
        try:
            with record_turn(exam, "Why?"):
                signal.raise_signal(number)
        finally:
            # A shell that ends sends it again.
            signal.raise_signal(number)
    verdict = check(exam)
    assert not verdict.is_changed and verdict.remarks == ()
    assert [entry["kind"] for entry in verdict.entries[1:]] == ["question", "unanswered", "end"]
    assert [entry["data"]["reason"] for entry in verdict.entries[2:]] == ["broken off", reason]
    assert signal.getsignal(number) is before


def test_a_server_ends_in_its_own_way_when_the_terminal_is_closed(tmp_path: Path) -> None:
    exam = begin(tmp_path)
    stopped = []
    with run_exam(exam):
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
        signal.raise_signal(signal.SIGHUP)
    assert stopped == [True]
    assert check(exam).entries[-1]["data"]["reason"] == "the terminal was closed (SIGHUP)"


def test_an_exam_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with run_exam(begin(tmp_path)) as exam:
            signal.raise_signal(signal.SIGHUP)
            assert not exam.ended
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert check(exam).entries[-1]["data"]["reason"] == "ended by the user"


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyboardInterrupt(), "broken off"), (TutorError("too long"), "TutorError: too long")]
)
def test_a_question_without_an_answer(tmp_path: Path, error: BaseException, reason: str) -> None:
    exam = begin(tmp_path)
    with pytest.raises(type(error)), record_turn(exam, "Why?", "talk 1", again=True) as shown:
        shown += ["Be", "cause"]
        raise error
    question, unanswered = check(exam).entries[1:]
    assert question["data"] == {"talk": "talk 1", "text": "Why?", "again": True}
    assert unanswered["kind"] == "unanswered"
    assert unanswered["data"] == {"talk": "talk 1", "reason": reason, "shown": "Because"}


def test_what_was_denied_is_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exam = begin(tmp_path)
    denial = offline.Denial("now", "socket.connect", "('1.1.1.1', 443)")
    monkeypatch.setattr(offline, "_denials", [denial, replace(denial, time="later")])
    log_question(exam, "Why?")
    verdict = check(exam)
    assert [entry["kind"] for entry in verdict.entries] == ["start", "denied", "question"]
    assert verdict.list_kind("denied")[0]["data"] == {**asdict(denial), "times": 2}
    assert describe_head(exam).endswith("attempts to reach out that were denied: 2")


def test_many_threads_write_one_chain(tmp_path: Path) -> None:
    exam = begin(tmp_path)

    def work(number: int) -> None:
        for i in range(5):
            log_question(exam, f"{number}: {i}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end_exam(exam)
    verdict = check(exam)
    assert not verdict.is_changed and len(verdict.entries) == 32


def test_a_clock_that_was_set_is_remarked(tmp_path: Path) -> None:
    exam = begin(tmp_path)
    exam.begun -= 3600
    end_exam(exam)
    assert "the clock was set by 3600 s" in check(exam).remarks[0]


# What has to be there.


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    course = Course(tmp_path, "demo")
    with pytest.raises(TutorError, match=r"no finished run \(.*mlx-tutor run -c demo\); the course is not extracted"):
        check_ready(course)
    check_ready(course, fused=False, search=False)


def test_every_file_that_takes_part_is_hashed_as_a_whole(tmp_path: Path, tiny_model: Path) -> None:
    course = Course(tmp_path, "demo")
    course.dataset.mkdir(parents=True)
    (course.dataset / "train.jsonl").write_text("{}\n")
    found = hash_inputs(course, tiny_model, None, search=True)
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(found["model"])
    assert list(found["dataset"]) == ["train.jsonl"] and found["index"] == found["adapter"] == {}
    (course.dataset / "train.jsonl").write_text("[]\n")
    assert hash_inputs(course, tiny_model, None, search=True)["dataset"] != found["dataset"]
