"""Running the stages of the model half for commands: train, fuse and evaluate.

Is it up to date? Run it, and say what came out. Nothing heavy is imported before a stage has to work.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlx_tutor.errors import DatasetError, ModelError, RecipeError, TrainingError
from mlx_tutor.files import read_json
from mlx_tutor.records import describe_bits, describe_parameters, describe_share
from mlx_tutor.stages.job import Job, adapt_hints
from mlx_tutor.stages.outcome import Outcome, finish
from mlx_tutor.workspace import Course, Run, check_name, list_runs, name_new_run

if TYPE_CHECKING:
    from mlx_tutor.training.monitor import Metric


def warn_slow(job: Job) -> None:
    """Say before a training what would make it many times faster here, if something would."""
    from mlx_tutor.blas import find_slow_blas

    if hint := find_slow_blas():
        job.screen.warn(hint)


def run_train(job: Job) -> tuple[Outcome, Run]:
    """Rows -> adapter: of a new run, unless one was trained on exactly these inputs, or was interrupted at it.

    Raises:
        DatasetError: rows that are missing, stale or too few; before a model is loaded.
        TrainingError: `--run` names a run that was trained on something else.
    """
    from mlx_tutor.training.curve import plot_curve, read_metrics

    base, inputs = prepare_training(job)
    run, current = pick_run(job, inputs)
    if current:
        result = run.read()["result"]
        return finish(job, Outcome("train", describe_training(result), result, up_to_date=True)), run
    outcome = train_run(job, run, base, inputs)
    finish(job, outcome)
    job.screen.say(plot_curve(read_metrics(run), job.screen.remarks.width))
    return outcome, run


def prepare_training(job: Job) -> tuple[Path, dict[str, str]]:
    """The base, and the hashes of all that a training depends on; warns of rows that the build did not write.

    Raises:
        DatasetError: rows that are missing, stale or too few; before a model is loaded.
    """
    from mlx_tutor.dataset.build import check_dataset, explain_stale, find_edited_rows
    from mlx_tutor.models import hash_tokenizer, resolve_model
    from mlx_tutor.training.rows import hash_rows
    from mlx_tutor.training.train import hash_inputs

    course, recipe = job.course, job.recipe
    base = resolve_model(recipe.model.base, on_event=job.screen.say)
    if reason := explain_stale(course, recipe, hash_tokenizer(base)):
        raise DatasetError(f"The rows of course {course.name!r} are not up to date: {reason}. {hint_build(course)}")
    check_dataset(course)
    if edited := find_edited_rows(course):
        job.screen.warn(f"{', '.join(edited)} changed after the build; trained on as they are.")
    elif not (course.dataset / "manifest.json").is_file():
        job.screen.warn(f"The rows in {course.dataset} come from elsewhere; trained on as they are.")
    return base, hash_inputs(recipe, base, hash_rows(course))


def train_run(job: Job, run: Run, base: Path, inputs: dict[str, str]) -> Outcome:
    """Train one run, from its start or from where it was interrupted."""
    from mlx_tutor.training.checkpoint import read_checkpoint
    from mlx_tutor.training.plan import read_estimate
    from mlx_tutor.training.train import train_adapter

    course, recipe = job.course, job.recipe
    checkpoint = read_checkpoint(run)
    if checkpoint is None:
        job.screen.say(f"training {run.name} on {recipe.model.base}")
    else:
        done, total = checkpoint.state["progress"]["iteration"], checkpoint.state["iterations"]
        job.screen.say(f"resuming {run.name} at step {done} of {total}")
    given = job.options.hosts
    with job.screen.watch_training(run.name) as on_event:

        def pass_on(metric: "Metric") -> None:
            on_event(metric)
            if "note" in metric:
                job.screen.warn(f"{metric['note'][0].upper()}{metric['note'][1:]}.")

        rows = read_both(job)
        if given is None:
            estimate = read_estimate(course, inputs)
            result = asdict(train_adapter(run, course.name, base, recipe, *rows, inputs, pass_on, estimate=estimate))
        else:
            result = train_ranks(job, run, inputs, given, pass_on)
    cost = {name: result[name] for name in ("seconds", "peak_memory_gb")}
    return Outcome("train", describe_training(result), result, **cost)


def train_ranks(
    job: Job, run: Run, inputs: dict[str, str], given: str, on_event: "Callable[[Metric], None]"
) -> dict[str, Any]:
    """Train one run with a rank on each host of --hosts.

    Raises:
        TrainingError: a rank died; it says how to go on.
    """
    from mlx_tutor.training.launch import RankLostError, train_on_hosts

    try:
        return train_on_hosts(run, job.course, job.recipe, job.options.overrides, inputs, given, on_event)
    except RankLostError as err:
        raise TrainingError(f"{err} Go on: {name_resume(job, 'train', run)}") from err


def read_both(job: Job) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of train and valid, as the model is to learn them."""
    from mlx_tutor.dataset.contexts import read_training_rows

    return read_training_rows(job.course, job.recipe)


def hint_resume(job: Job, command: str, run: Run) -> str:
    """What to type to continue an interrupted training, or to use what it learned."""
    hint = f"Interrupted, and saved. Go on: {name_resume(job, command, run)}"
    if run.read()["result"]["best_iteration"]:
        hint += f"\nOr use what it learned so far: mlx-tutor fuse -c {job.course.name} --run {run.name}"
    return adapt_hints(hint)


def name_resume(job: Job, command: str, run: Run) -> str:
    """The command that continues a training."""
    settings = "".join(f" --set {shlex.quote(item)}" for item in job.options.overrides)
    hosts = f" --hosts {shlex.quote(job.options.hosts)}" if job.options.hosts is not None else ""
    return f"mlx-tutor {command} -c {job.course.name} --run {run.name}{settings}{hosts}"


def hint_build(course: Course) -> str:
    """What to type when rows are missing or stale."""
    from mlx_tutor.extract.extract import is_extract_current

    first = "" if is_extract_current(course) else f"mlx-tutor extract -c {course.name}, then: "
    return f"Run: {first}mlx-tutor build -c {course.name}"


def pick_run(job: Job, inputs: dict[str, str], *, sweep: bool = False) -> tuple[Run, bool]:
    """The run to train, and whether it is trained on exactly these inputs already."""
    from mlx_tutor.training.checkpoint import list_interrupted
    from mlx_tutor.training.train import is_run_current, is_run_resumable

    if job.options.run is None:
        for run in reversed(list_runs(job.course)):
            if is_run_current(run, inputs):
                return run, True
        for run, state in list_interrupted(job.course):
            if state["inputs"] == inputs:
                return run, False
        return name_new_run(job.course, sweep=sweep), False
    run = Run(job.course.workspace, check_name(job.options.run))
    current = is_run_current(run, inputs)
    if run.is_complete and not current and not is_run_resumable(run, job.course.name, inputs):
        raise TrainingError(
            f"Run {run.name!r} exists, and was trained on other rows or settings or not to its end. "
            "Give --run another name, or leave it out."
        )
    return run, current


def describe_training(result: Mapping[str, Any]) -> str:
    """Loss before and after, and where the best adapter comes from."""
    text = f"{result['run']}: validation loss {result['base_loss']:.3f} to {result['best_loss']:.3f}"
    # Older runs have been validated on all rows.
    text += f" on {describe_share(result['valid_rows'], result.get('valid_total', result['valid_rows']))}"
    where = f"iteration {result['best_iteration']} of {result['iterations']}"
    # Older runs have no note.
    note = f": {result['note']}" if result.get("note") else ""
    return f"{text} ({where}, {result['stopped']}{note}); trained {describe_trained(result)}"


def describe_trained(result: Mapping[str, Any]) -> str:
    """How many parameters a run trained, and their share."""
    return describe_parameters(result["trained_parameters"], result["parameters"])


def find_base(job: Job, run: Run) -> Path:
    """The model that a run was trained on; `--set model.base=` names another path.

    Raises:
        ModelError: not on this machine, or another model than the run's.
        RecipeError: trained with another `model.thinking`.
    """
    from mlx_tutor.models import hash_model, resolve_model

    check_thinking(job, run)
    record = run.read()
    overridden = any(item.partition("=")[0].strip() == "model.base" for item in job.options.overrides)
    base = resolve_model(job.recipe.model.base if overridden else record["base"])
    if hash_model(base) != record["inputs"]["base"]:
        raise ModelError(
            f"The adapter of run {run.name!r} was trained on another model than {base}. "
            f"Use {record['base']} as it was, or train again: mlx-tutor train -c {job.course.name}"
        )
    return base


def note_starter(job: Job, *models: Path) -> None:
    """Say what the starter is, when it is among the models that answer."""
    from mlx_tutor.models import SMOLLM2, is_starter

    if any(map(is_starter, models)):
        hint = f"Train on a real model: --set model.base={SMOLLM2}"
        job.screen.say(adapt_hints(f"The starter is a model for tests, and what it answers is nonsense. {hint}"))


