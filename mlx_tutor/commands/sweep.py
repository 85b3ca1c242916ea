"""Command: train with several settings, and compare the runs."""

import gc
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.errors import RecipeError, TrainingError
from mlx_tutor.files import hash_value
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job
from mlx_tutor.tables import Table

if TYPE_CHECKING:
    from mlx_tutor.training.sweep import SweepRow


@click.command()
@common_options("course", "overrides", "json")
def command(options: Options) -> None:
    """Train with several settings, and compare them.

    The recipe's [sweep] says which: a list of values for each setting, and all their combinations or a given list.

    Reads corpora/COURSE/dataset, writes adapters/COURSE-sweep-1, -2 and so on, each a run like any other, and
    the table as sweep.md, sweep.csv and sweep.png into adapters/COURSE-sweep. What is trained already is not trained
    again, so the same command goes on after Ctrl-C.

    Example: mlx-tutor sweep --set 'sweep.rank=[4, 8, 16]' --set 'sweep.learning_rate=[1e-4, 3e-4]'
    """
    from mlx_tutor.training.sweep import mark_best, write_sweep

    job = open_job(options)
    rows, failures, interrupted = train_points(job)
    rows = mark_best(rows)
    folder = write_sweep(job.course, rows, failures)
    if options.json:
        job.screen.give_json([asdict(row) for row in rows])
    elif rows:
        show_table(job, rows)
    job.screen.say(f"table and curves   {folder}")
    best = next((row for row in rows if row.best), None)
    if interrupted:
        again = "".join(f" --set {shlex.quote(item)}" for item in options.overrides)
        job.screen.say(adapt_hints(f"Interrupted, and saved. Go on: mlx-tutor sweep -c {job.course.name}{again}"))
        click.get_current_context().exit(130)
    if best is None:
        raise TrainingError("No setting of the sweep could be trained; the table says why.")
    job.screen.say(adapt_hints(f"Best: {best.setting}. Use it: mlx-tutor fuse -c {job.course.name} --run {best.run}"))


def show_table(job: Job, rows: "Sequence[SweepRow]") -> None:
    """The table, and why trainings failed."""
    from mlx_tutor.training.sweep import write_cells, write_headings

    title = "Answer loss in nats a token, and what it took"
    job.screen.show(Table(write_headings(rows[0]), list(map(write_cells, rows)), numbers=True, title=title))
    for row in rows:
        if row.valid_loss is None:
            job.screen.show(f"{row.setting}: {row.stopped}")


def train_points(job: Job) -> "tuple[list[SweepRow], dict[str, str], bool]":
    """Train what is not trained yet; returns the table, why some failed, and whether the user ended it."""
    import mlx.core as mx

    from mlx_tutor.stages.model import describe_training, pick_run, prepare_training, train_run
    from mlx_tutor.training.monitor import DivergedError
    from mlx_tutor.training.sweep import SweepRow, apply_point, list_points, make_row, read_failures, write_point
    from mlx_tutor.training.train import hash_inputs

    points = list_points(job.recipe)
    base, inputs = prepare_training(job)
    rows, failures = [], read_failures(job.course)
    for number, point in enumerate(points, 1):
        recipe = apply_point(job.recipe, point)
        inputs = hash_inputs(recipe, base, inputs["rows"])
        key, texts = hash_value(inputs), write_point(point)
        setting = SweepRow(texts, "-", "").setting
        run, current = pick_run(job, inputs, sweep=True)
        if key in failures:
            rows.append(SweepRow(texts, "-", failures[key]))
            continue
        if not current:
            job.screen.say(f"{number} of {len(points)}: {setting}")
            try:
                outcome = train_run(replace(job, recipe=recipe), run, base, inputs)
            except (DivergedError, RecipeError) as err:
                failures |= {key: str(err)} if isinstance(err, DivergedError) else {}
                job.screen.warn(f"{setting}: {err}")
                rows.append(SweepRow(texts, "-", str(err)))
                continue
            if outcome.result["stopped"] == "interrupted":
                return rows, failures, True
            job.screen.say(describe_training(outcome.result))
            # The next model needs the memory.
            gc.collect()
            mx.clear_cache()
        rows.append(make_row(point, run))
    return rows, failures, False
