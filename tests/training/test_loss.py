"""Batches and loss against a plain reference."""

from itertools import chain, islice
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_tutor.models import load_model
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.adapter import add_adapter
from mlx_tutor.training.batches import (
    WIDTH_STEP,
    TokenRow,
    iterate_batches,
    make_batch,
    pad_count,
    pad_width,
    plan_batches,
)
from mlx_tutor.training.loss import compute_loss, measure_loss

token_rows = st.lists(
    st.integers(2, 70).flatmap(
        lambda length: st.builds(TokenRow, st.tuples(*[st.integers(0, 258)] * length), st.integers(0, length - 1))
    ),
    min_size=1,
    max_size=7,
)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    return load_model(tiny_model).model


def sum_reference_loss(model: Any, row: TokenRow) -> tuple[float, int]:
    """Cross entropy of one row alone, in NumPy float64 from the full logits."""
    logits = np.array(model(mx.array([row.tokens[:-1]]))[0], dtype=np.float64)
    logs = (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )
    first = max(row.offset, 1)
    picked = [logs[i - 1, row.tokens[i]] for i in range(first, len(row.tokens))]
    return -sum(picked), len(picked)


@settings(max_examples=25, deadline=None)
@given(rows=token_rows, batch_size=st.integers(1, 4))
def test_loss_equals_the_reference_for_padded_masked_and_short_batches(
    model: Any, rows: list[TokenRow], batch_size: int
) -> None:
    expected = [sum_reference_loss(model, row) for row in rows]
    total, count = (sum(values) for values in zip(*expected, strict=True))
    assert measure_loss(model, rows, batch_size) == pytest.approx(total / count, abs=1e-4)


def test_padding_changes_nothing_for_a_row(model: Any) -> None:
    short, long = TokenRow(tuple(range(3, 20)), 5), TokenRow(tuple(range(3, 90)), 80)
    alone, tokens = compute_loss(model, *make_batch([short], 1))
    both, _ = compute_loss(model, *make_batch([short, long], 2))
    other, others = compute_loss(model, *make_batch([long], 1))
    mean = (alone * tokens + other * others) / (tokens + others)
    assert both.item() == pytest.approx(mean.item(), abs=1e-5)
    assert tokens.item() == short.supervised == 12


def test_gradients_equal_those_of_the_full_logits(model: Any) -> None:
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    rows = [TokenRow(tuple(range(3, 30)), 9), TokenRow(tuple(range(40, 55)), 4)]
    batch = make_batch(rows, 3)

    def full_loss(model: Any, inputs: mx.array, positions: mx.array, targets: mx.array, weights: mx.array) -> mx.array:
        logits = model(inputs).reshape(-1, 320)
        losses = nn.losses.cross_entropy(logits, mx.zeros(logits.shape[0], mx.int32).at[positions].add(targets))
        mask = mx.zeros(logits.shape[0]).at[positions].add(weights)
        mean: mx.array = (losses * mask).sum() / mask.sum()
        return mean

    value, ours = nn.value_and_grad(model, compute_loss)(model, *batch)
    reference, theirs = nn.value_and_grad(model, full_loss)(model, *batch)
    assert value[0].item() == pytest.approx(reference.item(), abs=1e-5)
    for (name, a), (_, b) in zip(tree_flatten(ours), tree_flatten(theirs), strict=True):
        assert mx.allclose(a, b, rtol=0, atol=1e-4).item(), name


@pytest.fixture(scope="module")
def adapted(tiny_model: Path) -> Any:
    """A model with an adapter that is not at its start, where half of the gradients are zero."""
    from mlx.utils import tree_flatten, tree_unflatten

    loaded = load_model(tiny_model)
    add_adapter(loaded, TrainSettings(rank=2, scale=4.0))
    mx.random.seed(3)
    weights = tree_flatten(loaded.model.trainable_parameters())
    loaded.model.update(tree_unflatten([(name, 0.05 * mx.random.normal(value.shape)) for name, value in weights]))
    return loaded.model


def compute_reference(model: Any, rows: list[TokenRow]) -> tuple[float, dict[str, mx.array]]:
    """Loss and gradients over all supervised tokens: one row at a time, full logits, float32, no padding."""
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    def total(model: Any) -> mx.array:
        losses = []
        for row in rows:
            first = max(row.offset, 1)
            logits = model(mx.array([row.tokens[:-1]]))[0, first - 1 :].astype(mx.float32)
            losses.append(nn.losses.cross_entropy(logits, mx.array(row.tokens[first:])))
        mean: mx.array = mx.concatenate(losses).mean()
        return mean

    loss, gradients = nn.value_and_grad(model, total)(model)
    return loss.item(), dict(tree_flatten(gradients))


