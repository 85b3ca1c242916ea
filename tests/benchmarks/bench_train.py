"""Rows a second and losses of training, against mlx-lm's own batches and loss in the same trainer.

Beside mlx-lm those trainers of rivals.py that are installed, on its batches with their losses. All sides: the same
float32 weights, LoRA layers, optimizer, rows and number of passes, `mask_prompt` on; each in a process of its own,
taking steps in turn, so that a machine that grows slower does so for all. Batches that would take too much memory
recompute activations on all, though stock mlx-lm does not: it would be killed. `rows` are real rows as they come,
`spread` rows of 50 to 1,500 tokens, log-normal, half of each supervised. Ours keeps what the frozen layers make of a
row: the first pass shows what training gains without that.
Beside each ratio to mlx-lm stands the arithmetic one: by the products that each side's shapes take (`reachable`), and
by those that no padding at all would take (`ceiling`).

    python -m tests.benchmarks.bench_train [--layers 24] [--rows 128] [--spread 32]
"""

import argparse
import ctypes
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

from tests.benchmarks.data import ROOT, load_inputs
from tests.benchmarks.rivals import OURS, SIDES, STOCK, list_sides, make_loss, name_device

TRAINED_SHARE = 2 / 3
LONGEST, VALID_ROWS = 4096, 16
# Random weights fall by a nat in a few steps at the usual 1e-5, and then the order of batches alone tells.
RATE = 1e-7
READY = "ready for a step"


@dataclass(frozen=True)
class Case:
    """One training: token rows as (tokens, offset), and how many passes over them."""

    train: list[tuple[list[int], int]]
    valid: list[tuple[list[int], int]]
    passes: int


