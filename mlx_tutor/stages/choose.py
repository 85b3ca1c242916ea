"""Which models are asked: what the options and names of a command stand for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_tutor.records import ModelSpec
from mlx_tutor.stages.job import Job, adapt_hints
from mlx_tutor.workspace import NAME_PATTERN, Run, find_run, list_runs

if TYPE_CHECKING:
    from mlx_tutor.evaluation.rate import ModelPair

OWN = ("base", "adapter", "fused")


def choose_model(job: Job, base: bool, adapter: str | None) -> ModelSpec:
    """Who answers: the run or adapter that the options name; else the newest fused run; else the base.

    Raises:
        ModelError: the named run is not fused, or the model is not there.
        TutorError: no such run.
    """
    from mlx_tutor.errors import ModelError
    from mlx_tutor.models import resolve_model
    from mlx_tutor.stages.model import note_starter

    course, named = job.course, job.options.run
    if adapter is not None:
        run = find_run(course, adapter)
        chosen = replace(pick_model(job, run, "adapter"), label=f"adapter of {run.name}")
    elif named is not None or (not base and (fused := [run for run in list_runs(course) if run.is_fused])):
        run = fused[-1] if named is None else find_run(course, named)
        if not run.is_fused:
            raise ModelError(
                f"Run {run.name!r} is not fused yet. Ask its adapter with --adapter {run.name}, or fuse it with: "
                f"mlx-tutor fuse --run {run.name}"
            )
        chosen = replace(pick_model(job, run, "fused"), label=run.name)
    else:
        if not base:
            runs = list_runs(course)
            hint = (
                f"run {runs[-1].name!r} is not fused yet (mlx-tutor fuse --run {runs[-1].name})"
                if runs
                else f"nothing is trained yet (mlx-tutor run -c {course.name})"
            )
            job.screen.warn(adapt_hints(f"The base model answers: {hint}."))
        path = resolve_model(job.recipe.model.base, on_event=job.screen.say)
        chosen = ModelSpec("base", path, None, job.recipe.model.thinking)
    note_starter(job, chosen.path)
    return chosen


def find_models(job: Job, only: Sequence[str], extra: Sequence[str]) -> list[ModelSpec]:
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


def list_models(job: Job, run: Run, extra: tuple[str, ...]) -> list[ModelSpec]:
    """Base, the adapter when it is asked for, and the fused model.

    Raises:
        ModelError: no fused model, or another base than the run's.
    """
    return [pick_model(job, run, kind) for kind in OWN if kind != "adapter" or kind in extra]


def find_model(job: Job, name: str) -> ModelSpec:
    """What MODEL names: base, adapter or fused of the run, another run, a folder, or a model of the Hub."""
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


def pick_model(job: Job, run: Run, kind: str) -> ModelSpec:
    """Base, adapter or fused model of a run; warns when the fused one is stale."""
    from mlx_tutor.errors import ModelError
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


def find_model_pair(job: Job, run: Run) -> "ModelPair":
    """Base against fused; against the adapter while the run is not fused."""
    from mlx_tutor.evaluation.rate import ModelPair

    tuned = pick_model(job, run, "fused" if run.is_fused else "adapter")
    return ModelPair(run.name, pick_model(job, run, "base"), tuned, job.recipe.generate)
