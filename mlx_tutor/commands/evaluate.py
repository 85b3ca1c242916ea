"""Command: measure base, adapter and fused."""

import click

from mlx_tutor.commands.options import Options, common_options, open_job
from mlx_tutor.workspace import find_run


@click.command()
@common_options("course", "run", "overrides", "json")
def command(options: Options) -> None:
    """Measure base, adapter and fused model on the test rows.

    Reads adapters/RUN, fused_models/RUN and corpora/COURSE/dataset/test.jsonl, writes
    adapters/RUN/evaluation.json. Losses are in nats an answer token; perplexity is e to their power.

    Example: mlx-tutor evaluate --json
    """
    from mlx_tutor.commands.stages import run_evaluate

    job = open_job(options)
    run = find_run(job.course, options.run)
    outcome = run_evaluate(job, run)
    if options.json:
        job.screen.give_json(outcome.to_json())
        return
    from mlx_tutor.display import draw_rows

    rows = [
        (model["label"], f"{model['loss']:.3f}", f"{model['perplexity']:.2f}") for model in outcome.result["models"]
    ]
    title = f"{run.name}, {outcome.result['rows']} test rows"
    job.screen.show(draw_rows(("model", "answer loss", "perplexity"), rows, numbers=True, title=title))
