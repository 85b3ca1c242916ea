"""Exam mode: denies this process the network, and records every question and answer.

The code of the newest entry is shown at the start, after each answer and at the end; an invigilator who writes it down
can tell later whether a record is the original. Each entry is on disk before an answer is shown as finished.
"""

import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NoReturn

from mlx_tutor.errors import CorpusError, TutorError
from mlx_tutor.files import hash_file, hash_value
from mlx_tutor.journal import open_journal
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import ModelSpec
from mlx_tutor.study.chat.ask import CitedAnswer, clean_text, describe_place
from mlx_tutor.study.exam.offline import Attempt, Layer, deny_network, take_denials
from mlx_tutor.study.exam.record import FORMAT, SCHEMA, hash_entry, make_code, write_line
from mlx_tutor.study.search.index import find_index, is_index_current
from mlx_tutor.workspace import Course, Run, list_runs


@dataclass(slots=True)
class Exam:
    """An exam in progress.

    `head` is the hash of the newest of its `count` entries; `waiting` are those that could not be written so far, and
    `problem` says why. `layers` and `attempts` are what the denial of the network came to.
    """

    course: Course
    name: str
    label: str
    allow_code: bool = True
    layers: tuple[Layer, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    head: str = ""
    count: int = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    problem: str = ""
    denied: int = 0
    ended: bool = False
    start_code: str = ""
    begun: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)


def check_ready(course: Course, recipe: Recipe | None = None, *, fused: bool = True, search: bool = True) -> None:
    """Check that everything the exam needs is on disk.

    Args:
        recipe: What is searched, and how.
        fused: A fused model is to answer, not the base or an adapter.
        search: The course is to be searched.

    Raises:
        TutorError: all that is missing, each with the command that makes it.
    """
    missing: list[str] = []
    runs = list_runs(course)
    if fused and not any(run.is_fused for run in runs):
        hint = f"mlx-tutor fuse --run {runs[-1].name}" if runs else f"mlx-tutor run -c {course.name}"
        missing.append(f"no {'fused model' if runs else 'finished run'} (make it with: {hint})")
    if search and not (course.dataset / "documents.jsonl").is_file():
        missing.append(f"the course is not extracted (do it with: mlx-tutor extract -c {course.name})")
    elif search and not is_index_current(course, recipe):
        hint = f'mlx-tutor ask -c {course.name} "any question"'
        missing.append(f"no search index that fits the course (make it with: {hint})")
    if missing:
        raise TutorError(f"The exam cannot start, not everything is on disk: {'; '.join(missing)}.")


def start_exam(course: Course, recipe: Recipe, model: ModelSpec, *, search: bool = True) -> Exam:
    """Deny the network to this process for good, and begin a record. Everything has to be loaded by now.

    Args:
        course: Whose journal takes the record.
        model: Who answers; of a fused model, the adapter inside it is found.

    Raises:
        TutorError: this process reached the network all the same.
        CorpusError: the record cannot be written.
    """
    run, adapter = Run(course.workspace, model.path.name), model.adapter
    if adapter is None and model.path == run.fused:
        adapter = run.adapter
    # Before the hook: importing may open compiled libraries, and finding the processor's name starts a program.
    for module in ("mlx_lm.generate", "mlx_lm.sample_utils", "mlx_lm.models.cache"):
        import_module(module)
    data = {
        "format": FORMAT,
        "course": course.name,
        "model": model.label,
        "files": hash_inputs(course, model.path, adapter, search),
        "recipe": recipe.to_dict(),
        "environment": describe_environment(),
        "packages": dict(sorted((found.name, found.version) for found in distributions() if found.name)),
        "program": hash_program(),
    }
    layers, attempts = deny_network()
    if reached := [attempt.target for attempt in attempts if attempt.outcome == "reached"]:
        raise TutorError(f"The exam cannot start: this process still reaches {', '.join(reached)}.")
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    exam = Exam(course, name, model.label, not recipe.hides_code(exam=True), layers, attempts)
    data |= {"layers": [asdict(layer) for layer in layers], "self_test": [asdict(attempt) for attempt in attempts]}
    if problem := add_entry(exam, "start", data):
        raise CorpusError(f"The exam cannot start, its record cannot be written. {problem}")
    exam.start_code = make_code(exam.head)
    return exam


def hash_inputs(course: Course, model: Path, adapter: Path | None, search: bool) -> dict[str, dict[str, str]]:
    """SHA-256 of every whole file that takes part: model, adapter, dataset, index."""
    dataset = sorted(course.dataset.glob("*.json*")) if course.dataset.is_dir() else []
    paths = {
        "model": sorted(path for path in model.iterdir() if path.is_file()),
        "adapter": sorted(adapter.glob("adapter*")) if adapter is not None and adapter.is_dir() else [],
        "dataset": dataset,
        "index": [find_index(course)] if search else [],
    }
    return {part: {path.name: hash_file(path) for path in files if path.is_file()} for part, files in paths.items()}


def hash_program() -> str:
    """SHA-256 over the program's own Python files."""
    root = Path(__file__).parents[2]
    return hash_value({path.relative_to(root).as_posix(): hash_file(path) for path in sorted(root.rglob("*.py"))})


@contextmanager
def record_turn(exam: Exam, question: str, talk: str = "", *, again: bool = False) -> Iterator[list[str]]:
    """Record a question before the model begins, and what was shown when the block breaks off without an answer.

    `talk` names the conversation within the exam; `again` marks a further try. Add to the list what is shown.
    """
    log_question(exam, question, talk, again=again)
    shown: list[str] = []
    try:
        yield shown
    except BaseException as err:
        reason = (
            "broken off"
            if isinstance(err, KeyboardInterrupt | SystemExit)
            else clean_text(f"{type(err).__name__}: {err}")
        )
        add_entry(exam, "unanswered", {"talk": talk, "reason": reason, "shown": "".join(shown)})
        raise


