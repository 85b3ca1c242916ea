"""Command: rate answers blind, without knowing which model gave them."""

import getpass
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.errors import TutorError
from mlx_tutor.stages.choose import find_model_pair
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job
from mlx_tutor.stages.prompts import list_prompts
from mlx_tutor.workspace import Run, find_run

if TYPE_CHECKING:
    from mlx_tutor.evaluation.rate import BlindPair

SKIP, BACK, QUIT, KEEP = "s", "b", "q", "\r"
KEYS = f"1 poor to 5 excellent, {SKIP} skip, {BACK} back, {QUIT} quit"
NAMES = ("A", "B")


@click.command()
@click.option("--prompts", metavar="FILE", help="Prompts, one a line or JSON lines; or a ready set: course, formal.")
@click.option("--from-test", type=click.IntRange(1), metavar="N", help="Take N prompts from the test rows.")
@click.option("--rater", metavar="NAME", help="Who rates; default: your user name.")
@click.option("--summary", is_flag=True, help="Only show what the ratings say.")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE", help="Write preference pairs, and end.")
@common_options("course", "run", "overrides", "json")
def command(
    options: Options, prompts: str | None, from_test: int | None, rater: str | None, summary: bool, export: Path | None
) -> None:
    """Rate answers of base and tuned model blind.

    Both models answer the prompts; you see two answers at a time, in random order, and give each 1 to 5 for every
    criterion of the recipe (rate.criteria). Every key is saved at once: quit with q and go on later with the same
    command. In a pipe, keys are read from lines. When all is rated, or with --summary, you see means, wins with an
    exact test, agreement of raters, and the prompts on which the tuned model is worse.

    Reads adapters/RUN, fused_models/RUN and the base; writes corpora/COURSE/journal.sqlite. --export writes JSON lines
    with prompt, chosen and rejected, as trainers for DPO read them.

    Example: mlx-tutor rate --prompts formal --rater ada
    """
    if prompts is not None and from_test is not None:
        raise click.UsageError("Give --prompts or --from-test, not both.")
    if (summary or export is not None) and (prompts is not None or from_test is not None):
        raise click.UsageError("--summary and --export show what is rated already, without --prompts and --from-test.")

    from mlx_tutor.evaluation.rate import check_criteria, read_judgements, read_pairs
    from mlx_tutor.evaluation.tally import list_preferences, summarize_ratings

    job = open_job(options)
    run = find_run(job.course, options.run)
    criteria = check_criteria(job.recipe.rate.criteria)
    rating = not summary and export is None
    finished = rate_answers(job, run, rater or find_rater(), criteria, prompts, from_test) if rating else True
    pairs, judgements = read_pairs(job.course, run.name), read_judgements(job.course, run.name, criteria)
    if not rating and not judgements:
        hint = f"Nothing of run {run.name!r} is rated yet. Begin with: mlx-tutor rate --run {run.name}"
        raise TutorError(f"{hint} -c {job.course.name}")
    if export is not None:
        write_export(job, export, list_preferences(pairs, judgements, criteria))
    found = summarize_ratings(pairs, judgements, criteria)
    if options.json:
        job.screen.give_json({"run": run.name, "finished": finished} | found)
    elif finished and export is None:
        show_summary(job, run, found)
    if finished and rating and (run.adapter / "report.html").is_file():
        from mlx_tutor.evaluation.report import write_report

        job.screen.say(f"report    {write_report(run)}")


def find_rater() -> str:
    """The user's name; raises TutorError where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as err:
        raise TutorError("Your user name is not known here. Say who rates: --rater NAME") from err


def write_export(job: Job, path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write preference pairs; an existing file is not overwritten."""
    from mlx_tutor.files import check_new_file, write_jsonl

    check_new_file(path)
    write_jsonl(path, rows)
    job.screen.say(f"{len(rows)} preference pairs in {path}; prompts whose answers tie are not among them.")


def rate_answers(
    job: Job, run: Run, rater: str, criteria: Sequence[str], prompts: str | None, from_test: int | None
) -> bool:
    """Make the missing pairs and run a session; returns whether this rater has rated all."""
    from mlx_tutor.evaluation.rate import has_pairs, prepare_pairs, read_pairs
    from mlx_tutor.evaluation.raters import list_raters, name_rater

    rater = name_rater(job.course, rater)
    models = find_model_pair(job, run)
    raters = ", ".join(f"{name} ({count})" for name, count in list_raters(job.course, run.name).items())
    others = bool(raters) and not has_pairs(job.course, models)
    # Without options for prompts, what was begun continues, for everybody who rates it.
    if prompts is None and from_test is None and read_pairs(job.course, run.name):
        if others:
            job.screen.warn(
                f"You rate the answers that {raters} rated, which other models or settings than yours now gave. "
                "For new answers, and a new count, name the prompts: --prompts course"
            )
        return run_session(job, run.name, rater, criteria)
    asked = list_prompts(job, prompts or "course", from_test)
    with job.screen.count_files("answers") as on_progress:
        prepare_pairs(job.course, models, asked, on_progress)
    if others:
        job.screen.warn(f"A new count begins: {raters} rated other models or settings. That stays, and is not counted.")
    return run_session(job, run.name, rater, criteria)


