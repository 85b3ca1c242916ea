"""Command: measure base, adapter and fused."""

from collections.abc import Mapping
from typing import Any

import click

from mlx_tutor.commands.options import Job, Options, adapt_hints, common_options, open_job
from mlx_tutor.workspace import Run, find_run


@click.command()
@click.option("--generate", is_flag=True, help="Let each model answer the test questions, and measure the answers.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Ask N questions only, chosen by --seed.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Of that choice and of the intervals.  [default: 0]")
@common_options("course", "run", "overrides", "json")
def command(options: Options, generate: bool, limit: int | None, seed: int | None) -> None:
    """Measure base, adapter and fused model on the test rows.

    Losses are in nats an answer token; perplexity is e to their power. --generate adds ROUGE, BLEU, chrF, format and
    style of the generated answers with 95 % intervals, and says which differences are real; it takes minutes, and
    goes on where it was interrupted.

    Reads adapters/RUN, fused_models/RUN and corpora/COURSE/dataset/test.jsonl, writes evaluation.json, report.html
    and, with --generate, answers.jsonl into adapters/RUN.

    Example: mlx-tutor evaluate --generate --limit 50
    """
    from mlx_tutor.commands.stages import run_evaluate
    from mlx_tutor.evaluation.report import write_report

    if not generate and (limit is not None or seed is not None):
        raise click.UsageError("--limit and --seed go with --generate.")
    job = open_job(options)
    run = find_run(job.course, options.run)
    outcome = run_evaluate(job, run)
    answers = run_answers(job, run, limit, seed or 0) if generate else None
    report = write_report(run)
    if options.json:
        job.screen.give_json(outcome.to_json() | ({} if answers is None else {"answers": answers}))
        return
    from mlx_tutor.display import draw_rows

    if answers is None:
        rows = [
            (model["label"], f"{model['loss']:.3f}", f"{model['perplexity']:.2f}") for model in outcome.result["models"]
        ]
        title = f"{run.name}, {outcome.result['rows']} test rows"
        job.screen.show(draw_rows(("model", "answer loss", "perplexity"), rows, numbers=True, title=title))
    else:
        show_answers(job, run, answers)
    job.screen.say(f"report    {report}")


def run_answers(job: Job, run: Run, limit: int | None, seed: int) -> dict[str, Any]:
    """The measures of the generated answers, as they are kept or made now."""
    from mlx_tutor.commands.stages import find_base
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.dataset.messages import has_format
    from mlx_tutor.evaluation.measure import hash_settings, measure_answers, read_answers

    rows = read_rows(job.course, "test")
    answers = read_answers(run, rows, hash_settings(job.recipe, limit, seed))
    if answers is not None:
        job.screen.say(f"answers   up to date: {answers['questions']} questions")
        return answers
    if not run.is_fused:
        hint = (
            f"Run {run.name!r} is not fused, so base and adapter are measured. Fuse it: mlx-tutor fuse --run {run.name}"
        )
        job.screen.warn(adapt_hints(hint))
    base = find_base(job, run)
    with job.screen.count_files("answers") as on_progress:
        return measure_answers(run, base, job.recipe, rows, has_format, on_progress, limit, seed)


def show_answers(job: Job, run: Run, answers: Mapping[str, Any]) -> None:
    """Measures with intervals, what changed, and the style table."""
    from mlx_tutor.display import draw_rows
    from mlx_tutor.evaluation.report import write_difference, write_shares, write_short

    models: list[str] = answers["models"]
    measures = answers["measures"]
    rows = [(m["title"], *(write_short(m["values"][model], m["digits"]) for model in models)) for m in measures]
    title = f"{run.name}, {answers['questions']} of {answers['available']} test questions, ± half the 95 % interval"
    job.screen.show(draw_rows(("", *models), rows, numbers=True, title=title))
    before, after = models[0], models[-1]
    found = [(m, d) for m in measures for d in m["differences"]]
    rows = [
        (m["title"], *write_difference(d, m["digits"])) for m, d in found if (d["from"], d["to"]) == (before, after)
    ]
    headings = ("", "difference", "95 % interval", "verdict")
    job.screen.show(draw_rows(headings, rows, numbers=True, title=f"{before} to {after}, on the same questions"))
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
    job.screen.show(draw_rows(("style", before, after), style))
    job.screen.show(*(f"{name}: {signature}" for name, signature in answers["signatures"].items()))
