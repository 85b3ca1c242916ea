"""Command: read the course files."""

import click

from mlx_tutor.commands.options import Options, common_options, open_job


@click.command()
@common_options("course", "json")
def command(options: Options) -> None:
    """Read the course files into text with pages, cells and headings.

    Reads corpora/COURSE/sources, writes corpora/COURSE/dataset/documents.jsonl. Unchanged files are not read
    again; a file that cannot be read is named with its reason, and the rest goes on.

    Example: mlx-tutor extract -c statistics
    """
    from mlx_tutor.commands.stages import run_extract, warn_failures

    job = open_job(options)
    outcome = run_extract(job)
    if options.json:
        job.screen.give_json(outcome.to_json())
    if outcome.failures:
        if outcome.up_to_date:
            warn_failures(job, outcome.failures)
        click.get_current_context().exit(1)
