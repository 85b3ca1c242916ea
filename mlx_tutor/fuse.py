"""Base + adapter -> model, written, read back and measured against the adapter.

Fusing into a quantized layer rounds the sum again, and a small adapter can vanish in that rounding without a
word. So what was written is loaded and compared; while too little of the training is kept, the layers with an
adapter get more bits.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_unflatten

from mlx_tutor.errors import DatasetError, ModelError
from mlx_tutor.files import disk_errors, hash_sample, hash_value, read_json, write_json, write_text
from mlx_tutor.models import LoadedModel, hash_model, load_model
from mlx_tutor.provenance import describe_environment
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import UNROUNDED, describe_bits
from mlx_tutor.settings import FuseSettings
from mlx_tutor.training.batches import TokenRow, iterate_batches
from mlx_tutor.training.loss import compute_logits, measure_loss
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.workspace import Run

LADDER = (4, 5, 6, 8, UNROUNDED)
# Rows of the training split on which bits are chosen; the validation split then decides.
CALIBRATION_ROWS = 32
BATCH_SIZE = 4
# Below this gain in nats a token the share that is kept of it is noise.
SMALLEST_GAIN = 0.02
# How far the fused model may be from the adapter, in KL, as a share of the way from there to the base.
MOST_DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two models on the same supervised tokens: losses in nats, KL(reference, candidate), share of equal top tokens."""

    loss_reference: float
    loss_candidate: float
    kl: float
    top1: float


@dataclass(frozen=True, slots=True)
class FuseTrial:
    """One bit width tried. `retention` is the share of the training's gain that it keeps; None without a gain.

    `drift` is how far it is from the adapter in KL, as a share of the way from there to the base. `rows` says on which
    it was measured: those of the calibration when it failed on them already.
    """

    rows: Literal["calibration", "validation"]
    bits: int | None
    megabytes: float
    loss: float
    retention: float | None
    kl: float
    drift: float
    top1: float
    meets_target: bool


@dataclass(frozen=True, slots=True)
class FuseReport:
    """What fusing came to; losses, KL and top-1 agreement on the validation split. `bits` None: full precision."""

    run: str
    bits: int | None
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
        """One line: what each bit width kept, and what it cost."""
        kept = ", ".join(f"{describe_bits(trial.bits)} {_describe(trial)}" for trial in self.tried)
        size = f"{self.megabytes_base:.1f} MB to {self.megabytes:.1f} MB"
        return f"{kept}; {size}" if self.meets_target else f"{kept}; {size}, below the target"


