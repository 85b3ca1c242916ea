"""Losses of base, adapter and fused model on the test split; on validation where the recipe keeps no test."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_tutor.errors import DatasetError
from mlx_tutor.files import hash_sample, hash_value, read_json, write_json
from mlx_tutor.fuse.agreement import measure_retention
from mlx_tutor.models import hash_model, hash_tokenizer, lend_adapter, load_model
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import ModelSpec, describe_share
from mlx_tutor.training.loss import measure_loss
from mlx_tutor.training.lower import LowerLayers, find_first_adapted, is_same_below, open_lower
from mlx_tutor.training.rows import TokenRows, tokenize_rows
from mlx_tutor.workspace import Run

# Raise it when a measure, a check or one of their questions changes: then every evaluation is stale.
MEASURER = 7

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ModelLoss:
    """Loss of one model in nats an answer token, and e to its power."""

    label: str
    loss: float
    perplexity: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Losses on `rows` of the `total_rows` rows of `split`: the same rows and tokens for every model.

    `retention` is the share of the training's gain that the fused model keeps; None without one, or without a gain.
    """

    run: str
    split: str
    rows: int
    total_rows: int
    tokens: int
    dropped: dict[str, int]
    models: tuple[ModelLoss, ...]
    retention: float | None
    seconds: float
    peak_memory_gb: float


def hash_models(run: Run) -> dict[str, str | None]:
    """Fingerprints of adapter and fused model; the base follows from the adapter."""
    return {
        "adapter": hash_sample(run.adapter / "adapters.safetensors"),
        "fused": hash_sample(run.fused / "fuse.json") if run.is_fused else None,
    }


def hash_inputs(run: Run, base: Path, recipe: Recipe, test_rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All that the losses depend on, as fingerprints where it is large."""
    return {
        "measurer": MEASURER,
        **hash_models(run),
        "tokenizer": hash_tokenizer(base),
        "rows": hash_value([row["messages"] for row in test_rows]),
        "max_seq_length": recipe.train.max_seq_length,
    }


def list_models(run: Run, base: Path, recipe: Recipe) -> list[ModelSpec]:
    """The base and what was made of it: the adapter, and the fused model where there is one."""
    thinking = recipe.model.thinking
    models = [ModelSpec("base", base, None, thinking), ModelSpec("adapter", base, run.adapter, thinking)]
    return [*models, ModelSpec("fused", run.fused, None, thinking)] if run.is_fused else models


def hash_weights(model: ModelSpec) -> str:
    """Fingerprint of a model with its adapter, under which its answers are kept."""
    adapter = None if model.adapter is None else hash_sample(model.adapter / "adapters.safetensors")
    return hash_value([hash_model(model.path), adapter])


def is_evaluation_current(run: Run, base: Path, recipe: Recipe, test_rows: Sequence[dict[str, Any]]) -> bool:
    """Whether `evaluation.json` was made from exactly these models, rows and settings."""
    path = run.adapter / "evaluation.json"
    return path.is_file() and bool(read_json(path)["inputs"] == _hash_losses(run, base, recipe, test_rows))


def read_part(run: Run, name: str, inputs: Any) -> dict[str, Any] | None:
    """A part of `evaluation.json` ("answers", or a check), if it was made from exactly these inputs."""
    path = run.adapter / "evaluation.json"
    found: dict[str, Any] | None = read_json(path).get(name) if path.is_file() else None
    return found if found is not None and found["inputs"] == inputs else None


def add_part(run: Run, name: str, part: dict[str, Any]) -> None:
    """Add a part to `evaluation.json`, which `evaluate_run` has written."""
    path = run.adapter / "evaluation.json"
    write_json(path, {**read_json(path), name: part})


def _hash_losses(run: Run, base: Path, recipe: Recipe, test_rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`hash_inputs`, and how many of the rows are measured where it is not all."""
    most = recipe.train.test_batches * recipe.train.batch_size
    measured = {"rows_measured": most} if 0 < most < len(test_rows) else {}
    return hash_inputs(run, base, recipe, test_rows) | measured


def evaluate_run(
    run: Run,
    base: Path,
    recipe: Recipe,
    test_rows: Sequence[dict[str, Any]],
    on_event: Callable[[str], None],
    on_progress: Callable[[str, float, float], None] = lambda doing, done, total: None,
    *,
    split: str = "test",
) -> EvaluationReport:
    """Measure base, adapter and, when there is one, the fused model; writes `adapters/<run>/evaluation.json`.

    `split` says which one `test_rows` are of. All models start from what the layers below the adapter make of the rows,
    computed once.

    Raises:
        DatasetError: no test row that fits.
        ModelError: a model that cannot be loaded.
    """
    begun = time.perf_counter()
    mx.reset_peak_memory()
    tokens, losses = _measure_models(run, base, recipe, test_rows, on_event, on_progress)
    report = EvaluationReport(
        run=run.name,
        split=split,
        rows=len(tokens.rows),
        total_rows=tokens.total,
        tokens=tokens.supervised,
        dropped=tokens.dropped,
        models=tuple(losses),
        retention=measure_retention(*(model.loss for model in losses)) if run.is_fused else None,
        seconds=time.perf_counter() - begun,
        peak_memory_gb=mx.get_peak_memory() / 1e9,
    )
    record = {
        "result": asdict(report),
        "inputs": _hash_losses(run, base, recipe, test_rows),
        "environment": describe_environment(),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    write_json(run.adapter / "evaluation.json", record)
    return report


def _measure_models(
    run: Run,
    base: Path,
    recipe: Recipe,
    test_rows: Sequence[dict[str, Any]],
    on_event: Callable[[str], None],
    on_progress: Callable[[str, float, float], None],
) -> tuple[TokenRows, list[ModelLoss]]:
    """The rows that were measured, and the losses on them, one model in memory at a time."""
    count = 3 if run.is_fused else 2
    settings = recipe.train
    if test_rows:
        on_progress("loading the base", 0, 1)
    loaded = load_model(base, thinking=recipe.model.thinking)
    whole = tokenize_rows(test_rows, loaded.tokenizer, settings.max_seq_length)
    tokens, size = whole.take_batches(settings.test_batches, settings.batch_size), settings.batch_size
    if not tokens.rows:
        raise DatasetError("No test row fits into train.max_seq_length. Add course files, or raise it.")
    losses: list[ModelLoss] = []

    def measure(label: str, model: Any, lower: LowerLayers | None) -> None:
        def tell(done: int) -> None:
            share = describe_share(len(tokens.rows), tokens.total)
            on_progress(f"{label} on {share}", len(losses) + done / len(tokens.rows), count)

        tell(0)
        loss = measure_loss(model, tokens.rows, size, lower, tell)
        losses.append(ModelLoss(label, loss, math.exp(min(loss, 700.0))))
        on_event(f"{label} {loss:.3f}")

    with lend_adapter(loaded, run.adapter):
        first = find_first_adapted(loaded.model)
    with open_lower(loaded.model, [tokens.rows], size, run.adapter, settings.cache_gb, first) as [lower]:
        measure("base", loaded.model, lower)
        with lend_adapter(loaded, run.adapter):
            measure("adapter", loaded.model, lower)
        del loaded
        if lower is not None:
            lower.forget_model()
        mx.clear_cache()
        if run.is_fused:
            fused = load_model(run.fused, thinking=recipe.model.thinking).model
            # A fused model written without quantization has other layers below as well.
            same = lower is not None and is_same_below(base, run.fused, first)
            measure("fused", fused, lower if same else None)
            del fused
            mx.clear_cache()
    return tokens, losses
