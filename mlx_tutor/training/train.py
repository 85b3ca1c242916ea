"""Example -> adapter, through mlx-lm's own trainer.

What the trainer lacks happens between two of its steps, in the batch generator: it asks for the next batch only
after a step is evaluated, so there the weights are those of exactly that step. Validation, the best adapter,
patience, a check for NaN and a clean stop all live there (`_Watch`).
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

from mlx_tutor.errors import RecipeError, TrainingError
from mlx_tutor.files import disk_errors, hash_value, write_file, write_json
from mlx_tutor.models import LoadedModel, hash_model, hash_tokenizer, load_model
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe, TrainSettings
from mlx_tutor.training.batches import iterate_batches
from mlx_tutor.training.curve import draw_curve
from mlx_tutor.training.loss import compute_loss, measure_loss
from mlx_tutor.training.rows import TokenRows, check_rows, tokenize_rows
from mlx_tutor.workspace import Run

Stopped = Literal["finished", "no improvement", "interrupted", "diverged"]


class Metric(TypedDict, total=False):
    """One line of metrics.jsonl. Losses in nats a token; `iteration` counts updates done before it."""

    kind: Literal["train", "valid"]
    iteration: int
    iterations: int
    loss: float
    best: bool
    learning_rate: float
    tokens_per_second: float
    peak_memory_gb: float
    seconds: float


OnMetric = Callable[[Metric], None]


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training came to. Losses are answer losses on the whole validation split."""

    run: str
    iterations: int
    best_iteration: int
    base_loss: float
    best_loss: float
    stopped: Stopped
    seconds: float
    peak_memory_gb: float
    train_rows: int
    valid_rows: int
    train_tokens: int
    dropped: dict[str, int]


def hash_inputs(recipe: Recipe, base: Path, rows_hash: str) -> dict[str, str]:
    """Fingerprints of all that a run depends on."""
    return {
        "rows": rows_hash,
        "base": hash_model(base),
        "tokenizer": hash_tokenizer(base),
        "settings": hash_value(recipe.to_dict()["train"]),
    }


def is_run_current(run: Run, inputs: dict[str, str]) -> bool:
    """Whether the run was trained to its end on exactly these inputs."""
    if not run.is_complete:
        return False
    record = run.read()
    return record.get("inputs") == inputs and record["result"]["stopped"] in ("finished", "no improvement")


