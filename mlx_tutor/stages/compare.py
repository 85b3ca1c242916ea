"""Which models are compared or rated, and on which prompts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_tutor.stages.job import Job
from mlx_tutor.workspace import NAME_PATTERN, Run, find_run

if TYPE_CHECKING:
    from mlx_tutor.evaluation.compare import ModelSpec
    from mlx_tutor.evaluation.prompts import Prompt
    from mlx_tutor.evaluation.rate import ModelPair


OWN = ("base", "adapter", "fused")


def find_models(job: Job, only: Sequence[str], extra: Sequence[str]) -> "list[ModelSpec]":
    """The models that the options name, each once.

    Raises:
        TutorError: no such run, or none at all.
        ModelError: a model that is not there.
    """
    if only:
        found = [find_model(job, name) for name in (*only, *extra)]
    else:
        found = list_models(job, find_run(job.course, job.options.run), tuple(extra))
        found += [find_model(job, name) for name in extra if name not in OWN]
    first = {(item.path, item.adapter): item for item in reversed(found)}
    return [item for item in found if first[item.path, item.adapter] is item]


def list_models(job: Job, run: Run, extra: tuple[str, ...]) -> "list[ModelSpec]":
    """Base, the adapter when it is asked for, and the fused model.

    Raises:
        ModelError: no fused model, or another base than the run's.
    """
    return [pick_model(job, run, kind) for kind in OWN if kind != "adapter" or kind in extra]


def find_model(job: Job, name: str) -> "ModelSpec":
    """What MODEL names: base, adapter or fused of the run, another run, a folder, or a model of the Hub."""
    from mlx_tutor.evaluation.compare import ModelSpec
    from mlx_tutor.models import resolve_model

    if name in OWN:
        return pick_model(job, find_run(job.course, job.options.run), name)
    if NAME_PATTERN.fullmatch(name) and Run(job.course.workspace, name).is_complete:
        run = find_run(job.course, name)
        return replace(pick_model(job, run, "fused" if run.is_fused else "adapter"), label=name)
    adapter = Path(name).expanduser().resolve()
    run = Run(job.course.workspace, adapter.name)
    if run.is_complete and run.adapter == adapter:
        return replace(pick_model(job, run, "adapter"), label=name)
    return ModelSpec(name, resolve_model(name), None, job.recipe.model.thinking)


def pick_model(job: Job, run: Run, kind: str) -> "ModelSpec":
    """Base, adapter or fused model of a run; warns when the fused one is stale."""
    from mlx_tutor.errors import ModelError
    from mlx_tutor.evaluation.compare import ModelSpec
    from mlx_tutor.fuse.fuse import read_fuse
    from mlx_tutor.stages.model import check_thinking, find_base, warn_stale_fuse

    thinking = job.recipe.model.thinking
    if kind != "fused":
        return ModelSpec(kind, find_base(job, run), run.adapter if kind == "adapter" else None, thinking)
    check_thinking(job, run)
    if read_fuse(run) is None:
        raise ModelError(f"Run {run.name!r} is not fused yet. Fuse it with: mlx-tutor fuse --run {run.name}")
    warn_stale_fuse(job, run)
    return ModelSpec(kind, run.fused, None, thinking)


def add_passages(job: Job, models: "Sequence[ModelSpec]", prompts: "Sequence[Prompt]") -> "list[Prompt]":
    """The prompts with the best passage of the course, where the smallest context has room; warns where there is none.

    Raises:
        CorpusError: nothing is extracted.
    """
    from mlx_tutor.files import read_json
    from mlx_tutor.models import LoadedModel, context_length, load_tokenizer
    from mlx_tutor.stages.ask import warn_changes, warn_passages
    from mlx_tutor.study.chat.ask import clean_question, describe_place, fit_passages
    from mlx_tutor.study.search.index import open_index

    configs = {model.path: read_json(model.path / "config.json") for model in models}
    smallest = min(configs, key=lambda path: context_length(configs[path]))
    tokenizer = load_tokenizer(smallest, thinking=job.recipe.model.thinking)
    reader, written = LoadedModel(None, tokenizer, configs[smallest], smallest), []
    with open_index(job.course) as index:
        warn_changes(job)
        for prompt in prompts:
            question = clean_question(prompt.text)
            found = index.search(question, 1)
            messages, given = fit_passages(reader, question, found, job.recipe)
            warn_passages(job, context_length(reader.config), found, given)
            places = tuple(map(describe_place, given))
            written.append(replace(prompt, messages=tuple(messages), question=question, passages=places))
    return written


def find_model_pair(job: Job, run: Run) -> "ModelPair":
    """Base against fused; against the adapter while the run is not fused."""
    from mlx_tutor.evaluation.rate import ModelPair
    from mlx_tutor.stages.model import find_base

    base = find_base(job, run)
    if run.is_fused:
        return ModelPair(run.name, base, "fused", run.fused, None, job.recipe.generate, job.recipe.model.thinking)
    return ModelPair(run.name, base, "adapter", base, run.adapter, job.recipe.generate, job.recipe.model.thinking)


def list_prompts(job: Job, name: str, from_test: int | None) -> "list[Prompt]":
    """Prompts of a set, a file or the test rows; says so when the model was trained on one."""
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.evaluation.prompts import list_concepts, list_scenarios, pick_test_prompts, read_prompts

    course = job.course
    if from_test is not None:
        return pick_test_prompts(read_rows(course, "test", thinking=job.recipe.model.thinking), from_test)
    splits = ("train", "valid", "test")
    rows = {
        split: read_rows(course, split) if (course.dataset / f"{split}.jsonl").is_file() else [] for split in splits
    }
    concepts = list_concepts([row for split in splits for row in rows[split]]) if name in list_scenarios() else []
    found = read_prompts(name, job.recipe.course.system_prompt, concepts)
    trained = {turn["content"] for row in rows["train"] for turn in row["messages"] if turn["role"] == "user"}
    if known := [prompt.id for prompt in found if prompt.text in trained]:
        job.screen.warn(f"The course's training rows ask the same as these prompts: {', '.join(known)}.")
    return found
