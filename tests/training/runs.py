"""Small trainings for tests."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.monitor import Metric
from mlx_tutor.training.train import TrainReport, hash_inputs, train_adapter
from mlx_tutor.workspace import Run

SETTINGS = TrainSettings(
    iters=30, batch_size=4, learning_rate=3e-3, warmup=3, steps_per_report=5, steps_per_eval=10, max_seq_length=256
)


def make_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Rows of different lengths that all follow one pattern, so that a tiny model can learn it."""
    return [
        {
            "messages": [
                {"role": "system", "content": "Tutor."},
                {"role": "user", "content": f"What is term {i}?" + " Please." * (i % 3)},
                {"role": "assistant", "content": "word" + "word" * (i % 4)},
            ]
        }
        for i in range(start, start + count)
    ]


def train(
    tmp_path: Path,
    base: Path,
    settings: TrainSettings = SETTINGS,
    *,
    name: str = "course",
    on_event: Any = None,
    **rows: Any,
) -> tuple[Run, TrainReport]:
    """Train a model on rows of the pattern, or on those given."""
    run = Run(tmp_path, name)
    recipe = Recipe(train=settings)
    report = train_adapter(
        run,
        "course",
        base,
        recipe,
        rows.get("train", make_rows(22)),
        rows.get("valid", make_rows(3, start=22)),
        hash_inputs(recipe, base, "rows"),
        on_event or (lambda metric: None),
    )
    return run, report


# Dropout draws random numbers, and gradients are summed over two batches.
RESUMED = replace(SETTINGS, iters=30, dropout=0.1, grad_accumulation_steps=2, steps_per_save=7, steps_per_eval=9)


def read_best(run: Run) -> bytes:
    return (run.adapter / "adapters.safetensors").read_bytes()


def read_losses(run: Run) -> list[tuple[str, int, float]]:
    lines = (run.adapter / "metrics.jsonl").read_text().splitlines()
    return [(m["kind"], m["iteration"], m["loss"]) for m in map(json.loads, lines)]


def stop_at(iteration: int) -> Any:
    def interrupt(metric: Metric) -> None:
        kind = "train" if iteration % RESUMED.steps_per_eval else "valid"
        if metric["kind"] == kind and metric["iteration"] == iteration:
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt
