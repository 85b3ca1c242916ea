"""The stages of the straight line as commands see them: is it up to date? Run it, and say what came out.

The single commands and `run` both go through here. Nothing heavy is imported before a stage has to work.
"""

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlx_tutor.commands.options import Job, adapt_hints
from mlx_tutor.errors import DatasetError, ModelError, TrainingError
from mlx_tutor.files import hash_file, hash_value, read_json
from mlx_tutor.workspace import Course, Run, check_name, list_runs, name_new_run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage came to. `result` is its report as JSON; `summary` one line of it."""

    stage: str
    summary: str
    result: Mapping[str, Any]
    up_to_date: bool = False
    seconds: float = 0.0
    peak_memory_gb: float = 0.0
    failures: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "up_to_date": self.up_to_date,
            "seconds": round(self.seconds, 3),
            "peak_memory_gb": round(self.peak_memory_gb, 3),
            "failures": list(self.failures),
            "result": dict(self.result),
        }


def measure_memory() -> float:
    """Peak resident memory so far in GB, of this process or its largest finished child."""
    unit = 1 if sys.platform == "darwin" else 1024
    return (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * unit / 1e9
    )


def finish(job: Job, outcome: Outcome) -> Outcome:
    """Tell the user how a stage ended."""
    took = "" if outcome.up_to_date else f"  ({describe_cost(outcome)})"
    state = "up to date: " if outcome.up_to_date else ""
    job.screen.say(f"{outcome.stage:<9} {state}{outcome.summary}{took}")
    if outcome.failures and not outcome.up_to_date:
        warn_failures(job, outcome.failures)
    return outcome


def warn_failures(job: Job, failures: Sequence[str]) -> None:
    """The course files that are not in the course, with the reasons."""
    lines = "\n  ".join(failures)
    job.screen.warn(f"course files that could not be read and are left out: {len(failures)}\n  {lines}")


def describe_cost(outcome: Outcome) -> str:
    """Seconds and peak memory of a stage."""
    from mlx_tutor.display import describe_bytes, describe_seconds

    return f"{describe_seconds(outcome.seconds)}, {describe_bytes(1e9 * outcome.peak_memory_gb)}"


def run_extract(job: Job) -> Outcome:
    """sources -> documents.jsonl.

    Raises:
        CorpusError: no file that could be read.
    """
    from mlx_tutor.extract.extract import extract_course

    begun = time.perf_counter()
    with job.screen.count_files("extract") as on_file:
        report = extract_course(job.course, on_file)
    summary = f"{report.documents} documents, {report.words:,} words"
    if report.failures:
        summary += f", {len(report.failures)} unreadable"
    if report.skipped:
        summary += f", {len(report.skipped)} of other kinds passed over"
        job.screen.explain(f"passed over: {', '.join(report.skipped)}")
    return finish(
        job,
        Outcome(
            "extract",
            summary,
            asdict(report),
            up_to_date=report.is_current,
            seconds=time.perf_counter() - begun,
            peak_memory_gb=measure_memory(),
            failures=tuple(f"{failure.source}: {failure.reason}" for failure in report.failures),
        ),
    )


def run_build(job: Job) -> Outcome:
    """documents.jsonl -> train, valid and test rows.

    Raises:
        CorpusError: not extracted yet.
        DatasetError: too little to make rows of.
    """
    from mlx_tutor.dataset.build import build_dataset, is_dataset_current
    from mlx_tutor.extract.extract import find_changes, read_documents
    from mlx_tutor.models import hash_tokenizer, load_tokenizer, render_tokens, resolve_model

    course = job.course
    base = resolve_model(job.recipe.model.base)
    fingerprint = hash_tokenizer(base)
    if is_dataset_current(course, job.recipe, fingerprint):
        result = read_build(course)
        return finish(job, Outcome("build", describe_build(result), result, up_to_date=True))
    read_documents(course)
    if changed := find_changes(course):
        job.screen.warn(
            adapt_hints(
                f"{', '.join(changed)} changed since the last mlx-tutor extract -c {course.name}; not used here."
            )
        )
    begun = time.perf_counter()
    with job.screen.wait("building rows"):
        tokenizer = load_tokenizer(base)
        report = build_dataset(
            course, job.recipe, lambda messages: len(render_tokens(tokenizer, messages)[0]), fingerprint
        )
    if report.kept_edited:
        job.screen.warn(f"Rows that were edited by hand are kept in {report.kept_edited}.")
    seconds, memory = time.perf_counter() - begun, measure_memory()
    result = asdict(report)
    return finish(job, Outcome("build", describe_build(result), result, seconds=seconds, peak_memory_gb=memory))


def read_build(course: Course) -> dict[str, Any]:
    """What the manifest says of the rows; rows that came from elsewhere have none, and are counted."""
    from mlx_tutor.dataset.build import read_rows

    path = course.dataset / "manifest.json"
    if not path.is_file():
        return {"splits": {split: len(read_rows(course, split)) for split in ("train", "valid", "test")}, "dropped": {}}
    result: dict[str, Any] = read_json(path)["rows"]
    return result


def describe_build(result: Mapping[str, Any]) -> str:
    """`212 rows (170 train, 21 valid, 21 test), 4 dropped`."""
    splits, dropped = result["splits"], sum(result["dropped"].values())
    text = f"{sum(splits.values())} rows ({', '.join(f'{count} {split}' for split, count in splits.items())})"
    return f"{text}, {dropped} dropped" if dropped else text


def run_train(job: Job) -> tuple[Outcome, Run]:
    """Rows -> adapter, of a new run unless one was trained on exactly these inputs.

    Raises:
        DatasetError: rows that are missing, stale or too few; before a model is loaded.
        TrainingError: `--run` names a run that was trained on something else.
    """
    from mlx_tutor.dataset.build import check_dataset, explain_stale, find_edited_rows, read_rows
    from mlx_tutor.models import hash_tokenizer, resolve_model
    from mlx_tutor.training.curve import plot_curve, read_metrics
    from mlx_tutor.training.train import hash_inputs, train_adapter

    course, recipe = job.course, job.recipe
    base = resolve_model(recipe.model.base)
    if reason := explain_stale(course, recipe, hash_tokenizer(base)):
        raise DatasetError(f"The rows of course {course.name!r} are not up to date: {reason}. {hint_build(course)}")
    check_dataset(course)
    if edited := find_edited_rows(course):
        job.screen.warn(f"{', '.join(edited)} changed after the build; trained on as they are.")
    elif not (course.dataset / "manifest.json").is_file():
        job.screen.warn(f"The rows in {course.dataset} come from elsewhere; trained on as they are.")
    rows_hash = hash_value([hash_file(course.dataset / f"{split}.jsonl") for split in ("train", "valid")])
    inputs = hash_inputs(recipe, base, rows_hash)
    run, current = pick_run(job, inputs)
    if current:
        result = run.read()["result"]
        return finish(job, Outcome("train", describe_training(result), result, up_to_date=True)), run
    job.screen.say(f"training {run.name} on {recipe.model.base}")
    with job.screen.watch_training(run.name) as on_event:
        report = train_adapter(
            run, course.name, base, recipe, read_rows(course, "train"), read_rows(course, "valid"), inputs, on_event
        )
    result = asdict(report)
    outcome = Outcome(
        "train", describe_training(result), result, seconds=report.seconds, peak_memory_gb=report.peak_memory_gb
    )
    finish(job, outcome)
    job.screen.say(plot_curve(read_metrics(run), job.screen.remarks.width))
    return outcome, run


def hint_build(course: Course) -> str:
    """What to type when rows are missing or stale."""
    from mlx_tutor.extract.extract import is_extract_current

    first = "" if is_extract_current(course) else f"mlx-tutor extract -c {course.name}, then: "
    return f"Run: {first}mlx-tutor build -c {course.name}"


def pick_run(job: Job, inputs: dict[str, str]) -> tuple[Run, bool]:
    """The run to train, and whether it is trained on exactly these inputs already."""
    from mlx_tutor.training.train import is_run_current

    if job.options.run is None:
        for run in reversed(list_runs(job.course)):
            if is_run_current(run, inputs):
                return run, True
        return name_new_run(job.course), False
    run = Run(job.course.workspace, check_name(job.options.run))
    current = is_run_current(run, inputs)
    if run.is_complete and not current:
        raise TrainingError(
            f"Run {run.name!r} exists, and was trained on other rows or settings or not to its end. "
            "Give --run another name, or leave it out."
        )
    return run, current


def describe_training(result: Mapping[str, Any]) -> str:
    """Loss before and after, and where the best adapter comes from."""
    text = f"{result['run']}: validation loss {result['base_loss']:.3f} to {result['best_loss']:.3f}"
    where = f"iteration {result['best_iteration']} of {result['iterations']}"
    return f"{text} ({where}, {result['stopped']})"


def find_base(job: Job, run: Run) -> Path:
    """The model that a run was trained on; `--set model.base=` may say where else it lies.

    Raises:
        ModelError: not on this machine, or another model than the run's.
    """
    from mlx_tutor.models import hash_model, resolve_model

    record = run.read()
    overridden = any(item.partition("=")[0].strip() == "model.base" for item in job.options.overrides)
    base = resolve_model(job.recipe.model.base if overridden else record["base"])
    if hash_model(base) != record["inputs"]["base"]:
        raise ModelError(
            f"The adapter of run {run.name!r} was trained on another model than {base}. "
            f"Use {record['base']} as it was, or train again: mlx-tutor train -c {job.course.name}"
        )
    return base


def run_fuse(job: Job, run: Run) -> Outcome:
    """Adapter -> fused model, checked against the adapter."""
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.fuse import fuse_run, is_fuse_current, read_fuse

    record = read_fuse(run)
    if record is not None and is_fuse_current(run, job.recipe):
        result = record["result"]
        return finish(job, Outcome("fuse", describe_fuse(result), result, up_to_date=True))
    base = find_base(job, run)
    with job.screen.wait(f"fusing {run.name}") as on_event:
        report = fuse_run(
            run, base, job.recipe, read_rows(job.course, "train"), read_rows(job.course, "valid"), on_event
        )
    job.screen.explain(report.summary())
    if not report.meets_target:
        hint = f"The fused model is below the target of {job.recipe.fuse.target:g}."
        job.screen.warn(adapt_hints(f"{hint} Try: mlx-tutor fuse --run {run.name} --dequantize"))
    result = asdict(report)
    outcome = Outcome(
        "fuse", describe_fuse(result), result, seconds=report.seconds, peak_memory_gb=report.peak_memory_gb
    )
    return finish(job, outcome)


def describe_fuse(result: Mapping[str, Any]) -> str:
    """Bits, what they keep, and size."""
    bits = "full precision" if result["bits"] is None else f"{result['bits']}-bit"
    return (
        f"{result['run']}: {bits}, retention {describe_retention(result['retention'])}, "
        f"{result['megabytes_base']:.1f} MB to {result['megabytes']:.1f} MB"
    )


def describe_retention(retention: float | None) -> str:
    """The share as the user reads it; without a gain there is none to keep."""
    return "not measurable (no gain to keep)" if retention is None else f"{100 * retention:.1f} %"


def run_evaluate(job: Job, run: Run) -> Outcome:
    """Losses of base, adapter and fused on the test split."""
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.evaluation.evaluate import evaluate_run, is_evaluation_current

    rows = read_rows(job.course, "test")
    if is_evaluation_current(run, rows):
        result = read_json(run.adapter / "evaluation.json")["result"]
        return finish(job, Outcome("evaluate", describe_evaluation(result), result, up_to_date=True))
    base = find_base(job, run)
    with job.screen.wait(f"evaluating {run.name}") as on_event:
        report = evaluate_run(run, base, job.recipe, rows, on_event)
    result = asdict(report)
    outcome = Outcome(
        "evaluate", describe_evaluation(result), result, seconds=report.seconds, peak_memory_gb=report.peak_memory_gb
    )
    return finish(job, outcome)


def describe_evaluation(result: Mapping[str, Any]) -> str:
    """Test losses in one line."""
    losses = ", ".join(f"{model['label']} {model['loss']:.3f}" for model in result["models"])
    return f"{result['run']}: test loss {losses} ({result['rows']} rows)"
