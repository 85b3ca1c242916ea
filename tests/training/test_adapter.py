"""Adapters: DoRA beside LoRA learns, is stored whole and survives the fuse; which models get none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.utils import load

from mlx_tutor.errors import ModelError, RecipeError
from mlx_tutor.evaluation.evaluate import evaluate_run
from mlx_tutor.fuse.fuse import fuse_run
from mlx_tutor.fuse.write import Merged
from mlx_tutor.models import load_model
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.settings import FuseSettings
from mlx_tutor.training.adapter import add_adapter
from mlx_tutor.training.train import hash_inputs
from mlx_tutor.workspace import Run
from tests.model_factory import make_model
from tests.training.runs import SETTINGS, make_rows, train

DORA = replace(SETTINGS, fine_tune_type="dora", learning_rate=1e-2)
TOKENS = mx.array([[1, *range(40, 100, 3)]])


def get_logits(model: Any) -> mx.array:
    logits: mx.array = model(TOKENS).astype(mx.float32)
    return logits


def differ(first: mx.array, second: mx.array) -> float:
    return float(mx.abs(first - second).max())


@pytest.fixture(scope="module", params=[4, 8])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A DoRA run and its base."""
    folder = tmp_path_factory.mktemp(f"dora{request.param}")
    base = make_model(folder / "model", bits=request.param)
    run, report = train(folder, base, DORA)
    assert report.best_loss < 0.7 * report.base_loss
    return run, base


def test_the_lengths_are_learned_and_stored(trained: tuple[Run, Path]) -> None:
    run, base = trained
    stored: Any = mx.load(str(run.adapter / "adapters.safetensors"))
    assert {name.rsplit(".", 1)[-1] for name in stored} == {"lora_a", "lora_b", "m"}
    fresh = load_model(base)
    add_adapter(fresh, DORA)
    name = "model.layers.1.mlp.down_proj.m"
    untrained = fresh.model.layers[1].mlp.down_proj.m
    assert differ(stored[name], untrained) > 1e-3
    assert json.loads((run.adapter / "adapter_config.json").read_text())["fine_tune_type"] == "dora"


def test_an_adapter_starts_as_the_base_and_is_loaded_as_it_was_saved(trained: tuple[Run, Path]) -> None:
    run, base = trained
    plain = get_logits(load_model(base).model)
    live = load_model(base)
    add_adapter(live, DORA)
    assert differ(get_logits(live.model), plain) < 1e-4
    live.model.load_weights(str(run.adapter / "adapters.safetensors"), strict=False)
    live.model.eval()
    again = get_logits(load_model(base, run.adapter).model)
    assert differ(again, get_logits(live.model)) < 1e-4
    assert differ(again, plain) > 0.1


def test_plain_mlx_lm_loads_the_adapter(trained: tuple[Run, Path]) -> None:
    run, base = trained
    model, *_ = load(str(base), adapter_path=str(run.adapter))
    # There the base stays quantized; in float32 that makes no difference but in the order of sums.
    assert differ(get_logits(model), get_logits(load_model(base, run.adapter).model)) < 1e-4


def test_fused_at_full_precision_equals_the_adapter(trained: tuple[Run, Path], tmp_path: Path) -> None:
    run, base = trained
    Merged(base, run.adapter, {}).write(tmp_path / "fused", None)
    fused, adapter = (load_model(path, folder) for path, folder in ((tmp_path / "fused", None), (base, run.adapter)))
    assert differ(get_logits(fused.model), get_logits(adapter.model)) < 1e-4


def test_the_checked_fuse_and_the_evaluation_keep_the_training(trained: tuple[Run, Path]) -> None:
    run, base = trained
    recipe = Recipe(train=DORA, fuse=FuseSettings())
    report = fuse_run(run, base, recipe, make_rows(22), make_rows(3, start=22), lambda message: None)
    assert report.meets_target
    assert report.retention is not None and report.retention >= 0.98
    assert load_model(run.fused, quantized=True).config["quantization"]["bits"] in (4, 8)
    losses = {
        model.label: model.loss
        for model in evaluate_run(run, base, recipe, make_rows(3, start=30), lambda message: None).models
    }
    assert losses["adapter"] < 0.7 * losses["base"]
    assert losses["fused"] == pytest.approx(losses["adapter"], abs=0.15)