def train_adapter(
    run: Run,
    course: str,
    base: Path,
    recipe: Recipe,
    train_rows: Sequence[dict[str, Any]],
    valid_rows: Sequence[dict[str, Any]],
    inputs: dict[str, str],
    on_event: OnMetric,
) -> TrainReport:
    """Train one adapter and keep the one with the best validation loss.

    Reads nothing but the base model; writes `adapters/<run>/`: adapters.safetensors, adapter_config.json,
    metrics.jsonl, loss.png and, last, run.json. Ctrl-C ends after the current step and keeps the best.

    Raises:
        DatasetError: nothing left to train on.
        RecipeError: `keys` or `num_layers` that the model does not have, or DoRA on layers that cannot have it.
        TrainingError: the loss became NaN.
    """
    settings = recipe.train
    loaded = load_model(base)
    prepare = partial(
        tokenize_rows,
        tokenizer=loaded.tokenizer,
        max_seq_length=settings.max_seq_length,
        mask_prompt=settings.mask_prompt,
    )
    train, valid = prepare(train_rows), prepare(valid_rows)
    check_rows(train, valid)
    mx.random.seed(settings.seed)
    np.random.seed(settings.seed)
    adapter_config = add_adapter(loaded, settings)
    with disk_errors(run.adapter):
        run.adapter.mkdir(parents=True, exist_ok=True)
    write_json(run.adapter / "adapter_config.json", {"model": str(base), **adapter_config})
    watch = _Watch(run, loaded.model, train, valid, settings, on_event)
    with _keep_awake(), _stop_cleanly(watch), _restore_layers(loaded.model):
        _run_trainer(watch, make_optimizer(settings))
        watch.finish()
    report = watch.report()
    record = {
        "run": run.name,
        "course": course,
        "base": recipe.model.base,
        "inputs": inputs,
        "recipe": recipe.to_dict(),
        "result": asdict(report),
        "environment": describe_environment(),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    if watch.stopped != "diverged" or watch.best_iteration > 0:
        title = f"{run.name}: {train.supervised:,} answer tokens in {len(train.rows)} rows"
        draw_curve(watch.metrics, title, run.adapter / "loss.png")
        write_json(run.adapter / "run.json", record)
    if watch.stopped == "diverged":
        raise TrainingError(watch.explain_divergence())
    return report


def add_adapter(loaded: LoadedModel, settings: TrainSettings) -> dict[str, Any]:
    """Freeze the model and put LoRA or DoRA layers on it; returns mlx-lm's adapter_config."""
    from mlx_lm.tuner.utils import linear_to_lora_layers

    model, count = loaded.model, len(loaded.model.layers)
    num_layers = count if settings.num_layers == -1 else min(settings.num_layers, count)
    if num_layers == 0:
        raise RecipeError("train.num_layers is 0, so nothing would be trained. Use a positive number, or -1 for all.")
    names = {name for name, module in model.layers[0].named_modules() if hasattr(module, "weight")}
    if unknown := sorted(set(settings.keys) - names):
        raise RecipeError(f"train.keys: the model has no {', '.join(unknown)}. It has: {', '.join(sorted(names))}.")
    parameters: dict[str, Any] = {"rank": settings.rank, "scale": settings.scale, "dropout": settings.dropout}
    if settings.keys:
        parameters["keys"] = list(settings.keys)
    model.freeze()
    try:
        linear_to_lora_layers(model, num_layers, dict(parameters), use_dora=settings.fine_tune_type == "dora")
    except ValueError as err:
        raise RecipeError(f"train.keys or train.fine_tune_type does not suit this model: {err}.") from err
    if settings.fine_tune_type == "dora":
        _check_dora(loaded)
    if not tree_flatten(model.trainable_parameters()):
        raise RecipeError("train.keys leaves nothing to train; name linear layers such as self_attn.q_proj.")
    return {"fine_tune_type": settings.fine_tune_type, "num_layers": num_layers, "lora_parameters": parameters}


def _check_dora(loaded: LoadedModel) -> None:
    """mlx-lm's DoRA miscounts the width of 3-, 5- and 6-bit layers: such an adapter would load nowhere but here."""
    stored = loaded.config.get("quantization") or {}
    for path, module in loaded.model.named_modules():
        entry = stored.get(path, stored) if hasattr(module, "lora_a") else None
        if entry and 32 % (bits := entry["bits"]):
            raise RecipeError(
                f"train.fine_tune_type: dora works on 4- and 8-bit layers, and {path} has {bits} bits. "
                'Use "lora", or a base with other bits.'
            )


def make_optimizer(settings: TrainSettings) -> optim.Optimizer:
    """AdamW with linear warm-up and a cosine to zero, counted in updates: that is how MLX counts a schedule."""
    from mlx_lm.tuner.utils import build_schedule

    updates = max(1, settings.iters // settings.grad_accumulation_steps)
    warmup = min(settings.warmup // settings.grad_accumulation_steps, updates // 4)
    decay = max(1, updates - warmup)
    schedule = build_schedule({"name": "cosine_decay", "arguments": [settings.learning_rate, decay], "warmup": warmup})
    return optim.AdamW(learning_rate=schedule, weight_decay=settings.weight_decay)


def _run_trainer(watch: "_Watch", optimizer: optim.Optimizer) -> None:
    from mlx_lm.cli_ui import make_console
    from mlx_lm.tuner.trainer import TrainingArgs, train

    settings = watch.settings
    # The trainer draws on stdout, which belongs to results.
    make_console().quiet = True
    checkpoints = watch.run.adapter / "checkpoints"
    args = TrainingArgs(
        batch_size=settings.batch_size,
        iters=settings.iters,
        steps_per_report=settings.steps_per_report,
        # What the trainer saves is the last state, not the best one.
        steps_per_save=settings.iters + 1,
        max_seq_length=settings.max_seq_length,
        adapter_file=str(checkpoints / "last.safetensors"),
        grad_checkpoint=settings.grad_checkpoint,
        grad_accumulation_steps=settings.grad_accumulation_steps,
    )
    with disk_errors(checkpoints):
        checkpoints.mkdir(exist_ok=True)
        train(
            model=watch.model,
            optimizer=optimizer,
            train_dataset=watch.train.rows,
            args=args,
            loss=compute_loss,
            iterate_batches=partial(iterate_batches, seed=settings.seed, on_batch=watch.on_batch),
            training_callback=watch,
        )


class _Watch:
    """Looks at the training between two steps, and as mlx-lm's callback after each report."""

    def __init__(
        self, run: Run, model: Any, train: TokenRows, valid: TokenRows, settings: TrainSettings, on_event: OnMetric
    ) -> None:
        self.run, self.model, self.train, self.valid, self.settings = run, model, train, valid, settings
        self.on_event = on_event
        self.metrics: list[Metric] = []
        self.iteration = 0
        self.best_iteration = 0
        self.base_loss = self.best_loss = float("inf")
        self.misses = 0
        self.stopped: Stopped = "finished"
        self.stop_requested = False
        self.batches: list[Sequence[int]] = []
        self.begun = time.perf_counter()
        mx.reset_peak_memory()
        with disk_errors(run.adapter):
            (run.adapter / "metrics.jsonl").write_text("", encoding="utf-8")

    def on_batch(self, indices: Sequence[int]) -> bool:
        """Before each batch; False ends the training."""
        if self.batches:
            self.iteration += 1
        if self.stop_requested:
            self.stopped = "interrupted"
        elif not self._is_finite():
            self.stopped = "diverged"
        elif self.iteration % self.settings.steps_per_eval == 0:
            self._validate()
            if self.misses >= self.settings.patience:
                self.stopped = "no improvement"
        self.batches = [*self.batches[-self.settings.grad_accumulation_steps :], indices]
        return self.stopped == "finished"

    def _is_finite(self) -> bool:
        # Adam spreads one NaN over every parameter at once, so the last small matrix tells of all.
        last = [value for name, value in tree_flatten(self.model.trainable_parameters()) if name.endswith("lora_b")][-1]
        return bool(mx.all(mx.isfinite(last)).item())

    def _validate(self) -> None:
        """Measure the whole validation split, and keep the adapter when it is the best so far."""
        loss = measure_loss(self.model, self.valid.rows, self.settings.batch_size)
        self.model.train()
        if not np.isfinite(loss):
            self.stopped = "diverged"
            return
        if self.iteration == 0:
            self.base_loss = loss
        best = loss < self.best_loss
        if best:
            self.best_loss, self.best_iteration = loss, self.iteration
            self._save()
        self.misses = 0 if best else self.misses + 1
        self._log({"kind": "valid", "iteration": self.iteration, "loss": loss, "best": best})

    def _save(self) -> None:
        weights = dict(tree_flatten(self.model.trainable_parameters()))
        write_file(self.run.adapter / "adapters.safetensors", lambda path: mx.save_safetensors(str(path), weights))

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """mlx-lm's callback after every `steps_per_report` iterations."""
        if not np.isfinite(train_info["train_loss"]):
            return
        self._log(
            {
                "kind": "train",
                "iteration": train_info["iteration"],
                "loss": float(train_info["train_loss"]),
                "learning_rate": float(train_info["learning_rate"]),
                "tokens_per_second": float(train_info["tokens_per_second"]),
            }
        )

    def _log(self, metric: Metric) -> None:
        metric["iterations"] = self.settings.iters
        metric["peak_memory_gb"] = mx.get_peak_memory() / 1e9
        metric["seconds"] = time.perf_counter() - self.begun
        self.metrics.append(metric)
        with disk_errors(self.run.adapter), (self.run.adapter / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(metric) + "\n")
        self.on_event(metric)

    def finish(self) -> None:
        """Validate what the last updates did, unless that is known."""
        if self.stopped == "finished":
            self.iteration += 1
            if not self._is_finite():
                self.stopped = "diverged"
        if self.stopped in ("finished", "interrupted"):
            self._validate()

    def report(self) -> TrainReport:
        return TrainReport(
            run=self.run.name,
            iterations=self.iteration,
            best_iteration=self.best_iteration,
            base_loss=self.base_loss,
            best_loss=self.best_loss,
            stopped=self.stopped,
            seconds=time.perf_counter() - self.begun,
            peak_memory_gb=mx.get_peak_memory() / 1e9,
            train_rows=len(self.train.rows),
            valid_rows=len(self.valid.rows),
            train_tokens=self.train.supervised,
            dropped=self.train.dropped,
        )

    def explain_divergence(self) -> str:
        """Which row broke the loss, found with the best weights; else it was the learning rate."""
        if not np.isfinite(self.best_loss):
            return "The base model's own loss on the validation rows is not a number: fetch the model again."
        self.model.load_weights(str(self.run.adapter / "adapters.safetensors"), strict=False)
        suspects = [index for batch in self.batches for index in batch]
        bad = [i for i in suspects if not np.isfinite(measure_loss(self.model, [self.train.rows[i]], 1))]
        kept = (
            f"The best adapter, of iteration {self.best_iteration}, is kept in {self.run.adapter}."
            if self.best_iteration
            else "Nothing was learned before that."
        )
        if bad:
            lines = ", ".join(str(self.train.lines[i]) for i in bad)
            return (
                f"The loss became NaN at iteration {self.iteration} on line {lines} of train.jsonl. Remove it. {kept}"
            )
        return (
            f"The loss became NaN at iteration {self.iteration}: train.learning_rate {self.settings.learning_rate:g} "
            f"is too high for this model. Lower it, or train.scale. {kept}"
        )


@contextmanager
def _stop_cleanly(watch: _Watch) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the training after the current step, the second at once."""

    def request(signum: int, frame: Any) -> None:
        if watch.stop_requested:
            raise KeyboardInterrupt
        watch.stop_requested = True

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
def _restore_layers(model: Any) -> Iterator[None]:
    """mlx-lm's grad_checkpoint patches the class of the layers and leaves it so."""
    kind = type(model.layers[0])
    call = kind.__call__
    try:
        yield
    finally:
        kind.__call__ = call


@contextmanager
def _keep_awake() -> Iterator[None]:
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
