"""The process around a training: signals, mlx-lm's patched layers, and keeping a Mac awake."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from mlx_tutor.training.memory import CHECKPOINT_SHARE, read_memory, read_shape


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
def checkpoint_layers(model: Any, *, always: bool) -> Iterator[None]:
    """Recompute in the backward pass what a layer did, on batches that would take too much memory or on all.

    As mlx-lm's `grad_checkpoint`, which knows no size, and leaves the class of the layers patched.
    """
    kind, shape = type(model.layers[0]), read_shape(model)
    call, most = kind.__call__, CHECKPOINT_SHARE * read_memory()[1] * 1e9

    def is_large(rows: int, width: int) -> bool:
        return shape is not None and shape.estimate_peak(rows, width, rows * width, recompute=False) > most

    def compute(layer: Any, hidden: mx.array, *args: Any, **keywords: Any) -> Any:
        rows, width = hidden.shape[:2]
        if not (layer.training and (always or is_large(rows, width))):
            return call(layer, hidden, *args, **keywords)

        def compute_again(parameters: Any, hidden: mx.array) -> Any:
            layer.update(parameters)
            return call(layer, hidden, *args, **keywords)

        return mx.checkpoint(compute_again)(layer.trainable_parameters(), hidden)

    kind.__call__ = compute
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