def _describe(trial: FuseTrial) -> str:
    if trial.retention is None:
        return f"has KL {trial.kl:.1e} to the adapter"
    text = f"keeps {100 * trial.retention:.1f} % of the training"
    return text if trial.drift < MOST_DRIFT else f"{text}, {100 * trial.drift:.0f} % of the way off in KL"


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
    calibration = _tokenize(train_rows[:: max(1, len(train_rows) // CALIBRATION_ROWS)], reference, recipe)
    decision = _tokenize(valid_rows, reference, recipe)
    plain = load_model(base).model
    way = compare_models(reference.model, plain, calibration)
    ways = way, replace(way, loss_candidate=measure_loss(plain, decision, BATCH_SIZE))
    del plain

    draft = run.fused.with_name(f".{run.name}.partial")
    tried: list[FuseTrial] = []
    widths = _list_bits(recipe.fuse, reference.config)
    for bits in widths:
        write_fused(base, run.adapter, draft, bits)
        candidate = load_model(draft).model
        megabytes = _measure_size(draft)
        # Bits are chosen on training rows; for those that pass, and the last ones, the validation split decides.
        first = compare_models(reference.model, candidate, calibration)
        chosen = _judge("calibration", bits, megabytes, first, ways[0], recipe)
        trial = chosen
        if chosen.meets_target or bits == widths[-1]:
            final = compare_models(reference.model, candidate, decision)
            trial = _judge("validation", bits, megabytes, final, ways[1], recipe)
            trial = replace(trial, meets_target=trial.meets_target and chosen.meets_target)
        del candidate
        mx.clear_cache()
        tried.append(trial)
        on_event(f"{describe_bits(bits)} {_describe(trial)} ({megabytes:.1f} MB)")
        if trial.meets_target:
            break
    report = FuseReport(
        run=run.name,
        bits=bits,
        loss_base=ways[1].loss_candidate,
        loss_adapter=final.loss_reference,
        loss_fused=final.loss_candidate,
        retention=trial.retention,
        kl=final.kl,
        top1=final.top1,
        meets_target=trial.meets_target,
        megabytes_base=_measure_size(base),
        megabytes=megabytes,
        seconds=time.perf_counter() - begun,
        peak_memory_gb=mx.get_peak_memory() / 1e9,
        tried=tuple(tried),
    )
    _publish(run, draft, report, recipe)
    return report


def _tokenize(rows: Sequence[dict[str, Any]], loaded: LoadedModel, recipe: Recipe) -> tuple[TokenRow, ...]:
    tokens = tokenize_rows(rows, loaded.tokenizer, recipe.train.max_seq_length, mask_prompt=recipe.train.mask_prompt)
    if not tokens.rows:
        raise DatasetError("No row to measure the fused model on. Run mlx-tutor build, or raise train.max_seq_length.")
    return tokens.rows


def _list_bits(settings: FuseSettings, config: dict[str, Any]) -> tuple[int | None, ...]:
    """The bit widths to try, fewest first; a base that is not quantized stays so."""
    quantization = config.get("quantization")
    if settings.dequantize or (quantization is None and settings.bits == 0):
        return (None,)
    if settings.bits:
        return (settings.bits,)
    fewest = quantization["bits"] if quantization else LADDER[0]
    return tuple(bits for bits in LADDER if bits >= fewest) or (fewest,)


def write_fused(base: Path, adapter: Path, target: Path, bits: int | None) -> None:
    """Write a whole model folder with the adapter merged in; `bits` are those of the layers that had an adapter.

    UNROUNDED leaves those layers as they are merged, in full precision by mlx-lm's own `fuse`; None dequantizes all the
    others as well.
    """
    from mlx_lm.utils import dequantize_model, save

    loaded = load_model(base, adapter, quantized=True)
    config = dict(loaded.config)
    quantization = dict(config.get("quantization") or {})
    fused: list[tuple[str, nn.Module]] = []
    for path, module in loaded.model.named_modules():
        if not hasattr(module, "fuse"):
            continue
        # In float32, and rounded once: the row lengths of DoRA are lost in 16 bits.
        dtype = _find_dtype(module.linear)
        module.linear.set_dtype(mx.float32)
        layer = module.fuse(dequantize=True)
        layer.set_dtype(dtype)
        if bits == UNROUNDED:
            quantization[path] = False
        elif bits is not None:
            group_size = getattr(module.linear, "group_size", quantization.get("group_size", 64))
            layer = layer.to_quantized(group_size=group_size, bits=bits)
            if bits != quantization.get("bits") or quantization.get("mode", "affine") != "affine":
                quantization[path] = {"group_size": group_size, "bits": bits, "mode": "affine"}
        fused.append((path, layer))
    loaded.model.update_modules(tree_unflatten(fused))
    if bits is None:
        dequantize_model(loaded.model)
        quantization = {}
    config.pop("quantization_config", None)
    config.pop("quantization", None)
    if quantization:
        config["quantization"] = {"group_size": 64, "bits": bits, **quantization}
    if target.exists():
        shutil.rmtree(target)
    with disk_errors(target):
        save(target, str(base), loaded.model, loaded.tokenizer, config, donate_model=False)


def _find_dtype(linear: nn.Module) -> mx.Dtype:
    """Of the weights as the model computes with them; formats with integer scales dequantize to bfloat16."""
    dtype: mx.Dtype = linear.get("scales", linear.weight).dtype
    return dtype if mx.issubdtype(dtype, mx.floating) else mx.bfloat16


def compare_models(reference: Any, candidate: Any, rows: Sequence[TokenRow]) -> Agreement:
    """Loss of both models, KL(reference, candidate) in nats and top-1 agreement, over all supervised tokens."""
    sums, count = mx.zeros(4), 0
    for inputs, positions, targets, weights in iterate_batches(rows, BATCH_SIZE, max(len(row.tokens) for row in rows)):
        log_p, log_q = (_log_probabilities(model, inputs, positions) for model in (reference, candidate))
        nll = [-mx.take_along_axis(logs, targets[:, None], axis=-1)[:, 0] for logs in (log_p, log_q)]
        kl = (mx.exp(log_p) * (log_p - log_q)).sum(axis=-1)
        same = (log_p.argmax(axis=-1) == log_q.argmax(axis=-1)).astype(mx.float32)
        sums = sums + (mx.stack([*nll, kl, same]) * weights).sum(axis=-1)
        count += int(np.count_nonzero(weights))
        mx.eval(sums)
    loss_p, loss_q, kl_mean, equal = map(float, np.asarray(sums) / count)
    # Rounding can put a KL of equal models a hair below zero.
    return Agreement(loss_p, loss_q, max(0.0, kl_mean), equal)


def _log_probabilities(model: Any, inputs: mx.array, positions: mx.array) -> mx.array:
    logits = compute_logits(model, inputs, positions).astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _judge(
    rows: Literal["calibration", "validation"],
    bits: int | None,
    megabytes: float,
    fused: Agreement,
    way: Agreement,
    recipe: Recipe,
) -> FuseTrial:
    """How much of the way from base to adapter the fused model went; `way` compares the adapter with the base:
    its loss on the same rows, its KL on those of the calibration.

    The loss alone can be fooled: rounding is noise, and noise can lower the loss of a model that is too sure of itself.
    """
    gain = way.loss_candidate - fused.loss_reference
    retention = None if gain < SMALLEST_GAIN else (way.loss_candidate - fused.loss_candidate) / gain
    drift = fused.kl / way.kl if way.kl else 0.0
    meets = drift < MOST_DRIFT and (retention is None or retention >= recipe.fuse.target)
    return FuseTrial(rows, bits, megabytes, fused.loss_candidate, retention, fused.kl, drift, fused.top1, meets)


def _measure_size(path: Path) -> float:
    return sum(file.stat().st_size for file in path.glob("model*.safetensors")) / 1e6


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
    return f"""---
base_model: {record["base"]}
library_name: mlx
tags: [mlx, mlx-tutor]
---
# {run.name}

{record["base"]}, fine-tuned on course `{record["course"]}` and fused by mlx-tutor.

Answer loss on the validation split, in nats a token: base {report.loss_base:.3f}, adapter {report.loss_adapter:.3f},
this model {report.loss_fused:.3f}. {report.summary()}.

    mlx_lm.generate --model . --prompt "..."
"""
