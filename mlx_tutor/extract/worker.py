"""Reading files in worker processes, so that one that hangs or runs out of memory ends alone.

The processes are plain children that talk over pipes: unlike those of multiprocessing they import nothing of the
program that starts them, are the same on macOS and Linux, and can be killed one by one.
"""

import os
import pickle
import resource
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

# A scanned book of a thousand pages takes half a minute.
MOST_SECONDS = 180.0
# Tesseract takes seconds for a page.
MOST_SECONDS_OCR = 7200.0
MOST_MEMORY = 2_000_000_000
OUT_OF_MEMORY = 77
# Seconds that a silent child gets to end by itself, so that its exit status tells why.
PATIENCE = 10.0


@dataclass(slots=True)
class Child:
    """A process that reads one file at a time; `job` is its file, due by `deadline` on the monotonic clock."""

    process: "subprocess.Popen[bytes]"
    job: tuple[Path, str] | None = None
    deadline: float = 0.0


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_in_workers(
    jobs: Sequence[tuple[Path, str]], seconds: float | None = None, memory: int = MOST_MEMORY, ocr: str = ""
) -> Generator[tuple[str, Any]]:
    """Read files in parallel; yields each source with the result of `read_source`, or the reason why there is none.

    Args:
        jobs: Path and source of each file; best the large ones first.
        seconds: Time limit for a file; None: long enough for a book, or for a scanned book with `ocr`.
        memory: Bytes that a process may use for it.
    """
    seconds = (MOST_SECONDS_OCR if ocr else MOST_SECONDS) if seconds is None else seconds
    left = list(reversed(jobs))
    children: list[Child] = []
    try:
        with selectors.DefaultSelector() as selector:
            for _ in range(min(len(jobs), count_cores())):
                children.append(_start(seconds, memory, ocr))
                _give_job(children[-1], left, selector, seconds)
            while busy := [child for child in children if child.job]:
                soonest = min(child.deadline for child in busy)
                ready = {key.data for key, _ in selector.select(max(0.0, soonest - time.monotonic()))}
                for child in busy:
                    if id(child) not in ready and time.monotonic() < child.deadline:
                        continue
                    assert child.job is not None
                    source, result = child.job[1], _take_result(child, id(child) in ready, seconds, memory)
                    selector.unregister(_pipe(child.process.stdout))
                    child.job = None
                    if left and isinstance(result, str):
                        # It did not outlive its file.
                        child.process = _start(seconds, memory, ocr).process
                    if left:
                        _give_job(child, left, selector, seconds)
                    yield source, result
    finally:
        for child in children:
            _stop(child.process)


def _start(seconds: float, memory: int, ocr: str) -> Child:
    # In a session of its own, a child does not receive Ctrl-C; -P keeps out modules of the current folder.
    command = [sys.executable, "-P", "-m", "mlx_tutor.extract.worker", str(seconds), str(memory), ocr]
    return Child(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _give_job(child: Child, left: list[tuple[Path, str]], selector: selectors.BaseSelector, seconds: float) -> None:
    child.job = left.pop()
    child.deadline = time.monotonic() + seconds
    selector.register(_pipe(child.process.stdout), selectors.EVENT_READ, id(child))
    # A child that died at once says so at the other pipe.
    with suppress(BrokenPipeError):
        pickle.dump(child.job, _pipe(child.process.stdin))
        _pipe(child.process.stdin).flush()


def _take_result(child: Child, is_ready: bool, seconds: float, memory: int) -> Any:
    """The result of a child; a string is the reason why it died."""
    with suppress(EOFError, pickle.UnpicklingError):
        if is_ready:
            return pickle.load(_pipe(child.process.stdout))
    _stop(child.process, PATIENCE if is_ready else 0.05)
    code = child.process.returncode
    if not is_ready:
        return f"took longer than {seconds:g} s"
    if code == OUT_OF_MEMORY:
        return f"needs more than {memory / 1e9:g} GB of memory"
    return f"the reader stopped ({f'signal {-code}' if code < 0 else f'exit status {code}'})"


def _stop(process: "subprocess.Popen[bytes]", patience: float = 0.05) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            _pipe(pipe).close()
    # One that died by itself keeps its exit status.
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    process.kill()
    process.wait()


def limit_memory(memory: int) -> None:
    """End this process with OUT_OF_MEMORY, or give it a MemoryError, once it uses `memory` bytes more than now."""
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    else:
        # macOS has the limit but does not enforce it.
        threading.Thread(target=watch_memory, args=(memory,), daemon=True).start()


def watch_memory(memory: int) -> None:
    """Check the peak memory of this process until it is too high."""
    unit = 1 if sys.platform == "darwin" else 1024
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun) * unit < memory:
        time.sleep(0.05)
    os._exit(OUT_OF_MEMORY)


def main(seconds: float, memory: int, ocr: str) -> None:
    """Read the files named on standard input; answer on standard output."""
    from mlx_tutor.extract.extract import read_source

    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not mix with the answers.
    os.dup2(2, 1)
    limit_memory(memory)
    while True:
        try:
            path, source = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        # This ends even if the parent is gone.
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int(used.ru_utime + used.ru_stime + seconds) + 5
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            answer = pickle.dumps(read_source(path, source, ocr))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        # All or nothing: the caller waits for the end of an answer that has begun.
        answers.write(answer)
        answers.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
