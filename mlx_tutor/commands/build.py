"""Command: make training rows."""

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Job, Options, open_job


@click.command()
@click.option("--from-ratings", is_flag=True, help="Add answers rated 4 or more, or liked, to the training rows.")
@click.option("--fill-gaps", is_flag=True, help="Make further rows for sections with few rows only.")
@click.option("--from-learned", is_flag=True, help="Make further rows for facts that the trained model does not know.")
@click.option("--estimate", is_flag=True, help="Say what the teacher would take, how long on this machine, and stop.")
@common_options("course", "overrides", "json")
def command(options: Options, from_ratings: bool, fill_gaps: bool, from_learned: bool, estimate: bool) -> None:
    """Make training rows from the extracted text.

    Reads corpora/COURSE/dataset/documents.jsonl, writes train.jsonl, valid.jsonl, test.jsonl and manifest.json
    beside it.

    --from-ratings takes answers from corpora/COURSE/journal.sqlite (see rate), and those with a thumb up on the web
    page. They go to training only, and none that repeats what is held out for validation or the test.

    With a teacher in the recipe ([teacher]), a model writes further rows about each piece of the text; its replies are
    kept in corpora/COURSE/teacher, so that none is asked for twice. --fill-gaps asks it about sections with
    few rows only, and makes plain rows for them where there is no teacher.

    --from-learned reads what the newest run was asked (evaluate --learned), and asks each fact that it does not know
    or only recites in further wordings, and in the kind of question that evaluate leaves out for it. The next run
    trains these rows; facts that got some before keep them.

    Example: mlx-tutor build --set dataset.seed=1
    """
    from mlx_tutor.stages.data import run_build

    job = open_job(options)
    if from_ratings:
        check_ratings(job)
    if estimate:
        show_estimate(job, fill_gaps)
        return
    outcome = run_build(job, from_ratings, fill_gaps, from_learned)
    if options.json:
        job.screen.give_json(outcome.to_json())


def show_estimate(job: Job, fill_gaps: bool) -> None:
    """What the teacher of the recipe would take, for the whole course or for its thin sections.

    Raises:
        RecipeError: there is no teacher.
    """
    from dataclasses import asdict, replace

    from mlx_tutor.dataset.teacher.examples import estimate_teaching
    from mlx_tutor.errors import RecipeError
    from mlx_tutor.stages.teacher import describe_estimate, find_thin, list_asked, measure_seconds

    settings = job.recipe.teacher
    if not settings.model:
        raise RecipeError("The recipe names no teacher, so nothing is asked. Name one with teacher.model.")
    estimate = estimate_teaching(job.course, list_asked(job, find_thin(job) if fill_gaps else None), settings)
    with job.screen.wait("timing the teacher on some of its requests"):
        estimate = replace(estimate, seconds=measure_seconds(estimate, settings))
    if job.options.json:
        job.screen.give_json({name: value for name, value in asdict(estimate).items() if name != "missing"})
    job.screen.show(describe_estimate(estimate, settings))


def check_ratings(job: Job) -> None:
    """Raise DatasetError when no answer is rated well enough to be a row."""
    from mlx_tutor.dataset.rated import read_rated
    from mlx_tutor.errors import DatasetError

    if not read_rated(job.course, job.recipe.rate.criteria):
        raise DatasetError(
            f"No answer in course {job.course.name!r} is rated 4 or more yet, and none has a thumb up on the web page. "
            f"Rate some: mlx-tutor rate -c {job.course.name}"
        )
