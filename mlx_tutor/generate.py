"""The only place that produces text."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mlx.core as mx

from mlx_tutor.errors import ModelError
from mlx_tutor.models import LoadedModel, context_length, render_prompt
from mlx_tutor.recipe import GenerateSettings
from mlx_tutor.records import Message


@dataclass(frozen=True, slots=True)
class Answer:
    """One generation. `finish_reason` is "stop", or "length" when `max_tokens` or the context cut it."""

    text: str
    prompt_tokens: int
    tokens: int
    tokens_per_second: float
    first_token_seconds: float
    finish_reason: str
    peak_memory_gb: float


def generate_answer(
    loaded: LoadedModel,
    messages: Sequence[Message],
    settings: GenerateSettings,
    on_text: Callable[[str], None] = lambda piece: None,
) -> Answer:
    """Answer a conversation, handing on each piece of text as it comes.

    The same seed gives the same answer on the same machine. `tokens_per_second` counts from the first token on.

    Raises:
        ModelError: the prompt fills the model's context.
    """
    from mlx_lm.generate import stream_generate
    from mlx_lm.sample_utils import make_logits_processors, make_sampler

    prompt = render_prompt(loaded.tokenizer, messages)
    room = context_length(loaded.config) - len(prompt)
    if room < 1:
        raise ModelError(
            f"The prompt is {len(prompt)} tokens long, and the model's context holds {context_length(loaded.config)}. "
            "Shorten the prompt or use a model with a longer context."
        )
    mx.random.seed(settings.seed)
    penalty = None if settings.repetition_penalty == 1.0 else settings.repetition_penalty
    pieces: list[str] = []
    begun = time.perf_counter()
    first = 0.0
    for response in stream_generate(
        loaded.model,
        loaded.tokenizer,
        prompt,
        max_tokens=min(settings.max_tokens, room),
        sampler=make_sampler(temp=settings.temp, top_p=settings.top_p),
        logits_processors=make_logits_processors(repetition_penalty=penalty, repetition_context_size=64),
    ):
        first = first or time.perf_counter() - begun
        if response.text:
            pieces.append(response.text)
            on_text(response.text)
    # max_tokens is at least 1, so the loop has bound `response`.
    return Answer(
        text="".join(pieces).strip(),
        prompt_tokens=len(prompt),
        tokens=response.generation_tokens,
        tokens_per_second=response.generation_tps,
        first_token_seconds=first,
        finish_reason=response.finish_reason or "stop",
        peak_memory_gb=response.peak_memory,
    )
