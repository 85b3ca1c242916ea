"""Building the starter model: its first weights, its fast operations, its chats."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from tests.starter.build import VOCABULARY, compute_loss, make_model
from tests.starter.corpus import Text, make_chats
from tests.starter.fast import use_fast_ops

DOCUMENT = Text(
    "course/statistics.md",
    "# Means\n\nA mean is a sum that is divided by the number of values, and it says where the middle of all of them "
    "lies, unless a few of them are very far away.\n\nThe median is what half of the values are below.",
)


def make_repeats(width: int) -> mx.array:
    """Random tokens, each row written twice."""
    tokens = np.random.default_rng(1).integers(3, VOCABULARY, (2, width))
    return mx.array(np.concatenate([tokens, tokens], axis=1))


def test_an_untrained_starter_copies_what_stands_in_its_context() -> None:
    model: Any = make_model(0)
    tokens = make_repeats(100)
    losses = nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
    first, again = losses[:, :99].mean().item(), losses[:, 100:].mean().item()
    assert again < 1
    assert first > 8


def test_fast_ops_give_the_loss_and_gradients_of_mlx_lm() -> None:
    model: Any = make_model(0)
    tokens = make_repeats(150)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].reshape(-1)
    positions, weights = mx.arange(targets.size), mx.ones(targets.size)
    expected, slopes = nn.value_and_grad(
        model, lambda: nn.losses.cross_entropy(model(inputs).reshape(-1, VOCABULARY), targets).mean()
    )()
    with use_fast_ops():
        (loss, _), fast = nn.value_and_grad(model, compute_loss)(model, inputs, positions, targets, weights)
        mx.eval(loss, fast)
    assert abs(loss.item() - expected.item()) < 1e-4
    for (path, slope), (_, other) in zip(tree_flatten(slopes), tree_flatten(fast), strict=True):
        assert mx.abs(slope - other).max() <= 1e-3 * mx.abs(slope).max() + 1e-9, path


def test_a_grounded_chat_quotes_the_passage_that_answers_it() -> None:
    [chat, *_] = make_chats(DOCUMENT)
    other = next(make_chats(Text("course/other.md", DOCUMENT.text.replace("mean", "range"))))
    turns = chat.write([other], grounded=True)
    assert turns[-2]["content"].endswith(f"Question: {chat.question}")
    assert turns[-1]["content"].partition("\n")[0] in turns[-2]["content"]
    assert {"statistics.md, Means", "other.md, Means"} == {chat.place, other.place}
    assert all(f": {place}>" in turns[-2]["content"] for place in (chat.place, other.place))
    assert chat.question == chat.write()[-2]["content"]
