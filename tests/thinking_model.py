"""A small real model that thinks: it was trained to answer a few questions, thoughts first."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx_lm.utils import save_model

from mlx_tutor.models import load_model
from mlx_tutor.records import Message
from mlx_tutor.training.batches import make_batch
from mlx_tutor.training.loss import compute_loss
from mlx_tutor.training.rows import tokenize_rows
from tests.chat_templates import QWEN3
from tests.model_factory import make_model, make_tokenizer

THOUGHTS, ANSWER = "1. Hm, 4.", "It is 8, so."
STEPS = 400


def make_thinker(folder: Path, chats: Sequence[Sequence[Message]], template: str = QWEN3) -> Path:
    """Write a model that goes on with each chat with THOUGHTS and ANSWER, when thinking is on and nothing penalized."""
    make_model(folder, bits=None, tie=False)
    make_tokenizer(folder, template)
    loaded = load_model(folder, thinking=True)
    said: Message = {"role": "assistant", "content": ANSWER, "reasoning_content": THOUGHTS}
    rows = [tokenize_rows([{"messages": [*chat, said]}], loaded.tokenizer, 512).rows[-1] for chat in chats]
    batch = make_batch(rows, len(rows))
    optimizer = optim.AdamW(3e-3)
    step = nn.value_and_grad(loaded.model, lambda model, *batch: compute_loss(model, *batch)[0])
    state = [loaded.model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def update() -> mx.array:
        loss: mx.array
        loss, gradients = step(loaded.model, *batch)
        optimizer.update(loaded.model, gradients)
        return loss

    for _ in range(STEPS):
        loss = update()
        mx.eval(loss, state)
        if float(loss) < 0.002:
            break
    save_model(folder, loaded.model)
    return folder
