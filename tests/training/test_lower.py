"""The frozen layers are computed once, and nothing else changes."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_tutor.evaluation.evaluate import evaluate_run, is_evaluation_current
from mlx_tutor.fuse.fuse import fuse_run
from mlx_tutor.models import load_model, load_tokenizer
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import FuseSettings, TrainSettings
from mlx_tutor.training.adapter import add_adapter
from mlx_tutor.training.batches import TokenRow, iterate_batches, make_batch
from mlx_tutor.training.loss import compute_loss, measure_loss, sum_losses
from mlx_tutor.training.lower import find_first_adapted, is_same_below, open_lower
from mlx_tutor.training.memory import read_shape
from mlx_tutor.training.process import checkpoint_layers
from mlx_tutor.training.rows import tokenize_rows
from tests.model_factory import make_model
from tests.training.runs import RESUMED, SETTINGS, make_rows, read_best, read_losses, stop_at, train

ROWS = [TokenRow(tuple(range(3, 3 + length)), length // 3) for length in (40, 9, 23, 61, 12, 30, 18)]


@pytest.fixture(scope="module")
def deep_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four layers, of which an adapter on the last one leaves three frozen."""
    return make_model(tmp_path_factory.mktemp("deep"), layers=4)


@pytest.fixture(params=[mx.float32, mx.bfloat16])
def adapted(request: pytest.FixtureRequest, deep_model: Path) -> Any:
    loaded = load_model(deep_model)
    loaded.model.set_dtype(request.param)
    add_adapter(loaded, TrainSettings(num_layers=1, rank=2))
    loaded.model.train()
    return loaded.model


def test_losses_and_gradients_are_those_of_the_tokens(adapted: Any, tmp_path: Path) -> None:
    assert find_first_adapted(adapted) == 3
    rough = adapted.layers[0].input_layernorm.weight.dtype == mx.bfloat16
    with open_lower(adapted, [ROWS], 3, tmp_path, 1.0, 3) as [lower]:
        assert lower is not None
        for _ in range(2):
            # The second time they are read.
            plain, quick = (list(iterate_batches(ROWS, 3, 64, read_hidden=source)) for source in (None, lower.read))
            for tokens, hidden in zip(plain, quick, strict=True):
                (loss, _), slopes = nn.value_and_grad(adapted, partial(compute_loss, first=3))(adapted, *hidden)
                (wanted, _), expected = nn.value_and_grad(adapted, compute_loss)(adapted, *tokens)
                assert loss.item() == pytest.approx(wanted.item(), abs=2e-2 if rough else 1e-5)
                for (name, a), (_, b) in zip(tree_flatten(slopes), tree_flatten(expected), strict=True):
                    assert mx.allclose(a, b, rtol=0, atol=2e-2 if rough else 1e-5).item(), name
        assert lower.known == set(range(len(ROWS)))


def test_a_row_is_the_same_bits_in_any_batch(adapted: Any, tmp_path: Path) -> None:
    with open_lower(adapted, [ROWS, ROWS], 3, tmp_path, 1.0, 3) as [one, other]:
        assert one is not None and other is not None
        one.read([0, 3], 2, 64)
        # A file without a name leaves nothing behind, however the process ends.
        assert not list(tmp_path.iterdir())
        alone = np.array(one.read([3], 1, 64).astype(mx.float32))
        assert np.array_equal(alone, np.array(other.read([1, 3, 2], 4, 64).astype(mx.float32))[1:2])


def test_too_little_disk_or_nothing_frozen_goes_on_without(deep_model: Path, tmp_path: Path) -> None:
    loaded = load_model(deep_model)
    add_adapter(loaded, TrainSettings(num_layers=1))
    for most in (0.0, 1e-9):
        with open_lower(loaded.model, [ROWS], 3, tmp_path, most, 3) as found:
            assert found == [None]
    loaded = load_model(deep_model)
    add_adapter(loaded, TrainSettings(num_layers=-1))
    with open_lower(loaded.model, [ROWS], 3, tmp_path, 1.0, find_first_adapted(loaded.model)) as found:
        assert found == [None]


def test_training_learns_the_same_with_and_without_it(tmp_path: Path, deep_model: Path) -> None:
    reports = [
        # At a rate at which rounding does not grow from step to step.
        train(
            tmp_path,
            deep_model,
            replace(SETTINGS, num_layers=2, learning_rate=3e-4, cache_gb=most),
            name=f"run{most:g}",
        )[1]
        for most in (0.0, 1.0)
    ]
    assert reports[0].best_loss == pytest.approx(reports[1].best_loss, abs=1e-3)
    assert reports[0].best_loss < reports[0].base_loss - 0.05


