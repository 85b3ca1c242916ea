"""Fusing a run: base + adapter -> model, which is written, read back and measured against the adapter.

Fusing into a quantized layer rounds the sum again, and a small adapter can vanish in that rounding unnoticed. So what
was written is loaded and compared, and the fewest bits that keep the training are used.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_unflatten

from mlx_tutor.errors import DatasetError, ModelError
from mlx_tutor.files import hash_sample, hash_value, read_json, write_json, write_text
from mlx_tutor.fuse.agreement import BATCH_SIZE, Reference, Sums, average
from mlx_tutor.fuse.bits import LADDER
from mlx_tutor.fuse.card import write_card, write_generation
from mlx_tutor.fuse.curvature import measure_curvature
from mlx_tutor.fuse.frontier import EVERY, FuseTrial, Size, find_smallest, judge, list_sizes
from mlx_tutor.fuse.write import Merged, measure_size
from mlx_tutor.models import LoadedModel, hash_model, lend_adapter, load_model, prepare_layer
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import describe_bits
from mlx_tutor.settings import FuseSettings
from mlx_tutor.training.batches import TokenRow
from mlx_tutor.training.lower import find_first_adapted, is_same_below, open_lower
from mlx_tutor.training.rows import TokenRows, tokenize_rows
from mlx_tutor.workspace import Run

# Raise it when the same adapter and settings give another model: then every fused model is stale.
FUSER = 2
# Most training rows used for rounding; validation rows decide on the size.
FITTING_ROWS = 64
TOKENS_AN_INPUT = 6

OnProgress = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True)
class FuseReport:
    """The result of fusing; losses, KL and top-1 agreement on `rows` of the `total_rows` rows of the validation split.

    `bits` is the mean over the layers with an adapter; None: full precision. `tried` are all sizes that were
    measured; the last is the model as it was written.
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
    rows: int
    total_rows: int
    seconds: float
    peak_memory_gb: float
    tried: tuple[FuseTrial, ...]

    def summary(self) -> str:
        """One line: what is kept, and at what cost."""
        text = f"{self.tried[-1].describe()}; {self.megabytes_base:.1f} MB to {self.megabytes:.1f} MB"
        return text if self.meets_target else f"{text}, below the target"


def hash_inputs(run: Run, recipe: Recipe) -> dict[str, str]:
    """Fingerprints of everything that a fused model depends on."""
    return {
        "adapter": hash_sample(run.adapter / "adapters.safetensors"),
        "base": run.read()["inputs"]["base"],
        "settings": hash_value(recipe.to_dict()["fuse"]),
        # Models made before this number existed have no entry and count as version 1.
        **({"fuser": str(FUSER)} if FUSER > 1 else {}),
    }


