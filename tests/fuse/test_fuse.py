"""Fusing: what is written is what was trained, and a loss on the way is seen and mended."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlx_tutor.errors import ModelError
from mlx_tutor.fuse.agreement import Agreement, Reference, average
from mlx_tutor.fuse.bits import LayerCost, choose_bits
from mlx_tutor.fuse.card import list_trials
from mlx_tutor.fuse.curvature import measure_curvature
from mlx_tutor.fuse.frontier import judge, list_sizes
from mlx_tutor.fuse.fuse import FUSER, fuse_run, is_fuse_current, pick_fitting, read_fuse
from mlx_tutor.fuse.rounding import estimate_harm, factor_curvature, pack_codes, round_layer
from mlx_tutor.fuse.write import Merged, measure_size
from mlx_tutor.generate import generate_answer
from mlx_tutor.models import LoadedModel, load_model
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import UNROUNDED
from mlx_tutor.settings import FuseSettings, GenerateSettings
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.workspace import Run
from tests.model_factory import make_model
from tests.training.runs import SETTINGS, make_rows, train

TRAIN, VALID = make_rows(22), make_rows(3, start=22)


@pytest.fixture(scope="module")
def strong(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Run:
    settings = replace(SETTINGS, iters=60, learning_rate=1e-2)
    run, report = train(tmp_path_factory.mktemp("strong"), tiny_model, settings)
    assert report.best_loss < 0.6 * report.base_loss
    return run


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Run:
    """A learning rate and length at which plain 4-bit rounding loses most of what was learned."""
    run, report = train(tmp_path_factory.mktemp("weak"), tiny_model, replace(SETTINGS, learning_rate=1e-5, iters=4))
    assert 0 < report.base_loss - report.best_loss < 0.5
    return run


def fuse(run: Run, base: Path, **settings: Any) -> Any:
    recipe = Recipe(train=SETTINGS, fuse=FuseSettings(**settings))
    return fuse_run(run, base, recipe, TRAIN, VALID, lambda message: None)


def compare(reference: LoadedModel, candidate: LoadedModel) -> Agreement:
    rows = tokenize_rows(VALID, reference.tokenizer, 256).rows
    return average(Reference(reference.model, rows).compare(candidate.model))


def list_adapted(base: Path, adapter: Path) -> list[str]:
    modules = load_model(base, adapter, quantized=True).model.named_modules()
    return [path for path, module in modules if hasattr(module, "fuse")]


def read_weights(folder: Path) -> dict[str, mx.array]:
    weights: Any = mx.load(str(folder / "model.safetensors"))
    return dict(weights)


def test_fused_at_full_precision_equals_the_adapter(strong: Run, tiny_model: Path, tmp_path: Path) -> None:
    Merged(tiny_model, strong.adapter, {}).write(tmp_path / "fused", None)
    adapter, fused = load_model(tiny_model, strong.adapter), load_model(tmp_path / "fused")
    agreement = compare(adapter, fused)
    assert agreement.kl < 1e-6
    assert agreement.top1 == 1.0
    loss = average(Reference(adapter.model, tokenize_rows(VALID, adapter.tokenizer, 256).rows).own).loss
    assert agreement.loss == pytest.approx(loss, abs=1e-4)
    assert "quantization" not in fused.config


def test_unrounded_layers_lose_nothing_and_the_others_keep_their_bits(
    weak: Run, tiny_model: Path, tmp_path: Path
) -> None:
    chosen = dict.fromkeys(list_adapted(tiny_model, weak.adapter), UNROUNDED)
    Merged(tiny_model, weak.adapter, {}).write(tmp_path / "fused", chosen)
    assert compare(load_model(tiny_model, weak.adapter), load_model(tmp_path / "fused")).kl < 1e-6
    kept = load_model(tmp_path / "fused", quantized=True)
    assert kept.config["quantization"]["model.layers.0.mlp.up_proj"] is False
    assert "scales" in kept.model.model.embed_tokens
    assert "scales" not in kept.model.model.layers[0].mlp.up_proj


def test_mixed_bits_leave_layers_without_an_adapter_as_they_were_and_load_in_plain_mlx_lm(
    tiny_model: Path, tmp_path: Path
) -> None:
    from mlx_lm import load

    run, _ = train(tmp_path, tiny_model, replace(SETTINGS, iters=6, num_layers=1))
    adapted = list_adapted(tiny_model, run.adapter)
    chosen = {path: (4, 5, 6, 8, UNROUNDED)[i % 5] for i, path in enumerate(adapted)}
    reference = load_model(tiny_model, run.adapter)
    curvatures = measure_curvature(reference.model, tokenize_rows(TRAIN, reference.tokenizer, 256).rows)
    assert set(curvatures) == set(adapted)
    Merged(tiny_model, run.adapter, curvatures).write(tmp_path / "fused", chosen)
    before, after = (read_weights(folder) for folder in (tiny_model, tmp_path / "fused"))
    others = [name for name in before if name.rpartition(".")[0] not in adapted]
    assert any("layers.0.mlp" in name for name in others)
    for name in others:
        assert after[name].dtype == before[name].dtype
        assert mx.array_equal(after[name], before[name])
    # Ours computes with what the folder holds, dequantized; mlx-lm with the folder as it is.
    ours, theirs = load_model(tmp_path / "fused"), load(str(tmp_path / "fused"))[0]
    tokens = mx.array([list(range(40))])
    assert mx.abs(ours.model(tokens) - theirs(tokens)).max() < 2e-3
    bits = {path: getattr(module, "bits", UNROUNDED) for path, module in theirs.named_modules() if path in chosen}
    assert bits == chosen


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 8])
def test_codes_are_packed_as_mlx_reads_them(bits: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 2**bits, (32, 128), np.uint8)
    ones = mx.ones((32, 2))
    read = mx.dequantize(pack_codes(codes, bits), ones, mx.zeros((32, 2)), group_size=64, bits=bits)
    assert np.array_equal(np.array(read), codes)


def test_a_curvature_that_sums_left_indefinite_is_damped_until_it_is_not() -> None:
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    hessian = (vectors * np.linspace(-0.05, 1.0, 64)) @ vectors.T
    found = factor_curvature([hessian.astype(np.float32)])
    assert np.isfinite(found.costs).all()
    assert (found.costs > 0).all()


@pytest.mark.parametrize("bits", [4, 5, 6, 8])
def test_rounding_cancels_errors_and_its_harm_is_foreseen(bits: int) -> None:
    rng = np.random.default_rng(0)
    # Inputs that go together, as in a model: an error in one can be made good in another.
    inputs = rng.normal(size=(400, 24)) @ rng.normal(size=(24, 192)) + 0.3 * rng.normal(size=(400, 192))
    layer = nn.Linear(192, 96, bias=False)
    hessian = (inputs.T @ inputs / 400).astype(np.float32)

    def measure(rounded: nn.QuantizedLinear) -> float:
        scales, biases = rounded.scales.astype(mx.float32), rounded.biases.astype(mx.float32)
        error = mx.dequantize(rounded.weight, scales, biases, group_size=64, bits=bits) - layer.weight
        return float(((error @ mx.array(hessian)) * error).sum())

    nearest = measure(round_layer(layer, 64, bits, mx.float16, None))
    whole = factor_curvature([hessian])
    assert measure(round_layer(layer, 64, bits, mx.float16, whole)) < 0.4 * nearest
    assert measure(round_layer(layer, 64, bits, mx.float16, whole)) == pytest.approx(
        estimate_harm(layer.weight, 64, bits, whole), rel=0.4
    )
    # Wide layers come in blocks, here of different widths; some of the gain is left.
    blocks = factor_curvature([hessian[:128, :128], hessian[128:, 128:]])
    assert measure(round_layer(layer, 64, bits, mx.float16, blocks)) < 0.8 * nearest


def test_what_rounding_costs_is_foreseen_by_one_backward_pass(tiny_model: Path, tmp_path: Path) -> None:
    run, _ = train(tmp_path, tiny_model, replace(SETTINGS, learning_rate=1e-3, iters=12))
    reference = load_model(tiny_model, run.adapter)
    rows = tokenize_rows(make_rows(60), reference.tokenizer, 256).rows
    before = reference.model(mx.array([[1, 2, 3]]))
    curvatures = measure_curvature(reference.model, rows)
    assert mx.array_equal(reference.model(mx.array([[1, 2, 3]])), before)
    merged = Merged(tiny_model, run.adapter, curvatures)
    costs = merged.weigh_layers((4, 5))
    for bits in (4, 5):
        merged.write(tmp_path / "fused", dict.fromkeys(costs, bits))
        assert measure_size(tmp_path / "fused") == pytest.approx(
            merged.estimate_size(dict.fromkeys(costs, bits)), rel=0.02
        )
        measured = average(Reference(reference.model, rows).compare(load_model(tmp_path / "fused").model)).kl
        foreseen = sum(cost.harms[bits] for cost in costs.values() if cost.harms is not None)
        assert measured / 3 < foreseen < 3 * measured


def test_bits_go_where_they_save_most() -> None:
    sizes = {4: 4.5, 5: 5.5, 6: 6.5, 8: 8.5, UNROUNDED: 16.0}

    def cost(weights: int, harm: float | None) -> LayerCost:
        harms = None if harm is None else {bits: harm * 4.0**-bits * (bits != UNROUNDED) for bits in sizes}
        return LayerCost(weights, sizes, harms)

    costs = {
        "dear": cost(1000, 100.0),
        "large": cost(9000, 9.0),
        "cheap": cost(2000, 0.01),
        "unknown": cost(1000, None),
    }
    means = [4 + i / 8 for i in range(97)]
    choices = [choose_bits(costs, mean) for mean in means]
    assert set(choices[0].values()) == {4}
    assert set(choices[-1].values()) == {UNROUNDED}
    for mean, chosen, more in zip(means, choices, choices[1:], strict=False):
        assert chosen["dear"] >= chosen["large"] >= chosen["cheap"]
        assert chosen["unknown"] == chosen["dear"]
        assert all(more[path] >= bits for path, bits in chosen.items())
        known = [path for path in costs if costs[path].harms is not None]
        assert sum(costs[path].weights * (sizes[chosen[path]] - 4.5) for path in known) <= (mean - 4) * 12000
    assert any(len(set(chosen.values())) > 2 for chosen in choices)


def test_a_strong_adapter_is_kept(strong: Run, tiny_model: Path) -> None:
    report = fuse(strong, tiny_model)
    assert report.meets_target
    assert report.retention is not None and report.retention >= 0.99
    assert report.top1 >= 0.98
    assert report.loss_fused == pytest.approx(report.loss_adapter, abs=0.1)
    assert "% of the training" in report.summary()
    record = read_fuse(strong)
    assert record is not None and record["result"]["bits"] == report.bits


def test_sizes_that_were_tried_are_shown_and_the_last_is_as_written(weak: Run, tiny_model: Path) -> None:
    report = fuse(weak, tiny_model)
    *tried, last = report.tried
    assert 1 < len(tried) <= 5
    assert all(trial.kl >= last.kl for trial in tried if trial.megabytes < last.megabytes)
    assert report.megabytes == last.megabytes == measure_size(weak.fused)
    assert (report.rows, report.total_rows, last.rows) == (3, 3, 3)
    reference = load_model(tiny_model, weak.adapter)
    assert compare(reference, load_model(weak.fused)).kl == pytest.approx(last.kl, abs=1e-6)
    headings, rows = list_trials(read_fuse(weak)["result"])  # type: ignore[index]
    assert len(rows) == len(report.tried)
    card = (weak.fused / "README.md").read_text()
    assert "decided on all 3 rows" in card
    assert all(f"| {' | '.join(row)} |" in card for row in (headings, *rows))


@pytest.mark.parametrize("top1", [0.9, 0.97])
def test_bracketing_finds_what_trying_every_size_finds(tmp_path: Path, top1: float) -> None:
    base = make_model(tmp_path / "deep", layers=3)
    run, _ = train(tmp_path, base, replace(SETTINGS, learning_rate=1e-4, iters=6, num_layers=2))
    valid, widths = make_rows(40, start=22), (4, 5, 6, 8, UNROUNDED)
    settings = replace(SETTINGS, num_layers=2, val_batches=-1)
    told: list[tuple[float, float]] = []
    report = fuse_run(
        run, base, Recipe(train=settings, fuse=FuseSettings(top1=top1)), TRAIN, valid, lambda message: None,
        lambda doing, done, total: told.append((done, total)),
    )  # fmt: skip
    assert told[0][0] == 0 and told == sorted(told)
    assert len({total for _, total in told[1:]}) == 1 and told[-1][0] == told[-1][1]
    # Every size there is, with the same curvature, on all rows, and from the first layer.
    adapter = load_model(base, run.adapter)
    tokens = tokenize_rows(valid, adapter.tokenizer, 256).rows
    fitting = pick_fitting(tokenize_rows(TRAIN, adapter.tokenizer, 256).rows, adapter)
    curvatures = measure_curvature(adapter.model, fitting)
    merged, reference = Merged(base, run.adapter, curvatures), Reference(adapter.model, tokens)
    before = reference.compare(load_model(base).model)
    sizes = list_sizes(merged.weigh_layers(widths), widths)
    for size in sizes:
        merged.write(tmp_path / "every", size.chosen)
        sums = reference.compare(load_model(tmp_path / "every").model)
        if judge(size, 0.0, len(tokens), (before, reference.own, sums), FuseSettings(top1=top1)).meets_target:
            break
    assert report.bits == size.bits
    assert report.meets_target and len(report.tried) < len(sizes)
    assert report.kl == pytest.approx(average(sums).kl, abs=1e-6)


def test_a_weak_adapter_gets_the_bits_it_needs(weak: Run, tiny_model: Path) -> None:
    plain = fuse(weak, tiny_model, bits=4)
    assert not plain.meets_target
    assert "below the target" in plain.summary()
    report = fuse(weak, tiny_model)
    assert report.bits is not None and report.bits > 4
    assert report.meets_target
    assert report.kl < 0.2 * plain.kl
    # A low loss alone is not enough.
    assert report.tried[-1].drift < 0.1 < plain.tried[0].drift
    assert report.megabytes > plain.megabytes
    # Only layers with an adapter grew; the embedding is as it was.
    config = load_model(weak.fused, quantized=True).config["quantization"]
    assert config["bits"] == 4
    assert "model.layers.0.mlp.up_proj" in config
    assert "model.embed_tokens" not in config


def test_plain_mlx_lm_answers_from_the_folder(strong: Run, tiny_model: Path) -> None:
    fuse(strong, tiny_model)
    settings = GenerateSettings(max_tokens=12, repetition_penalty=1.0)
    ours = generate_answer(load_model(strong.fused), [{"role": "user", "content": "What is a term?"}], settings)
    command = [sys.executable, "-m", "mlx_lm", "generate", "--model", str(strong.fused), "--prompt", "What is a term?"]
    result = subprocess.run([*command, "--max-tokens", "12"], capture_output=True, text=True, check=True, timeout=120)
    theirs = result.stdout.split("==========")[1]
    assert ours.text
    assert theirs.strip() == ours.text
    assert ours.tokens == 12


def test_dequantize_and_bits_force_it(strong: Run, tiny_model: Path) -> None:
    assert fuse(strong, tiny_model, dequantize=True).bits is None
    assert "quantization" not in load_model(strong.fused).config
    report = fuse(strong, tiny_model, bits=8)
    assert report.bits == 8
    assert len(report.tried) == 1


def test_an_unquantized_base_stays_so(tmp_path: Path) -> None:
    base = make_model(tmp_path / "model", bits=None)
    run, _ = train(tmp_path, base, replace(SETTINGS, iters=6))
    report = fuse(run, base)
    assert report.bits is None
    assert report.kl < 1e-6


def test_an_adapter_of_another_base_is_refused(strong: Run, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match="trained on another model"):
        fuse(strong, other)


def test_corrupt_weights_are_one_clear_error(weak: Run, tiny_model: Path, tmp_path: Path) -> None:
    run = Run(tmp_path, "course")
    run.adapter.mkdir(parents=True)
    for file in weak.adapter.iterdir():
        if file.is_file():
            (run.adapter / file.name).write_bytes(file.read_bytes())
    weights = run.adapter / "adapters.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"adapter in .* cannot be loaded"):
        fuse(run, tiny_model)


def test_a_fuse_is_current_until_settings_or_adapter_change(
    strong: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse(strong, tiny_model)
    assert is_fuse_current(strong, Recipe(train=SETTINGS))
    assert not is_fuse_current(strong, Recipe(train=SETTINGS, fuse=FuseSettings(bits=8)))
    monkeypatch.setattr("mlx_tutor.fuse.fuse.FUSER", FUSER + 1)
    assert not is_fuse_current(strong, Recipe(train=SETTINGS))


def test_killed_in_the_middle_then_fused_again(weak: Run, tiny_model: Path) -> None:
    before = fuse(weak, tiny_model, bits=8)
    program = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from mlx_tutor.recipe import Recipe
        from mlx_tutor.settings import FuseSettings, GenerateSettings
        from mlx_tutor.workspace import Run
        from mlx_tutor.fuse import fuse
        from tests.training.runs import SETTINGS, make_rows
        run = Run(Path({str(weak.workspace)!r}), {weak.name!r})
        stop = lambda message: os.kill(os.getpid(), signal.SIGKILL)
        rows = make_rows(22), make_rows(3, start=22)
        fuse.fuse_run(run, Path({str(tiny_model)!r}), Recipe(train=SETTINGS), *rows, stop)
        """
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    record = read_fuse(weak)
    assert record is not None and record["result"]["loss_fused"] == before.loss_fused
    assert load_model(weak.fused).config["quantization"]["model.layers.0.mlp.up_proj"]["bits"] == 8
    assert fuse(weak, tiny_model).meets_target
    assert [path.name for path in weak.fused.parent.iterdir()] == [weak.name]


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small tmpfs needs root on Linux")
def test_a_full_disk_is_one_clear_error_and_keeps_what_was_there(weak: Run, tiny_model: Path, tmp_path: Path) -> None:
    from mlx_tutor.errors import TutorError

    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this sandbox allows no mount")
    try:
        run = Run(disk, "course")
        run.adapter.mkdir(parents=True)
        for name in ("adapters.safetensors", "adapter_config.json", "run.json"):
            (run.adapter / name).write_bytes((weak.adapter / name).read_bytes())
        with (disk / "filler").open("wb") as filler:
            filler.write(b"0" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 60_000))
        with pytest.raises(TutorError, match="disk is full"):
            fuse(run, tiny_model)
        assert not run.is_fused
        (disk / "filler").unlink()
        assert fuse(run, tiny_model).meets_target
    finally:
        subprocess.run(["umount", str(disk)], check=True)
