"""Command: list what was trained, or show one training."""

from typing import Any

import click

from mlx_tutor.commands.options import Job, Options, adapt_hints, common_options, open_job
from mlx_tutor.files import read_json
from mlx_tutor.workspace import Run, find_run, list_runs


@click.command()
@click.argument("name", required=False)
@common_options("course", "json")
def command(options: Options, name: str | None) -> None:
    """List the finished runs of a course, newest last.

    With NAME, show that run and its loss curve.

    Reads adapters/*/run.json, metrics.jsonl and fused_models/*/fuse.json, writes nothing.

    Example: mlx-tutor runs statistics-2
    """
    from mlx_tutor.display import draw_rows

    job = open_job(options)
    if name is not None:
        show_run(job, find_run(job.course, name))
        return
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


def show_run(job: Job, run: Run) -> None:
    """What one run came to, the settings it was trained with, and its curve."""
    from mlx_tutor.display import describe_seconds, draw_facts
    from mlx_tutor.training.curve import plot_curve, read_metrics

    record, entry, metrics = run.read(), describe_run(run), read_metrics(run)
    if job.options.json:
        job.screen.give_json({**entry, "settings": record["recipe"]["train"], "metrics": metrics})
        return
    result, settings = record["result"], record["recipe"]["train"]

    def write_settings(*keys: str) -> str:
        return ", ".join(f"{key} {settings[key]:g}" for key in keys)

    facts = [
        ("run", run.name),
        ("base", entry["base"]),
        ("adapter", f"{settings['fine_tune_type']}, {write_settings('rank', 'scale', 'num_layers')}"),
        ("settings", write_settings("batch_size", "learning_rate", "grad_accumulation_steps")),
        ("rows", f"{result['train_rows']} train, {result['valid_rows']} valid"),
        ("training", f"{entry['iterations']} iterations, {describe_seconds(result['seconds'])}, {entry['stopped']}"),
        ("fused", write_bits(entry["fused"])),
        ("finished", f"{entry['finished'][:16].replace('T', ' ')} UTC"),
        ("folder", str(run.adapter)),
    ]
    job.screen.show(draw_facts(facts), "", plot_curve(metrics, job.screen.results.width))


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
