"""One rank of a training on several hosts, as `launch` starts it through mlx.launch.

All ranks do the same steps on different rows. The run belongs to rank 0; the others write theirs into a folder that is
deleted.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.errors import TrainingError, TutorError
from mlx_tutor.models import resolve_model
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.training.checkpoint import find_checkpoint
from mlx_tutor.training.launch import BEAT
from mlx_tutor.training.monitor import Metric
from mlx_tutor.training.rows import hash_rows
from mlx_tutor.training.train import hash_inputs, train_adapter
from mlx_tutor.workspace import Course, Run

Rows = list[dict[str, Any]]
# How the rows of train and valid are read: this half does not know where they come from.
ReadRows = Callable[[Course, Recipe], tuple[Rows, Rows]]


def train_rank(request: dict[str, Any], rank: int, scratch: Path, read_rows: ReadRows) -> None:
    """This rank's part of the training that `request` describes.

    Raises:
        TutorError: what `train_adapter` refuses, or other files here than where it was started.
    """
    course = Course(Path(request["workspace"]), request["course"])
    recipe = load_recipe(course.recipe, request["overrides"])
    base = resolve_model(recipe.model.base)
    inputs = hash_inputs(recipe, base, hash_rows(course))
    if other := [name for name, value in request["inputs"].items() if inputs.get(name) != value]:
        raise TrainingError(
            f"{os.uname().nodename} has other {' and '.join(other)} than this machine. Copy corpora/{course.name} and "
            "the base model there as they are here."
        )
    run = Run(course.workspace, request["run"])
    if rank:
        # Reports of the others would say it all again.
        recipe = replace(recipe, train=replace(recipe.train, report_to=""))
    own = Run(scratch, run.name) if rank else run
    share_checkpoint(own, rank)

    def on_event(metric: Metric) -> None:
        if rank == 0:
            say(rank, metric=metric)

    train_adapter(own, course.name, base, recipe, *read_rows(course, recipe), inputs, on_event)


def share_checkpoint(run: Run, rank: int) -> None:
    """Give the checkpoint that rank 0 goes on from to all."""
    path = find_checkpoint(run)
    data = path.read_bytes() if rank == 0 and path.is_file() else b""
    size: Any = mx.distributed.all_sum(mx.array(len(data)), stream=mx.cpu).item()
    if not size:
        return
    part = mx.array(np.frombuffer(data, np.uint8)) if rank == 0 else mx.zeros(size, mx.uint8)
    whole = np.array(mx.distributed.all_sum(part, stream=mx.cpu))
    if rank:
        path.parent.mkdir(parents=True)
        path.write_bytes(whole.tobytes())


def say(rank: int, **words: Any) -> None:
    """One line for `launch`."""
    # In one write, so that lines of ranks do not mix; the first newline ends what something else began.
    os.write(1, f"\n{json.dumps({'rank': rank, **words})}\n".encode())


def stop_with(launcher: int) -> None:
    """Stop this rank, and with it all, as Ctrl-C would when the process that started it is gone."""
    with suppress(ProcessLookupError):
        while True:
            os.kill(launcher, 0)
            time.sleep(BEAT)
    os.kill(os.getpid(), signal.SIGINT)


def run_rank(request: dict[str, Any], read_rows: ReadRows) -> None:
    """Run a rank from start to end; returns exit status 1 when it failed."""
    rank = int(os.environ.get("MLX_RANK", "0"))
    # mlx.launch is busy all the time with an input that may be written to.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if request["ranks"] == 1:
        # mlx.launch gives one host an empty hostfile, which mlx cannot read.
        os.environ.pop("MLX_HOSTFILE", None)
    try:
        group = mx.distributed.init()
        rank = group.rank()
        if group.size() != request["ranks"]:
            raise TrainingError(
                f"Only {group.size()} of {request['ranks']} hosts connected. Check that they reach each other."
            )
        if rank == 0:
            say(rank, process=os.getpid())
            Thread(target=stop_with, args=(request["launcher"],), daemon=True).start()
        with TemporaryDirectory() as scratch:
            train_rank(request, rank, Path(scratch), read_rows)
    except TutorError as err:
        say(rank, refused=str(err))
        sys.exit(1)
    except Exception as err:
        say(rank, failed=f"{type(err).__name__}: {err}")
        raise
