"""The same prompt to several models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from mlx_tutor.evaluation.style import Style, count_style
from mlx_tutor.generate import Answer, generate_answer
from mlx_tutor.models import load_model
from mlx_tutor.recipe import GenerateSettings
from mlx_tutor.records import Message


@dataclass(frozen=True, slots=True)
class Contender:
    """A model to ask: a folder, with an adapter on top or not. `label` is base, adapter or fused."""

    label: str
    path: Path
    adapter: Path | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one contender said, and how."""

    label: str
    answer: Answer
    style: Style


def compare_models(
    models: Sequence[Contender],
    messages: Sequence[Message],
    settings: GenerateSettings,
    on_text: Callable[[str, str], None] = lambda label, piece: None,
) -> list[Comparison]:
    """Ask one model after the other, each alone in memory, so that the timings are its own.

    Args:
        models: Whom to ask, in order.
        messages: The conversation, ending with the user's turn.
        settings: Temperature, seed and limits, the same for all.
        on_text: Called with the label and each piece of text.
    """
    comparisons = []
    for contender in models:
        loaded = load_model(contender.path, contender.adapter)
        mx.reset_peak_memory()

        def hand_on(piece: str, label: str = contender.label) -> None:
            on_text(label, piece)

        answer = generate_answer(loaded, messages, settings, hand_on)
        comparisons.append(Comparison(contender.label, answer, count_style(answer.text)))
        del loaded
        mx.clear_cache()
    return comparisons
