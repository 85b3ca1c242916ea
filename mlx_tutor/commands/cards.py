"""Command: write the questions for Anki, Moodle and other programs."""

from pathlib import Path

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write: .apkg, .csv, .xml or .txt.  [default: all four, beside the course's sources]",
)
@common_options("course", "json")
def command(options: Options, output: Path | None) -> None:
    """Export the questions of the course for Anki and Moodle.

    Every card says where its answer is from. Import the .apkg into Anki; a later export, imported again, updates the
    cards and keeps Anki's schedule. Import the .xml (Moodle XML) or the .txt (GIFT) into Moodle's question bank. The
    .csv is for spreadsheets and other programs. A file that another program wrote or changed is not overwritten.

    Reads corpora/COURSE/dataset, writes cards.apkg, cards.csv, cards.xml and cards.txt into corpora/COURSE.

    Example: mlx-tutor cards -o statistics.apkg
    """
    from mlx_tutor.study.quiz.cards import SUFFIXES, describe_card, write_cards
    from mlx_tutor.study.quiz.questions import list_questions

    job = open_job(options)
    questions = list_questions(job.course, job.recipe.dataset.holdout)
    paths = [job.course.root / f"cards{suffix}" for suffix in SUFFIXES] if output is None else [output]
    written = [write_cards(job.course, questions, path) for path in paths]
    if options.json:
        cards = [describe_card(question) for question in questions]
        job.screen.give_json({"files": [str(path) for path in written], "cards": cards})
        return
    for path in written:
        job.screen.show(f"{path}: {len(questions)} cards")
