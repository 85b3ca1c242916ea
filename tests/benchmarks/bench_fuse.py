"""Size against what is kept of an adapter: mlx_lm.fuse, the same bits for all layers, and ours.

Three adapters: one well trained and one hardly trained, both on the starter, and one on random weights as wide as
Qwen2.5-0.5B with a small vocabulary. `nearest` rounds each weight to the nearest step, with the same bits for all;
`ours` is what `mlx-tutor fuse` chooses. Each is measured against the adapter on validation and on test rows; `of_base`
is its size as a multiple of the base's.

    python -m tests.benchmarks.bench_fuse [--iters 60] [--rows 32]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.models.qwen2 import Model, ModelArgs
from mlx_lm.utils import quantize_model, save

from mlx_tutor.fuse.agreement import Reference, average, measure_retention
from mlx_tutor.fuse.fuse import fuse_run
from mlx_tutor.fuse.write import Merged, measure_size
from mlx_tutor.models import load_model, load_tokenizer, resolve_model
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.training.train import hash_inputs, train_adapter
from mlx_tutor.workspace import Run
from tests.benchmarks.data import SHAPE, build_splits, find_data, read_chatml

Rows = dict[str, list[dict[str, Any]]]
WIDTHS = (5, 6, 8)


def load_rows() -> Rows:
    """By split; a tenth each of the course catalogue is held back where the data is."""
    path = find_data("usc/courses.jsonl")
    if path is None:
        return build_splits()
    rows = read_chatml(path)
    return {"train": [row for i, row in enumerate(rows) if i % 10 > 1], "valid": rows[::10], "test": rows[1::10]}


def make_wide(folder: Path) -> Path:
    """Four layers of Qwen2.5-0.5B in 4 bits, random, under the starter's vocabulary."""
    starter = resolve_model("starter")
    config = {**SHAPE, "num_hidden_layers": 4, "vocab_size": 4096, "eos_token_id": [2, 0]}
    mx.random.seed(0)
    model = Model(ModelArgs.from_dict(config))
    model.apply(lambda array: 0.02 * mx.random.normal(array.shape) if array.ndim == 2 else array)
    model.set_dtype(mx.float16)
    # mlx-lm prints what it does.
    with redirect_stdout(sys.stderr):
        model, config = quantize_model(model, config, group_size=64, bits=4)
    save(folder, str(starter), model, load_tokenizer(starter), config)
    return folder


def measure_sides(folder: Path, base: Path, rows: Rows, settings: TrainSettings) -> dict[str, Any]:
    """Train, fuse in each way, measure."""
    run, recipe = Run(folder, "bench"), Recipe(train=settings)
    inputs = hash_inputs(recipe, base, "rows")
    trained = train_adapter(run, "bench", base, recipe, rows["train"], rows["valid"], inputs, lambda metric: None)
    loaded = load_model(base, run.adapter)
    plain = load_model(base).model
    tokens = {
        split: tokenize_rows(rows[split], loaded.tokenizer, settings.max_seq_length).rows for split in ("valid", "test")
    }
    references = {split: Reference(loaded.model, tokens[split]) for split in tokens}
    bases = {split: average(reference.compare(plain)) for split, reference in references.items()}

    def measure(fused: Path) -> dict[str, Any]:
        found: dict[str, Any] = {"megabytes": measure_size(fused), "of_base": measure_size(fused) / measure_size(base)}
        model = load_model(fused).model
        for split, reference in references.items():
            agreement = average(reference.compare(model))
            retention = measure_retention(bases[split].loss, average(reference.own).loss, agreement.loss)
            found[split] = {**asdict(agreement), "retention": retention}
        return found

    command = [sys.executable, "-m", "mlx_lm", "fuse", "--model", str(base), "--adapter-path", str(run.adapter)]
    subprocess.run([*command, "--save-path", str(folder / "plain")], stdout=subprocess.DEVNULL, check=True)
    sides = {"mlx_lm.fuse": measure(folder / "plain")}
    layers = [path for path, module in loaded.model.named_modules() if hasattr(module, "fuse")]
    for bits in WIDTHS:
        Merged(base, run.adapter, {}).write(folder / "nearest", dict.fromkeys(layers, bits))
        sides[f"nearest {bits}"] = measure(folder / "nearest")
    begun = time.perf_counter()
    report = fuse_run(run, base, recipe, rows["train"], rows["valid"], lambda message: None)
    sides["ours"] = {"bits": report.bits, "fuse_seconds": time.perf_counter() - begun, **measure(run.fused)}
    return {
        "loss": {
            split: {"base": bases[split].loss, "adapter": average(reference.own).loss}
            for split, reference in references.items()
        },
        "kl_base": {split: agreement.kl for split, agreement in bases.items()},
        "iterations": trained.best_iteration,
        "sides": sides,
        "tried": [asdict(trial) for trial in report.tried],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iters", type=int, default=60)
    parser.add_argument("--rows", type=int, default=32)
    args = parser.parse_args()
    rows = load_rows()
    rows |= {split: rows[split][:: max(1, len(rows[split]) // args.rows)] for split in ("valid", "test")}
    strong = TrainSettings(
        iters=args.iters, batch_size=4, learning_rate=2.5e-4, warmup=10, max_seq_length=1024, steps_per_eval=args.iters
    )
    weak = replace(strong, iters=20, learning_rate=1e-5, steps_per_eval=20)
    # Four times the width is sixteen times the work: short rows, and few.
    short = {split: sorted(rows[split], key=lambda row: len(str(row["messages"])))[:96] for split in rows}
    few = {split: short[split][:: 1 if split == "train" else 4] for split in short}
    result: dict[str, Any] = {"benchmark": "fuse", **vars(args), "adapters": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        starter = resolve_model("starter")
        wide = make_wide(folder / "wide")
        jobs = {"strong": (starter, rows, strong), "weak": (starter, rows, weak)}
        jobs["wide"] = (wide, few, replace(strong, iters=20, steps_per_eval=20))
        for label, (base, some, settings) in jobs.items():
            result["adapters"][label] = measure_sides(folder / label, base, some, settings)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