def read_fuse(run: Run) -> dict[str, Any] | None:
    """The content of `fuse.json`; None before the first fuse."""
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
    on_progress: OnProgress = lambda doing, done, total: None,
) -> FuseReport:
    """Fuse the adapter of a run, with as many bits as needed to keep its training.

    Reads `adapters/<run>/` and the base; writes `fused_models/<run>/`, fuse.json included, in one step. If it is
    killed, an earlier fused model stays as it was.

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
    on_progress("loading the base", 0, 1)
    loaded = load_model(base, thinking=recipe.model.thinking)
    validation = _tokenize(valid_rows, loaded, recipe).take_batches(recipe.train.val_batches, recipe.train.batch_size)
    runner, tried = _find_smallest(run, base, recipe, loaded, train_rows, validation.rows, on_event, on_progress)
    final, kept = tried[-1], average(runner.reference.own)
    report = FuseReport(
        run=run.name,
        bits=final.bits,
        loss_base=average(runner.base_sums).loss,
        loss_adapter=kept.loss,
        loss_fused=final.loss,
        retention=final.retention,
        kl=final.kl,
        top1=final.top1,
        meets_target=final.meets_target,
        megabytes_base=measure_size(base),
        megabytes=final.megabytes,
        rows=len(validation.rows),
        total_rows=validation.total,
        seconds=time.perf_counter() - begun,
        peak_memory_gb=mx.get_peak_memory() / 1e9,
        tried=tried,
    )
    _publish(run, runner.folder, report, recipe)
    return report


def _find_smallest(
    run: Run,
    base: Path,
    recipe: Recipe,
    loaded: LoadedModel,
    train_rows: Sequence[dict[str, Any]],
    valid_rows: Sequence[TokenRow],
    on_event: Callable[[str], None],
    on_progress: OnProgress,
) -> tuple["TrialRunner", tuple[FuseTrial, ...]]:
    """Try sizes and write the smallest that meets the targets, into the folder of the runner."""
    widths = _list_widths(recipe.fuse, loaded.config)
    numbers = [width for width in widths if width is not None]
    fitting = pick_fitting(_tokenize(train_rows, loaded, recipe).rows, loaded) if numbers else []
    progress = FuseProgress(on_progress, len(valid_rows), len(fitting), len(widths))
    with lend_adapter(loaded, run.adapter):
        first = find_first_adapted(loaded.model)
        done = progress.enter("measuring what rounding costs each layer")
        curvatures = measure_curvature(loaded.model, fitting, done) if fitting else {}
    with open_lower(loaded.model, [valid_rows], BATCH_SIZE, run.adapter, recipe.train.cache_gb, first) as [lower]:
        with lend_adapter(loaded, run.adapter):
            reference = Reference(loaded.model, valid_rows, lower, progress.enter("measuring the adapter"))
        runner = TrialRunner(
            base,
            run.fused.with_name(f".{run.name}.partial"),
            loaded,
            reference,
            reference.compare(loaded.model, on_done=progress.enter("measuring the base")),
            Merged(base, run.adapter, curvatures),
            first,
            recipe.fuse,
            on_event,
            progress,
        )
        sizes = list_sizes(runner.merged.weigh_layers(numbers), numbers) if numbers else [Size(None, None)]
        return runner, find_smallest(sizes, runner.try_size, runner.write, recipe.fuse)


class FuseProgress:
    """Progress of a fuse, in passes of a row through the adapted layers; phases come in a fixed order."""

    def __init__(self, on_progress: OnProgress, rows: int, fitting: int, widths: int) -> None:
        self._on_progress = on_progress
        trials = math.ceil(math.log2(2 * widths)) if widths > 1 else 0
        # Lower layers are computed with the adapter and with the curvature, which also has a backward pass.
        self._shares = [3 * fitting, 2 * rows, rows] + [rows / EVERY] * trials + [rows]
        self._entered = 0

    def enter(self, doing: str, *, last: bool = False) -> Callable[[float], None]:
        """Begin the next phase, or the `last`; call the result with the share of the phase that is done."""
        number = len(self._shares) - 1 if last else min(self._entered, len(self._shares) - 2)
        self._entered += 1
        before, share, total = sum(self._shares[:number]), self._shares[number], sum(self._shares)

        def tell(done: float) -> None:
            self._on_progress(doing, before + share * min(done, 1.0), total)

        tell(0.0)
        return tell


@dataclass(slots=True)
class TrialRunner:
    """Measures sizes: trials in memory, in place of the base's layers; the final size as it was written."""

    base: Path
    folder: Path
    loaded: LoadedModel
    reference: Reference
    base_sums: list[Sums]
    merged: Merged
    first: int
    settings: FuseSettings
    on_event: Callable[[str], None]
    progress: FuseProgress

    def try_size(self, size: Size) -> FuseTrial:
        """Measure on some of the rows; nothing is written."""
        done = self.progress.enter(f"trying {describe_bits(size.bits)}")
        model = self.loaded.model
        stored, now = self.merged.store_layers(size.chosen), dict(model.named_modules())
        model.update_modules(
            tree_unflatten([(path, prepare_layer(layer, now[path])) for path, layer in stored.items()])
        )
        sums = self.reference.compare(model, EVERY, on_done=done)
        rows = sum(min(BATCH_SIZE, len(self.reference.rows) - BATCH_SIZE * EVERY * i) for i in range(len(sums)))
        return self._judge(size, self.merged.estimate_size(size.chosen or {}), rows, sums, EVERY)

    def write(self, size: Size) -> FuseTrial:
        """Write the model, and measure the written model on all rows."""
        done = self.progress.enter(f"writing {describe_bits(size.bits)}, and measuring it", last=True)
        self.merged.write(self.folder, size.chosen)
        shared = is_same_below(self.base, self.folder, self.first)
        sums = self.reference.compare(load_model(self.folder).model, shared=shared, on_done=done)
        mx.clear_cache()
        return self._judge(size, measure_size(self.folder), len(self.reference.rows), sums, 1)

    def _judge(self, size: Size, megabytes: float, rows: int, sums: list[Sums], every: int) -> FuseTrial:
        parts = (self.base_sums[::every], self.reference.own[::every], sums)
        trial = judge(size, megabytes, rows, parts, self.settings)
        self.on_event(f"{trial.describe()} ({trial.megabytes:.1f} MB, {rows} validation rows)")
        return trial


def _tokenize(rows: Sequence[dict[str, Any]], loaded: LoadedModel, recipe: Recipe) -> TokenRows:
    tokens = tokenize_rows(rows, loaded.tokenizer, recipe.train.max_seq_length, mask_prompt=recipe.train.mask_prompt)
    if not tokens.rows:
        raise DatasetError("No row to measure the fused model on. Run mlx-tutor build, or raise train.max_seq_length.")
    return tokens


def pick_fitting(rows: Sequence[TokenRow], loaded: LoadedModel) -> list[TokenRow]:
    """Calibration rows, spread over the training split: enough for a few tokens for each input of a layer."""
    hidden = loaded.config["hidden_size"]
    some = rows[:: math.ceil(len(rows) / FITTING_ROWS)]
    tokens = sum(len(row.tokens) for row in some)
    return list(some[:: math.ceil(tokens / (TOKENS_AN_INPUT * hidden))])


def _list_widths(settings: FuseSettings, config: dict[str, Any]) -> tuple[int | None, ...]:
    """The bit widths to try, fewest first; an unquantized base stays unquantized."""
    quantization = config.get("quantization")
    if settings.dequantize or (quantization is None and settings.bits == 0):
        return (None,)
    if settings.bits:
        return (settings.bits,)
    fewest = quantization["bits"] if quantization else LADDER[0]
    return tuple(bits for bits in LADDER if bits >= fewest)


def _publish(run: Run, draft: Path, report: FuseReport, recipe: Recipe) -> None:
    """Add the model card, the settings and fuse.json, then move the folder into place."""
    record = {
        "result": asdict(report),
        "inputs": hash_inputs(run, recipe),
        "base": run.read()["base"],
        "environment": describe_environment(),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    write_text(draft / "README.md", write_card(run, asdict(report), report.summary()))
    write_generation(draft, recipe.generate)
    write_json(draft / "fuse.json", record)
    old = run.fused.with_name(f".{run.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if run.fused.exists():
        run.fused.rename(old)
    draft.rename(run.fused)
    shutil.rmtree(old, ignore_errors=True)