def make_case(name: str, args: argparse.Namespace, tokenizer: Any, rows: Sequence[dict[str, Any]]) -> Case:
    """Real rows, or rows of widely spread lengths made of their tokens."""
    import numpy as np

    from mlx_tutor.training.rows import tokenize_rows

    found = [(list(row.tokens), row.offset) for row in tokenize_rows(rows, tokenizer, LONGEST).rows]
    if name == "rows":
        return Case(found[: args.rows], found[-VALID_ROWS:], args.passes)
    rng = np.random.default_rng(0)
    stream = [token for tokens, _ in found for token in tokens]
    lengths = rng.lognormal(math.log(350), 0.8, args.spread + VALID_ROWS // 2).clip(50, 1500).astype(int)
    starts = rng.integers(0, max(1, len(stream) - 1500), len(lengths))
    made = [(stream[i : i + n], int(n) // 2) for i, n in zip(starts, lengths, strict=True)]
    return Case(made[: args.spread], made[args.spread :], 1)


def list_shapes(side: str, case: Case, batch_size: int) -> Iterator[tuple[int, int, int]]:
    """Rows, width and logits of each batch of one pass."""
    import numpy as np
    from mlx_lm.tuner import trainer

    from mlx_tutor.training.batches import TokenRow, iterate_batches

    np.random.seed(1)
    batches = len(case.train) // batch_size
    if side == "stock":
        for batch, _ in islice(trainer.iterate_batches(as_stock(case.train), batch_size, LONGEST, loop=True), batches):
            yield batch.shape[0], batch.shape[1] - 1, batch.shape[0] * (batch.shape[1] - 1)
        return
    rows = [TokenRow(tuple(tokens), offset) for tokens, offset in case.train]
    if side == "ideal":
        yield from ((1, len(row.tokens) - 1, row.supervised) for row in rows)
        return
    for inputs, positions, *_ in islice(iterate_batches(rows, batch_size, LONGEST, loop=True, seed=1), batches):
        number, width = inputs.shape
        yield number, width, positions.size


def count_products(shapes: Iterable[tuple[int, int, int]], model: Any, *, cached: bool) -> float:
    """Multiplications and additions of one pass: layers forward, trained layers and head backward too."""
    from mlx_tutor.training.lower import find_first_adapted

    args, frozen, layers = model.args, find_first_adapted(model), len(model.layers)
    head_dim = args.hidden_size // args.num_attention_heads
    kv = args.num_key_value_heads * head_dim
    layer = args.hidden_size * (2 * args.hidden_size + 2 * kv + 3 * args.intermediate_size)
    work = 2 * (layers - frozen) + (0 if cached else frozen)
    products: float = sum(
        rows * width * (2 * layer + 4 * width * args.hidden_size) * work
        + 4 * logits * args.hidden_size * args.vocab_size
        for rows, width, logits in shapes
    )
    return products


def as_stock(rows: Sequence[tuple[list[int], int]]) -> Any:
    """Rows as mlx-lm's trainer takes them from its own datasets."""
    from mlx_lm.tuner.datasets import CacheDataset

    class Rows(list[tuple[list[int], int]]):
        def process(self, row: Any) -> Any:
            return row

    return CacheDataset(Rows(rows))


def add_layers(model: Any) -> None:
    """Put LoRA on the upper layers."""
    import mlx.core as mx
    from mlx_lm.tuner.utils import linear_to_lora_layers

    trained = max(1, round(len(model.layers) * TRAINED_SHARE))
    model.freeze()
    linear_to_lora_layers(model, trained, {"rank": 8, "scale": 20.0, "dropout": 0.0})
    mx.eval(model.parameters())


def free_memory() -> None:
    """Give back what a step took: the other side needs it for its own."""
    import mlx.core as mx

    mx.clear_cache()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def run_side(side: str, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train on one side and measure."""
    import mlx.core as mx
    import mlx.optimizers as optim
    import numpy as np
    from mlx_lm.cli_ui import make_console
    from mlx_lm.tuner import trainer

    from mlx_tutor.training.batches import TokenRow, iterate_batches
    from mlx_tutor.training.loss import compute_loss, measure_loss
    from mlx_tutor.training.lower import find_first_adapted, open_lower
    from mlx_tutor.training.process import checkpoint_layers

    make_console().quiet = True
    loaded, rows = load_inputs(args.layers)
    model, case = loaded.model, make_case(name, args, loaded.tokenizer, rows)
    mx.random.seed(1)
    np.random.seed(1)
    add_layers(model)
    train, valid = ([TokenRow(tuple(t), o) for t, o in part] for part in (case.train, case.valid))
    steps = len(train) // args.batch_size
    times: list[float] = []
    marks: list[float] = []
    losses = [measure_loss(model, valid, args.batch_size)]

    def clock(batches: Iterator[Any]) -> Iterator[Any]:
        for step in count():
            if step and step % steps == 0:
                losses.append(measure_loss(model, valid, args.batch_size))
                model.train()
            free_memory()
            print(READY, flush=True)
            sys.stdin.readline()
            marks.append(time.perf_counter())
            yield next(batches)
            # Asked for the next batch: the step is done.
            times.append(time.perf_counter() - marks[-1])
            print(f"{name} {side} step {step + 1}: {times[-1]:.1f} s", file=sys.stderr, flush=True)

    with (
        tempfile.TemporaryDirectory() as folder,
        open_lower(model, [train], args.batch_size, Path(folder), 4.0, find_first_adapted(model)) as [lower],
    ):
        training = trainer.TrainingArgs(
            batch_size=args.batch_size,
            iters=case.passes * steps,
            steps_per_report=case.passes * steps,
            steps_per_save=case.passes * steps + 1,
            max_seq_length=LONGEST,
            adapter_file=f"{folder}/adapters.safetensors",
        )
        mx.reset_peak_memory()
        mine = side == OURS

        def iterate(dataset: Any, batch_size: int, max_seq_length: int, loop: bool, comm_group: Any) -> Any:
            if not mine:
                return clock(trainer.iterate_batches(dataset, batch_size, max_seq_length, loop))
            read = lower.read if lower and case.passes > 1 else None
            return clock(iterate_batches(dataset, batch_size, max_seq_length, loop, seed=1, read_hidden=read))

        kept_loss = partial(compute_loss, first=lower.first if lower else 0)
        loss = kept_loss if mine else make_loss(side, model)
        dataset = train if mine else as_stock(case.train)
        with checkpoint_layers(model, always=False):
            trainer.train(model, optim.AdamW(RATE), dataset, None, training, loss, iterate)
        times.append(time.perf_counter() - marks[-1])
        peak = mx.get_peak_memory() / 1e9
    losses.append(measure_loss(model, valid, args.batch_size))
    passes = [times[i : i + steps] for i in range(0, len(times), steps)]
    return {"seconds": passes, "peak_memory_gb": peak, "losses": losses}


def compare_sides(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """All sides of one case, and what they come to."""
    results = call_sides(name, args)
    passes = {side: [sum(steps) for steps in result["seconds"]] for side, result in results.items()}
    # Without the first step, which compiles.
    later = {side: [sum(result["seconds"][0][1:]), *passes[side][1:]] for side, result in results.items()}
    loaded, rows = load_inputs(args.layers)
    model, case = loaded.model, make_case(name, args, loaded.tokenizer, rows)
    add_layers(model)
    work = {
        (side, cached): count_products(list_shapes(side, case, args.batch_size), model, cached=cached)
        for side in ("stock", "ours", "ideal")
        for cached in (False, True)
    }

    def expect(side: str) -> list[float]:
        first, next_ = (work["stock", False] / work[side, cached] for cached in (False, True))
        whole = case.passes * work["stock", False] / (work[side, False] + (case.passes - 1) * work[side, True])
        return [round(first, 3), round(next_, 3), round(whole, 3)]

    return {
        "rows": len(case.train),
        "tokens": sum(len(tokens) for tokens, _ in case.train),
        **{
            side: {
                "rows_per_second": [round(len(case.train) / seconds, 4) for seconds in passes[side]],
                "first_step_seconds": round(result["seconds"][0][0], 2),
                "peak_memory_gb": round(result["peak_memory_gb"], 3),
                "losses": [round(loss, 4) for loss in result["losses"]],
            }
            for side, result in results.items()
        },
        "speed_up_by_pass": [round(a / b, 3) for a, b in zip(passes[STOCK], passes[OURS], strict=True)],
        "speed_up": round(sum(passes[STOCK]) / sum(passes[OURS]), 3),
        "speed_ups": {side: round(sum(passes[side]) / sum(passes[OURS]), 3) for side in passes if side != OURS},
        "speed_up_without_first_step": round(sum(later["stock"]) / sum(later["ours"]), 3),
        "loss_differences": [
            round(b - a, 4) for a, b in zip(results["stock"]["losses"], results["ours"]["losses"], strict=True)
        ],
        # First pass, a later one, all of them.
        "reachable": expect("ours"),
        "ceiling": expect("ideal"),
    }


def call_sides(name: str, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """`run_side` for all sides, each in a process of its own that waits for its turn before each step."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_train", "--case", name]
    for option in ("layers", "rows", "spread", "passes", "batch_size"):
        command += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    pipes: dict[str, Any] = {"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        sides = {
            side: stack.enter_context(subprocess.Popen([*command, "--side", side], **pipes)) for side in list_sides()
        }
        lines = {side: read_line(process) for side, process in sides.items()}
        while waiting := [side for side, line in lines.items() if line == READY]:
            for side in waiting:
                print("go", file=sides[side].stdin, flush=True)
                lines[side] = read_line(sides[side])
    return {side: json.loads(line) for side, line in lines.items()}


def read_line(process: "subprocess.Popen[str]") -> str:
    """The next line of a side; it ends with its result."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"A side ended with exit status {process.wait()}.")
    return line.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--spread", type=int, default=24)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--case", choices=("rows", "spread"), help="only this one")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(run_side(args.side, args.case, args)))
        return
    cases = [args.case] if args.case else ["rows", "spread"]
    found = {name: compare_sides(name, args) for name in cases}
    print(
        json.dumps(
            {
                "benchmark": "train",
                "device": name_device(),
                "layers": args.layers,
                "batch_size": args.batch_size,
                **found,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
