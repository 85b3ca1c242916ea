"""Files that hang or explode, and what is said of them."""

import io
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from mlx_tutor.extract import extract, worker
from mlx_tutor.extract.extract import extract_course, read_failures
from mlx_tutor.extract.worker import read_in_workers
from mlx_tutor.workspace import Course
from tests.extract.pdf_factory import draw_pdf, stack

MEMORY = 2_000_000_000


def write_pdf(path: Path, content: bytes) -> Path:
    """A PDF of one page that draws `content`."""
    packed = zlib.compress(content)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R "
        b"/Resources << /XObject << /F 4 0 R >> >> >>",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
        % (len(packed), packed),
    ]
    file = io.BytesIO(b"%PDF-1.4\n")
    file.seek(0, io.SEEK_END)
    places = []
    for number, text in enumerate(objects, 1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, text))
    start = file.tell()
    file.write(b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places))
    file.write(b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)
    path.write_bytes(file.getvalue())
    return path


def read_all(*paths: Path, seconds: float = 20.0, memory: int = MEMORY) -> dict[str, object]:
    return dict(read_in_workers([(path, path.name) for path in paths], seconds, memory))


def test_a_file_that_takes_too_long_is_given_up_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "count_cores", lambda: 1)
    slow = write_pdf(tmp_path / "slow.pdf", b"0 0 m 9 9 l S\n" * 4_000_000)
    good = draw_pdf(tmp_path / "good.pdf", [stack(["A line of text."])])
    results = read_all(slow, good, seconds=5)
    assert results["slow.pdf"] == "took longer than 5 s"
    assert isinstance(results["good.pdf"], tuple)


def test_a_form_that_draws_itself_has_an_end(tmp_path: Path) -> None:
    (result,) = read_all(write_pdf(tmp_path / "loop.pdf", b"/F Do " * 50)).values()
    assert isinstance(result, tuple)
    assert result[0]["reason"].startswith("looks scanned")


def test_a_file_that_takes_too_much_memory_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "big.ipynb"
    output = {"output_type": "stream", "name": "stdout", "text": "x" * 60_000_000}
    cell = {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "x", "outputs": [output]}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [cell]}))
    assert read_all(path, memory=100_000_000) == {"big.ipynb": "needs more than 0.1 GB of memory"}


def test_memory_is_watched_where_the_system_does_not_limit_it() -> None:
    program = "from mlx_tutor.extract.worker import watch_memory; import threading, time; kept = []\n"
    program += "threading.Thread(target=watch_memory, args=(50_000_000,), daemon=True).start()\n"
    program += "for _ in range(100): kept.append(b'x' * 10_000_000); time.sleep(0.1)"
    # Through a shell: Linux counts the peak of the process that started this one as its own.
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, program]
    assert subprocess.run(command, check=False, timeout=60).returncode == worker.OUT_OF_MEMORY


def test_a_reader_that_dies_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"")
    assert read_all(path) == {"a.zip": "the reader stopped (exit status 1)"}


def test_a_course_goes_on_and_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(tmp_path, "demo")
    course.sources.mkdir(parents=True)
    (course.sources / "a.md").write_text("Text.")
    write_pdf(course.sources / "slow.pdf", b"0 0 m 9 9 l S\n" * 4_000_000)
    monkeypatch.setattr(extract, "read_in_workers", lambda jobs, ocr: read_in_workers(jobs, 4.0))
    report = extract_course(course)
    assert report.documents == 1
    assert [(failure.source, failure.reason) for failure in report.failures] == [("slow.pdf", "took longer than 4 s")]
    assert extract_course(course).reused == 2
    assert read_failures(course) == report.failures


def test_the_processes_end_with_their_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quick.md").write_text("# Quick\n\nIt is read at once.\n")
    jobs = [
        (tmp_path / "quick.md", "quick.md"),
        (write_pdf(tmp_path / "slow.pdf", b"0 0 m 9 9 l S\n" * 1_500_000), "slow.pdf"),
    ]
    started: list[worker.Child] = []
    start = worker._start

    def record(seconds: float, memory: int, ocr: str) -> worker.Child:
        started.append(start(seconds, memory, ocr))
        return started[-1]

    monkeypatch.setattr(worker, "_start", record)
    results = read_in_workers(jobs)
    assert next(results)[0] == "quick.md"
    assert any(child.job == jobs[1] for child in started)
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < 5
    for child in started:
        with pytest.raises(ProcessLookupError):
            os.kill(child.process.pid, 0)