def log_question(exam: Exam, question: str, talk: str = "", *, again: bool = False) -> str:
    """Record a question.

    Returns what all `log_` functions do: why the record cannot be written just now, or "".
    """
    return add_entry(exam, "question", {"talk": talk, "text": clean_text(question).strip(), "again": again})


def log_answer(exam: Exam, cited: CitedAnswer, talk: str = "") -> str:
    """Record an answer as it is shown, with its sources; to be called before it is shown as finished."""
    places = [
        {"place": clean_text(describe_place(source)), "quote": clean_text(source.quote)} for source in cited.sources
    ]
    answer = cited.answer
    data = {
        "talk": talk,
        "question": clean_text(cited.question),
        "text": clean_text(answer.text),
        "ended": answer.finish_reason,
        "supported": cited.supported,
        "sources": places,
    }
    return add_entry(exam, "answer", data)


def log_event(exam: Exam, name: str, detail: str = "", talk: str = "") -> str:
    """Record anything else: a turn taken back, a new conversation, a style."""
    return add_entry(exam, "event", {"talk": talk, "name": name, "detail": clean_text(detail)})


def end_exam(exam: Exam, reason: str = "ended by the user") -> str:
    """Record the end; further calls do nothing. The end code is `make_code(exam.head)`."""
    if exam.ended:
        return exam.problem
    problem = add_entry(exam, "end", {"reason": reason})
    exam.ended = True
    return problem


@contextmanager
def run_exam(exam: Exam) -> Iterator[Exam]:
    """The exam until the end of the block, whatever ends it; a killed process leaves a record without an end.

    SIGTERM, and SIGHUP when the terminal is closed, end the block with SystemExit.
    """
    with _end_on_signals() as came:
        try:
            yield exam
        except BaseException as err:
            how = "interrupted" if isinstance(err, KeyboardInterrupt) else f"broken off by {type(err).__name__}"
            end_exam(exam, came[0] if came else how)
            raise
        end_exam(exam, *came[:1])


@contextmanager
def _end_on_signals() -> Iterator[list[str]]:
    """Let SIGTERM and SIGHUP raise SystemExit in the block; gives which came, in words. Only the main thread can."""
    came: list[str] = []

    def end(number: int, _: object) -> NoReturn:
        # A closing shell sends a second signal, which must not interrupt writing the last entry.
        signal.signal(number, signal.SIG_IGN)
        came.append("ended by SIGTERM")
        raise SystemExit(128 + number)

    def hang_up(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        came.append("the terminal was closed (SIGHUP)")
        # The server has installed its own handler.
        signal.raise_signal(signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    handlers = {signal.SIGTERM: end, signal.SIGHUP: hang_up}
    # Under `nohup` it is ignored, and stays ignored.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        del handlers[signal.SIGHUP]
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def add_entry(exam: Exam, kind: str, data: dict[str, Any]) -> str:
    """Add to the chain and write it to disk, with what was denied meanwhile; thread-safe.

    What cannot be written waits for the next entry, and a `gap` then says which entries came late. Returns why the
    record cannot be written just now, or "".
    """
    with exam.lock:
        for denial in take_denials():
            _append(exam, "denied", asdict(denial))
            exam.denied += denial.times
        _append(exam, kind, data)
        if _write_waiting(exam) and exam.missed:
            _append(exam, "gap", {"late": exam.missed, "reason": exam.problem})
            exam.missed = []
            _write_waiting(exam)
        if not exam.waiting:
            exam.problem = ""
        return exam.problem


def _append(exam: Exam, kind: str, data: dict[str, Any]) -> None:
    entry = {
        "exam": exam.name,
        "number": exam.count + 1,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        # From the monotonic clock.
        "seconds": round(time.monotonic() - exam.begun, 3),
        "kind": kind,
        "data": data,
        "before": exam.head,
    }
    exam.head, exam.count = hash_entry(entry), exam.count + 1
    exam.waiting.append({**entry, "hash": exam.head})


def _write_waiting(exam: Exam) -> bool:
    rows = [(exam.name, entry["number"], write_line(entry)) for entry in exam.waiting]
    try:
        with open_journal(exam.course, SCHEMA) as journal:
            # Ctrl-C may have come between a commit and the next line.
            journal.executemany("INSERT OR IGNORE INTO exam_entries VALUES (?, ?, ?)", rows)
    except CorpusError as err:
        exam.problem = str(err)
        exam.missed = [entry["number"] for entry in exam.waiting]
        return False
    exam.waiting.clear()
    return True


def describe_start(exam: Exam) -> list[tuple[str, str]]:
    """What is shown when the exam begins."""
    layers = [(layer.name, f"{layer.state} ({layer.detail})") for layer in exam.layers]
    attempts = [f"{attempt.target}: {attempt.outcome}" for attempt in exam.attempts]
    tests = [("self-test" if not i else "", attempt) for i, attempt in enumerate(attempts)]
    code = "allowed" if exam.allow_code else "left out, a note stands in its place"
    return [("exam", f"{exam.name}, {exam.label} on {exam.course.name}"), *layers, *tests, ("code in answers", code)]


def describe_head(exam: Exam) -> str:
    """`Record: entry 7, code 7K3F-9QXM-2B4T`; how many entries are not on disk, and what was denied."""
    missing = f" ({len(exam.waiting)} not on disk)" if exam.waiting else ""
    denied = f"; attempts to reach out that were denied: {exam.denied}" if exam.denied else ""
    return f"Record: entry {exam.count}{missing}, code {make_code(exam.head)}{denied}"
