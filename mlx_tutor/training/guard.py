"""What holds around a training: signals, mlx-lm's patched layers, and a Mac that would fall asleep."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_cleanly(request_stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM calls `request_stop`, the second ends everything at once."""
    requested = False

    def request(signum: int, frame: Any) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True
        request_stop()

    try:
        previous = {name: signal.signal(name, request) for name in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        # Not in the main thread: signals go elsewhere.
        previous = {}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)


@contextmanager
def restore_layers(model: Any) -> Iterator[None]:
    """mlx-lm's grad_checkpoint patches the class of the layers and leaves it so."""
    kind = type(model.layers[0])
    call = kind.__call__
    try:
        yield
    finally:
        kind.__call__ = call


@contextmanager
def keep_awake() -> Iterator[None]:
    """A Mac that falls asleep stops training; `caffeinate` ends with this process."""
    caffeinate = shutil.which("caffeinate")
    if caffeinate is None:
        yield
        return
    process = subprocess.Popen([caffeinate, "-i", "-w", str(os.getpid())])
    try:
        yield
    finally:
        process.terminate()