@settings(max_examples=10, deadline=None)
@given(
    rows=st.lists(
        st.integers(2, 40).flatmap(
            lambda length: st.builds(TokenRow, st.tuples(*[st.integers(0, 258)] * length), st.integers(0, length - 1))
        ),
        min_size=2,
        max_size=6,
    ),
    batch_size=st.integers(1, 3),
)
def test_a_pass_is_the_mean_over_its_tokens_however_it_is_split(
    adapted: Any, rows: list[TokenRow], batch_size: int
) -> None:
    import mlx.nn as nn
    from mlx.utils import tree_flatten, tree_map

    batches = -(-len(rows) // batch_size)
    stream = iterate_batches(rows, batch_size, 64, loop=True)
    total, summed = 0.0, None
    # What mlx-lm's trainer does with the batches of one update.
    for batch in islice(stream, batches):
        (loss, _), gradients = nn.value_and_grad(adapted, compute_loss)(adapted, *batch)
        total += loss.item() / batches
        summed = gradients if summed is None else tree_map(lambda a, b: a + b, summed, gradients)
    reference, expected = compute_reference(adapted, rows)
    assert total == pytest.approx(reference, abs=1e-4)
    for name, value in tree_flatten(summed):
        assert mx.allclose(value / batches, expected[name], rtol=0, atol=1e-4).item(), name


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma2"])
def test_short_way_and_full_logits_agree_for_each_model_type(kind: str) -> None:
    from importlib import import_module

    module = import_module(f"mlx_lm.models.{kind}")
    config = {
        "model_type": kind, "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "rms_norm_eps": 1e-6, "vocab_size": 50,
        "max_position_embeddings": 64, "rope_theta": 1e4, "tie_word_embeddings": kind != "llama",
    }  # fmt: skip
    network = module.Model(module.ModelArgs.from_dict(config))
    row = TokenRow(tuple(range(2, 20)), 6)
    total, count = sum_reference_loss(network, row)
    loss, _ = compute_loss(network, *make_batch([row], 2))
    assert loss.item() == pytest.approx(total / count, abs=1e-4)


@given(
    lengths=st.lists(st.tuples(st.integers(2, 60), st.integers(0, 59)), min_size=1, max_size=40),
    batch_size=st.integers(1, 20),
    seed=st.integers(0, 9),
)
def test_every_row_is_in_a_pass_once(lengths: list[tuple[int, int]], batch_size: int, seed: int) -> None:
    rows = [TokenRow(tuple(range(length)), min(offset, length - 1)) for length, offset in lengths]
    for rng in (None, np.random.default_rng(seed)):
        batches = plan_batches(rows, batch_size, rng)
        assert sorted(index for batch in batches for index in batch) == list(range(len(rows)))
        assert all(batches)
        assert len(batches) == -(-len(rows) // batch_size)
        for batch in batches:
            assert pad_count(len(batch)) * pad_width([rows[i] for i in batch]) <= pad_count(batch_size) * pad_width(
                rows
            )


def test_training_batches_have_about_as_many_supervised_tokens_each() -> None:
    rng = np.random.default_rng(0)
    rows = [TokenRow(tuple(range(int(n))), int(n) // 2) for n in rng.lognormal(5, 0.7, 400).clip(4, 1500)]
    sums = [sum(rows[i].supervised for i in batch) for batch in plan_batches(rows, 4, np.random.default_rng(1))]
    # In fours of like length, the deviation is two thirds of the mean.
    assert np.std(sums) / np.mean(sums) < 0.2


def test_batches_are_of_like_length_and_few_widths() -> None:
    rng = np.random.default_rng(0)
    rows = [TokenRow(tuple(range(int(n))), 1) for n in rng.lognormal(5, 0.7, 400).clip(4, 1500)]
    padded = used = 0
    widths = set()
    for batch in plan_batches(rows, 4, np.random.default_rng(1)):
        inputs = make_batch([rows[i] for i in batch], pad_count(len(batch)))[0]
        widths.add(inputs.shape[1])
        padded += inputs.size
        used += sum(len(rows[i].tokens) - 1 for i in batch)
    assert all(width % WIDTH_STEP == 0 for width in widths)
    assert used / padded > 0.8


def test_order_depends_on_seed_and_pass_only() -> None:
    rows = [TokenRow(tuple(range(n % 9 + 2)), 1) for n in range(30)]

    def look(seed: int) -> list[list[int]]:
        seen: list[list[int]] = []

        def note(indices: Any, weight: float) -> bool:
            seen.append(list(indices))
            return len(seen) < 20

        list(iterate_batches(rows, 4, 64, loop=True, seed=seed, on_batch=note))
        return seen

    assert look(3) == look(3)
    assert look(3) != look(4)
    first, second = look(3)[:8], look(3)[8:16]
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(30))
    assert first != second


def test_an_over_long_row_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="longer than max_seq_length 8"):
        list(iterate_batches([TokenRow(tuple(range(9)), 1)], 1, 8))
