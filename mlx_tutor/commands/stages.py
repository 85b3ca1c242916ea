"""The stages of the straight line as commands see them: is it up to date? Run it, and say what came out.

The single commands and `run` both go through here. Nothing heavy is imported before a stage has to work.
"""

import resource
import shlex
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


def describe_pages(numbers: Sequence[int]) -> str:
    """`page 3`, or `pages 1-2, 5`."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    parts = [str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)]
    return f"page{'s' if len(numbers) > 1 else ''} {', '.join(parts)}"


def run_extract(job: Job) -> Outcome:
    """sources -> documents.jsonl.

    Raises:
        CorpusError: no file that could be read.
    """
    from mlx_tutor.dataset.gather import has_tables
    from mlx_tutor.extract.extract import extract_course

    begun = time.perf_counter()
    with job.screen.count_files("extract") as on_file:
        report = extract_course(job.course, on_file, job.recipe.extract.ocr, may_be_empty=has_tables(job.recipe))
    summary = f"{report.documents} documents, {report.words:,} words"
    if report.failures:
        summary += f", {len(report.failures)} unreadable"
    for scan in report.scans:
        if scan.unread:
            hint = adapt_hints(f"Read them with: mlx-tutor extract -c {job.course.name} --ocr")
            hint = "Tesseract finds none either." if job.recipe.extract.ocr else hint
            job.screen.warn(f"{scan.source}: {describe_pages(scan.unread)} scanned, without text. {hint}")
        if scan.read:
            job.screen.explain(f"{scan.source}: read {describe_pages(scan.read)} by OCR")
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


def run_build(job: Job, from_ratings: bool | None = None, fill_gaps: bool | None = None) -> Outcome:
    """documents.jsonl -> train, valid and test rows.

    `from_ratings` adds answers that raters found good; `fill_gaps` makes further rows, by the teacher of the recipe or
    without, for thin sections only. None: as the rows that are there were built.

    Raises:
        CorpusError: not extracted yet.
        DatasetError: too little to make rows of.
    """
    from mlx_tutor.commands.teacher import find_thin, lacks_replies, list_asked, teach_course
    from mlx_tutor.dataset.build import build_dataset, is_dataset_current, read_ratings
    from mlx_tutor.dataset.gather import has_tables
    from mlx_tutor.extract.extract import extract_course, find_changes, list_sources, read_documents
    from mlx_tutor.models import hash_tokenizer, load_tokenizer, render_tokens, resolve_model

    course = job.course
    base = resolve_model(job.recipe.model.base)
    fingerprint = hash_tokenizer(base)
    had_gaps = (course.dataset / "manifest.json").is_file() and read_build(course).get("gaps") is not None
    fill = had_gaps if fill_gaps is None else fill_gaps
    current = is_dataset_current(course, job.recipe, fingerprint, from_ratings) and fill == had_gaps
    if current and not lacks_replies(result := read_build(course)):
        return finish(job, Outcome("build", describe_build(result), result, up_to_date=True))
    if has_tables(job.recipe) and not list_sources(course)[0]:
        # Nothing to read, and whoever looks for documents finds that there are none.
        extract_course(course, may_be_empty=True)
    read_documents(course)
    if changed := find_changes(course):
        job.screen.warn(
            adapt_hints(
                f"{', '.join(changed)} changed since the last mlx-tutor extract -c {course.name}; not used here."
            )
        )
    begun = time.perf_counter()
    had_rated = read_ratings(course) is not None
    rated = had_rated if from_ratings is None else from_ratings
    if had_rated and not rated:
        job.screen.warn("The rated answers among the rows are left out; --from-ratings adds them again.")
    thin = find_thin(job) if fill else None
    taught = teach_course(job, list_asked(job, thin))
    with job.screen.wait("building rows"):
        tokenizer = load_tokenizer(base)
        report = build_dataset(
            course,
            job.recipe,
            lambda messages: len(render_tokens(tokenizer, messages)[0]),
            fingerprint,
            taught,
            rated,
            thin,
        )
    if report.gaps:
        gaps, least = report.gaps, job.recipe.dataset.gap_rows
        job.screen.say(f"gaps      {gaps['thin']} sections with fewer than {least} rows, {gaps['left']} after filling")
    job.screen.explain(f"dropped: {', '.join(f'{why} ({count})' for why, count in report.dropped.items()) or 'none'}")
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
    text = f"{text}, {dropped} dropped" if dropped else text
    return f"{text}; {describe_firewall(result['firewall'])}" if result.get("firewall") else text


def describe_firewall(report: Mapping[str, Any]) -> str:
    """`holdout: 12 test rows, 3 rows that repeat it kept out, highest overlap left 31 % (week3.pdf, page 4)`."""
    rows = f"{report['test_rows']} test rows"
    if not report["test_rows"]:
        rows = "no question with its answer in it, so the test is a share of the other rows"
    where = f" ({report['where']})" if report["where"] else ""
    left = f"{100 * report['highest_overlap']:.0f} %{where}"
    return f"holdout: {rows}, {report['dropped']} rows that repeat it kept out, highest overlap left {left}"


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
    from mlx_tutor.training.train import hash_inputs

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
    return base, hash_inputs(recipe, base, rows_hash)


def train_run(job: Job, run: Run, base: Path, inputs: dict[str, str]) -> Outcome:
    """Train one run, from its start or from where it was interrupted."""
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.training.checkpoint import read_checkpoint
    from mlx_tutor.training.plan import read_promise
    from mlx_tutor.training.train import Metric, train_adapter

    course, recipe = job.course, job.recipe
    checkpoint = read_checkpoint(run)
    if checkpoint is None:
        job.screen.say(f"training {run.name} on {recipe.model.base}")
    else:
        done, total = checkpoint.state["progress"]["iteration"], checkpoint.state["iterations"]
        job.screen.say(f"going on with {run.name} at step {done} of {total}")
    with job.screen.watch_training(run.name) as on_event:

        def pass_on(metric: Metric) -> None:
            on_event(metric)
            if "note" in metric:
                job.screen.warn(f"{metric['note'][0].upper()}{metric['note'][1:]}.")

        rows = read_rows(course, "train"), read_rows(course, "valid")
        report = train_adapter(
            run, course.name, base, recipe, *rows, inputs, pass_on, promise=read_promise(course, inputs)
        )
    result = asdict(report)
    return Outcome(
        "train", describe_training(result), result, seconds=report.seconds, peak_memory_gb=report.peak_memory_gb
    )


def hint_resume(job: Job, command: str, run: Run) -> str:
    """What to type to go on with an interrupted training, or to make do with it."""
    course = f" -c {job.course.name}"
    settings = "".join(f" --set {shlex.quote(item)}" for item in job.options.overrides)
    hint = f"Interrupted, and saved. Go on: mlx-tutor {command}{course} --run {run.name}{settings}"
    if run.read()["result"]["best_iteration"]:
        hint += f"\nOr use what it learned so far: mlx-tutor fuse{course} --run {run.name}"
    return adapt_hints(hint)


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
    where = f"iteration {result['best_iteration']} of {result['iterations']}"
    # Older runs have no note.
    note = f": {result['note']}" if result.get("note") else ""
    return f"{text} ({where}, {result['stopped']}{note})"


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
