"""Time and memory of a training, measured beforehand by a few steps in a process of its own.

In a process of its own because MLX does not return the memory of a try, and because a try that needs too much dies.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.errors import TrainingError, TutorError
from mlx_tutor.files import read_json, write_json
from mlx_tutor.models import load_model
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import ModelSettings, TrainSettings
from mlx_tutor.training.adapter import add_adapter, make_optimizer
from mlx_tutor.training.batches import TokenRow, make_batch, pad_count, pad_width, plan_batches, plan_passes
from mlx_tutor.training.loss import compute_loss, measure_loss
from mlx_tutor.training.lower import LowerLayers, find_first_adapted, open_lower
from mlx_tutor.training.memory import read_memory
from mlx_tutor.training.monitor import Estimate
from mlx_tutor.training.process import checkpoint_layers
from mlx_tutor.training.train import count_iterations, prepare_rows
from mlx_tutor.workspace import Course

STEPS = 3
SHORTEST = 128
# Exit status of the process that measures, where it had not enough memory.
OUT_OF_MEMORY = 77


@dataclass(frozen=True, slots=True)
class Measured:
    """What a few steps took: the largest batch decides on memory, `step_seconds` is the mean of all batches.

    `lower_share` of that are the frozen layers, which are computed in the first pass only; 0 where they are not kept.
    """

    peak_memory_gb: float
    step_seconds: float
    lower_share: float
    compile_seconds: float
    valid_seconds: float
    iterations: int
    batches: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training will take. Memory in GB of 1e9 bytes; `fitting` are the settings with which it fits.

    `earliest_stop` is the step at which it ends when validation never gets better. `fitting` is empty where all fits
    as it is, and None where nothing that was tried fits.
    """

    iterations: int
    passes: float
    earliest_stop: int
    peak_memory_gb: float | None
    usable_memory_gb: float
    memory_gb: float
    seconds: float | None
    fitting: dict[str, Any] | None

    def describe(self) -> str:
        """One line for the user."""
        if self.peak_memory_gb is None or self.seconds is None:
            return f"takes more than the {self.memory_gb:.3g} GB that there are"
        early = f", at step {self.earliest_stop} when validation never gets better" * (
            self.earliest_stop < self.iterations
        )
        ends = f"stops at step {self.iterations} at the latest{early}"
        peak = f"peak {self.peak_memory_gb:.3g} GB of {self.memory_gb:.3g} GB"
        return f"{peak}, about {_describe_minutes(self.seconds)}, {self.passes:.1f} passes, {ends}"


