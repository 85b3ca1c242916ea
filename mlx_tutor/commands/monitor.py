"""Command: what the local server counted."""

from dataclasses import replace

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job


@click.command()
@click.option("--days", type=click.IntRange(1), metavar="N", help="Only the last N days.")
@click.option("--questions", is_flag=True, help="List the questions that were kept.")
@common_options("course", "overrides", "json")
def command(options: Options, days: int | None, questions: bool) -> None:
    """Show what mlx-tutor serve counted.

    Questions, time to the first token, speed, answers that the course does not support, thumbs, errors and memory;
    and what live comparisons of two runs (serve --ab) say, always of all time.
    Questions themselves are kept only with serve.log_questions = true, and without names. A running server shows the
    same on its page and, in Prometheus's form and to this machine alone, at /metrics.

    Reads corpora/COURSE/journal.sqlite.

    Example: mlx-tutor monitor --days 7
    """
    from mlx_tutor.errors import ServeError
    from mlx_tutor.journal import find_journal
    from mlx_tutor.study.monitor.counts import read_counts, read_questions, tabulate_counts, tabulate_questions
    from mlx_tutor.study.monitor.trial import describe_trial, read_trials, tabulate_trial

    job = open_job(options)
    if not find_journal(job.course).is_file():
        raise ServeError(f"Nothing is counted yet. Begin with: mlx-tutor serve -c {job.course.name}")
    found, trials = read_counts(job.course, days), read_trials(job.course)
    kept = read_questions(job.course, days) if questions else []
    if options.json:
        job.screen.give_json(found | {"trials": trials} | ({"log": kept} if questions else {}))
        return
    title = f"{job.course.name}, {f'the last {days} days' if days else 'all that was counted'}"
    job.screen.show(replace(tabulate_counts(found), title=title))
    for trial in trials:
        job.screen.show(tabulate_trial(trial), *describe_trial(trial), "")
    if questions and kept:
        job.screen.show(tabulate_questions(kept))
    elif questions:
        job.screen.show("No question was kept. To keep them, set log_questions = true below [serve] in the recipe.")
