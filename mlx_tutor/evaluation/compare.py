"""Asking several models the same prompts."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

import mlx.core as mx

from mlx_tutor.evaluation.prompts import Prompt
from mlx_tutor.evaluation.style import Style, count_style, label_style, summarize_style
from mlx_tutor.generate import Answer, generate_answer
from mlx_tutor.models import LoadedModel, count_weights, lend_adapter, load_model
from mlx_tutor.provenance import describe_environment
from mlx_tutor.records import Message, ModelSpec
from mlx_tutor.settings import GenerateSettings


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one model answered, and how. `weights_gb` is what its weights take, the adapter's included."""

    label: str
    answer: Answer
    style: Style
    weights_gb: float = 0.0


def load_models(models: Sequence[ModelSpec]) -> Generator[tuple[ModelSpec, LoadedModel]]:
    """Each model, ready to be asked; one is in memory at a time.

    Those on the same folder come one after the other and share what was loaded once: adapters are put on it and
    taken off again. Keep no reference to a model, or two are in memory; close the generator if you stop early.
    """
    for path, thinking in dict.fromkeys((model.path, model.thinking) for model in models):
        loaded = load_model(path, thinking=thinking)
        for model in (item for item in models if (item.path, item.thinking) == (path, thinking)):
            with nullcontext() if model.adapter is None else lend_adapter(loaded, model.adapter):
                yield model, loaded
        del loaded
        mx.clear_cache()


def compare_prompts(
    models: Sequence[ModelSpec],
    prompts: Sequence[Sequence[Message]],
    settings: GenerateSettings,
    on_text: Callable[[str, str], None] = lambda label, piece: None,
    is_stopped: Callable[[], bool] = lambda: False,
    on_answer: Callable[[str, int], None] = lambda label, done: None,
) -> list[list[Comparison]]:
    """Ask every model every prompt, one after the other, so that the timings of each are its own.

    Args:
        models: Whom to ask; their labels differ.
        prompts: Conversations that end with the user's turn.
        settings: Temperature, seed and limits, the same for all.
        on_text: Called with the label and each piece of text.
        is_stopped: Asked after each token and before each answer; what is there then is returned.
        on_answer: Called with the label and how many answers of all are there.

    Returns:
        Of each prompt, what the models said, in their order.
    """
    found: list[dict[str, Comparison]] = [{} for _ in prompts]
    with closing(load_models(models)) as in_turn:
        for model, loaded in in_turn if prompts else ():
            weights = count_weights(loaded.model) / 1e9

            def hand_on(piece: str, label: str = model.label) -> None:
                on_text(label, piece)

            for answers, messages in zip(found, prompts, strict=True):
                if is_stopped():
                    break
                mx.reset_peak_memory()
                answer = generate_answer(loaded, messages, settings, hand_on, is_stopped=is_stopped)
                answers[model.label] = Comparison(model.label, answer, count_style(answer.text), weights)
                on_answer(model.label, sum(map(len, found)))
            # Else it would still be in memory while the next one is loaded.
            del loaded
            if is_stopped():
                break
    return [[answers[model.label] for model in models if model.label in answers] for answers in found]


def compare_models(
    models: Sequence[ModelSpec],
    messages: Sequence[Message],
    settings: GenerateSettings,
    on_text: Callable[[str, str], None] = lambda label, piece: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[Comparison]:
    """`compare_prompts` of one prompt."""
    return compare_prompts(models, [messages], settings, on_text, is_stopped)[0]


def describe_sharing(models: Sequence[ModelSpec], comparisons: Sequence[Comparison]) -> str:
    """A sentence that says which models shared a loaded base, or "" where none did; sizes in MB."""
    weights = {comparison.label: 1000 * comparison.weights_gb for comparison in comparisons}
    parts = []
    for path in dict.fromkeys(model.path for model in models):
        group = [model for model in models if model.path == path and model.label in weights]
        plain = next((model.label for model in group if model.adapter is None), None)
        if plain is not None and len(group) > 1:
            lent = [model.label for model in group if model.adapter is not None]
            sizes = ", ".join(f"{label} adds {weights[label] - weights[plain]:,.1f} MB" for label in lent)
            names = " and ".join([", ".join([plain, *lent][:-1]), lent[-1]]) if lent else plain
            parts.append(f"{names} share one loaded base of {weights[plain]:,.1f} MB ({sizes}).")
    return " ".join(parts)


def record_comparison(
    models: Sequence[ModelSpec],
    prompts: Sequence[Prompt],
    comparisons: Sequence[Sequence[Comparison]],
    settings: GenerateSettings,
) -> dict[str, Any]:
    """All of a comparison as JSON: what its reports are written from.

    `models` has one entry for each model: memory in GB, means over its answers, and of each style aspect the shares
    of its answers (`style`, as `summarize_style` gives them).
    """
    asked = [(prompt, found) for prompt, found in zip(prompts, comparisons, strict=True) if found]
    by_label: dict[str, list[tuple[Prompt, Comparison]]] = {
        model.label: [(prompt, item) for prompt, found in asked for item in found if item.label == model.label]
        for model in models
    }
    answers = [item for found in by_label.values() for _, item in found[:1]]
    return {
        "models": [_describe(model, by_label[model.label]) for model in models if by_label[model.label]],
        "sharing": describe_sharing(models, answers),
        "prompts": [
            {
                **{"id": prompt.id, "task": prompt.task, "messages": list(prompt.messages)},
                "reference": prompt.reference,
                "answers": [
                    asdict(item) | {"labels": label_style(item.answer.text, prompt.reference)} for item in found
                ],
            }
            for prompt, found in asked
        ],
        "generate": asdict(settings),
        "environment": describe_environment(),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }


def _describe(model: ModelSpec, found: Sequence[tuple[Prompt, Comparison]]) -> dict[str, Any]:
    answers = [item.answer for _, item in found]
    return {
        "label": model.label,
        "path": str(model.path),
        "adapter": None if model.adapter is None else str(model.adapter),
        "weights_gb": found[0][1].weights_gb,
        "peak_memory_gb": max(answer.peak_memory_gb for answer in answers),
        "tokens": fmean(answer.tokens for answer in answers),
        "tokens_per_second": fmean(answer.tokens_per_second for answer in answers),
        "first_token_seconds": fmean(answer.first_token_seconds for answer in answers),
        "cut": fmean(answer.finish_reason != "stop" for answer in answers),
        "repeated_4grams": fmean(item.style.repeated_4grams for _, item in found),
        "style": summarize_style([answer.text for answer in answers], [prompt.reference for prompt, _ in found]),
    }
