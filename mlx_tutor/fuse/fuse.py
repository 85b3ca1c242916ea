"""Base + adapter -> model, written, read back and measured against the adapter.

Fusing into a quantized layer rounds the sum again, and a small adapter can vanish in that rounding without a
word. So what was written is loaded and compared: the smallest choice of bits that keeps the training is taken.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_tutor.errors import DatasetError, ModelError
from mlx_tutor.files import hash_sample, hash_value, read_json, write_json, write_text
from mlx_tutor.fuse.agreement import BATCH_SIZE, Reference
from mlx_tutor.fuse.bits import LADDER
from mlx_tutor.fuse.curvature import measure_curvature
from mlx_tutor.fuse.frontier import Draft, FuseTrial, Yardstick, find_smallest
from mlx_tutor.fuse.write import measure_size, weigh_layers
from mlx_tutor.models import LoadedModel, hash_model, load_model
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import describe_bits
from mlx_tutor.settings import FuseSettings
from mlx_tutor.training.batches import TokenRow
from mlx_tutor.training.loss import measure_loss
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.workspace import Run

# Rows of the training split: on every third bits are chosen, the others say how to round. The validation split decides.
CALIBRATION_ROWS = 96
SAME_LOSS = 1e-4


@dataclass(frozen=True, slots=True)
class FuseReport:
    """What fusing came to; losses, KL and top-1 agreement on the validation split. `bits` None: full precision.

    `bits` is the mean over the layers with an adapter. `tried` is the frontier, then what the validation split said.
    """

    run: str
    bits: float | None
    loss_base: float
    loss_adapter: float
    loss_fused: float
    retention: float | None
    kl: float
    top1: float
    meets_target: bool
    megabytes_base: float
    megabytes: float
    seconds: float
    peak_memory_gb: float
    tried: tuple[FuseTrial, ...]

    def summary(self) -> str:
        """One line: what is kept, and what it costs."""
        text = f"{self.tried[-1].describe()}; {self.megabytes_base:.1f} MB to {self.megabytes:.1f} MB"
        return text if self.meets_target else f"{text}, below the target"


def hash_inputs(run: Run, recipe: Recipe) -> dict[str, str]:
    """Fingerprints of all that a fused model depends on."""
    return {
        "adapter": hash_sample(run.adapter / "adapters.safetensors"),
        "base": run.read()["inputs"]["base"],
        "settings": hash_value(recipe.to_dict()["fuse"]),
    }


def read_fuse(run: Run) -> dict[str, Any] | None:
    """What `fuse.json` says, or None before the first fuse."""
    record: dict[str, Any] | None = read_json(run.fused / "fuse.json") if run.is_fused else None
    return record


def is_fuse_current(run: Run, recipe: Recipe) -> bool:
    """Whether the fused model was made from exactly this adapter with these settings."""
    record = read_fuse(run)
    return record is not None and record["inputs"] == hash_inputs(run, recipe)


def fuse_run(
    run: Run,
    base: Path,
    recipe: Recipe,
    train_rows: Sequence[dict[str, Any]],
    valid_rows: Sequence[dict[str, Any]],
    on_event: Callable[[str], None],
) -> FuseReport:
    """Fuse the adapter of a run, with as many bits as it takes to keep its training.

    Reads `adapters/<run>/` and the base; writes `fused_models/<run>/` in one step, fuse.json in it. A kill in
    the middle leaves the earlier fused model, if any, as it was.

    Raises:
        ModelError: another base than the run was trained on, or corrupt files.
    """
    begun = time.perf_counter()
    mx.reset_peak_memory()
    if hash_model(base) != run.read()["inputs"]["base"]:
        raise ModelError(
            f"The adapter of run {run.name!r} was trained on another model than {base}. "
            f"Use the base it names: --set model.base={run.read()['base']}"
        )
    reference = load_model(base, run.adapter, thinking=recipe.model.thinking)
    chosen_rows = _tokenize(train_rows[:: max(1, len(train_rows) // CALIBRATION_ROWS)], reference, recipe)
    fitting = [row for i, row in enumerate(chosen_rows) if i % 3] or chosen_rows
    calibration, validation = _set_yardsticks(
        load_model(base).model, reference, run, chosen_rows[::3], _tokenize(valid_rows, reference, recipe)
    )
    widths = _list_widths(recipe.fuse, reference.config)
    numbers = [width for width in widths if width is not None]
    on_event("measuring what rounding costs each layer")
    curvatures = measure_curvature(reference.model, fitting) if numbers else {}
    draft = Draft(
        base,
        run.adapter,
        run.fused.with_name(f".{run.name}.partial"),
        weigh_layers(base, run.adapter, numbers, curvatures),
        curvatures,
    )
    tried = find_smallest(draft, widths, calibration, validation, recipe.fuse, on_event)
    final = tried[-1]
    report = FuseReport(
        run=run.name,
        bits=final.bits,
        loss_base=validation.loss_base,
        loss_adapter=validation.reference.loss,
        loss_fused=final.loss,
        retention=final.retention,
        kl=final.kl,
        top1=final.top1,
        meets_target=final.meets_target,
        megabytes_base=measure_size(base),
        megabytes=final.megabytes,
        seconds=time.perf_counter() - begun,
        peak_memory_gb=mx.get_peak_memory() / 1e9,
        tried=tried,
    )
    _publish(run, draft.folder, report, recipe)
    return report


def _set_yardsticks(
    base: Any, adapter: LoadedModel, run: Run, calibration: Sequence[TokenRow], validation: Sequence[TokenRow]
) -> tuple[Yardstick, Yardstick]:
    """What base and adapter come to on the rows."""
    few, many = Reference(adapter.model, calibration), Reference(adapter.model, validation)
    way = few.compare(base)
    trained = run.read()["result"]
    # On the rows that the training was validated on, it measured the base as well.
    same = abs(trained["best_loss"] - many.loss) < SAME_LOSS
    loss = trained["base_loss"] if same else measure_loss(base, validation, BATCH_SIZE)
    return Yardstick("calibration", few, way.loss, way.kl), Yardstick("validation", many, loss, way.kl)


def _tokenize(rows: Sequence[dict[str, Any]], loaded: LoadedModel, recipe: Recipe) -> tuple[TokenRow, ...]:
    tokens = tokenize_rows(rows, loaded.tokenizer, recipe.train.max_seq_length, mask_prompt=recipe.train.mask_prompt)
    if not tokens.rows:
        raise DatasetError("No row to measure the fused model on. Run mlx-tutor build, or raise train.max_seq_length.")
    return tokens.rows


def _list_widths(settings: FuseSettings, config: dict[str, Any]) -> tuple[int | None, ...]:
    """The bit widths to try, fewest first; a base that is not quantized stays so."""
    quantization = config.get("quantization")
    if settings.dequantize or (quantization is None and settings.bits == 0):
        return (None,)
    if settings.bits:
        return (settings.bits,)
    fewest = quantization["bits"] if quantization else LADDER[0]
    return tuple(bits for bits in LADDER if bits >= fewest)


def _publish(run: Run, draft: Path, report: FuseReport, recipe: Recipe) -> None:
    """Write the papers of the model beside it, then put the folder in place."""
    record = {
        "result": asdict(report),
        "inputs": hash_inputs(run, recipe),
        "base": run.read()["base"],
        "environment": describe_environment(),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    write_text(draft / "README.md", _write_card(run, report))
    write_json(draft / "fuse.json", record)
    old = run.fused.with_name(f".{run.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if run.fused.exists():
        run.fused.rename(old)
    draft.rename(run.fused)
    shutil.rmtree(old, ignore_errors=True)


def _write_card(run: Run, report: FuseReport) -> str:
    record = run.read()
    headings, rows = list_trials(asdict(report))
    table = "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))
    return f"""---