def test_a_stopped_training_goes_on_bit_for_bit_from_any_pass(tmp_path: Path, deep_model: Path) -> None:
    settings = replace(RESUMED, num_layers=1)
    whole, _ = train(tmp_path, deep_model, settings, name="whole")
    for iteration in (5, 25):
        train(tmp_path, deep_model, settings, on_event=stop_at(iteration))
    run, _ = train(tmp_path, deep_model, settings)
    assert read_best(run) == read_best(whole)
    assert read_losses(run) == read_losses(whole)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_loss_in_pieces_is_that_of_all_logits(size: int, fused: bool) -> None:
    mx.random.seed(0)
    head = nn.Linear(16, 50, bias=False)
    hidden, targets = mx.random.normal((30, 16)), mx.random.randint(0, 50, (30,))
    weights = (mx.arange(30) < 23).astype(mx.float32)

    def plain(hidden: mx.array) -> mx.array:
        total: mx.array = (nn.losses.cross_entropy(head(hidden), targets) * weights).sum()
        return total

    def pieces(hidden: mx.array) -> mx.array:
        return 2 * sum_losses(head, hidden, targets, weights, size, gradient=True, fused=fused)

    expected, slope = mx.value_and_grad(plain)(hidden)
    value, found = mx.compile(mx.value_and_grad(pieces))(hidden)
    assert value.item() == pytest.approx(2 * expected.item(), rel=1e-5)
    assert mx.allclose(found, 2 * slope, rtol=0, atol=1e-5).item()
    alone = sum_losses(head, hidden, targets, weights, size, gradient=False, fused=fused)
    assert alone.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_token_that_is_nearly_sure_has_its_loss_and_its_slope() -> None:
    head = nn.Linear(2, 40, bias=False)
    head.weight = mx.zeros((40, 2)).at[3, 0].add(1).at[4, 1].add(1)
    hidden, targets, weights = mx.array([[90.0, 0.0], [90.0, 0.0], [12.0, 0.0]]), mx.array([3, 4, 3]), mx.ones((3,))

    def alone(row: int) -> tuple[mx.array, mx.array]:
        parts = hidden[row : row + 1], targets[row : row + 1], weights[row : row + 1]
        return mx.value_and_grad(lambda h: sum_losses(head, h, *parts[1:], 8, gradient=True))(parts[0])

    losses, slopes = zip(*(alone(row) for row in range(3)), strict=True)
    assert [loss.item() for loss in losses[:2]] == pytest.approx([0, 90], abs=1e-4)
    assert losses[2].item() == pytest.approx(39 * 2.718281828**-12, abs=1e-5)
    assert slopes[1].tolist() == [pytest.approx([1, -1], abs=1e-6)]
    assert slopes[2][0, 0].item() == pytest.approx(-39 * 2.718281828**-12, rel=1e-2)


def test_two_pieces_of_logits_need_few_copies_of_one() -> None:
    mx.random.seed(0)
    rows, vocabulary = 64, 50_000
    weight = mx.random.normal((vocabulary, 8))
    hidden, targets, weights = mx.random.normal((2 * rows, 8)), mx.zeros((2 * rows,), mx.int32), mx.ones((2 * rows,))
    mx.eval(weight, hidden, targets, weights)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(
        mx.value_and_grad(lambda h: sum_losses(lambda x: x @ weight.T, h, targets, weights, rows, gradient=True))(
            hidden
        )
    )
    assert mx.get_peak_memory() - before < 6.5 * 4 * rows * vocabulary


@pytest.mark.parametrize("quantized", [True, False])
def test_pieces_of_a_quantized_head_give_the_gradients_of_the_full_logits(deep_model: Path, quantized: bool) -> None:
    loaded = load_model(deep_model, quantized=quantized)
    add_adapter(loaded, TrainSettings(num_layers=1))
    model, batch = loaded.model.train(), make_batch(ROWS, 8)

    def full_loss(model: Any, inputs: mx.array, positions: mx.array, targets: mx.array, weights: mx.array) -> mx.array:
        logits = model(inputs).reshape(-1, 320)[positions]
        mean: mx.array = (nn.losses.cross_entropy(logits, targets) * weights).sum() / weights.sum()
        return mean

    (loss, _), ours = nn.value_and_grad(model, compute_loss)(model, *batch)
    wanted, theirs = nn.value_and_grad(model, full_loss)(model, *batch)
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    for (name, a), (_, b) in zip(tree_flatten(ours), tree_flatten(theirs), strict=True):
        assert mx.allclose(a, b, rtol=0, atol=1e-5).item(), name


