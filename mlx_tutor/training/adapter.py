"""Adding an adapter to a model, and making its optimizer, as the recipe says."""

import sys
from typing import Any

import mlx.optimizers as optim
from mlx.utils import tree_flatten

from mlx_tutor.errors import ModelError, RecipeError
from mlx_tutor.models import LoadedModel
from mlx_tutor.settings import TrainSettings


def add_adapter(loaded: LoadedModel, settings: TrainSettings) -> dict[str, Any]:
    """Freeze the model and put LoRA or DoRA layers on it; returns mlx-lm's adapter_config."""
    from mlx_lm.tuner.utils import linear_to_lora_layers

    model, count = loaded.model, len(loaded.model.layers)
    _check_recurrent(loaded)
    num_layers = count if settings.num_layers == -1 else min(settings.num_layers, count)
    if num_layers == 0:
        raise RecipeError("train.num_layers is 0, so nothing would be trained. Use a positive number, or -1 for all.")
    names = {name for name, module in model.layers[0].named_modules() if hasattr(module, "weight")}
    if unknown := sorted(set(settings.keys) - names):
        raise RecipeError(f"train.keys: the model has no {', '.join(unknown)}. It has: {', '.join(sorted(names))}.")
    parameters: dict[str, Any] = {"rank": settings.rank, "scale": settings.scale, "dropout": settings.dropout}
    if settings.keys:
        parameters["keys"] = list(settings.keys)
    model.freeze()
    try:
        linear_to_lora_layers(model, num_layers, dict(parameters), use_dora=settings.fine_tune_type == "dora")
    except ValueError as err:
        raise RecipeError(f"train.keys or train.fine_tune_type does not suit this model: {err}.") from err
    if settings.fine_tune_type == "dora":
        _check_dora(loaded)
    if not tree_flatten(model.trainable_parameters()):
        raise RecipeError("train.keys leaves nothing to train; name linear layers such as self_attn.q_proj.")
    return {"fine_tune_type": settings.fine_tune_type, "num_layers": num_layers, "lora_parameters": parameters}


def _check_recurrent(loaded: LoadedModel) -> None:
    """mlx-lm trains gated delta layers token by token: a layer takes over 100 GB for 4,096 tokens (its issue 1206)."""
    if any(hasattr(sys.modules[type(module).__module__], "gated_delta_update") for module in loaded.model.modules()):
        raise ModelError(
            f"A {loaded.config.get('model_type', 'model')} cannot be trained here: mlx-lm trains its gated "
            "delta layers token by token, which takes too much memory. Use a dense base, as Qwen2.5 or Qwen3."
        )


def _check_dora(loaded: LoadedModel) -> None:
    """mlx-lm's DoRA miscounts the width of 3-, 5- and 6-bit layers: such an adapter would load nowhere but here."""
    stored = loaded.config.get("quantization") or {}
    for path, module in loaded.model.named_modules():
        entry = stored.get(path, stored) if hasattr(module, "lora_a") else None
        if entry and 32 % (bits := entry["bits"]):
            raise RecipeError(
                f"train.fine_tune_type: dora works on 4- and 8-bit layers, and {path} has {bits} bits. "
                'Use "lora", or a base with other bits.'
            )


def make_optimizer(settings: TrainSettings) -> optim.Optimizer:
    """AdamW with linear warm-up and a cosine to zero, counted in updates: that is how MLX counts a schedule."""
    from mlx_lm.tuner.utils import build_schedule

    updates = max(1, settings.iters // settings.grad_accumulation_steps)
    warmup = min(settings.warmup // settings.grad_accumulation_steps, updates // 4)
    decay = max(1, updates - warmup)
    schedule = build_schedule({"name": "cosine_decay", "arguments": [settings.learning_rate, decay], "warmup": warmup})
    return optim.AdamW(learning_rate=schedule, weight_decay=settings.weight_decay)


def count_parameters(model: Any) -> tuple[int, int]:
    """How many parameters are trained, and how many the model has in all; packed ones count as what they stand for."""
    from mlx_lm.utils import get_total_parameters

    trained = sum(array.size for _, array in tree_flatten(model.trainable_parameters()))
    return trained, get_total_parameters(model)


def name_dtype(model: Any) -> str:
    """The type that a model computes in, which is that of its norms: `float32`, `bfloat16`."""
    norms = [value for name, value in tree_flatten(model.parameters()) if "norm" in name]
    return str(norms[0].dtype).removeprefix("mlx.core.") if norms else "-"
