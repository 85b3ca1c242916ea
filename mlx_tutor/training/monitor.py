"""Between two steps of a training: validation, checkpoints, the best adapter, patience, and a clean stop.

mlx-lm's trainer asks for the next batch only after a step is evaluated, so in the batch generator the weights are those
of exactly that step. Checkpoints, validation, the best adapter, patience, a check for NaN and a clean stop live there.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypedDict

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

from mlx_tutor.errors import TrainingError
from mlx_tutor.files import disk_errors, read_jsonl, write_file, write_jsonl
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.checkpoint import Arrays, Checkpoint, restore_checkpoint, write_checkpoint
from mlx_tutor.training.distill import Targets
from mlx_tutor.training.loss import measure_loss
from mlx_tutor.training.lower import LowerLayers
from mlx_tutor.training.rows import TokenRows
from mlx_tutor.workspace import Run

Stopped = Literal["finished", "no improvement", "interrupted", "diverged"]
# A validation loss that rises so often in a row is no noise.
RISES = 3
# A training loss below this, or below this share of the validation loss, after more than one pass: learned by heart.
LEAST_LOSS, LEAST_SHARE = 0.05, 0.5
# How far above its estimate a training may be before it says so.
ESTIMATE_SLACK = {"peak_memory_gb": 1.1, "seconds": 1.5}


class DivergedError(TrainingError):
    """The loss became NaN; the same training would come to the same end."""


class Metric(TypedDict, total=False):
    """One line of metrics.jsonl. Losses in nats a token; `iteration` counts updates done before it.

    `rows` of the `total` rows of the validation split were measured. `note` is something that the user should know, in
    words. What is of kind `progress` is told and not written: `doing` says at what it is, `rows` of `total` are done.
    """

    kind: Literal["train", "valid", "progress"]
    iteration: int
    iterations: int
    loss: float
    best: bool
    rows: int
    total: int
    doing: str
    learning_rate: float
    tokens_per_second: float
    peak_memory_gb: float
    seconds: float
    note: str


OnMetric = Callable[[Metric], None]


# What `train --plan` said that a training would take: `peak_memory_gb` and `seconds`.
Estimate = Mapping[str, float]


@dataclass(slots=True)
class Progress:
    """How far a training is: the part of a checkpoint that is no array. `metrics` counts lines of metrics.jsonl.

    `mark` is the validation loss that patience measures from, `misses` the validations since it was last lowered by
    `min_gain`; `rises` counts validations in a row that were worse than the one before, and `overfit` is whether the
    user was told that rows are learned by heart. The last four are sums since the last report.
    """

    iteration: int = 0
    metrics: int = 0
    seconds: float = 0.0
    peak_memory_gb: float = 0.0
    base_loss: float = float("inf")
    best_loss: float = float("inf")
    best_iteration: int = 0
    mark: float = float("inf")
    misses: int = 0
    last_loss: float = float("inf")
    rises: int = 0
    overfit: bool = False
    train_loss: float | None = None
    loss: float = 0.0
    tokens: float = 0.0
    busy: float = 0.0


class TrainingMonitor:
    """Controls the training between two steps, and as mlx-lm's callback after each step.

    `identity` is what a checkpoint belongs to: the course and the hashes of the inputs.
    """

    def __init__(
        self,
        run: Run,
        model: Any,
        optimizer: optim.Optimizer,
        rows: tuple[TokenRows, TokenRows],
        settings: TrainSettings,
        identity: dict[str, Any],
        on_event: OnMetric,
        *,
        lower: Sequence[LowerLayers | None] = (None, None),
        targets: Targets | None = None,
        callback: Any = None,
        estimate: Estimate | None = None,
    ) -> None:
        self.run, self.model, self.optimizer, self.settings = run, model, optimizer, settings
        (self.train, self.valid), self.lower, self.targets = rows, lower, targets
        self.identity, self.on_event, self.callback = identity, on_event, callback
        self.estimate = dict(estimate or {})
        self.progress = Progress()
        self.metrics: list[Metric] = []
        self.best: Arrays = {}
        self.stopped: Stopped = "finished"
        self.stop_requested = False
        self.batches: list[Sequence[int]] = []
        self.factor = 1.0
        self.validated = -1
        self.trained_tokens = 0.0
        self.start, self.resumed = 0, False
        self.begun = time.perf_counter()
        mx.reset_peak_memory()

    def begin(self, checkpoint: Checkpoint | None) -> None:
        """Start at the first step, or where a checkpoint was written."""
        path = self.run.adapter / "metrics.jsonl"
        if checkpoint is None:
            write_jsonl(path, [])
            return
        self.resumed = True
        self.best = restore_checkpoint(checkpoint, self.model, self.optimizer)
        state = checkpoint.state
        self.progress = Progress(**state["progress"])
        self.start = self.progress.iteration
        self.begun -= self.progress.seconds
        # What was reported after the checkpoint will be reported again.
        self.metrics = (read_jsonl(path) if path.is_file() else [])[: self.progress.metrics]
        write_jsonl(path, self.metrics)
        if self.best:
            self._write_best()

    @property
    def seconds(self) -> float:
        """How long this training took, all its sessions together."""
        return time.perf_counter() - self.begun

    @property
    def peak_memory_gb(self) -> float:
        """The most memory that any session of this training took, in GB."""
        return max(self.progress.peak_memory_gb, mx.get_peak_memory() / 1e9)

    def request_stop(self) -> None:
        """End the training after the current update."""
        self.stop_requested = True

    def on_batch(self, indices: Sequence[int], factor: float) -> bool:
        """Before each batch; False ends the training."""
        progress, settings = self.progress, self.settings
        if self.batches:
            progress.iteration += 1
        # A checkpoint does not hold gradients that are still being summed.
        whole = progress.iteration % settings.grad_accumulation_steps == 0
        every = settings.grad_accumulation_steps * -(-settings.steps_per_save // settings.grad_accumulation_steps)
        if not self._is_finite():
            self.stopped = "diverged"
        elif whole and self._must_stop():
            self._save(progress, self.best)
            self.stopped = "interrupted"
        else:
            # At the start too, so that a training that is killed at once keeps its name.
            if progress.iteration % every == 0 and (self.batches or not self.resumed):
                self._save(progress, self.best)
            if progress.iteration % settings.steps_per_eval == 0:
                before, best = replace(progress), self.best
                self._validate()
                if self.stopped == "finished" and progress.misses >= settings.patience:
                    self.stopped = "no improvement"
                elif self.stopped == "finished" and whole and self._must_stop():
                    # Whoever goes on from here validates here once more.
                    self._save(before, best)
                    self.stopped = "interrupted"
        self.batches = [*self.batches[-settings.grad_accumulation_steps :], indices]
        self.factor = factor
        return self.stopped == "finished"

    def _must_stop(self) -> bool:
        """Whether a stop was requested of any rank: all ranks must decide alike."""
        requested = mx.array(self.stop_requested, mx.int32)
        return bool(mx.distributed.all_sum(requested, stream=mx.cpu).item())

    def _is_finite(self) -> bool:
        # Adam spreads one NaN over every parameter at once, so the last small matrix tells of all.
        last = [value for name, value in self._read_adapter().items() if name.endswith("lora_b")][-1]
        return bool(mx.all(mx.isfinite(last)).item())

    def _read_adapter(self) -> Arrays:
        return dict(tree_flatten(self.model.trainable_parameters()))

    def _check_folder(self) -> None:
        if not (self.run.adapter / "adapter_config.json").is_file():
            raise TrainingError(
                f"The folder {self.run.adapter} is gone, so nothing can be saved. If it lay on a disk that was taken "
                "out, put it back and run again: training goes on from its last checkpoint."
            )

    def _save(self, progress: Progress, best: Arrays) -> None:
        self._check_folder()
        progress.seconds, progress.peak_memory_gb = self.seconds, self.peak_memory_gb
        state = {**self.identity, "iterations": self.settings.iters, "progress": asdict(progress)}
        write_checkpoint(self.run, state, self._read_adapter(), best, self.optimizer)

    def _validate(self) -> None:
        """Measure the validation rows, and keep the adapter when it is the best so far."""
        progress, rows = self.progress, self.valid.rows

        def tell(done: int) -> None:
            self._tell("validating", done, len(rows))

        tell(0)
        loss = measure_loss(self.model, rows, self.settings.batch_size, self.lower[1], tell)
        self.model.train()
        self.validated = progress.iteration
        if not np.isfinite(loss):
            self.stopped = "diverged"
            return
        if progress.iteration == 0:
            progress.base_loss = loss
        best = loss < progress.best_loss
        if best:
            progress.best_loss, progress.best_iteration = loss, progress.iteration
            self.best = self._read_adapter()
            self._write_best()
        if loss < progress.mark - self.settings.min_gain:
            progress.mark, progress.misses = loss, 0
        else:
            progress.misses += 1
        progress.rises = progress.rises + 1 if loss > progress.last_loss else 0
        progress.last_loss = loss
        metric: Metric = {
            "kind": "valid",
            "iteration": progress.iteration,
            "loss": loss,
            "best": best,
            "rows": len(rows),
            "total": self.valid.total,
        }
        notes = [self.describe_rise()] if progress.rises == RISES else []
        if not progress.overfit and (overfit := self.describe_overfit()):
            progress.overfit = True
            notes.append(overfit)
        if notes:
            metric["note"] = "; ".join(notes)
        self._log(metric)
        if self.callback is not None:
            self.callback.on_val_loss_report({"iteration": progress.iteration, "val_loss": loss})

    def describe_note(self) -> str:
        """Remarks on the whole training, "" where there are none."""
        return "; ".join(filter(None, (self.describe_rise(), self.describe_overfit())))

    def describe_overfit(self) -> str:
        """A sentence on rows learned by heart, "" while they are not."""
        train, valid = self.progress.train_loss, self.progress.last_loss
        passes = self.progress.iteration * self.settings.batch_size / len(self.train.rows)
        if train is None or passes <= 1 or train >= max(LEAST_LOSS, LEAST_SHARE * valid):
            return ""
        return (
            f"training loss {train:.3f} is far below the validation loss {valid:.3f}: after {passes:.1f} passes the "
            "rows are learned by heart; more rows or fewer iterations would teach more"
        )

    def describe_rise(self) -> str:
        """A sentence on validation that got no better, "" while there is none."""
        progress = self.progress
        kept = f"kept step {progress.best_iteration}" if progress.best_iteration else "kept step 0, the base"
        if progress.rises >= RISES:
            return f"validation loss rose for {progress.rises} checks: {kept}"
        if progress.misses >= RISES or self.stopped == "no improvement":
            gain = f" by {self.settings.min_gain:g}" if self.settings.min_gain else ""
            checks = "check" if progress.misses == 1 else "checks"
            return f"validation loss did not fall{gain} for {progress.misses} {checks}: {kept}"
        return ""

    def _write_best(self) -> None:
        # In one order, whether they come from the model or from a checkpoint: the files are compared bit for bit.
        best = dict(sorted(self.best.items()))
        self._check_folder()
        write_file(self.run.adapter / "adapters.safetensors", lambda path: mx.save_safetensors(str(path), best))

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """mlx-lm's callback after every step; the mean since the last report is passed on."""
        progress, loss = self.progress, train_info["train_loss"]
        if not np.isfinite(loss):
            return
        tokens = train_info["trained_tokens"] - self.trained_tokens
        self.trained_tokens = train_info["trained_tokens"]
        progress.loss += loss / self.factor * tokens
        progress.tokens += tokens
        progress.busy += tokens / max(train_info["tokens_per_second"], 1e-9)
        iteration = self.start + train_info["iteration"]
        self._tell("training", iteration, self.settings.iters)
        if iteration % self.settings.steps_per_report and iteration < self.settings.iters:
            return
        progress.train_loss = progress.loss / max(progress.tokens, 1)
        metric: Metric = {
            "kind": "train",
            "iteration": iteration,
            "loss": progress.train_loss,
            "learning_rate": float(train_info["learning_rate"]),
            "tokens_per_second": progress.tokens / max(progress.busy, 1e-9),
        }
        progress.loss = progress.tokens = progress.busy = 0.0
        if note := self._check_estimate(iteration):
            metric["note"] = note
        self._log(metric)
        if self.callback is not None:
            self.callback.on_train_loss_report(
                {**train_info, "iteration": iteration, "train_loss": metric["loss"]}
                | {"tokens_per_second": metric["tokens_per_second"]}
            )

    def _check_estimate(self, iteration: int) -> str:
        """Report each estimate that was exceeded, once."""
        # The first steps compile, and tell nothing about the pace.
        if 10 * iteration < self.settings.iters:
            return ""
        found = {"peak_memory_gb": self.peak_memory_gb, "seconds": self.seconds / iteration * self.settings.iters}
        for name, value in found.items():
            estimated = self.estimate.get(name)
            if estimated is not None and value > ESTIMATE_SLACK[name] * estimated:
                del self.estimate[name]
                if name == "seconds":
                    return f"training will take about {value / 60:.0f} minutes, not {estimated / 60:.0f} as planned"
                return f"training took {value:.2f} GB, not {estimated:.2f} GB as planned"
        return ""

    def _log(self, metric: Metric) -> None:
        metric["iterations"] = self.settings.iters
        metric["peak_memory_gb"] = self.peak_memory_gb
        metric["seconds"] = self.seconds
        self._check_folder()
        self.metrics.append(metric)
        self.progress.metrics = len(self.metrics)
        with disk_errors(self.run.adapter), (self.run.adapter / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(metric) + "\n")
        self.on_event(metric)

    def _tell(self, doing: str, rows: int, total: int) -> None:
        """Pass on how far the work is: rows of a validation, or steps."""
        self.on_event(
            {
                "kind": "progress",
                "iteration": rows if doing == "training" else self.progress.iteration,
                "iterations": self.settings.iters,
                "doing": doing,
                "rows": rows,
                "total": total,
                "peak_memory_gb": self.peak_memory_gb,
                "seconds": self.seconds,
            }
        )

    def finish(self) -> None:
        """Validate what the last updates did, unless that is known."""
        if self.stopped == "finished":
            self.progress.iteration += 1
            if not self._is_finite():
                self.stopped = "diverged"
        if self.stopped in ("finished", "interrupted") and self.validated != self.progress.iteration:
            self._validate()

    def explain_divergence(self) -> str:
        """Which row broke the loss, found with the best weights; else it was the learning rate."""
        progress = self.progress
        if not np.isfinite(progress.best_loss):
            return "The base model's own loss on the validation rows is not a number: fetch the model again."
        self.model.load_weights(list(self.best.items()), strict=False)
        suspects = [index for batch in self.batches for index in batch]
        bad = [i for i in suspects if not np.isfinite(measure_loss(self.model, [self.train.rows[i]], 1))]
        kept = (
            f"The best adapter, of iteration {progress.best_iteration}, is kept in {self.run.adapter}."
            if progress.best_iteration
            else "Nothing was learned before that."
        )
        broken = f"The loss became NaN at iteration {progress.iteration}"
        if bad:
            lines = ", ".join(str(self.train.lines[i]) for i in bad)
            return f"{broken} on line {lines} of train.jsonl. Remove it. {kept}"
        return (
            f"{broken}: train.learning_rate {self.settings.learning_rate:g} is too high for this model. Lower it, or "
            f"train.scale. {kept}"
        )