def test_a_16_bit_base_stays_one_and_keeps_the_lengths(tmp_path: Path) -> None:
    base = make_model(tmp_path / "model", dtype=mx.bfloat16)
    run, _ = train(tmp_path, base, DORA)
    Merged(base, run.adapter, {}).write(tmp_path / "fused", None)
    weights: Any = mx.load(str(tmp_path / "fused" / "model.safetensors"))
    assert {weight.dtype for weight in weights.values()} == {mx.bfloat16}
    # Lengths computed in 16 bits are off by half a percent in places.
    stored: Any = mx.load(str(run.adapter / "adapters.safetensors"))
    path = "model.layers.0.mlp.up_proj"
    lengths = mx.linalg.norm(weights[f"{path}.weight"].astype(mx.float32), axis=1)
    assert float(mx.abs(lengths / mx.abs(stored[f"{path}.m"]) - 1).max()) < 1e-3
    assert (
        fuse_run(run, base, Recipe(train=DORA, fuse=FuseSettings(bits=8)), make_rows(22), make_rows(3), print).bits == 8
    )
    quantized: Any = mx.load(str(run.fused / "model.safetensors"))
    assert {weight.dtype for weight in quantized.values()} == {mx.bfloat16, mx.uint32}


def test_it_learns_on_a_base_that_stays_quantized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Mac, where nothing is dequantized for training."""
    monkeypatch.setattr("mlx_tutor.models.is_cpu", lambda: False)
    base = make_model(tmp_path / "model")
    run, report = train(tmp_path, base, DORA)
    assert report.best_loss < 0.7 * report.base_loss
    on_cpu = get_logits(load_model(base, run.adapter).model)
    monkeypatch.undo()
    assert differ(on_cpu, get_logits(load_model(base, run.adapter).model)) < 1e-4


def test_other_bits_are_refused_before_training(tmp_path: Path) -> None:
    base = make_model(tmp_path / "model", bits=6)
    with pytest.raises(RecipeError, match=r"dora works on 4- and 8-bit layers.*has 6 bits"):
        train(tmp_path, base, DORA)
    assert not (tmp_path / "adapters").exists()
    # One layer that has grown in an earlier fuse is enough.
    loaded = load_model(make_model(tmp_path / "mixed"))
    loaded.config["quantization"]["model.layers.1.mlp.up_proj"] = {"group_size": 64, "bits": 5}
    with pytest.raises(RecipeError, match=r"up_proj has 5 bits"):
        add_adapter(loaded, DORA)


def test_layers_that_take_no_adapter_are_a_clear_error(tmp_path: Path, tiny_model: Path) -> None:
    settings = replace(DORA, keys=("input_layernorm",))
    with pytest.raises(RecipeError, match=r"train.keys .*RMSNorm"):
        train(tmp_path, tiny_model, settings)


def test_another_type_is_another_run(tiny_model: Path) -> None:
    lora, dora = (load_recipe(None, [f"train.fine_tune_type={kind}"]) for kind in ("lora", "dora"))
    assert hash_inputs(lora, tiny_model, "rows") == hash_inputs(Recipe(), tiny_model, "rows")
    assert hash_inputs(lora, tiny_model, "rows") != hash_inputs(dora, tiny_model, "rows")
    with pytest.raises(RecipeError, match=r"train.fine_tune_type must be one of lora, dora, not 'full'"):
        load_recipe(None, ["train.fine_tune_type=full"])


def test_gated_delta_layers_are_refused_in_one_line(tiny_model: Path) -> None:
    from mlx_lm.models.qwen3_next import Model, ModelArgs

    config = {
        "model_type": "qwen3_next", "hidden_size": 64, "num_hidden_layers": 4, "intermediate_size": 64,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "linear_num_value_heads": 2,
        "linear_num_key_heads": 1, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
        "linear_conv_kernel_dim": 4, "num_experts": 0, "num_experts_per_tok": 0, "decoder_sparse_step": 1,
        "shared_expert_intermediate_size": 64, "mlp_only_layers": [], "moe_intermediate_size": 64,
        "rms_norm_eps": 1e-6, "vocab_size": 320, "rope_theta": 1e4, "partial_rotary_factor": 0.25,
        "max_position_embeddings": 256,
    }  # fmt: skip
    loaded = replace(load_model(tiny_model), model=Model(ModelArgs.from_dict(config)), config=config)
    assert loaded.model(mx.array([[1, 2, 3]])).shape == (1, 3, 320)
    with pytest.raises(ModelError, match=r"qwen3_next cannot be trained here.*Use a dense base"):
        add_adapter(loaded, SETTINGS)
