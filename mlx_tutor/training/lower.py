"""The frozen layers below the trained ones: computed once for each row, kept on disk, read in every further pass."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from mlx_tutor.training.batches import TokenRow, make_batch, plan_batches

# Models that are an embedding, layers that all take the same mask, a norm, and a plain product as the head.
PLAIN_MODELS = frozenset({"llama", "mistral", "qwen2", "qwen3"})
# Of the free disk, so much may be taken.
DISK_SHARE = 0.5


def is_plain(model: Any) -> bool:
    """Whether layers and head of a model can be called one by one."""
    return model.model_type in PLAIN_MODELS and getattr(model.model, "swa_idx", None) is None


def count_frozen(model: Any) -> int:
    """How many layers from the bottom have nothing to train."""
    trained = [bool(tree_flatten(layer.trainable_parameters())) for layer in model.layers]
    return trained.index(True) if True in trained else len(trained)


def compute_hidden(model: Any, inputs: mx.array) -> mx.array:
    """Last hidden states (batch, width, hidden) of a plain model.

    `inputs` are tokens (batch, width), or what the frozen layers made of them (batch, width, hidden).
    """
    if inputs.ndim == 2:
        hidden: mx.array = model.model(inputs)
        return hidden
    normed: mx.array = model.model.norm(_run_layers(model.layers[count_frozen(model) :], inputs))
    return normed


def _run_layers(layers: Sequence[Any], hidden: mx.array) -> mx.array:
    from mlx_lm.models.base import create_attention_mask

    mask = create_attention_mask(hidden)
    for layer in layers:
        hidden = layer(hidden, mask, None)
    return hidden


class LowerLayers:
    """What the frozen layers make of each row, computed when it is first asked for and kept in `file`."""

    def __init__(self, model: Any, rows: Sequence[TokenRow], batch_size: int, file: IO[bytes]) -> None:
        self.model, self.rows, self.batch_size = model, rows, batch_size
        self.layers = model.layers[: count_frozen(model)]
        self.embed = model.model.embed_tokens
        # A row is always computed in the same company: other shapes would round otherwise, and a resumed training
        # would not end with the same bits.
        self.company = {index: batch for batch in plan_batches(rows, batch_size, None) for index in batch}
        self.dtype = self.embed(mx.array([0])).dtype
        self.hidden = int(self.embed(mx.array([0])).shape[-1])
        self.token_bytes = self.hidden * self.dtype.size
        self.starts = np.cumsum([0, *(len(row.tokens) - 1 for row in rows)]).tolist()
        self.known: set[int] = set()
        self.file = file.fileno()

    def read(self, indices: Sequence[int], count: int, width: int) -> mx.array:
        """Hidden states (count, width, hidden) for the rows at `indices`, zeros where no row is."""
        # In bytes: NumPy knows no bfloat16.
        hidden = np.zeros((count, width, self.token_bytes), np.uint8)
        for place, index in enumerate(indices):
            length = self.starts[index + 1] - self.starts[index]
            if index not in self.known:
                self._keep(self.company[index])
            data = os.pread(self.file, length * self.token_bytes, self.starts[index] * self.token_bytes)
            hidden[place, :length] = np.frombuffer(data, np.uint8).reshape(length, self.token_bytes)
        return mx.array(hidden).view(self.dtype)

    def compute(self, inputs: mx.array) -> mx.array:
        """Hidden states (batch, width, hidden) of tokens (batch, width)."""
        return _run_layers(self.layers, self.embed(inputs))

    def _keep(self, indices: Sequence[int]) -> None:
        inputs, *_ = make_batch([self.rows[index] for index in indices], self.batch_size)
        found = np.array(self.compute(inputs).view(mx.uint8))
        for place, index in enumerate(indices):
            length = self.starts[index + 1] - self.starts[index]
            _write(self.file, found[place, :length].tobytes(), self.starts[index] * self.token_bytes)
        self.known.update(indices)


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


@contextmanager
def open_lower(
    model: Any, splits: Sequence[Sequence[TokenRow]], batch_size: int, folder: Path, most_gb: float
) -> Iterator[list[LowerLayers | None]]:
    """The frozen layers for each split; None where no layer is frozen, or where they would take too much disk.

    The files have no name, so that they go with the process, however it ends.
    """
    if not most_gb or not is_plain(model) or not count_frozen(model):
        yield [None] * len(splits)
        return
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in splits]
        found = [LowerLayers(model, rows, batch_size, file) for rows, file in zip(splits, files, strict=True)]
        size = sum(lower.starts[-1] * lower.token_bytes for lower in found)
        fits = size <= min(1e9 * most_gb, DISK_SHARE * shutil.disk_usage(folder).free)
        yield list(found) if fits else [None] * len(splits)
