"""Running the checks beside the test rows: which facts were learned, and the guards."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.evaluation.answers import Question, Reply, answer_questions, count_unanswered, find_others
from mlx_tutor.evaluation.bootstrap import Array
from mlx_tutor.evaluation.choice import Choice, measure_choices
from mlx_tutor.evaluation.conditions import choose_asked, list_taught, summarize_conditions, write_asked
from mlx_tutor.evaluation.evaluate import MEASURER, OnProgress, add_part, hash_models, hash_weights, list_models
from mlx_tutor.evaluation.guards import (
    REFUSAL,
    Guard,
    SourceText,
    find_refusals,
    list_guards,
    summarize_general,
    summarize_guards,
    write_general,
    write_guards,
    write_refusals,
)
from mlx_tutor.evaluation.kinds import list_probes, read_probes, write_probes
from mlx_tutor.evaluation.learned import (
    MOST_TOKENS,
    OPTIONS,
    WORDINGS_PER_FACT,
    choose_facts,
    find_common,
    list_facts,
    measure_knowledge,
    sort_facts,
    write_choices,
    write_questions,
)
from mlx_tutor.evaluation.teaching import CourseText
from mlx_tutor.files import hash_file, hash_value
from mlx_tutor.models import LoadedModel, hash_tokenizer, load_spec
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Message
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.workspace import Run

Rows = Mapping[str, Sequence[dict[str, Any]]]


def hash_checks(
    run: Run, base: Path, recipe: Recipe, rows: Rows, sources: Sequence[str], limit: int | None, seed: int
) -> str:
    """Fingerprint of all that the checks depend on."""
    of_rows = [[row["messages"] for row in rows[split]] for split in sorted(rows)]
    guards = hash_file(Path(__file__).parent / "guards.toml")
    settings = asdict(_limit_answers(recipe)), recipe.course.system_prompt, limit, seed
    models = [hash_models(run), hash_tokenizer(base)]
    return hash_value([MEASURER, models, hash_value(of_rows), hash_value(list(sources)), guards, settings])


def _limit_answers(recipe: Recipe) -> GenerateSettings:
    settings = recipe.generate
    # The length of thoughts cannot be predicted.
    most = settings.max_tokens if recipe.model.thinking else min(MOST_TOKENS, settings.max_tokens)
    return replace(settings, temp=0.0, max_tokens=most)


@dataclass(frozen=True, slots=True)
class CheckQuestions:
    """What one check asks of each model: questions with options, and questions to be answered in words."""

    choices: list[Choice]
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a model gave back, in the order of the work."""

    losses: list[Array]
    replies: list[Reply]


def _ask_models(
    run: Run, base: Path, recipe: Recipe, plan: Callable[[LoadedModel], CheckQuestions], on_progress: OnProgress
) -> dict[str, CheckResult]:
    """Ask base and tuned model (fused, or the adapter before) the same, one after the other in memory; by label."""
    results = {}
    first, *_, last = list_models(run, base, recipe)
    settings = _limit_answers(recipe)
    work: CheckQuestions | None = None
    for number, model in enumerate((first, last)):
        loaded = load_spec(model)
        # Both get the tokens of the base's tokenizer.
        work = work or plan(loaded)
        count = len(work.choices) + len(work.questions)

        def on_done(done: int, label: str = model.label, before: int = number * count, total: int = 2 * count) -> None:
            on_progress(label, before + done, total)

        def on_reply(done: int, on_done: Callable[[int], None] = on_done, before: int = len(work.choices)) -> None:
            on_done(before + done)

        losses = measure_choices(loaded, work.choices, on_done)
        kept, weights = run.adapter / "answers.jsonl", hash_weights(model)
        replies = answer_questions(
            loaded, model.label, weights, work.questions, settings, kept, on_reply, find_others(kept)
        )
        results[model.label] = CheckResult(losses, replies)
        del loaded
        mx.clear_cache()
    return results


def _keep(run: Run, name: str, found: dict[str, Any], begun: float, inputs: str) -> dict[str, Any]:
    result = {
        **found,
        "seconds": time.perf_counter() - begun,
        "peak_memory_gb": mx.get_peak_memory() / 1e9,
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
        "inputs": inputs,
    }
    add_part(run, name, result)
    return result


def write_system(recipe: Recipe) -> list[Message]:
    """The system prompt of the course, if it has one."""
    prompt = recipe.course.system_prompt
    return [{"role": "system", "content": prompt}] if prompt else []


