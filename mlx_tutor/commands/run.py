"""Command: run every stage from course files to evaluated model, skipping what is up to date."""

import os
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Job, Options, find_program, open_job
from mlx_tutor.tables import Table

if TYPE_CHECKING:
    from mlx_tutor.stages.outcome import Outcome
    from mlx_tutor.workspace import Run

# Can be typed in any shell, and given to make, without quoting.
PLAIN_QUESTION = re.compile(r"[A-Za-z][A-Za-z0-9 ,.-]{5,70}\?")


@click.command()
@common_options("course", "run", "overrides", "json")
def command(options: Options) -> None:
    """Run the whole line: extract, build, train, fuse, evaluate.

    Reads corpora/COURSE, writes its dataset, adapters/RUN and fused_models/RUN. What is up to date is left as it
    is, and a training that was interrupted goes on.

    Example: mlx-tutor run -c statistics
    """
    from mlx_tutor.stages import model as stages
    from mlx_tutor.stages.data import run_build, run_extract
    from mlx_tutor.stages.outcome import warn_failures

    job = open_job(options)
    stages.warn_slow(job)
    outcomes = [run_extract(job)]
    # Its language is known only now.
    job = replace(job, recipe=open_job(options).recipe)
    outcomes.append(run_build(job))
    trained, run = stages.run_train(job)
    outcomes.append(trained)
    if trained.result["stopped"] == "interrupted":
        job.screen.say(stages.hint_resume(job, "run", run))
        click.get_current_context().exit(130)
    outcomes += [stages.run_fuse(job, run), stages.run_evaluate(job, run)]
    if options.json:
        job.screen.give_json({"run": run.name, "stages": [outcome.to_json() for outcome in outcomes]})
    show_summary(job, run, outcomes)
    if outcomes[0].failures:
        warn_failures(job, outcomes[0].failures)
        click.get_current_context().exit(1)


def show_summary(job: Job, run: "Run", outcomes: "list[Outcome]") -> None:
    """The table at the end, and what to type next."""
    from mlx_tutor.display import describe_bytes, describe_seconds
    from mlx_tutor.records import describe_share
    from mlx_tutor.stages.model import describe_retention, note_starter

    if all(outcome.up_to_date for outcome in outcomes):
        job.screen.show(f"All is up to date: run {run.name}.")
    fused = outcomes[3].result
    losses = [(name, f"{fused[f'loss_{name}']:.3f}") for name in ("base", "adapter", "fused")]
    # Older runs do not say on how many rows.
    share = f", {describe_share(fused['rows'], fused['total_rows'])} of validation" if "rows" in fused else ""
    title = f"Run {run.name}{share}"
    job.screen.show(Table(("model", "answer loss, validation"), losses, numbers=True, title=title))
    job.screen.show(f"Retention of the training in the fused model: {describe_retention(fused['retention'])}")
    costs = [
        (item.stage, "up to date", "")
        if item.up_to_date
        else (item.stage, describe_seconds(item.seconds), describe_bytes(1e9 * item.peak_memory_gb))
        for item in outcomes
    ]
    job.screen.show(Table(("stage", "time", "peak memory"), costs, numbers=True))
    note_starter(job, run.fused)
    job.screen.show(f"Next: {name_next_command(job, run)}")


def name_next_command(job: Job, run: "Run") -> str:
    """What to type next, in the way that this command was typed."""
    from mlx_tutor.dataset.build import read_measured_rows
    from mlx_tutor.workspace import list_courses, list_runs

    question = pick_question(read_measured_rows(job.course)[0])
    course = len(list_courses(job.course.workspace)) > 1
    chosen = list_runs(job.course)[-1] != run
    if os.environ.get("MLX_TUTOR_MAKE"):
        where = f" COURSE={job.course.name}" * course + f" RUN={run.name}" * chosen
        return f'make compare PROMPT="{question}"{where}'
    where = f" -c {job.course.name}" * course + f" --run {run.name}" * chosen
    # This is the one setting that must be the same in training and in use.
    typed = any("model.thinking" in item for item in job.options.overrides)
    thinking = " --set model.thinking=true" * (job.recipe.model.thinking and typed)
    return f"{find_program()} compare{where} --prompt {shlex.quote(question)}{thinking}"


def pick_question(rows: list[dict[str, Any]]) -> str:
    """The shortest question of the test split that needs no quoting."""
    questions = [message["content"] for row in rows for message in row["messages"] if message["role"] == "user"]
    plain = [question for question in questions if PLAIN_QUESTION.fullmatch(question)]
    return min(plain, key=len, default="What is this course about?")
