"""Command: read the course files."""

from dataclasses import replace

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.settings import ExtractSettings
from mlx_tutor.stages.job import Options, open_job


@click.command()
@common_options("course", "overrides", "json")
@click.option(
    "--ocr", is_flag=True, help="Read scanned pages with tesseract, in the languages of extract.ocr or English."
)
def command(options: Options, ocr: bool) -> None:
    """Read the course files into text with pages, cells and headings.

    Reads corpora/COURSE/sources, writes corpora/COURSE/dataset/documents.jsonl. Unchanged files are not read
    again; a file that cannot be read is named with its reason, and the rest goes on. Scanned pages are named, and
    read with --ocr where tesseract is installed.

    Example: mlx-tutor extract -c statistics
    """
    from mlx_tutor.stages.data import run_extract
    from mlx_tutor.stages.outcome import warn_failures

    job = open_job(options)
    if ocr and not job.recipe.extract.ocr:
        job = replace(job, recipe=replace(job.recipe, extract=ExtractSettings(ocr="eng")))
    outcome = run_extract(job)
    if options.json:
        job.screen.give_json(outcome.to_json())
    if outcome.failures:
        if outcome.up_to_date:
            warn_failures(job, outcome.failures)
        click.get_current_context().exit(1)