def check_thinking(job: Job, run: Run) -> None:
    """Check that a run is used with the `model.thinking` it was trained with; raises RecipeError when not."""
    trained = run.read().get("recipe", {}).get("model", {}).get("thinking", False)
    if trained != job.recipe.model.thinking:
        now, then = (str(value).lower() for value in (not trained, trained))
        raise RecipeError(
            f"model.thinking = {now}, but run {run.name!r} was trained with {then}. "
            f"Use it with --set model.thinking={then}, or train again: mlx-tutor train -c {job.course.name}"
        )


def warn_stale_fuse(job: Job, run: Run) -> None:
    """Warn when the adapter of a run changed since it was fused."""
    from mlx_tutor.fuse.fuse import hash_inputs, read_fuse

    record = read_fuse(run)
    if record is not None and record["inputs"]["adapter"] != hash_inputs(run, job.recipe)["adapter"]:
        hint = f"The fused model is stale, its adapter changed. Renew it: mlx-tutor fuse --run {run.name}"
        job.screen.warn(adapt_hints(hint))


def run_fuse(job: Job, run: Run) -> Outcome:
    """Adapter -> fused model, checked against the adapter."""
    from mlx_tutor.fuse.card import write_generation
    from mlx_tutor.fuse.fuse import fuse_run, is_fuse_current, read_fuse

    record = read_fuse(run)
    if record is not None and is_fuse_current(run, job.recipe):
        # The weights do not depend on these settings.
        write_generation(run.fused, job.recipe.generate)
        result = record["result"]
        return finish(job, Outcome("fuse", describe_fuse(result), result, up_to_date=True))
    base = find_base(job, run)
    with job.screen.follow(f"fusing {run.name}") as on_progress:
        rows = read_both(job)
        report = fuse_run(run, base, job.recipe, *rows, lambda text: job.screen.say(f"  {text}"), on_progress)
    job.screen.explain(report.summary())
    if not report.meets_target:
        settings = job.recipe.fuse
        hint = f"The fused model is below the targets (fuse.target {settings.target:g}, fuse.top1 {settings.top1:g})."
        job.screen.warn(adapt_hints(f"{hint} Try: mlx-tutor fuse --run {run.name} --dequantize"))
    result = asdict(report)
    outcome = Outcome(
        "fuse", describe_fuse(result), result, seconds=report.seconds, peak_memory_gb=report.peak_memory_gb
    )
    return finish(job, outcome)


def describe_fuse(result: Mapping[str, Any]) -> str:
    """Bits, what they keep, and size."""
    bits = describe_bits(result["bits"])
    return (
        f"{result['run']}: {bits}, retention {describe_retention(result['retention'])}, "
        f"same top token {100 * result['top1']:.1f} %, "
        f"{result['megabytes_base']:.1f} MB to {result['megabytes']:.1f} MB"
    )


def describe_retention(retention: float | None) -> str:
    """The share as the user reads it; without a gain there is none to keep."""
    return "not measurable (no gain to keep)" if retention is None else f"{100 * retention:.1f} %"


def run_evaluate(job: Job, run: Run) -> Outcome:
    """Losses of base, adapter and fused on the test split, or on validation where there is no test."""
    from mlx_tutor.dataset.build import read_measured_rows
    from mlx_tutor.evaluation.evaluate import evaluate_run, is_evaluation_current

    base = find_base(job, run)
    rows, split = read_measured_rows(job.course, thinking=job.recipe.model.thinking)
    if is_evaluation_current(run, base, job.recipe, rows):
        result = read_json(run.adapter / "evaluation.json")["result"]
        return finish(job, Outcome("evaluate", describe_evaluation(result), result, up_to_date=True))
    with job.screen.follow(f"evaluating {run.name}") as on_progress:
        report = evaluate_run(
            run, base, job.recipe, rows, lambda text: job.screen.say(f"  {text}"), on_progress, split=split
        )
    result = asdict(report)
    outcome = Outcome(
        "evaluate", describe_evaluation(result), result, seconds=report.seconds, peak_memory_gb=report.peak_memory_gb
    )
    return finish(job, outcome)


def describe_evaluation(result: Mapping[str, Any]) -> str:
    """Test losses in one line, and what the fused model keeps there."""
    losses = ", ".join(f"{model['label']} {model['loss']:.3f}" for model in result["models"])
    # Older records have no retention.
    kept = "" if result.get("retention") is None else f", fused keeps {describe_retention(result['retention'])}"
    share = describe_share(result["rows"], result.get("total_rows", result["rows"]))
    split = "test" if result.get("split", "test") == "test" else "without test rows, validation"
    return f"{result['run']}: {split} loss {losses} ({share}{kept})"
