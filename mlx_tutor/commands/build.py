"""Command: make training rows."""

import click

from mlx_tutor.commands.options import Options, common_options, open_job


@click.command()
@common_options("course", "overrides", "json")
def command(options: Options) -> None:
    """Make training rows from the extracted text.

    Reads corpora/COURSE/dataset/documents.jsonl, writes train.jsonl, valid.jsonl, test.jsonl and manifest.json
    beside it.

    Example: mlx-tutor build --set dataset.seed=1
    """
    from mlx_tutor.commands.stages import run_build

    job = open_job(options)
    outcome = run_build(job)
    if options.json:
        job.screen.give_json(outcome.to_json())
