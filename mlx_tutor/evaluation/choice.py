"""Multiple choice by likelihood: the model writes nothing, so that a weak one can be asked too.

The model prefers the option with the lowest loss a token: multiple choice as in Brown et al. (2020,
"Language Models are Few-Shot Learners", section 2.4), normalised by length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlx_tutor.evaluation.bootstrap import Array
from mlx_tutor.generate import PromptCache, cut_cache
from mlx_tutor.models import LoadedModel, render_beginning
from mlx_tutor.records import Message


@dataclass(frozen=True, slots=True)
class Choice:
    """A question and its options as tokens; the right one comes first. Loss is measured on an option alone."""

    prompt: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]


def write_choice(tokenizer: Any, messages: Sequence[Message], lead: str, options: Sequence[str]) -> Choice:
    """The tokens of a question; `lead` is how the answer begins, without a thought, whichever option follows.

    Raises:
        ValueError: an option without a token.
    """

    def encode(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False))

    prompt = (*render_beginning(tokenizer, messages), *encode(lead))
    space = " " if lead else ""
    encoded = tuple(encode(space + option) for option in options)
    if not all(encoded):
        raise ValueError(f"an option without a token: {options}")
    return Choice(prompt, encoded)


def measure_choices(
    loaded: LoadedModel, choices: Sequence[Choice], on_done: Callable[[int], None] = lambda done: None
) -> list[Array]:
    """Of each question the loss of each option, in nats a token; `on_done` is told how many questions were read.

    A prompt, of two tokens at least, is read once for all of its options, and what it shares with the one before not
    at all.
    """
    losses: list[Array] = [np.zeros(0)] * len(choices)
    cache = PromptCache()
    for done, i in enumerate(sorted(range(len(choices)), key=lambda i: choices[i].prompt), 1):
        losses[i] = _measure_choice(loaded, choices[i], cache)
        on_done(done)
    return losses


def _measure_choice(loaded: LoadedModel, choice: Choice, cache: PromptCache) -> Array:
    from mlx_lm.models.cache import KVCache, make_prompt_cache

    read, count = list(choice.prompt[:-1]), len(choice.options)
    shared = cut_cache(cache, loaded, choice.prompt)
    if read[shared:]:
        loaded.model(mx.array([read[shared:]]), cache=cache.layers)
    cache.tokens = read
    layers = make_prompt_cache(loaded.model)
    if all(isinstance(layer, KVCache) for layer in layers):
        for layer, one in zip(layers, cache.layers, strict=True):
            layer.keys, layer.values = (mx.repeat(array, count, axis=0) for array in one.keys_and_values())
            layer.offset = one.offset
    else:
        # Layers with another kind of cache read the prompt once for each option.
        loaded.model(mx.array([read] * count), cache=layers)
    width = max(map(len, choice.options))
    targets, weights = np.zeros((count, width), np.int32), np.zeros((count, width), np.float32)
    for row, option in enumerate(choice.options):
        targets[row, : len(option)], weights[row, : len(option)] = option, 1
    first = np.full((count, 1), choice.prompt[-1], np.int32)
    logits = loaded.model(mx.array(np.hstack([first, targets[:, :-1]])), cache=layers)
    nats = nn.losses.cross_entropy(logits.astype(mx.float32), mx.array(targets)) * mx.array(weights)
    losses: Array = np.array(nats, np.float64).sum(axis=1) / weights.sum(axis=1)
    return losses


def find_margin(losses: Array) -> float:
    """Loss of the best wrong option minus that of the right one, in nats a token; above 0 the model is right."""
    return float(losses[1:].min() - losses[0])