def run_session(job: Job, run: str, rater: str, criteria: Sequence[str]) -> bool:
    """Show pair after pair and keep each key; returns whether nothing is left."""
    from mlx_tutor.evaluation.rate import pick_pair, restore_skipped, step_back, store_skip

    course, skipped = job.course, 0
    restore_skipped(course, run, rater)
    keys = read_keys(sys.stdin.isatty())
    blind = pick_pair(course, run, rater, criteria)
    while blind is not None:
        end = rate_pair(job, blind, rater, criteria, keys)
        if end == QUIT:
            job.screen.say(f"\n{blind.done} of {blind.total} pairs rated; nothing is lost. Go on with:")
            # Other settings would give other answers.
            words = ["-c", course.name, "--run", run, "--rater", rater]
            words += [word for item in job.options.overrides for word in ("--set", item)]
            job.screen.say(adapt_hints(f"mlx-tutor rate {shlex.join(words)}"))
            return False
        if end == BACK:
            blind = step_back(course, run, rater, criteria, blind.pair) or blind
            continue
        if end == SKIP:
            store_skip(course, rater, blind.pair)
            skipped += 1
        blind = pick_pair(course, run, rater, criteria)
    skipped = restore_skipped(course, run, rater)
    if skipped:
        job.screen.say(f"All seen; {skipped} skipped, which come again the next time.")
    return not skipped


def rate_pair(job: Job, blind: "BlindPair", rater: str, criteria: Sequence[str], keys: Iterator[str]) -> str:
    """Ask for every score of a pair; returns "" when it has them all, else the key that left it."""
    from mlx_tutor.evaluation.rate import store_score

    show_pair(job, blind)
    questions = [(answer, criterion) for answer in range(2) for criterion in criteria]
    scores = dict(blind.scores)
    # A pair that was begun continues where it was left; a finished one, reached by going back, opens at its last score.
    place = next((i for i, question in enumerate(questions) if question not in scores), len(questions) - 1)
    while place < len(questions):
        answer, criterion = questions[place]
        before = scores.get(questions[place])
        known = "" if before is None else f" [{before}, Enter keeps it]"
        click.echo(f"{NAMES[answer]}, {criterion}{known}: ", nl=False, err=job.options.json)
        key = next(keys, QUIT)
        click.echo(before or "" if key == KEEP else key, err=job.options.json)
        if key in (SKIP, QUIT) or (key == BACK and place == 0):
            return key
        if key == BACK:
            place -= 1
        elif key == KEEP and before is not None:
            place += 1
        elif key in tuple("12345"):
            store_score(job.course, rater, blind.pair, answer, criterion, int(key))
            scores[questions[place]] = int(key)
            place += 1
        else:
            job.screen.say(KEYS, "dim")
    return ""


def show_pair(job: Job, blind: "BlindPair") -> None:
    """The question and both answers, side by side where there is room."""
    from mlx_tutor.display import draw_answers
    from mlx_tutor.study.chat.ask import clean_text

    texts = {name: clean_text(text) or "(no answer)" for name, text in zip(NAMES, blind.answers, strict=True)}
    screen = job.screen
    screen.show("", f"{blind.done} of {blind.total} rated. {KEYS}.", f"Question: {clean_text(blind.question)}")
    screen.show(draw_answers(screen.results, texts))


def read_keys(interactive: bool) -> Iterator[str]:
    """Keys as they are pressed; in a pipe, the digits and first letters of the words of each line."""
    if not interactive:
        for line in sys.stdin:
            for word in line.lower().split():
                yield from word if re.fullmatch("[1-5]+", word) else word[0]
        return
    while True:
        try:
            pressed = click.getchar().lower()
        except (KeyboardInterrupt, EOFError):
            return
        # Keys pressed quickly come together; an arrow or function key comes as one sequence.
        yield from [pressed] if pressed.startswith("\x1b") else pressed.replace("\n", KEEP)


def show_summary(job: Job, run: Run, found: Mapping[str, Any]) -> None:
    """What the ratings say, and on which prompts the tuned model is worse."""
    from mlx_tutor.evaluation.rate_report import describe_raters, tabulate_prompts, tabulate_scores
    from mlx_tutor.evaluation.tally import describe_verdict

    title = f"{run.name}: {found['rated']} of {found['pairs']} prompts rated by {describe_raters(found)}"
    job.screen.show(replace(tabulate_scores(found), title=title))
    job.screen.show(*describe_verdict(found), "", tabulate_prompts(found))
    worse = ", ".join(found["worse"]) or "none"
    job.screen.show(f"Prompts on which {found['models']['tuned']['label']} is worse: {worse}")
