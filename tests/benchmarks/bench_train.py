"""Rows a second and peak memory of training, against mlx-lm's own batches and loss in the same trainer.

Both sides: the same float32 weights, LoRA layers, optimizer, rows and number of passes, `mask_prompt` on. Each side
runs in a process of its own. The first step, which compiles, is measured apart.

    python -m tests.benchmarks.bench_train [--layers 4] [--rows 32] [--passes 2] [--batch-size 4]
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Any

from tests.benchmarks.data import ROOT, load_inputs

TRAINED_SHARE = 2 / 3


def run_side(side: str, args: argparse.Namespace) -> dict[str, float]:
    """Train on one side and measure."""
    import mlx.core as mx
    import mlx.optimizers as optim
    import numpy as np
    from mlx_lm.cli_ui import make_console
    from mlx_lm.tuner import trainer
    from mlx_lm.tuner.datasets import CacheDataset, ChatDataset
    from mlx_lm.tuner.utils import linear_to_lora_layers

    from mlx_tutor.training.batches import iterate_batches
    from mlx_tutor.training.loss import compute_loss, measure_loss
    from mlx_tutor.training.rows import tokenize_rows

    make_console().quiet = True
    loaded, rows = load_inputs(args.layers)
    model, tokenizer, rows = loaded.model, loaded.tokenizer, rows[: args.rows]
    model.freeze()
    trained = max(1, round(len(model.layers) * TRAINED_SHARE))
    linear_to_lora_layers(model, trained, {"rank": 8, "scale": 20.0, "dropout": 0.0})
    mx.random.seed(1)
    np.random.seed(1)
    ours = tokenize_rows(rows, tokenizer, 4096)
    batches = math.ceil(len(ours.rows) / args.batch_size)
    iters = args.passes * batches
    times: list[float] = []

    def clock(make: Any) -> Any:
        def iterate(**keywords: Any) -> Any:
            for batch in make(**keywords):
                times.append(time.perf_counter())
                yield batch

        return iterate

    stock = CacheDataset(ChatDataset(rows, tokenizer, mask_prompt=True))
    dataset, loss, iterate = (
        (ours.rows, compute_loss, partial(iterate_batches, seed=1))
        if side == "ours"
        else (stock, trainer.default_loss, trainer.iterate_batches)
    )
    with tempfile.TemporaryDirectory() as folder:
        training = trainer.TrainingArgs(
            batch_size=args.batch_size,
            iters=iters,
            steps_per_report=iters,
            steps_per_save=iters + 1,
            max_seq_length=4096,
            adapter_file=f"{folder}/adapters.safetensors",
        )
        mx.reset_peak_memory()
        trainer.train(model, optim.AdamW(1e-4), dataset, None, training, loss, clock(iterate))
        times.append(time.perf_counter())
        peak = mx.get_peak_memory() / 1e9
    return {
        "rows_per_second": len(ours.rows) * args.passes * (iters - 1) / iters / (times[-1] - times[1]),
        "first_step_seconds": times[1] - times[0],
        "peak_memory_gb": peak,
        # The same measure for both, on the rows themselves.
        "loss_after": measure_loss(model, ours.rows, args.batch_size),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--side", choices=("ours", "stock"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(run_side(args.side, args)))
        return
    results = {}
    for side in ("stock", "ours"):
        command = [sys.executable, "-m", "tests.benchmarks.bench_train", "--side", side]
        for name in ("layers", "rows", "passes", "batch_size"):
            command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
        output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        results[side] = json.loads(output.strip().split("\n")[-1])
    ratios = {
        "speed_up": results["ours"]["rows_per_second"] / results["stock"]["rows_per_second"],
        "memory": results["ours"]["peak_memory_gb"] / results["stock"]["peak_memory_gb"],
        "loss_difference": results["ours"]["loss_after"] - results["stock"]["loss_after"],
    }
    print(json.dumps({"benchmark": "train", **vars(args), **results, "ratios": ratios}, indent=2))


if __name__ == "__main__":
    main()