base_model: {record["base"]}
library_name: mlx
tags: [mlx, mlx-tutor]
---
# {run.name}

{record["base"]}, fine-tuned on course `{record["course"]}` and fused by mlx-tutor.

Answer loss on the validation split, in nats a token: base {report.loss_base:.3f}, adapter {report.loss_adapter:.3f},
this model {report.loss_fused:.3f}. {report.summary()}.

{table}

Sizes were tried on a few training rows and decided on the validation rows; the last row is this model. Bits: the mean
over the layers with an adapter; layers: how many of them have how many. Kept: the share of the training's gain in loss.
Top-1: how often this model and the adapter find the same token most likely. KL from the adapter, in nats.

    mlx_lm.generate --model . --prompt "..."
"""


def list_trials(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of all that was tried, from what fuse.json says; the last is what was written."""
    headings = ["bits", "rows", "loss", "kept", "top-1", "KL", "size", "of base", "layers"]
    rows = []
    for trial in result["tried"]:
        retention = trial["retention"]
        rows.append(
            [
                describe_bits(trial["bits"]).removesuffix("-bit"),
                {"calibration": "train", "validation": "valid"}[trial["rows"]],
                f"{trial['loss']:.3f}",
                "-" if retention is None else f"{100 * retention:.1f} %",
                f"{100 * trial['top1']:.1f} %",
                f"{trial['kl']:.5f}",
                f"{trial['megabytes']:,.1f} MB",
                f"{trial['megabytes'] / result['megabytes_base']:.2f}x",
                " ".join(f"{count}x{width}" for width, count in trial.get("layers", {}).items()),
            ]
        )
    return headings, rows
