"""Prompt distillation: what the base says with the passage in view is the target for the question alone.

Kujanpää, Valpola and Ilin, "Knowledge Injection via Prompt Distillation" (arXiv 2412.14964). The teacher is the same
model with its adapter off, so that no second one is in memory. One forward a row, when the row is first trained on; of
each answer token the most likely tokens of the teacher are kept on disk.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_unflatten

from mlx_tutor.training.batches import Batch, TokenRow
from mlx_tutor.training.loss import compute_head, pick_hidden
from mlx_tutor.training.lower import DISK_SHARE

# Most likely tokens that are kept of a distribution; their shares are made to sum to one.
TOP = 32
# Tokens whose logits are in memory at a time.
PIECE = 128
ENTRY = np.dtype([("token", "<i4"), ("share", "<f4")])


@contextmanager
def lift_adapter(model: Any) -> Iterator[None]:
    """The model without its adapter, dropout and random numbers for the length of a block: the base, bit for bit."""
    adapted = [(name, layer) for name, layer in model.named_modules() if hasattr(layer, "lora_a")]
    plain = [(name, layer.linear if "linear" in layer else layer.embedding) for name, layer in adapted]
    was_training = model.training
    try:
        model.update_modules(tree_unflatten(plain))
        model.eval()
        yield
    finally:
        model.update_modules(tree_unflatten(adapted))
        model.train(was_training)


def compute_targets(model: Any, row: TokenRow) -> np.ndarray[Any, Any]:
    """(answer tokens, TOP) of `ENTRY`: the likeliest tokens behind `row.context` and each beginning of the answer."""
    answer, before = row.tokens[row.offset :], len(row.context) - 1
    inputs = mx.array([[*row.context, *answer[:-1]]])
    hidden = pick_hidden(model, inputs, mx.arange(before, before + len(answer)))
    found = np.zeros((len(answer), TOP), ENTRY)
    for start in range(0, len(answer), PIECE):
        logits = compute_head(model, hidden[start : start + PIECE]).astype(mx.float32)
        top = min(TOP, logits.shape[-1])
        tokens = mx.sort(mx.argpartition(-logits, top - 1, axis=-1)[:, :top], axis=-1)
        shares = mx.softmax(mx.take_along_axis(logits, tokens, axis=-1), axis=-1)
        mx.eval(tokens, shares)
        found["token"][start : start + PIECE, :top] = np.array(tokens)
        found["share"][start : start + PIECE, :top] = np.array(shares)
    return found


class Targets:
    """The targets of rows with a context, kept in `file` (None: computed anew each time); others keep their answer.

    `weight` is the share of the teacher's distribution in a target; the rest is the answer of the row.
    """

    def __init__(self, model: Any, rows: Sequence[TokenRow], weight: float, file: int | None) -> None:
        self.model, self.rows, self.weight, self.file = model, rows, weight, file
        # A byte before the entries of each row says whether they are there.
        sizes = [1 + row.supervised * TOP * ENTRY.itemsize if row.context else 0 for row in rows]
        self.starts = np.cumsum([0, *sizes]).tolist()

    def extend(self, indices: Sequence[int], batch: Batch) -> Batch:
        """A batch of the rows at `indices` with targets and weights (count, 1 + TOP) instead of (count,).

        Column 0 is the answer's own token. The weights of a supervised token sum to one.
        """
        inputs, positions, targets, weights = batch
        tokens, shares = np.zeros((2, len(targets), 1 + TOP), np.float32)
        tokens = tokens.astype(np.int32)
        tokens[:, 0], shares[:, 0] = np.array(targets), np.array(weights)
        start = 0
        for index in indices:
            row = self.rows[index]
            if row.context:
                found, part = self._read(index), slice(start, start + row.supervised)
                tokens[part, 1:], shares[part, 1:] = found["token"], self.weight * found["share"]
                shares[part, 0] *= 1 - self.weight
            start += row.supervised
        return inputs, positions, mx.array(tokens), mx.array(shares)

    def _read(self, index: int) -> np.ndarray[Any, Any]:
        begin, size = self.starts[index], self.starts[index + 1] - self.starts[index]
        data = os.pread(self.file, size, begin) if self.file is not None else b""
        if len(data) == size and data[0]:
            return np.frombuffer(data[1:], ENTRY).reshape(-1, TOP)
        with lift_adapter(self.model):
            found = compute_targets(self.model, self.rows[index])
        if self.file is not None:
            # The mark last: a process that is killed between leaves a row that is computed again.
            os.pwrite(self.file, found.tobytes(), begin + 1)
            os.pwrite(self.file, b"\1", begin)
        return found


def find_targets(folder: Path) -> Path:
    """Where the targets lie while a training is not at its end."""
    return folder / "distill.bin"


@contextmanager
def open_targets(
    model: Any, rows: Sequence[TokenRow], weight: float, folder: Path, most_gb: float, *, resumed: bool
) -> Iterator[Targets | None]:
    """The targets of a training; None where no row has any. `resumed`: those of the interrupted one are kept.

    They are computed anew in each pass where they would take more than `most_gb` or half of the free disk.
    """
    if not weight or not any(row.context for row in rows):
        yield None
        return
    targets = Targets(model, rows, weight, None)
    path, size = find_targets(folder), targets.starts[-1]
    if size > min(1e9 * most_gb, DISK_SHARE * shutil.disk_usage(folder).free):
        yield targets
        return
    with path.open("r+b" if resumed and path.is_file() else "w+b") as file:
        targets.file = file.fileno()
        yield targets
