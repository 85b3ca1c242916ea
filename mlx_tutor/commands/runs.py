"""Command: list what was trained."""

from typing import Any

import click

from mlx_tutor.commands.options import Options, adapt_hints, common_options, open_job
from mlx_tutor.files import read_json
from mlx_tutor.workspace import Run, list_runs


@click.command()
@common_options("course", "json")
def command(options: Options) -> None:
    """List the finished runs of a course, newest last.

    Reads adapters/*/run.json and fused_models/*/fuse.json, writes nothing.

    Example: mlx-tutor runs --json
    """
    from mlx_tutor.display import draw_rows

    job = open_job(options)
    entries = [describe_run(run) for run in list_runs(job.course)]
    if options.json:
        job.screen.give_json(entries)
        return
    if not entries:
        hint = f"Course {job.course.name!r} has no finished run. Train one with: mlx-tutor train -c {job.course.name}"
        job.screen.show(adapt_hints(hint))
        return
    rows = [
        (
            entry["run"],
            entry["base"],
            f"{entry['base_loss']:.3f} to {entry['best_loss']:.3f}",
            entry["stopped"],
            write_bits(entry["fused"]),
            entry["finished"][:16].replace("T", " "),
        )
        for entry in entries
    ]
    headings = ("run", "base", "validation loss", "ended", "fused", "finished (UTC)")
    job.screen.show(draw_rows(headings, rows, title=f"Runs of {job.course.name}"))


def describe_run(run: Run) -> dict[str, Any]:
    """One entry of the list."""
    record = run.read()
    result = record["result"]
    fused = read_json(run.fused / "fuse.json")["result"] if run.is_fused else None
    return {
        "run": run.name,
        "base": record["base"],
        "finished": record["finished"],
        **{key: result[key] for key in ("iterations", "best_iteration", "base_loss", "best_loss", "stopped")},
        "fused": fused and {key: fused[key] for key in ("bits", "retention", "megabytes")},
    }


def write_bits(fused: dict[str, Any] | None) -> str:
    """`6-bit`, `full precision`, or a dash before the first fuse."""
    if fused is None:
        return "-"
    return "full precision" if fused["bits"] is None else f"{fused['bits']}-bit"
