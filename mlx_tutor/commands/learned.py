"""Command: list what the tuned model itself knows of the course."""

from collections import Counter
from dataclasses import asdict

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, adapt_hints, open_job
from mlx_tutor.tables import Table

LEVELS = ("known", "recited", "not yet")


@click.command()
@click.option("--level", type=click.Choice(LEVELS), help="Only these.")
@click.option("--source", metavar="NAME", default="", help="Only of this file of the course.")
@common_options("course", "run", "json")
def command(options: Options, level: str | None, source: str) -> None:
    """List which facts of the course the tuned model knows, and where.

    Known: right in words that no row has, and in kinds of questions that no row of it has. Recited only: right in new
    words of what rows ask, and not in other kinds of questions. Not yet: read those pages yourself. The Progress tab
    of the web page shows the same.

    Reads adapters/RUN/evaluation.json, where evaluate --learned put it.

    Example: mlx-tutor learned --level "not yet"
    """
    from mlx_tutor.study.quiz.progress import KNOWN, RECITED, check_learned, read_learned

    job = open_job(options)
    learned = check_learned(read_learned(job.course, options.run), job.course)
    wanted = RECITED if level == "recited" else level
    facts = [f for f in learned.facts if wanted in (None, f.level) and source in ("", f.source)]
    if options.json:
        job.screen.give_json({"run": learned.run, "finished": learned.finished, "facts": [asdict(f) for f in facts]})
        return

    rows = [(fact.level, fact.question, fact.place) for fact in facts]
    job.screen.show(Table(("", "question", "where the course says it"), rows, title=f"Run {learned.run}"))
    counts = Counter(fact.level for fact in facts)
    said = ", ".join(f"{counts[name]} {name}" for name in ("known", RECITED, "not yet"))
    job.screen.show(f"{said}; asked {len(learned.facts)} of {learned.available} facts.")
    if any(fact.level != KNOWN for fact in learned.facts):
        job.screen.say(
            adapt_hints(f"More rows for what is not known: mlx-tutor build -c {job.course.name} --from-learned")
        )
