"""Generated answers of base, adapter and fused model, measured with intervals."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlx_tutor.errors import DatasetError
from mlx_tutor.evaluation.answers import (
    Question,
    Reply,
    answer_questions,
    count_unanswered,
    find_others,
    list_questions,
)
from mlx_tutor.evaluation.bootstrap import (
    RESAMPLES,
    Array,
    Sample,
    draw_weights,
    estimate_difference,
    estimate_value,
    judge,
)
from mlx_tutor.evaluation.evaluate import OnProgress, add_part, hash_inputs, hash_weights, list_models
from mlx_tutor.evaluation.metrics import MEASURES, Measure, make_samples, write_signatures
from mlx_tutor.evaluation.style import ASPECTS, summarize_style
from mlx_tutor.evaluation.teaching import MEASURES as TEACHING
from mlx_tutor.evaluation.teaching import (
    CourseText,
    make_scorer,
    measure_speed,
    measure_teaching,
    sample_teaching,
    show_teaching,
)
from mlx_tutor.files import hash_value, read_json
from mlx_tutor.models import LoadedModel, context_length, load_spec, load_tokenizer
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import ModelSpec
from mlx_tutor.training.batches import TokenRow, make_batch
from mlx_tutor.training.loss import compute_logits
from mlx_tutor.workspace import Run

# Tokens of a batch with a loss on every one of them: their logits are what takes the memory.
LOSS_TOKENS = 2048
# Questions that the report shows with their answers.
SHOWN = 6


def hash_answers(
    run: Run,
    base: Path,
    recipe: Recipe,
    rows: Sequence[dict[str, Any]],
    limit: int | None = None,
    seed: int = 0,
    course: CourseText | None = None,
) -> dict[str, Any]:
    """All that answers and measures depend on; the arguments are those of `measure_answers`."""
    settings = [recipe.generate.max_tokens, recipe.generate.repetition_penalty]
    text = None if course is None else hash_value([list(course.sources), course.grade_level])
    return {**hash_inputs(run, base, recipe, rows), "settings": hash_value([*settings, limit, seed, text])}


def measure_answers(
    run: Run,
    base: Path,
    recipe: Recipe,
    rows: Sequence[dict[str, Any]],
    has_format: Callable[[str], bool],
    on_progress: OnProgress,
    limit: int | None = None,
    seed: int = 0,
    course: CourseText | None = None,
) -> dict[str, Any]:
    """Let each model answer the test rows, and measure the answers.

    Adds "answers" to `adapters/<run>/evaluation.json`, which `evaluate_run` has written. Each answer is kept in
    `answers.jsonl` beside it: an interrupted call continues where it stopped.

    Args:
        run: The run; its fused model is measured when there is one.
        recipe: Limits; answers are at temperature 0.
        on_progress: Called with the model's label, answers that are there, and answers that there will be.
        limit: Take this many questions, chosen by `seed`.
        course: Its text; None leaves out how well the answers teach.

    Raises:
        DatasetError: no test row that fits.
        ModelError: a model that cannot be loaded.
    """
    begun = time.perf_counter()
    models = list_models(run, base, recipe)
    questions, available, dropped = _prepare_questions(base, recipe, rows, limit, seed)
    measured: dict[str, _Measured] = {}
    # One model in memory at a time; all get the questions in the tokens of the base.
    for number, model in enumerate(models):

        def on_done(done: int, label: str = model.label, before: int = number * len(questions)) -> None:
            on_progress(label, before + done, len(models) * len(questions))

        measured[model.label] = _measure_model(run, model, questions, recipe, has_format, on_done)
    samples = {label: found.samples for label, found in measured.items()}
    replies = {label: found.replies for label, found in measured.items()}
    references = [question.reference for question in questions]
    result = {
        "questions": len(questions),
        "available": available,
        "dropped": dropped,
        "limit": limit,
        "seed": seed,
        "resamples": RESAMPLES,
        "generate": asdict(replace(recipe.generate, temp=0.0)),
        "signatures": write_signatures(references),
        "models": list(samples),
        "unanswered": count_unanswered(replies),
        "measures": compare_samples(samples, seed),
        "style": compare_style(replies, references),
        "speed": {label: found.speed for label, found in measured.items()},
        **({} if course is None else compare_teaching(course, questions, replies, seed)),
        "shown": [show_question(i, questions, replies) for i in spread(len(questions), SHOWN)],
        "seconds": time.perf_counter() - begun,
        "peak_memory_gb": max(found.peak_memory_gb for found in measured.values()),
        "inputs": hash_answers(run, base, recipe, rows, limit, seed, course),
    }
    add_part(run, "answers", result)
    return result


@dataclass(frozen=True, slots=True)
class _Measured:
    """What one model answered and what was measured of it; the peak is that of answering in batches."""

    replies: list[Reply]
    samples: dict[str, Sample]
    speed: dict[str, float]
    peak_memory_gb: float


def _measure_model(
    run: Run,
    model: ModelSpec,
    questions: Sequence[Question],
    recipe: Recipe,
    has_format: Callable[[str], bool],
    on_done: Callable[[int], None],
) -> _Measured:
    mx.reset_peak_memory()
    loaded = load_spec(model)
    losses = measure_rows(loaded, [question.tokens for question in questions])
    kept = run.adapter / "answers.jsonl"
    replies = answer_questions(
        loaded, model.label, hash_weights(model), questions, recipe.generate, kept, on_done, find_others(kept)
    )
    peak = mx.get_peak_memory() / 1e9
    speed = measure_speed(loaded, questions, replace(recipe.generate, temp=0.0))
    del loaded
    mx.clear_cache()
    return _Measured(replies, make_samples(questions, replies, losses, has_format), speed, peak)


def _prepare_questions(
    base: Path, recipe: Recipe, rows: Sequence[dict[str, Any]], limit: int | None, seed: int
) -> tuple[list[Question], int, dict[str, int]]:
    """The questions to ask, how many there were to choose from, and how many rows were left out, by reason."""
    longest = min(recipe.train.max_seq_length, context_length(read_json(base / "config.json")))
    questions, dropped = list_questions(rows, load_tokenizer(base, thinking=recipe.model.thinking), longest)
    return choose_questions(questions, limit, seed), len(questions), dropped


def choose_questions(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """All, or `limit` of them chosen by `seed`, in their order.

    Raises:
        DatasetError: there is none.
    """
    if not questions:
        raise DatasetError("No test row fits into train.max_seq_length. Add course files, or raise it.")
    if limit is None or limit >= len(questions):
        return list(questions)
    chosen = np.random.default_rng(seed).choice(len(questions), limit, replace=False)
    return [questions[i] for i in sorted(chosen.tolist())]


def measure_rows(loaded: LoadedModel, rows: Sequence[TokenRow]) -> Array:
    """Losses of each row, (rows, 4): nats and tokens of the answer, nats and tokens of the whole text."""
    measured = np.zeros((len(rows), 4))
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].tokens), reverse=True)
    while order:
        count = max(1, LOSS_TOKENS // len(rows[order[0]].tokens))
        indices, order = order[:count], order[count:]
        whole = [TokenRow(rows[i].tokens, 1) for i in indices]
        inputs, positions, targets, _ = make_batch(whole, len(whole))
        logits = compute_logits(loaded.model, inputs, positions).astype(mx.float32)
        nats = np.array(nn.losses.cross_entropy(logits, targets), np.float64)
        start = 0
        for i, row in zip(indices, whole, strict=True):
            of_row, start = nats[start : start + row.supervised], start + row.supervised
            answer = of_row[-rows[i].supervised :]
            measured[i] = answer.sum(), answer.size, of_row.sum(), of_row.size
    return measured


def compare_samples(
    samples: dict[str, dict[str, Sample]], seed: int, wanted: Sequence[Measure] = MEASURES
) -> list[dict[str, Any]]:
    """Of each measure, value and interval of each model, and of each model less the one before."""
    labels = list(samples)
    rows = len(next(iter(samples[labels[0]].values())).statistics)
    weights = draw_weights(rows, seed)
    measures = []
    for measure in wanted:
        of_models = {label: samples[label][measure.key] for label in labels}
        values = {label: estimate_value(sample, weights) for label, sample in of_models.items()}
        differences = []
        for i, before in enumerate(labels):
            for after in labels[i + 1 :]:
                difference = estimate_difference(of_models[before], of_models[after], weights)
                if difference is not None:
                    verdict = judge(difference, measure.better, rows)
                    differences.append({"from": before, "to": after, **asdict(difference), "verdict": verdict})
        measures.append(
            {
                **asdict(measure),
                "values": {label: value and asdict(value) for label, value in values.items()},
                "differences": differences,
            }
        )
    return measures


def compare_style(replies: dict[str, list[Reply]], references: Sequence[str]) -> list[dict[str, Any]]:
    """The style table: of each aspect its definition, and of each model the share of answers under each label."""
    shares = {label: summarize_style([reply.text for reply in found], references) for label, found in replies.items()}
    table: list[dict[str, Any]] = [
        {
            "aspect": aspect.name,
            "definition": aspect.definition,
            "models": {label: found[aspect.name] for label, found in shares.items()},
        }
        for aspect in ASPECTS
    ]
    counts = {label: {"mean": float(np.mean([r.tokens for r in found]))} for label, found in replies.items()}
    table.insert(3, {"aspect": "token count", "definition": "mean length of an answer in tokens", "models": counts})
    return table


def compare_teaching(
    course: CourseText, questions: Sequence[Question], replies: dict[str, list[Reply]], seed: int
) -> dict[str, Any]:
    """The teaching measures of the models and of the reference answers, the level that fits, and those of each answer.

    What the references come to is what can be reached.
    """
    scorer = make_scorer(course, [question.reference for question in questions])
    texts = {label: [reply.text for reply in found] for label, found in replies.items()}
    measured = {
        label: [measure_teaching(scorer, question, text) for question, text in zip(questions, found, strict=True)]
        for label, found in {**texts, "reference": [question.reference for question in questions]}.items()
    }
    samples = {label: sample_teaching(found) for label, found in measured.items()}
    references = samples.pop("reference")
    weights = draw_weights(len(questions), seed)
    reached = [estimate_value(references[measure.key], weights) for measure in TEACHING]
    low, high, why = scorer.level
    return {
        "teaching": [
            {**measure, "reference": value and asdict(value)}
            for measure, value in zip(compare_samples(samples, seed, TEACHING), reached, strict=True)
        ],
        "level": {"low": low, "high": high, "by": why, "english": scorer.language == "en"},
        "by_answer": [
            {
                "line": question.line,
                "question": question.text,
                "models": {label: show_teaching(measured[label][i]) for label in replies},
            }
            for i, question in enumerate(questions)
        ],
    }


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` indices below `count`, as far apart as possible: neighbours are about the same section."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(wanted, count)).round()})


def show_question(index: int, questions: Sequence[Question], replies: dict[str, list[Reply]]) -> dict[str, Any]:
    """One question with its reference and what each model answered."""
    question = questions[index]
    return {
        "line": question.line,
        "question": question.text,
        "reference": question.reference,
        "answers": {label: asdict(found[index]) for label, found in replies.items()},
    }
