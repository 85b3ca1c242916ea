"""Command: measure base, adapter and fused model."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.evaluate import check_limits, open_course_text, run_answers, run_checks
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Run, find_run


@click.command()
@click.option("--generate", is_flag=True, help="Let each model answer the test questions, and measure the answers.")
@click.option("--learned", is_flag=True, help="Ask base and tuned model for the facts of the course, closed-book.")
@click.option("--guards", is_flag=True, help="Look for forgetting, missing refusals and copied text.")
@click.option(
    "--gate", is_flag=True, help="Exit 1 when a limit of the recipe's [gate] is broken; measures what it needs."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Ask N questions of each kind, chosen by --seed.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Of that choice and of the intervals.  [default: 0]")
@common_options("course", "run", "overrides", "json")
def command(
    options: Options, generate: bool, learned: bool, guards: bool, gate: bool, limit: int | None, seed: int | None
) -> None:
    """Measure base, adapter and fused model on the test rows.

    Losses are in nats an answer token; perplexity is e to their power. --generate adds ROUGE, BLEU, chrF, format,
    style and teaching measures of the generated answers with 95 % intervals, and says which differences are real.
    --learned asks base and tuned model closed-book and with search, and lists what was known before, learned, not
    learned and unlearned, with pages; --guards asks what it should refuse or still know. These take minutes, and go on
    where they were interrupted.

    Reads adapters/RUN, fused_models/RUN and corpora/COURSE/dataset, writes evaluation.json, report.html and
    answers.jsonl into adapters/RUN.

    Example: mlx-tutor evaluate --generate --learned --limit 50
    """
    from mlx_tutor.evaluation.gate import find_parts
    from mlx_tutor.evaluation.report import write_report
    from mlx_tutor.stages.model import run_evaluate

    job = open_job(options)
    asked = {"answers": generate, "learned": learned, "guards": guards}
    parts = {part for part, wanted in asked.items() if wanted} | (find_parts(job.recipe.gate) if gate else set())
    parts.discard("losses")
    if not parts and (limit is not None or seed is not None):
        raise click.UsageError(
            "--limit and --seed go with --generate, --learned, --guards or a --gate that needs them."
        )
    run = find_run(job.course, options.run)
    outcome = run_evaluate(job, run)
    found: dict[str, dict[str, Any]] = {}
    if parts:
        if not run.is_fused:
            hint = f"Run {run.name!r} is not fused, so base and adapter are measured."
            job.screen.warn(adapt_hints(f"{hint} Fuse it: mlx-tutor fuse --run {run.name}"))
        with open_course_text(job) as text:
            if "answers" in parts:
                found["answers"] = run_answers(job, run, text, limit, seed or 0)
            if checks := sorted(parts - {"answers"}, reverse=True):
                found |= run_checks(job, run, text, checks, limit, seed or 0)
    report = write_report(run)
    result = outcome.to_json() | found
    passed, verdict = check_limits(job, {"result": outcome.result, **found}) if gate else (True, {})
    if options.json:
        job.screen.give_json(result | verdict)
    else:
        show_all(job, run, outcome.result, found)
        job.screen.say(f"report    {report}")
    if not passed:
        click.get_current_context().exit(1)


def show_all(job: Job, run: Run, result: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """The losses, or what was measured beside them."""
    from mlx_tutor.evaluation.report import tabulate_losses

    unanswered = (Counter(part["unanswered"]) for part in found.values() if job.recipe.model.thinking)
    for model, count in sum(unanswered, Counter[str]()).items():
        job.screen.warn(
            f"{count} answers of {model} are empty: thoughts took all their tokens. Raise generate.max_tokens."
        )
    if "answers" in found:
        show_answers(job, run, found["answers"])
    else:
        job.screen.show(replace(tabulate_losses(result), title=f"{run.name}, {result['rows']} test rows"))
    if "learned" in found:
        show_learned(job, found["learned"])
    if "guards" in found:
        show_guards(job, found["guards"])


def show_answers(job: Job, run: Run, answers: Mapping[str, Any]) -> None:
    """Measures with intervals, what changed, and the style table."""
    from mlx_tutor.evaluation.html import write_difference, write_shares, write_short

    models: list[str] = answers["models"]
    measures = answers["measures"]
    rows = [(m["title"], *(write_short(m["values"][model], m["digits"]) for model in models)) for m in measures]
    title = f"{run.name}, {answers['questions']} of {answers['available']} test questions, ± half the 95 % interval"
    job.screen.show(Table(("", *models), rows, numbers=True, title=title))
    before, after = models[0], models[-1]
    found = [(m, d) for m in measures for d in m["differences"]]
    rows = [
        (m["title"], *write_difference(d, m["digits"])) for m, d in found if (d["from"], d["to"]) == (before, after)
    ]
    headings = ("", "difference", "95 % interval", "verdict")
    job.screen.show(Table(headings, rows, numbers=True, title=f"{before} to {after}, on the same questions"))
    if len(models) > 2:
        real = [
            f"{m['title']} {d['verdict']}"
            for m, d in found
            if (d["from"], d["to"]) == (models[1], models[2]) and d["verdict"] in ("better", "worse", "more", "less")
        ]
        job.screen.show(f"adapter to fused: {', '.join(real) or 'no difference that is more than chance'}", "")
    style = [
        (row["aspect"], *(write_shares(row["models"][model]) for model in (before, after))) for row in answers["style"]
    ]
    job.screen.show(Table(("style", before, after), style))
    show_teaching(job, answers)
    job.screen.show(*(f"{name}: {signature}" for name, signature in answers["signatures"].items()))


def show_teaching(job: Job, answers: Mapping[str, Any]) -> None:
    """How well base and tuned answers teach, beside the references, and what the models cost to run."""
    from mlx_tutor.evaluation.html import write_short
    from mlx_tutor.evaluation.report_checks import find_verdict

    before, after = answers["models"][0], answers["models"][-1]
    rows = []
    for m in answers["teaching"]:
        values = (
            write_short(value, m["digits"]) for value in (m["values"][before], m["values"][after], m["reference"])
        )
        rows.append((m["title"], *values, find_verdict(m, before, after) or "-"))
    for title, key, unit in (
        ("tokens/s", "tokens_per_second", ""),
        ("time to first token", "first_token_seconds", " s"),
        ("peak memory", "peak_memory_gb", " GB"),
    ):
        rows.append((title, *(f"{answers['speed'][label][key]:.2f}{unit}" for label in (before, after)), "", ""))
    headings = ("teaching", before, after, "reference", "verdict")
    job.screen.show(Table(headings, rows, numbers=True))


def show_learned(job: Job, learned: Mapping[str, Any]) -> None:
    """How many facts are on each of the four lists, and the first of what was learned and unlearned."""
    from mlx_tutor.evaluation.report_checks import (
        describe_conditions,
        describe_learned,
        tabulate_conditions,
        tabulate_learned,
    )

    if "conditions" in learned:
        job.screen.show(tabulate_conditions(learned["conditions"]), *describe_conditions(learned), "")
    job.screen.show(tabulate_learned(learned))
    asked = f"{learned['asked']} of {learned['available']} facts, asked of {' and '.join(learned['models'])}."
    job.screen.show(asked, *describe_learned(learned), "")
    for name in ("learned", "unlearned"):
        shown = [(fact["question"], fact["place"]) for fact in learned["lists"][name][:5]]
        if shown:
            more = learned["counts"][name] - len(shown)
            title = f"{name}{f', {more} more in the report' if more else ''}"
            job.screen.show(Table(("question", "where"), shown, title=title))


def show_guards(job: Job, guards: Mapping[str, Any]) -> None:
    """What was forgotten, refused and copied."""
    from mlx_tutor.evaluation.report_checks import describe_guards, tabulate_guards

    job.screen.show(tabulate_guards(guards), *describe_guards(guards))