def _describe_minutes(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def plan_training(
    base: Path,
    recipe: Recipe,
    train_rows: Sequence[dict[str, Any]],
    valid_rows: Sequence[dict[str, Any]],
    on_event: Callable[[str], None],
    usable_memory_gb: float | None = None,
) -> Plan:
    """Measure what this training takes; where it takes too much, look for settings that fit.

    Raises:
        TutorError: what the training itself would refuse.
    """
    memory, usable = read_memory()
    usable = usable_memory_gb or usable
    measured = _measure_apart(base, recipe, train_rows, valid_rows)
    fitting: dict[str, Any] | None = {}
    if measured is None or measured.peak_memory_gb > usable:
        fitting = None
        for changes in list_smaller(recipe.train):
            smaller = replace(recipe, train=replace(recipe.train, **changes))
            tried = _measure_apart(base, smaller, train_rows, valid_rows)
            took = "too much" if tried is None else f"{tried.peak_memory_gb:.3g} GB"
            on_event(f"{_write_changes(changes)}: {took}")
            if tried is not None and tried.peak_memory_gb <= usable:
                fitting = changes
                break
    settings = recipe.train
    iterations = measured.iterations if measured else settings.iters
    return Plan(
        iterations=iterations,
        passes=iterations / measured.batches if measured else settings.epochs,
        earliest_stop=min(iterations, settings.patience * settings.steps_per_eval),
        peak_memory_gb=measured.peak_memory_gb if measured else None,
        usable_memory_gb=usable,
        memory_gb=memory,
        seconds=estimate_seconds(measured, settings) if measured else None,
        fitting=fitting,
    )


def estimate_seconds(measured: Measured, settings: TrainSettings) -> float:
    """The whole training with its validations."""
    validations = 2 + (measured.iterations - 1) // settings.steps_per_eval
    spared = max(0, measured.iterations - measured.batches) * measured.lower_share
    steps = (measured.iterations - spared) * measured.step_seconds
    return steps + measured.compile_seconds + validations * measured.valid_seconds


def list_smaller(settings: TrainSettings) -> Iterator[dict[str, Any]]:
    """Settings that take less memory, the least harm to the result first, each on top of the ones before."""
    changes: dict[str, Any] = {}
    if not settings.grad_checkpoint:
        changes["grad_checkpoint"] = True
        yield dict(changes)
    rows, summed = settings.batch_size, settings.grad_accumulation_steps
    while rows > 1:
        # The rows of an update stay as many as they were.
        rows, summed = rows // 2, summed * 2
        changes |= {"batch_size": rows, "grad_accumulation_steps": summed}
        if not settings.epochs:
            changes["iters"] = settings.iters * summed // settings.grad_accumulation_steps
        yield dict(changes)
    length = settings.max_seq_length // 2
    while length >= SHORTEST:
        changes["max_seq_length"] = length
        yield dict(changes)
        length //= 2


def _write_changes(changes: dict[str, Any]) -> str:
    return " ".join(f"--set train.{name}={str(value).lower()}" for name, value in changes.items())


def hint_fitting(plan: Plan) -> str:
    """What to do where the training does not fit, "" where it does."""
    if plan.fitting == {}:
        return ""
    given = f"This does not fit: {plan.usable_memory_gb:.3g} GB can be used here."
    if plan.fitting is None:
        return f"{given} Nothing smaller fitted either; use a smaller base, see mlx-tutor doctor."
    return f"{given} This fits: {_write_changes(plan.fitting)}"


def _measure_apart(
    base: Path, recipe: Recipe, train_rows: Sequence[dict[str, Any]], valid_rows: Sequence[dict[str, Any]]
) -> Measured | None:
    """`measure_steps` in a process of its own; None when there was not enough memory."""
    settings = {"model": asdict(recipe.model), "train": asdict(recipe.train)}
    request = {"base": str(base), **settings, "rows": [list(train_rows), list(valid_rows)]}
    result = subprocess.run(
        [sys.executable, "-m", "mlx_tutor.training.plan"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        reply = json.loads(result.stdout)
        if "error" in reply:
            raise TrainingError(reply["error"])
        return Measured(**reply)
    # Killed by the system, or refused by the device.
    if result.returncode < 0 or result.returncode == OUT_OF_MEMORY:
        return None
    lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
    raise TrainingError(f"The steps that --plan tries failed: {lines[-1]}")


def measure_steps(
    base: Path, recipe: Recipe, train_rows: Sequence[dict[str, Any]], valid_rows: Sequence[dict[str, Any]]
) -> Measured:
    """Three steps on the largest batch, three on a middling one, and a validation of its longest rows."""
    loaded = load_model(base, thinking=recipe.model.thinking)
    train, valid = (tokens.rows for tokens in prepare_rows(loaded, recipe, train_rows, valid_rows))
    settings = replace(recipe.train, iters=count_iterations(recipe.train, len(train)))
    add_adapter(loaded, settings)
    mx.reset_peak_memory()
    size = settings.batch_size
    longest = sorted(valid, key=lambda row: len(row.tokens))[-size:]
    for _ in range(2):
        # The first one warms up.
        begun = time.perf_counter()
        measure_loss(loaded.model, longest, size)
        one = time.perf_counter() - begun
    whole = sum(pad_width([valid[i] for i in indices]) for indices in plan_batches(valid, size, None))
    # All batches that the training will take, by what they cost.
    planned = [[train[i] for i in batch] for batch in islice(plan_passes(train, size, settings.seed), settings.iters)]
    planned.sort(key=_count_padded)
    middling, largest = planned[len(planned) // 2], planned[-1]
    with checkpoint_layers(loaded.model, always=settings.grad_checkpoint):
        slow, fast = _time_steps(loaded.model, settings, largest), _time_steps(loaded.model, settings, middling)
    with (
        TemporaryDirectory() as folder,
        open_lower(
            loaded.model, [train, valid], size, Path(folder), settings.cache_gb, find_first_adapted(loaded.model)
        ) as [lower, _],
    ):
        lower_share = _time_lower(lower, middling) / min(fast[1:]) if lower else 0.0
    # A step costs a fixed part and one that grows with its tokens.
    low, high = _count_padded(middling), _count_padded(largest)
    slope = max(0.0, (min(slow[1:]) - min(fast[1:])) / (high - low)) if high > low else 0.0
    mean = float(np.mean([_count_padded(batch) for batch in planned]))
    step = max(min(fast[1:]) + slope * (mean - low), 0.1 * min(fast[1:]))
    shapes = {(pad_count(len(batch)), pad_width(batch)) for batch in planned}
    return Measured(
        peak_memory_gb=mx.get_peak_memory() / 1e9,
        step_seconds=step,
        lower_share=min(lower_share, 0.9),
        compile_seconds=max(0.0, fast[0] - min(fast[1:])) * len(shapes),
        valid_seconds=one * whole / pad_width(longest),
        iterations=settings.iters,
        batches=-(-len(train) // size),
    )


def _count_padded(rows: Sequence[TokenRow]) -> int:
    """Tokens of a training batch of these rows, padding too."""
    return pad_count(len(rows)) * pad_width(rows)


def _time_lower(lower: LowerLayers, rows: Sequence[TokenRow]) -> float:
    """Seconds that the frozen layers take for one batch; a first try warms up."""
    inputs, *_ = make_batch(rows, len(rows))
    for _ in range(2):
        begun = time.perf_counter()
        mx.eval(lower.compute(inputs))
    return time.perf_counter() - begun


def _time_steps(model: Any, settings: TrainSettings, rows: Sequence[TokenRow]) -> list[float]:
    """Seconds of each of a few steps on one batch, the first with its compilation."""
    from mlx_lm.cli_ui import make_console
    from mlx_lm.tuner.trainer import TrainingArgs, train

    make_console().quiet = True
    # The sum of an update's gradients takes memory too.
    summed = settings.grad_accumulation_steps
    steps = STEPS if summed == 1 else max(STEPS, summed + 1)
    times: list[float] = []

    def iterate(**_: Any) -> Iterator[tuple[mx.array, ...]]:
        batch = make_batch(rows, pad_count(len(rows)))
        while True:
            times.append(time.perf_counter())
            yield *batch, mx.array(1.0)

    with TemporaryDirectory() as scratch:
        args = TrainingArgs(
            batch_size=settings.batch_size,
            iters=steps,
            steps_per_report=steps,
            steps_per_save=steps + 1,
            adapter_file=f"{scratch}/last.safetensors",
            grad_accumulation_steps=summed,
        )
        train(model, make_optimizer(settings), rows, None, args, compute_loss, iterate)
    times.append(time.perf_counter())
    return np.diff(times).tolist()


def write_plan(course: Course, inputs: dict[str, str], plan: Plan) -> None:
    """Keep what was estimated, for the training to be measured by."""
    write_json(course.dataset / "plan.json", {"inputs": inputs, "plan": asdict(plan)})


def read_estimate(course: Course, inputs: dict[str, str]) -> Estimate | None:
    """What `train --plan` estimated for a training on these inputs, None where nothing was."""
    path = course.dataset / "plan.json"
    record = read_json(path) if path.is_file() else None
    if record is None or record["inputs"] != inputs or record["plan"]["seconds"] is None:
        return None
    return {name: float(record["plan"][name]) for name in ("peak_memory_gb", "seconds")}


def main() -> None:
    """Measure what stdin asks for; the answer goes to stdout."""
    request = json.load(sys.stdin)
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in request["train"].items()
    }
    try:
        recipe = Recipe(model=ModelSettings(**request["model"]), train=TrainSettings(**settings))
        measured = measure_steps(Path(request["base"]), recipe, *request["rows"])
        reply = asdict(measured)
    except TutorError as err:
        reply = {"error": str(err)}
    except (MemoryError, RuntimeError) as err:
        # mlx raises a plain RuntimeError for an allocation that it refuses.
        if isinstance(err, RuntimeError) and not re.search("memory|allocate", str(err), re.IGNORECASE):
            raise
        sys.exit(OUT_OF_MEMORY)
    print(json.dumps(reply))


if __name__ == "__main__":
    main()
