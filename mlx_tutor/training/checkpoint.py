"""Checkpoints: everything that a training needs to go on exactly where it stopped.

One safetensors file, replaced in one step: the adapter, the best adapter so far, the optimizer's state, and as
metadata the place in the data, the random state, and what validation said. The order of the rows needs no place in it:
it depends on the seed and the iteration only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_unflatten

from mlx_tutor.errors import TrainingError
from mlx_tutor.files import write_file
from mlx_tutor.workspace import Course, Run

Arrays = dict[str, mx.array]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training between two steps. `state` is what was given to `write_checkpoint`; the arrays are still on disk."""

    state: dict[str, Any]
    arrays: Arrays

    def select(self, part: str) -> Arrays:
        """The arrays of one part: `adapter`, `best` or `optimizer`."""
        prefix = f"{part}."
        return {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}


def find_checkpoint(run: Run) -> Path:
    """Where the checkpoint of a run lies while its training is not at its end."""
    return run.adapter / "checkpoint.safetensors"


def write_checkpoint(
    run: Run, state: Mapping[str, Any], adapter: Arrays, best: Arrays, optimizer: optim.Optimizer
) -> None:
    """Write the checkpoint of a run; the one before stays until this one is whole."""
    parts = {"adapter": adapter, "best": best, "optimizer": dict(tree_flatten(optimizer.state))}
    arrays = {f"{part}.{name}": array for part, entries in parts.items() for name, array in entries.items()}
    metadata = {"state": json.dumps({**state, "random": _read_random()})}
    write_file(find_checkpoint(run), lambda path: mx.save_safetensors(str(path), arrays, metadata))


def read_checkpoint(run: Run) -> Checkpoint | None:
    """The checkpoint of a run, None where there is none; its arrays are read when they are used.

    Raises:
        TrainingError: the file is damaged.
    """
    path = find_checkpoint(run)
    if not path.is_file():
        return None
    try:
        loaded: Any = mx.load(str(path), return_metadata=True)
        arrays, metadata = loaded
        return Checkpoint(json.loads(metadata["state"]), arrays)
    except (RuntimeError, KeyError, json.JSONDecodeError) as err:
        raise TrainingError(f"{path} is damaged. Delete {run.adapter} and train again.") from err


def restore_checkpoint(checkpoint: Checkpoint, model: Any, optimizer: optim.Optimizer) -> Arrays:
    """Put model, optimizer and random numbers back to where they were; returns the best adapter so far."""
    parts = {part: checkpoint.select(part) for part in ("adapter", "best", "optimizer")}
    # The file is read lazily, and will be written again.
    mx.eval(*parts.values())
    model.load_weights(list(parts["adapter"].items()), strict=False)
    optimizer.init(model.trainable_parameters())
    optimizer.state = tree_unflatten(list(parts["optimizer"].items()))
    high, low = checkpoint.state["random"]
    mx.random.seed((high << 32) | low)
    return parts["best"]


def _read_random() -> Any:
    # mlx's random state cannot be assigned, but these two words are what a seed becomes.
    state: Any = mx.random.state
    return state[0].tolist()


def list_interrupted(course: Course) -> list[tuple[Run, dict[str, Any]]]:
    """The runs of a course whose training is not at its end, with the state of their checkpoints."""
    found = []
    for path in sorted((course.workspace / "adapters").glob("*/checkpoint.safetensors")):
        run = Run(course.workspace, path.parent.name)
        checkpoint = read_checkpoint(run)
        if checkpoint is not None and checkpoint.state["course"] == course.name:
            found.append((run, checkpoint.state))
    return found
