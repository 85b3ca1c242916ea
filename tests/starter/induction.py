"""A model that copies from its context before it has learned anything.

Much of what a small model can know of a text is repetition: names, terms, code, and the passage that it is
asked about. The circuit for copying, an induction head (Olsson et al., 2022, arXiv 2209.11895), forms late or never on
so little text, so its weights are set by hand: in layer 0 each token receives a code of the token before it; in layer
2 a token attends to positions with its own code, and copies the token there. Training keeps what lowers the loss.
"""

import math
from typing import Any

import mlx.core as mx
import numpy as np

READER, COPIER = 0, 2
# As large as what the other layers will write, so that it is not lost among them.
EMBEDDING = 1.0
# Squared length of each rotated pair that singles out one distance.
SHARPNESS, SHARP_PAIRS = 80.0, 12
WRITTEN, MATCHED, COPIED = 3.0, 3.0, 7.0


def wire_induction(model: Any, seed: int) -> None:
    """Set embedding and two attention layers of a Qwen2 with two key heads that serve two query heads each.

    The hidden space is split into four orthogonal parts, one head wide each: tokens are read from the first two, codes
    of the previous token and of the one before it are written into the other two.
    """
    args, rng = model.args, np.random.default_rng(seed)
    hidden, size = args.hidden_size, args.hidden_size // args.num_attention_heads
    half = size // 2
    parts = np.linalg.qr(rng.normal(size=(hidden, hidden)))[0].T.reshape(-1, size, hidden)
    model.model.embed_tokens.weight = mx.array(
        (rng.normal(size=(args.vocab_size, hidden)) * EMBEDDING).astype(np.float32)
    )

    # Logits of normal size.
    model.model.norm.weight = mx.full((hidden,), 0.1 / EMBEDDING)

    def head(index: int) -> slice:
        return slice(index * size, (index + 1) * size)

    # Keys are the same everywhere; rotation makes the score a function of distance alone, highest at `distance`.
    angles = args.rope_theta ** (-np.arange(half) / half)
    length = np.where(np.arange(half) < SHARP_PAIRS, math.sqrt(SHARPNESS), 0.0)
    with _Weights(model.model.layers[READER].self_attn) as reader:
        reader["k_proj.bias"][head(0)] = np.concatenate([length, 0 * length])
        reader["v_proj.weight"][head(0)] = parts[0]
        for index, distance in enumerate((1, 2)):
            turned = np.concatenate([np.cos(angles * distance), -np.sin(angles * distance)])
            reader["q_proj.bias"][head(index)] = np.tile(length, 2) * turned
            reader["o_proj.weight"][:, head(index)] = WRITTEN * parts[2 + index].T
    # Pairs that hardly rotate within the context compare codes.
    still = np.r_[half // 2 : half, half + half // 2 : size]
    with _Weights(model.model.layers[COPIER].self_attn) as copier:
        for group in (0, 1):
            first, codes = head(2 * group), slice(half * group, half * (group + 1))
            for name, rows, part in (("q_proj.weight", first, parts[0]), ("k_proj.weight", head(group), parts[2])):
                copier[name][rows] = 0
                copier[name][rows][still] = MATCHED * part[codes]
            copier["v_proj.weight"][head(group)] = parts[group]
            copier["o_proj.weight"][:, first] = COPIED * parts[group].T


class _Weights(dict[str, np.ndarray[Any, Any]]):
    """The weights of a module as NumPy arrays, written back at the end."""

    def __init__(self, module: Any):
        from mlx.utils import tree_flatten

        super().__init__((name, np.array(value)) for name, value in tree_flatten(module.parameters()))
        self.module = module

    def __enter__(self) -> "_Weights":
        return self

    def __exit__(self, *_: object) -> None:
        self.module.load_weights([(name, mx.array(value)) for name, value in self.items()])
