"""Peak memory and CPU time of a training step against mlx-lm and other trainers; and what fits into which machine.

One row of so many tokens, half of them supervised; each side that is installed (see rivals.py) in a process of its own,
weights included. `2048` is mlx-lm as it comes,
`4096` has `grad_checkpoint` on both sides. `estimated` is what `mlx_tutor.training.memory` computes from shapes;
`fits` uses it for the three default models in 4 bits, two thirds of the memory being what Metal gives. Nothing here
was measured on a Mac.

    python -m tests.benchmarks.bench_memory [--layers 24]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from typing import Any

from tests.benchmarks.bench_train import add_layers, as_stock
from tests.benchmarks.data import ROOT, load_inputs
from tests.benchmarks.rivals import OURS, SIDES, STOCK, list_sides, make_loss, name_device

METAL_SHARE = 2 / 3
# Of Qwen2.5-0.5B, 1.5B and Qwen3-4B: hidden, heads, head width, intermediate, billions of weights, rows a batch.
MODELS = {
    "small": (896, 14, 64, 4864, 0.49, 4),
    "standard": (1536, 12, 128, 8960, 1.54, 2),
    "large": (2560, 32, 128, 9728, 4.02, 1),
}
BYTES_A_WEIGHT = 0.5625


def run_side(side: str, width: int, layers: int, *, recompute: bool) -> dict[str, float]:
    """One step, its peak, and what was expected of it."""
    import mlx.core as mx
    import mlx.optimizers as optim
    import numpy as np
    from mlx_lm.cli_ui import make_console
    from mlx_lm.tuner import trainer

    from mlx_tutor.training.batches import TokenRow, iterate_batches
    from mlx_tutor.training.loss import compute_loss
    from mlx_tutor.training.memory import CHECKPOINT_SHARE, read_memory, read_shape
    from mlx_tutor.training.process import checkpoint_layers

    make_console().quiet = True
    model = load_inputs(layers)[0].model
    add_layers(model)
    tokens = np.random.default_rng(0).integers(0, model.args.vocab_size, width + 1).tolist()
    with tempfile.TemporaryDirectory() as folder:
        args = trainer.TrainingArgs(
            batch_size=1,
            iters=1,
            steps_per_report=1,
            max_seq_length=width + 1,
            adapter_file=f"{folder}/adapters.safetensors",
            grad_checkpoint=recompute and side != OURS,
        )
        dataset, loss, iterate = (
            ([TokenRow(tuple(tokens), width // 2)], compute_loss, iterate_batches)
            if side == OURS
            else (as_stock([(tokens, width // 2)]), make_loss(side, model), trainer.iterate_batches)
        )
        shape = read_shape(model)
        mx.clear_cache()
        mx.reset_peak_memory()
        begun = time.process_time()
        with checkpoint_layers(model, always=recompute) if side == OURS else nullcontext():
            trainer.train(model, optim.AdamW(1e-5), dataset, None, args, loss, iterate)
        result = {"peak_memory_gb": mx.get_peak_memory() / 1e9, "cpu_seconds": time.process_time() - begun}
    if side == OURS and shape is not None:
        large = shape.estimate_peak(1, width, width, recompute=False) > CHECKPOINT_SHARE * 1e9 * read_memory()[1]
        again = recompute or large
        result["recomputed"] = again
        result["estimated_gb"] = shape.estimate_peak(1, width, width // 2, recompute=again) / 1e9
    return {key: round(value, 3) for key, value in result.items()}


def list_fitting(*, scores_kept: bool) -> dict[str, dict[str, int]]:
    """The longest row of each default recipe that fits, by shapes, not measured; multiples of 256 tokens."""
    from mlx_tutor.training.loss import PIECE_LOGITS
    from mlx_tutor.training.memory import Shape

    found: dict[str, dict[str, int]] = {}
    for name, (hidden, heads, head_width, intermediate, billions, rows) in MODELS.items():
        weights = int(billions * 1e9 * BYTES_A_WEIGHT)
        kept = heads if scores_kept else 0
        shape = Shape(hidden, heads * head_width, kept, intermediate, 16, 151936, weights, 2, PIECE_LOGITS)
        found[name] = {}
        for memory in (8, 16, 32):
            fitting = [
                width
                for width in range(256, 32769, 256)
                if shape.estimate_peak(rows, width, rows * width, recompute=True) < METAL_SHARE * memory * 1e9
            ]
            found[name][f"{memory} GB"] = fitting[-1] if fitting else 0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=[2048])
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        [width] = args.widths
        print(json.dumps(run_side(args.side, width, args.layers, recompute=width > 2048)))
        return
    results: dict[str, Any] = {}
    for width in args.widths:
        sides = {}
        for side in list_sides():
            command = [sys.executable, "-m", "tests.benchmarks.bench_memory", "--side", side]
            command += ["--widths", str(width), "--layers", str(args.layers)]
            output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
            sides[side] = json.loads(output.strip().split("\n")[-1])
        ours = sides[OURS]["peak_memory_gb"]
        ratios = {side: round(ours / found["peak_memory_gb"], 3) for side, found in sides.items() if side != OURS}
        results[str(width)] = {**sides, "ratio": ratios[STOCK], "ratios": ratios}
        print(width, results[str(width)], file=sys.stderr)
    # Metal's attention is fused, a CPU's keeps its scores.
    fits = {"metal": list_fitting(scores_kept=False), "cpu": list_fitting(scores_kept=True)}
    print(
        json.dumps(
            {"benchmark": "memory", "device": name_device(), "layers": args.layers, **results, "fits": fits}, indent=2
        )
    )


if __name__ == "__main__":
    main()
