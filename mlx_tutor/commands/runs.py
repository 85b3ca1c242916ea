"""Command: list the trained runs, show one, or compare several."""

import json
from collections.abc import Sequence
from typing import Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.files import read_json
from mlx_tutor.records import describe_bits, describe_parameters
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Run, find_run, list_runs

LONGEST_VALUE = 32
# Of run.json, what --json repeats.
SHOWN = ("iterations", "best_iteration", "base_loss", "best_loss", "train_loss", "stopped", "seconds", "peak_memory_gb",
         "trained_parameters", "parameters", "train_rows", "valid_rows")  # fmt: skip


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--markdown", is_flag=True, help="Print the comparison of several runs as a Markdown table.")
@common_options("course", "json")
def command(options: Options, names: tuple[str, ...], markdown: bool) -> None:
    """List the runs of a course, or compare some of them.

    Newest last; those of sweeps come first. With one NAME, show that run and its loss curve; with several, compare
    them and the settings in which they differ.

    Reads adapters/*/run.json, metrics.jsonl and fused_models/*/fuse.json, writes nothing.

    Example: mlx-tutor runs statistics statistics-2
    """
    job = open_job(options)
    runs = [find_run(job.course, name) for name in names]
    if markdown and len(runs) < 2:
        raise click.UsageError("--markdown needs several runs to compare: mlx-tutor runs NAME NAME --markdown")
    if len(runs) == 1:
        show_run(job, runs[0])
    elif runs:
        compare_runs(job, runs, markdown=markdown)
    else:
        list_all(job)


def list_all(job: Job) -> None:
    """Every finished run, and those that were interrupted."""
    from mlx_tutor.training.checkpoint import list_interrupted

    runs = list_runs(job.course)
    entries = [describe_run(run) for run in runs]
    if job.options.json:
        job.screen.give_json(entries)
        return
    open_runs = [(run, state) for run, state in list_interrupted(job.course)]
    if not entries and not open_runs:
        hint = f"Course {job.course.name!r} has no finished run. Train one with: mlx-tutor train -c {job.course.name}"
        job.screen.show(adapt_hints(hint))
        return
    differences = find_differences(runs)
    headings = ["run", "validation loss", "ended", "fused"]
    # The settings, with the base, replace columns that `runs NAME` shows as well.
    headings += ["settings that differ"] if differences else ["base", "finished (UTC)"]
    rows = []
    for i, entry in enumerate(entries):
        loss = f"{entry['base_loss']:.3f} to {entry['best_loss']:.3f}"
        settings = ", ".join(f"{name.partition('.')[2]} {values[i]}" for name, values in differences.items())
        rest = [settings] if differences else [entry["base"], entry["finished"][:16].replace("T", " ")]
        rows.append([entry["run"], loss, entry["stopped"], write_bits(entry["fused"]), *rest])
    if rows:
        job.screen.show(Table(headings, rows, title=f"Runs of {job.course.name}"))
    for run, state in open_runs:
        done = f"{state['progress']['iteration']} of {state['iterations']}"
        hint = f"{run.name} was interrupted at step {done}; the same mlx-tutor train command goes on with it."
        job.screen.show(adapt_hints(hint))


def find_differences(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The settings that are not alike in all runs, as `train.rank`, each with its value in each run."""
    from mlx_tutor.training.train import SIDE_SETTINGS

    recipes = [
        {
            f"{section}.{key}": value
            for section, table in run.read()["recipe"].items()
            if section not in ("sweep", "rate")
            for key, value in table.items()
            if key not in SIDE_SETTINGS
        }
        for run in runs
    ]
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    # Runs of an older version may lack a setting.
    found = {name: [write_setting(recipe.get(name)) for recipe in recipes] for name in names}
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def write_setting(value: Any) -> str:
    """A value of a recipe, short enough for a table."""
    text = "-" if value is None else f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def compare_runs(job: Job, runs: Sequence[Run], *, markdown: bool = False) -> None:
    """Several runs side by side: what differs in their recipes, and what they came to."""
    from mlx_tutor.display import describe_bytes, describe_seconds

    entries, differences = [describe_run(run) for run in runs], find_differences(runs)
    if job.options.json:
        job.screen.give_json({"runs": entries, "differences": differences})
        return
    results = [run.read()["result"] for run in runs]
    rows = [
        *([name, *values] for name, values in differences.items()),
        ["training loss", *("-" if entry["train_loss"] is None else f"{entry['train_loss']:.3f}" for entry in entries)],
        ["validation loss", *(f"{entry['base_loss']:.3f} to {entry['best_loss']:.3f}" for entry in entries)],
        ["best at step", *(f"{entry['best_iteration']} of {entry['iterations']}" for entry in entries)],
        ["ended", *(entry["stopped"] for entry in entries)],
        ["time", *(describe_seconds(result["seconds"]) for result in results)],
        ["peak memory", *(describe_bytes(1e9 * result["peak_memory_gb"]) for result in results)],
        ["trained", *(describe_parameters(r["trained_parameters"], r["parameters"]) for r in results)],
        ["rows", *(str(result["train_rows"]) for result in results)],
        ["fused", *(write_bits(entry["fused"]) for entry in entries)],
    ]
    headings = ["", *(run.name for run in runs)]
    if markdown:
        job.screen.give_text(Table(headings, rows).to_markdown())
        return
    job.screen.show(Table(headings, rows))
    if not differences:
        job.screen.show("Their settings are the same; the rows or the base may differ.")


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
        ("trained", describe_parameters(result["trained_parameters"], result["parameters"])),
        # Older runs do not say.
        ("precision", f"{result['dtype']}, loss {result['loss']}" if "dtype" in result else "-"),
        ("settings", write_settings("batch_size", "learning_rate", "grad_accumulation_steps")),
        ("rows", f"{result['train_rows']} train, {result['valid_rows']} valid"),
        ("training", f"{entry['iterations']} iterations, {describe_seconds(result['seconds'])}, {entry['stopped']}"),
        ("remark", result.get("note") or "-"),
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
        **{key: result[key] for key in SHOWN},
        "fused": fused and {key: fused[key] for key in ("bits", "retention", "megabytes")},
    }


def write_bits(fused: dict[str, Any] | None) -> str:
    """`6-bit`, `full precision`, or a dash before the first fuse."""
    if fused is None:
        return "-"
    return describe_bits(fused["bits"])