def test_fused_attention_keeps_no_scores(adapted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu = read_shape(adapted)
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    on_gpu = read_shape(adapted)
    assert on_cpu is not None and on_gpu is not None
    peaks = [[shape.estimate_peak(1, width, 1, recompute=False) for width in (256, 512)] for shape in (on_gpu, on_cpu)]
    weights = on_gpu.weight_bytes + 4 * 9 * on_gpu.vocabulary
    # Without scores memory grows as the row does, with them faster.
    assert peaks[0][1] - weights == pytest.approx(2 * (peaks[0][0] - weights))
    assert peaks[1][1] - weights > 2.1 * (peaks[1][0] - weights)


def test_only_batches_that_would_not_fit_are_recomputed(adapted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = read_shape(adapted)
    assert shape is not None
    small, large = (make_batch([ROWS[1]], 1), make_batch([ROWS[3]], 1))
    between = (shape.estimate_peak(1, 16, 16, recompute=False) + shape.estimate_peak(1, 64, 64, recompute=False)) / 2
    monkeypatch.setattr("mlx_tutor.training.process.read_memory", lambda: (0.0, between / 1e9 / 0.5))
    seen: list[int] = []
    checkpoint = mx.checkpoint

    def note(function: Any) -> Any:
        seen.append(1)
        return checkpoint(function)

    monkeypatch.setattr(mx, "checkpoint", note)
    expected = [nn.value_and_grad(adapted, compute_loss)(adapted, *batch) for batch in (small, large)]
    call = type(adapted.layers[0]).__call__
    with checkpoint_layers(adapted, always=False):
        for batch, ((loss, _), slopes), recomputed in zip((small, large), expected, (0, 4), strict=True):
            seen.clear()
            (found, _), gradients = nn.value_and_grad(adapted, compute_loss)(adapted, *batch)
            assert len(seen) == recomputed
            assert found.item() == pytest.approx(loss.item(), abs=1e-5)
            for (name, a), (_, b) in zip(tree_flatten(gradients), tree_flatten(slopes), strict=True):
                assert mx.allclose(a, b, rtol=0, atol=1e-4).item(), name
        # Measuring keeps nothing for a backward pass.
        seen.clear()
        measure_loss(adapted, [ROWS[3]], 1)
        assert not seen
    assert type(adapted.layers[0]).__call__ is call


def test_evaluation_starts_above_the_shared_layers_and_comes_to_the_same(tmp_path: Path, deep_model: Path) -> None:
    run, _ = train(tmp_path, deep_model, replace(SETTINGS, num_layers=1, iters=8))
    recipe = Recipe(train=replace(SETTINGS, num_layers=1, test_batches=2))
    test = make_rows(11, start=30)
    fuse_run(run, deep_model, recipe, make_rows(22), make_rows(3, start=22), lambda message: None)
    assert is_same_below(deep_model, run.fused, 3) and not is_same_below(deep_model, run.fused, 4)
    told: list[tuple[str, float, float]] = []
    report = evaluate_run(run, deep_model, recipe, test, lambda text: None, lambda *told_: told.append(told_))
    assert (report.rows, report.total_rows) == (8, 11)
    assert is_evaluation_current(run, deep_model, recipe, test)
    every = replace(recipe, train=replace(recipe.train, test_batches=-1))
    assert not is_evaluation_current(run, deep_model, every, test)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("fused on 8 of 11 rows", 3.0, 3)
    rows = tokenize_rows(test, load_tokenizer(deep_model), 256).take_batches(2, 4).rows
    for found, path, adapter in zip(
        report.models, (deep_model, deep_model, run.fused), (None, run.adapter, None), strict=True
    ):
        assert found.loss == pytest.approx(measure_loss(load_model(path, adapter).model, rows, 4), abs=1e-5)


def test_a_model_fused_without_quantization_is_measured_from_its_first_layer(tmp_path: Path, deep_model: Path) -> None:
    run, _ = train(tmp_path, deep_model, replace(SETTINGS, num_layers=1, iters=4))
    recipe = Recipe(train=replace(SETTINGS, num_layers=1), fuse=FuseSettings(dequantize=True))
    fuse_run(run, deep_model, recipe, make_rows(22), make_rows(3, start=22), lambda message: None)
    assert not is_same_below(deep_model, run.fused, 3)
    report = evaluate_run(run, deep_model, recipe, make_rows(5, start=30), lambda text: None)
    rows = tokenize_rows(make_rows(5, start=30), load_tokenizer(deep_model), 256).rows
    assert report.models[2].loss == pytest.approx(measure_loss(load_model(run.fused).model, rows, 4), abs=1e-6)
