"""Trainings in a process of their own, to be interrupted."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.commands.conftest import start_program


@contextmanager
def start_training(folder: Path, text: str, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """A training in a process of its own, once metrics.jsonl of the run `demo` has `text`; killed at the end."""
    metrics = folder / "adapters" / "demo" / "metrics.jsonl"
    with start_program(*arguments) as process:
        try:
            while process.poll() is None and not (metrics.is_file() and text in metrics.read_text()):
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
