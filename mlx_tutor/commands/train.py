"""Command: train an adapter."""

from dataclasses import asdict

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job


@click.command()
@click.option("--plan", is_flag=True, help="Train nothing; try a few steps, and say what the training would take.")
@common_options("course", "run", "overrides", "hosts", "json")
def command(options: Options, plan: bool) -> None:
    """Train an adapter, and keep the best one.

    The best is the one with the lowest loss on the validation rows.

    Reads corpora/COURSE/dataset, writes adapters/RUN with the adapter, run.json, metrics.jsonl and loss.png.
    Other settings or rows make a new run; --run gives it a name. Ctrl-C ends training and keeps the best; the same
    command goes on where it ended, also after a power cut. --plan says beforehand how much memory and time it takes.
    --hosts trains on several machines as on one, each with a share of every batch.

    Example: mlx-tutor train --set train.rank=16 --set train.iters=400
    """
    from mlx_tutor.stages import model as stages

    if plan and options.hosts is not None:
        raise click.UsageError("--plan tries this machine alone; leave out --hosts.")
    job = open_job(options)
    stages.warn_slow(job)
    if plan:
        show_plan(job)
        return
    outcome, run = stages.run_train(job)
    job.screen.say(f"adapter   {run.adapter}")
    if options.json:
        job.screen.give_json(outcome.to_json())
    if outcome.result["stopped"] == "interrupted":
        job.screen.say(stages.hint_resume(job, "train", run))
        click.get_current_context().exit(130)


def show_plan(job: Job) -> None:
    """Memory, time and passes of a training, and settings that fit where it does not."""
    from mlx_tutor.stages.model import prepare_training, read_both
    from mlx_tutor.training.plan import hint_fitting, plan_training, write_plan

    base, inputs = prepare_training(job)
    with job.screen.wait("trying the longest rows") as on_event:
        plan = plan_training(base, job.recipe, *read_both(job), on_event)
    write_plan(job.course, inputs, plan)
    if job.options.json:
        job.screen.give_json(asdict(plan))
    else:
        job.screen.show(plan.describe())
    if hint := hint_fitting(plan):
        job.screen.warn(adapt_hints(hint))
