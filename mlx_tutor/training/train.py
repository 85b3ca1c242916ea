"""Training an adapter through mlx-lm's own trainer; what that lacks is in `monitor`."""

import math
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.errors import DatasetError, TrainingError
from mlx_tutor.files import disk_errors, hash_value, write_json
from mlx_tutor.models import LoadedModel, hash_model, hash_tokenizer, load_model
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.adapter import add_adapter, count_parameters, make_optimizer, name_dtype
from mlx_tutor.training.batches import iterate_batches
from mlx_tutor.training.checkpoint import Checkpoint, find_checkpoint, read_checkpoint
from mlx_tutor.training.curve import draw_curve
from mlx_tutor.training.distill import find_targets, open_targets
from mlx_tutor.training.loss import compute_loss, name_loss
from mlx_tutor.training.lower import find_first_adapted, open_lower
from mlx_tutor.training.monitor import DivergedError, Estimate, OnMetric, Stopped, TrainingMonitor
from mlx_tutor.training.process import checkpoint_layers, keep_awake, stop_cleanly
from mlx_tutor.training.reporting import open_callback
from mlx_tutor.training.rows import TokenRows, check_rows, tokenize_rows
from mlx_tutor.workspace import Run

# Raise it when the same rows and settings give another adapter: then every run is stale.
TRAINER = 1
# Settings that change what is written on the way, and not what is learned.
SIDE_SETTINGS = ("report_to", "steps_per_save", "cache_gb", "test_batches")


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training came to; `train_loss` is the last report.

    Losses are answer losses on `valid_rows` of the `valid_total` rows of the validation split, always the same.

    `note` says in words why a training ended early, and when it learned its rows by heart. `parameters` counts the
    base, `trained_parameters` the adapter. `loss` is how it was computed, as `name_loss` has it, and `dtype` the type
    of the activations.
    """

    run: str
    iterations: int
    best_iteration: int
    base_loss: float
    best_loss: float
    train_loss: float | None
    stopped: Stopped
    note: str
    passes: float
    seconds: float
    peak_memory_gb: float
    train_rows: int
    valid_rows: int
    valid_total: int
    train_tokens: int
    trained_parameters: int
    parameters: int
    loss: str
    dtype: str
    dropped: dict[str, int]


def hash_inputs(recipe: Recipe, base: Path, rows_hash: str) -> dict[str, str]:
    """Fingerprints of all that a run depends on."""
    settings = {name: value for name, value in recipe.to_dict()["train"].items() if name not in SIDE_SETTINGS}
    # Runs made before this setting existed have no entry.
    if not settings["distill"]:
        del settings["distill"]
    return {
        "rows": rows_hash,
        "base": hash_model(base),
        "tokenizer": hash_tokenizer(base),
        "settings": hash_value(settings),
        # Runs made before this number existed have no entry and count as version 1.
        **({"trainer": str(TRAINER)} if TRAINER > 1 else {}),
        **({"thinking": "on"} if recipe.model.thinking else {}),
    }


def is_run_current(run: Run, inputs: dict[str, str]) -> bool:
    """Whether the run was trained to its end on exactly these inputs."""
    if not run.is_complete:
        return False
    record = run.read()
    return record.get("inputs") == inputs and record["result"]["stopped"] in ("finished", "no improvement")


def is_run_resumable(run: Run, course: str, inputs: dict[str, str]) -> bool:
    """Whether the run was interrupted while it was trained on exactly these inputs."""
    checkpoint = read_checkpoint(run)
    return checkpoint is not None and (checkpoint.state["course"], checkpoint.state["inputs"]) == (course, inputs)


def prepare_rows(
    loaded: LoadedModel, recipe: Recipe, train_rows: Sequence[dict[str, Any]], valid_rows: Sequence[dict[str, Any]]
) -> tuple[TokenRows, TokenRows]:
    """Training rows as tokens, and those validation rows that losses are measured on.

    Raises:
        DatasetError: too few are left.
    """
    settings = recipe.train
    train, valid = (
        tokenize_rows(rows, loaded.tokenizer, settings.max_seq_length, mask_prompt=settings.mask_prompt)
        for rows in (train_rows, valid_rows)
    )
    check_rows(train, valid)
    if settings.distill and not any(row.context for row in train.rows):
        raise DatasetError(
            "train.distill: no row is asked without a passage that stands in the course. Set it to 0, or, with "
            "train.mask_prompt = false, that to true."
        )
    return train, valid.take_batches(settings.val_batches, settings.batch_size)


def count_iterations(settings: TrainSettings, rows: int) -> int:
    """Steps of the whole training: `iters`, or as many as `epochs` takes, the last update included."""
    if not settings.epochs:
        return settings.iters
    steps, summed = settings.epochs * math.ceil(rows / settings.batch_size), settings.grad_accumulation_steps
    return max(1, math.ceil(steps / summed)) * summed


def train_adapter(
    run: Run,
    course: str,
    base: Path,
    recipe: Recipe,
    train_rows: Sequence[dict[str, Any]],
    valid_rows: Sequence[dict[str, Any]],
    inputs: dict[str, str],
    on_event: OnMetric,
    estimate: Estimate | None = None,
) -> TrainReport:
    """Train one adapter and keep the one with the best validation loss; go on where this training was interrupted.

    Reads nothing but the base model; writes `adapters/<run>/`: adapters.safetensors, adapter_config.json,
    metrics.jsonl, loss.png and, last, run.json. Until the training is at its end there is checkpoint.safetensors
    too. Ctrl-C ends after the current update, keeps the best, and leaves a checkpoint to go on from.

    Raises:
        DatasetError: nothing left to train on.
        RecipeError: `keys` or `num_layers` that the model does not have, DoRA on layers that cannot have it, or a
            package of `report_to` that is missing.
        DivergedError: the loss became NaN.
        TrainingError: the folder vanished, or it holds a training on something else.
    """
    identity = {"course": course, "inputs": inputs}
    checkpoint = _take_checkpoint(run, identity)
    loaded = load_model(base, thinking=recipe.model.thinking)
    rows = prepare_rows(loaded, recipe, train_rows, valid_rows)
    settings = replace(recipe.train, iters=count_iterations(recipe.train, len(rows[0].rows)))
    mx.random.seed(settings.seed)
    np.random.seed(settings.seed)
    adapter_config = add_adapter(loaded, settings)
    callback = open_callback(settings.report_to, run, course, recipe.to_dict())
    with disk_errors(run.adapter):
        run.adapter.mkdir(parents=True, exist_ok=True)
        # What was interrupted is not complete while it goes on.
        (run.adapter / "run.json").unlink(missing_ok=True)
    write_json(run.adapter / "adapter_config.json", {"model": str(base), **adapter_config})
    optimizer = make_optimizer(settings)
    first = find_first_adapted(loaded.model)
    # In a single pass, each training row is needed once.
    repeated = settings.iters * settings.batch_size > len(rows[0].rows)
    splits = [rows[0].rows if repeated else (), rows[1].rows]
    with (
        disk_errors(run.adapter),
        open_lower(loaded.model, splits, settings.batch_size, run.adapter, settings.cache_gb, first) as lower,
        open_targets(
            loaded.model, rows[0].rows, settings.distill, run.adapter, settings.cache_gb, resumed=checkpoint is not None
        ) as targets,
        keep_awake(),
        checkpoint_layers(loaded.model, always=settings.grad_checkpoint),
    ):
        monitor = TrainingMonitor(
            run, loaded.model, optimizer, rows, settings, identity, on_event,
            lower=(lower[0] if repeated else None, lower[1]), targets=targets, callback=callback,
            estimate=estimate,
        )  # fmt: skip
        with stop_cleanly(monitor.request_stop):
            monitor.begin(checkpoint)
            _run_trainer(monitor)
            monitor.finish()
    return _end_run(monitor, recipe)


def _take_checkpoint(run: Run, identity: dict[str, Any]) -> Checkpoint | None:
    """Where an interrupted training goes on; raises TrainingError where the folder holds another one."""
    checkpoint = read_checkpoint(run)
    if checkpoint is not None and {key: checkpoint.state[key] for key in identity} != identity:
        raise TrainingError(
            f"{run.adapter} holds an interrupted training on other rows or settings. Name another --run, or delete it."
        )
    return checkpoint


def _end_run(monitor: TrainingMonitor, recipe: Recipe) -> TrainReport:
    """Write what the training came to, and remove what it would go on from; raises DivergedError where it diverged."""
    report = _make_report(monitor)
    _write_run(monitor, report, recipe)
    if monitor.stopped != "interrupted":
        with suppress(OSError):
            find_checkpoint(monitor.run).unlink(missing_ok=True)
            find_targets(monitor.run.adapter).unlink(missing_ok=True)
    if monitor.stopped == "diverged":
        raise DivergedError(monitor.explain_divergence())
    return report


def _run_trainer(monitor: TrainingMonitor) -> None:
    from mlx_lm.cli_ui import make_console
    from mlx_lm.tuner.trainer import TrainingArgs, train

    settings, lower = monitor.settings, monitor.lower[0]
    # The trainer draws on stdout, which belongs to results.
    make_console().quiet = True
    # What the trainer saves is the last state, not the best one, and not in one step.
    with disk_errors(monitor.run.adapter), tempfile.TemporaryDirectory() as scratch:
        args = TrainingArgs(
            batch_size=settings.batch_size,
            iters=settings.iters - monitor.start,
            # Reports are made by the monitor, which knows where an interrupted one began.
            steps_per_report=1,
            steps_per_save=settings.iters + 1,
            max_seq_length=settings.max_seq_length,
            adapter_file=f"{scratch}/last.safetensors",
            grad_accumulation_steps=settings.grad_accumulation_steps,
        )
        train(
            model=monitor.model,
            optimizer=monitor.optimizer,
            train_dataset=monitor.train.rows,
            args=args,
            loss=partial(compute_loss, first=lower.first if lower else 0),
            iterate_batches=partial(
                iterate_batches,
                seed=settings.seed,
                on_batch=monitor.on_batch,
                start=monitor.start,
                read_hidden=lower.read if lower else None,
                extend=monitor.targets.extend if monitor.targets else None,
            ),
            training_callback=monitor,
        )


def _write_run(monitor: TrainingMonitor, report: TrainReport, recipe: Recipe) -> None:
    """The picture and, last, run.json; nothing when there is no adapter to speak of."""
    if monitor.stopped == "diverged" and not monitor.progress.best_iteration:
        return
    run, train = monitor.run, monitor.train
    draw_curve(
        monitor.metrics,
        f"{run.name}: {train.supervised:,} answer tokens in {len(train.rows)} rows",
        run.adapter / "loss.png",
    )
    record = {
        "run": run.name,
        **monitor.identity,
        "base": recipe.model.base,
        "recipe": recipe.to_dict(),
        "result": asdict(report),
        "environment": describe_environment(),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    write_json(run.adapter / "run.json", record)


def _make_report(monitor: TrainingMonitor) -> TrainReport:
    progress, settings = monitor.progress, monitor.settings
    trained, parameters = count_parameters(monitor.model)
    return TrainReport(
        run=monitor.run.name,
        iterations=progress.iteration,
        best_iteration=progress.best_iteration,
        base_loss=progress.base_loss,
        best_loss=progress.best_loss,
        train_loss=progress.train_loss,
        stopped=monitor.stopped,
        note=monitor.describe_note(),
        passes=progress.iteration / math.ceil(len(monitor.train.rows) / settings.batch_size),
        seconds=monitor.seconds,
        peak_memory_gb=monitor.peak_memory_gb,
        train_rows=len(monitor.train.rows),
        valid_rows=len(monitor.valid.rows),
        valid_total=monitor.valid.total,
        train_tokens=monitor.train.supervised,
        trained_parameters=trained,
        parameters=parameters,
        loss=name_loss(),
        dtype=name_dtype(monitor.model),
        dropped=monitor.train.dropped,
    )
