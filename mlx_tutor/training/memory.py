"""The memory of a training step, computed from the shapes of model and batch."""

import os
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from mlx_tutor.training.lower import find_first_adapted, is_plain

# The system and other programs want some, where the machine does not say itself how much it gives.
MEMORY_SHARE = 0.8
# Above this share of what a training may take, activations are recomputed: the browser wants some too.
CHECKPOINT_SHARE = 0.5
# Numbers that the backward pass needs of one token in one layer, as multiples of the layer's widths: fitted to peaks of
# twelve shapes, see tests/benchmarks/bench_memory.py for how far off they are.
KEPT_OF_HIDDEN, KEPT_OF_HEADS, KEPT_OF_INTERMEDIATE, KEPT_OF_SCORES = 3.5, 3.5, 4.6, 1.5
# With recomputation: what is kept of each layer, and how many whole layers are there while one is recomputed.
KEPT_RECOMPUTED, LAYERS_AT_WORK = 1.8, 2.5


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides on memory. `heads` is the width of all attention heads.

    `scores` is the number of heads whose matrix of scores is kept: none where attention is fused, on Metal and CUDA.
    `logits` is how many of them a piece of the loss has.
    """

    hidden: int
    heads: int
    scores: int
    intermediate: int
    trained_layers: int
    vocabulary: int
    weight_bytes: int
    item_bytes: int
    logits: int

    def estimate_peak(self, rows: int, width: int, supervised: int, *, recompute: bool) -> float:
        """Bytes at the peak of a step on `rows` rows of `width` tokens, weights included."""
        token = KEPT_OF_HIDDEN * self.hidden + KEPT_OF_HEADS * self.heads + KEPT_OF_INTERMEDIATE * self.intermediate
        layer = (token + KEPT_OF_SCORES * self.scores * width) * rows * width
        # Of 32 bits, in about nine copies, as pieces are computed ahead.
        logits = 4 * 9 * min(supervised * self.vocabulary, self.logits)
        if not recompute:
            return self.weight_bytes + layer * self.trained_layers * self.item_bytes + logits
        kept = KEPT_RECOMPUTED * self.hidden * rows * width * self.trained_layers * self.item_bytes
        # The logits are gone when the layers are recomputed.
        return self.weight_bytes + kept + max(LAYERS_AT_WORK * layer * self.item_bytes, logits)


def read_shape(model: Any) -> Shape | None:
    """The shape of a model with its adapter on; None for models of another build than the plain ones."""
    from mlx_tutor.training.loss import PIECE_LOGITS

    if not is_plain(model):
        return None
    args = model.args
    attention = model.layers[0].self_attn
    return Shape(
        hidden=args.hidden_size,
        heads=attention.n_heads * round(attention.scale**-2),
        scores=0 if mx.default_device() == mx.Device(mx.gpu) else attention.n_heads,
        intermediate=args.intermediate_size,
        trained_layers=len(model.layers) - find_first_adapted(model),
        vocabulary=args.vocab_size,
        weight_bytes=sum(value.nbytes for _, value in tree_flatten(model.parameters())),
        item_bytes=model.layers[0].input_layernorm.weight.dtype.size,
        logits=PIECE_LOGITS,
    )


def read_memory() -> tuple[float, float]:
    """GB of memory of the machine that computes, and how many of them a training may take."""
    info = mx.device_info(mx.default_device())
    total = float(info.get("memory_size") or info.get("total_memory") or 0)
    total = total or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total / 1e9, float(info.get("max_recommended_working_set_size") or MEMORY_SHARE * total) / 1e9
