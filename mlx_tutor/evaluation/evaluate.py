"""Did it help? Losses of base, adapter and fused on the whole test split."""

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
from mlx_tutor.models import hash_model, load_model
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe
from mlx_tutor.training.loss import measure_loss
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.workspace import Run


@dataclass(frozen=True, slots=True)
class ModelLoss:
    """Loss of one model in nats an answer token, and e to its power."""

    label: str
    loss: float
    perplexity: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Losses on the test split: the same rows and tokens for every model.

    `retention` is the share of the training's gain that the fused model keeps; None without one, or without a gain.
    """

    run: str
    rows: int
    tokens: int
    dropped: dict[str, int]
    models: tuple[ModelLoss, ...]
    retention: float | None
    seconds: float
    peak_memory_gb: float


def hash_inputs(run: Run, test_rows: Sequence[dict[str, Any]]) -> dict[str, str | None]:
    """Fingerprints of all that an evaluation depends on."""
    return {
        "adapter": hash_sample(run.adapter / "adapters.safetensors"),
        "fused": hash_sample(run.fused / "fuse.json") if run.is_fused else None,
        "rows": hash_value([row["messages"] for row in test_rows]),
    }


def hash_weights(run: Run, path: Path, adapter: Path | None) -> str:
    """Fingerprint of a model with its adapter, under which its answers are kept."""
    return hash_value([hash_model(path), None if adapter is None else hash_inputs(run, [])["adapter"]])


def is_evaluation_current(run: Run, test_rows: Sequence[dict[str, Any]]) -> bool:
    """Whether `evaluation.json` speaks of exactly these models and rows."""
    path = run.adapter / "evaluation.json"
    return path.is_file() and bool(read_json(path)["inputs"] == hash_inputs(run, test_rows))


def evaluate_run(
    run: Run,
    base: Path,
    recipe: Recipe,
    test_rows: Sequence[dict[str, Any]],
    on_event: Callable[[str], None],
) -> EvaluationReport:
    """Measure base, adapter and, when there is one, the fused model; writes `adapters/<run>/evaluation.json`.

    Raises:
        DatasetError: no test row that fits.
        ModelError: a model that cannot be loaded.
    """
    begun = time.perf_counter()
    mx.reset_peak_memory()
    contenders: list[tuple[str, Path, Path | None]] = [("base", base, None), ("adapter", base, run.adapter)]
    if run.is_fused:
        contenders.append(("fused", run.fused, None))
    losses = []
    for label, path, adapter in contenders:
        loaded = load_model(path, adapter, thinking=recipe.model.thinking)
        tokens = tokenize_rows(test_rows, loaded.tokenizer, recipe.train.max_seq_length)
        if not tokens.rows:
            raise DatasetError("No test row fits into train.max_seq_length. Add course files, or raise it.")
        loss = measure_loss(loaded.model, tokens.rows, recipe.train.batch_size)
        losses.append(ModelLoss(label, loss, math.exp(min(loss, 700.0))))
        on_event(f"{label} {loss:.3f}")
        del loaded
        mx.clear_cache()
    report = EvaluationReport(
        run=run.name,
        rows=len(tokens.rows),
        tokens=tokens.supervised,
        dropped=tokens.dropped,
        models=tuple(losses),
        retention=measure_retention(*(model.loss for model in losses)) if run.is_fused else None,
        seconds=time.perf_counter() - begun,
        peak_memory_gb=mx.get_peak_memory() / 1e9,
    )
    record = {
        "result": asdict(report),
        "inputs": hash_inputs(run, test_rows),
        "environment": describe_environment(),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    write_json(run.adapter / "evaluation.json", record)
    return report
