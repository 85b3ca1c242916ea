"""Command: write the study guide of a course."""

from pathlib import Path

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Markdown file to write.  [default: the terminal]",
)
@click.option("--source", metavar="NAME", default="", help="Only of this file of the course.")
@common_options("course", "overrides")
def command(options: Options, output: Path | None, source: str) -> None:
    """Write a study guide: key terms, formulas, mistakes, questions.

    Everything is taken from the rows of the course, with file and page or cell; no model writes it. Past exams
    (dataset.holdout) are left out. The Guide tab of the web page shows the same and prints it.

    Reads corpora/COURSE/dataset.

    Example: mlx-tutor guide -o guide.md
    """
    from mlx_tutor.errors import TutorError
    from mlx_tutor.files import write_text
    from mlx_tutor.study.quiz.guide import make_guide, write_guide
    from mlx_tutor.study.quiz.questions import list_questions

    job = open_job(options)
    questions = list_questions(job.course, job.recipe.dataset.holdout)
    known = sorted({reference.source for question in questions for reference in question.references})
    if source and source not in known:
        raise TutorError(f"No questions from a file {source!r}. Files with questions: {', '.join(known)}.")
    guide = make_guide(job.course, questions, job.recipe.dataset.holdout, source)
    text = write_guide(guide, f"Study guide: {job.course.name}{f', {source}' if source else ''}")
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    counts = f"{len(guide.terms)} terms, {len(guide.formulas)} formulas, {len(guide.mistakes)} mistakes"
    job.screen.show(f"{output}: {counts}, {sum(len(texts) for _, texts in guide.questions)} questions")
