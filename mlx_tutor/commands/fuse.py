"""Command: fuse an adapter into its base."""

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job
from mlx_tutor.tables import Table
from mlx_tutor.workspace import find_run


@click.command()
@click.option("--bits", type=click.Choice(["4", "5", "6", "8"]), help="Bits of all fused layers, whatever they keep.")
@click.option("--dequantize", is_flag=True, help="Write full-precision weights.")
@common_options("course", "run", "overrides", "json")
def command(options: Options, bits: str | None, dequantize: bool) -> None:
    """Fuse the adapter into its base, and check what it keeps.

    Reads adapters/RUN and the base, writes fused_models/RUN, a model folder for mlx-lm and LM Studio: the smallest
    that keeps the recipe's fuse.target of the training and fuse.top1 of the top tokens.

    Example: mlx-tutor fuse --bits 8
    """
    from dataclasses import replace

    from mlx_tutor.fuse.card import list_trials
    from mlx_tutor.stages.model import run_fuse

    if bits and dequantize:
        raise click.UsageError("--bits and --dequantize exclude each other.")
    extra = ((f"fuse.bits={bits}",) if bits else ()) + (("fuse.dequantize=true",) if dequantize else ())
    options = replace(options, overrides=(*options.overrides, *extra))
    job = open_job(options)
    run = find_run(job.course, options.run)
    outcome = run_fuse(job, run)
    headings, rows = list_trials(outcome.result)
    # The layers do not fit into a terminal.
    job.screen.show(Table(headings[:-1], [row[:-1] for row in rows], numbers=True))
    job.screen.say(f"model     {run.fused}")
    if options.json:
        job.screen.give_json(outcome.to_json())
