"""Whom training is measured against: mlx-lm as it comes, and what else is installed of mlx-train-perf and mlx-lm-lora.

All train in mlx-lm's own trainer on its own batches; they differ in the loss. Both packages want others that are not
needed for that: `pip install --no-deps mlx-train-perf mlx-lm-lora`.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import mlx.core as mx

OURS, STOCK = "ours", "stock"
PACKAGES = {"mlx-train-perf": "mlx_train_perf", "mlx-lm-lora": "mlx_lm_lora"}
SIDES = (STOCK, OURS, *PACKAGES)


def list_sides() -> list[str]:
    """Who can be measured here."""
    return [side for side in SIDES if side not in PACKAGES or find_spec(PACKAGES[side]) is not None]


def make_loss(side: str, model: Any) -> Callable[..., tuple[mx.array, mx.array]]:
    """The loss of a side other than ours, of mlx-lm's batches."""
    from mlx_lm.tuner import trainer

    if side == "mlx-train-perf":
        made = import_module("mlx_train_perf.adapters.mlx_lm").make_loss_fn(model, impl="chunked")
    elif side == "mlx-lm-lora":
        made = import_module("mlx_lm_lora.trainer.sft_trainer").chunked_nll_loss
    else:
        made = trainer.default_loss
    loss: Callable[..., tuple[mx.array, mx.array]] = made
    return loss


def name_device() -> str:
    """What was measured on: `CPU` or `GPU`."""
    return "GPU" if mx.default_device() == mx.Device(mx.gpu) else "CPU"
