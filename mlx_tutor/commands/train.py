"""Command: train an adapter."""

import click

from mlx_tutor.commands.options import Options, common_options, open_job


@click.command()
@common_options("course", "run", "overrides", "json")
def command(options: Options) -> None:
    """Train an adapter, and keep the best one.

    The best is the one with the lowest loss on the validation rows.

    Reads corpora/COURSE/dataset, writes adapters/RUN with the adapter, run.json, metrics.jsonl and loss.png.
    Other settings or rows make a new run; --run gives it a name. Ctrl-C ends training and keeps the best.

    Example: mlx-tutor train --set train.rank=16 --set train.iters=400
    """
    from mlx_tutor.commands.stages import run_train

    job = open_job(options)
    outcome, run = run_train(job)
    job.screen.say(f"adapter   {run.adapter}")
    if options.json:
        job.screen.give_json(outcome.to_json())
    if outcome.result["stopped"] == "interrupted":
        click.get_current_context().exit(130)
