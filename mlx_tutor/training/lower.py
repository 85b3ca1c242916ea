"""The layers below the adapter: the same for base, adapter and fused model, so what they make of a row is kept on disk.

Computed when a row is first asked for; training, validation, fuse and evaluate start from there.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import mlx.core as mx
import numpy as np

from mlx_tutor.training.batches import TokenRow, make_batch, plan_batches

# Models that are an embedding, layers that all take the same mask, a norm, and a plain product as the head.
PLAIN_MODELS = frozenset({"llama", "mistral", "qwen2", "qwen3"})
# Of the free disk, so much may be taken.
DISK_SHARE = 0.5


def is_plain(model: Any) -> bool:
    """Whether layers and head of a model can be called one by one."""
    return model.model_type in PLAIN_MODELS and getattr(model.model, "swa_idx", None) is None


def find_first_adapted(model: Any) -> int:
    """The number of the lowest layer with an adapter, which is how many layers lie below; all where none has one."""
    adapted = [any(hasattr(module, "lora_a") for module in layer.modules()) for layer in model.layers]
    return adapted.index(True) if True in adapted else len(adapted)


def compute_hidden(model: Any, inputs: mx.array, first: int = 0) -> mx.array:
    """Last hidden states (batch, width, hidden) of a plain model.

    `inputs` are tokens (batch, width), or what the layers below `first` made of them (batch, width, hidden).
    """
    if inputs.ndim == 2:
        hidden: mx.array = model.model(inputs)
        return hidden
    normed: mx.array = model.model.norm(_run_layers(model.layers[first:], inputs))
    return normed


def _run_layers(layers: Sequence[Any], hidden: mx.array) -> mx.array:
    from mlx_lm.models.base import create_attention_mask

    mask = create_attention_mask(hidden)
    for layer in layers:
        hidden = layer(hidden, mask, None)
    return hidden


class LowerLayers:
    """What the layers below `first` make of each row, computed when it is first asked for and kept in `file`."""

    def __init__(self, model: Any, rows: Sequence[TokenRow], batch_size: int, file: IO[bytes], first: int) -> None:
        self.rows, self.batch_size, self.first = rows, batch_size, first
        self.layers = model.layers[:first]
        self.embed = model.model.embed_tokens
        # A row is always computed in the same batch: other shapes would round otherwise, and a resumed training
        # would not end with the same bits.
        self.batch_of = {index: batch for batch in plan_batches(rows, batch_size, None) for index in batch}
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
                self._keep(self.batch_of[index])
            data = os.pread(self.file, length * self.token_bytes, self.starts[index] * self.token_bytes)
            hidden[place, :length] = np.frombuffer(data, np.uint8).reshape(length, self.token_bytes)
        return mx.array(hidden).view(self.dtype)

    def compute(self, inputs: mx.array) -> mx.array:
        """Hidden states (batch, width, hidden) of tokens (batch, width)."""
        return _run_layers(self.layers, self.embed(inputs))

    def forget_model(self) -> None:
        """Let go of the weights, once all rows are known."""
        if len(self.known) == len(self.rows):
            self.layers, self.embed = [], None

    def _keep(self, indices: Sequence[int]) -> None:
        inputs, *_ = make_batch([self.rows[index] for index in indices], self.batch_size)
        found = np.array(self.compute(inputs).view(mx.uint8))
        for place, index in enumerate(indices):
            length = self.starts[index + 1] - self.starts[index]
            _write(self.file, found[place, :length].tobytes(), self.starts[index] * self.token_bytes)
        self.known.update(indices)


def is_same_below(base: Path, other: Path, first: int) -> bool:
    """Whether two model folders hold the same embedding and the same layers below `first`, bit for bit."""
    found = [_read_below(folder, first) for folder in (base, other)]
    if found[0].keys() != found[1].keys():
        return False
    return all(
        array.dtype == found[1][name].dtype and mx.array_equal(array, found[1][name]).item()
        for name, array in found[0].items()
    )


def _read_below(folder: Path, first: int) -> dict[str, mx.array]:
    """By name; nothing is read from the disk before it is looked at."""
    arrays: dict[str, mx.array] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        found: Any = mx.load(str(file))
        arrays |= found
    layers = {name: re.search(r"\blayers\.(\d+)\.", name) for name in arrays}
    below = {name for name, match in layers.items() if (int(match[1]) < first if match else "embed" in name)}
    return {name: arrays[name] for name in below}


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


@contextmanager
def open_lower(
    model: Any, splits: Sequence[Sequence[TokenRow]], batch_size: int, folder: Path, most_gb: float, first: int
) -> Iterator[list[LowerLayers | None]]:
    """The layers below `first` for each split; None where there are none, or where they would take too much disk.

    The files have no name, so that they go with the process, however it ends.
    """
    if not most_gb or not is_plain(model) or not first:
        yield [None] * len(splits)
        return
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in splits]
        found = [LowerLayers(model, rows, batch_size, file, first) for rows, file in zip(splits, files, strict=True)]
        size = sum(lower.starts[-1] * lower.token_bytes for lower in found)
        fits = size <= min(1e9 * most_gb, DISK_SHARE * shutil.disk_usage(folder).free)
        yield list(found) if fits else [None] * len(splits)
