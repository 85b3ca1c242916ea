"""Tokens a second and peak memory of training on a GPU, against the other trainers that are installed; not yet run.

Nobody here had a GPU when this was written: only mlx-lm's side was tried, with the starter on a CPU. Rows
of 512, 2,048 and 8,192 tokens, half of each supervised, models in 4 bits; each cell in a process of its own, one step
to compile, then steps for `--seconds`. A cell may take `--limit` seconds, all of them end within eight minutes, and
what is left out is named. Models are folders or names that are in the cache; without them, random weights in the shape
of Qwen2.5-0.5B. Nothing is fetched.

    python -m tests.benchmarks.gpu [--models FOLDER ...] [--widths 512 2048 8192] [--seconds 8]
"""

import argparse
import json
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from typing import Any

from tests.benchmarks.bench_train import add_layers
from tests.benchmarks.data import ROOT, SHAPE
from tests.benchmarks.rivals import OURS, SIDES, list_sides, make_loss, name_device

ALL = 8 * 60
RANDOM = "random"


def load(name: str, layers: int) -> Any:
    """A model in 4 bits; of random weights where it has no name."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.models.qwen2 import Model, ModelArgs

    from mlx_tutor.models import load_model, resolve_model

    if name != RANDOM:
        return load_model(resolve_model(name)).model
    model = Model(ModelArgs.from_dict({**SHAPE, "num_hidden_layers": layers}))
    model.set_dtype(mx.bfloat16)
    nn.quantize(model, 64, 4)
    return model


def run_cell(side: str, name: str, width: int, seconds: float, layers: int) -> dict[str, Any]:
    """Steps on one row of `width` tokens until the time is up."""
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim
    import numpy as np

    from mlx_tutor.training.batches import TokenRow, make_batch
    from mlx_tutor.training.loss import compute_loss, name_loss
    from mlx_tutor.training.process import checkpoint_layers

    model = load(name, layers)
    add_layers(model)
    model.train()
    tokens = np.random.default_rng(0).integers(0, model.args.vocab_size, width + 1).tolist()
    stock = mx.array([tokens]), mx.array([[width // 2, width]])
    batch = make_batch([TokenRow(tuple(tokens), width // 2)], 1) if side == OURS else stock
    compute = compute_loss if side == OURS else make_loss(side, model)
    optimizer = optim.AdamW(1e-5)

    state = [model.state, optimizer.state, mx.random.state]

    # As mlx-lm's trainer does it.
    @partial(mx.compile, inputs=state, outputs=state)
    def compiled() -> mx.array:
        (loss, _), slopes = nn.value_and_grad(model, compute)(model, *batch)
        optimizer.update(model, slopes)
        told: mx.array = loss
        return told

    def step() -> float:
        loss = compiled()
        mx.eval(state, loss)
        told: Any = loss.item()
        return float(told)

    with checkpoint_layers(model, always=False) if side == OURS else nullcontext():
        first = step()
        mx.reset_peak_memory()
        begun, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - begun < seconds:
            step()
            steps += 1
    passed = time.perf_counter() - begun
    return {
        "tokens_per_second": round(steps * width / passed, 1),
        "peak_memory_gb": round(mx.get_peak_memory() / 1e9, 3),
        "first_loss": round(first, 4),
        "loss": name_loss() if side == OURS else side,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[RANDOM])
    parser.add_argument("--widths", type=int, nargs="+", default=[512, 2048, 8192])
    parser.add_argument("--layers", type=int, default=24, help="of random weights")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--limit", type=float, default=40.0)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(run_cell(args.side, args.models[0], args.widths[0], args.seconds, args.layers)))
        return
    begun, cells = time.monotonic(), []
    for name, width, side in ((n, w, s) for n in args.models for w in args.widths for s in list_sides()):
        cell: dict[str, Any] = {"model": name, "width": width, "side": side}
        command = [sys.executable, "-m", "tests.benchmarks.gpu", "--side", side, "--models", name]
        command += ["--widths", str(width), "--seconds", str(args.seconds), "--layers", str(args.layers)]
        left = min(args.limit, ALL - (time.monotonic() - begun))
        try:
            done = subprocess.run(
                command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=max(0.1, left)
            )
            cell |= json.loads(done.stdout.strip().split("\n")[-1])
        except subprocess.TimeoutExpired:
            cell["left_out"] = "no time left"
        except subprocess.CalledProcessError as err:
            cell["left_out"] = f"exit status {err.returncode}"
        print(cell, file=sys.stderr, flush=True)
        cells.append(cell)
    print(json.dumps({"benchmark": "gpu", "device": name_device(), "cells": cells}, indent=2))


if __name__ == "__main__":
    main()