def measure_learned(
    run: Run,
    base: Path,
    recipe: Recipe,
    rows: Rows,
    text: CourseText,
    inputs: str,
    on_progress: OnProgress,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Ask base and tuned model for the facts of the course, some with search too; adds "learned" to evaluation.json.

    Args:
        run: The run; its fused model is asked where there is one.
        recipe: System prompt, and limits of the answers.
        rows: The rows of train, valid and test.
        on_progress: Called with the model's label, questions that are done, and questions that there will be.
        limit: Take this many facts, chosen by `seed`.

    Raises:
        DatasetError: too few facts.
        ModelError: a model that cannot be loaded.
    """
    begun = time.perf_counter()
    mx.reset_peak_memory()
    every = list_facts(rows, recipe.course.language)
    indices = choose_facts(every, limit, seed)
    facts = [every[i] for i in indices]
    probes = list_probes(every, indices, rows["train"], recipe.course.language)
    asked = choose_asked(facts, write_system(recipe), text.sources, seed)

    def plan(loaded: LoadedModel) -> CheckQuestions:
        tokenizer = loaded.tokenizer
        choices = [*write_choices(tokenizer, every, indices), *write_probes(tokenizer, every, probes)]
        return CheckQuestions(choices, [*write_questions(tokenizer, facts), *write_asked(loaded, asked, text)])

    results = _ask_models(run, base, recipe, plan, on_progress)
    common, known = find_common(every), {}
    wordings = sum(len(fact.wordings) for fact in facts)
    for label, result in results.items():
        kinds = read_probes(probes, result.losses[wordings:])
        found_kinds = [kinds.get(i, {}) for i in indices]
        replies = result.replies[: len(facts)]
        known[label] = measure_knowledge(facts, result.losses[:wordings], replies, common, found_kinds)
    in_words = {label: result.replies[len(facts) :] for label, result in results.items()}
    taught = list_taught(list(find_refusals(rows["train"])), recipe.course.language)
    found = {
        "models": list(results),
        "asked": len(facts),
        "available": len(every),
        "limit": limit,
        "seed": seed,
        "wordings": WORDINGS_PER_FACT,
        "options": OPTIONS,
        "unanswered": count_unanswered({label: result.replies for label, result in results.items()}),
        "conditions": summarize_conditions(asked, in_words, known, text, taught, seed),
        **sort_facts(facts, *known.values()),
    }
    return _keep(run, "learned", found, begun, inputs)


def measure_guards(
    run: Run,
    base: Path,
    recipe: Recipe,
    rows: Rows,
    sources: Sequence[str],
    inputs: str,
    on_progress: OnProgress,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Ask base and tuned model about what training should not have harmed; adds "guards" to `evaluation.json`.

    Args, besides those of `measure_learned`:
        sources: The text of the course, in any pieces.
        limit: Ask this many questions of each kind in words.
        seed: Of the choice of terms and of the intervals.

    Raises:
        ModelError: a model that cannot be loaded.
    """
    begun = time.perf_counter()
    mx.reset_peak_memory()
    system = write_system(recipe)
    guards: list[Guard] = list_guards(
        list_facts(rows, recipe.course.language), sources, limit, seed, recipe.course.allow_code
    )
    found_refusals = find_refusals(rows["train"])
    taught = [begin for begin, _ in found_refusals.most_common()]
    refusal = taught[0] if taught else REFUSAL
    names: list[str] = []

    def plan(loaded: LoadedModel) -> CheckQuestions:
        questions, general = write_general(loaded.tokenizer, system)
        names.extend(questions)
        refusals = write_refusals(loaded.tokenizer, guards, system, refusal)
        return CheckQuestions(general + refusals, write_guards(loaded.tokenizer, guards, system))

    results = _ask_models(run, base, recipe, plan, on_progress)
    general = [result.losses[: len(names)] for result in results.values()]
    text = SourceText(sources)
    found = {
        "models": list(results),
        "limit": limit,
        "seed": seed,
        "unanswered": count_unanswered({label: result.replies for label, result in results.items()}),
        "taught": found_refusals.total(),
        "refusal": refusal,
        "general": summarize_general(names, general[0], general[1], seed),
        "words": {
            label: summarize_guards(
                guards, result.replies, np.array([losses[0] for losses in result.losses[len(names) :]]), taught, text
            )
            for label, result in results.items()
        },
    }
    return _keep(run, "guards", found, begun, inputs)
