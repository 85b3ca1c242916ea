"""Command: the same prompt to base and fused."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlx_tutor.commands.options import Job, Options, adapt_hints, common_options, open_job
from mlx_tutor.workspace import Run, find_run

if TYPE_CHECKING:
    from mlx_tutor.evaluation.compare import Contender
    from mlx_tutor.records import Message


@click.command()
@click.option("--prompt", required=True, metavar="TEXT", help="What to ask.")
@click.option("--with", "extra", multiple=True, type=click.Choice(["adapter"]), help="Ask this one too.")
@click.option("--temp", type=float, metavar="NUMBER", help="Temperature; 0: the same answer every time.")
@click.option("--seed", type=int, metavar="NUMBER", help="Seed of sampling.")
@common_options("course", "run", "overrides", "json")
def command(options: Options, prompt: str, extra: tuple[str, ...], temp: float | None, seed: int | None) -> None:
    """Ask base and fused model the same, side by side.

    Reads adapters/RUN, fused_models/RUN and the base; writes nothing. Both get the recipe's system prompt; limits
    are in its [generate] section.

    Example: mlx-tutor compare --prompt "Explain logit regression."
    """
    from dataclasses import replace

    from mlx_tutor.evaluation.compare import compare_models

    given = {"temp": temp, "seed": seed}
    overrides = tuple(f"generate.{name}={value}" for name, value in given.items() if value is not None)
    options = replace(options, overrides=(*options.overrides, *overrides))
    job = open_job(options)
    run = find_run(job.course, options.run)
    contenders = list_contenders(job, run, extra)
    system = job.recipe.course.system_prompt
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": prompt})
    labels = [contender.label for contender in contenders]
    with job.screen.watch_answers(labels) as on_text:
        comparisons = compare_models(contenders, messages, job.recipe.generate, on_text)
    if options.json:
        job.screen.give_json(
            {"run": run.name, "messages": messages, "generate": asdict(job.recipe.generate)}
            | {"answers": [asdict(comparison) for comparison in comparisons]}
        )
        return
    from mlx_tutor.display import draw_answers, draw_style

    texts = {comparison.label: comparison.answer.text for comparison in comparisons}
    job.screen.show(f"Question: {prompt}", draw_answers(job.screen.results, texts), draw_style(comparisons))


def list_contenders(job: Job, run: Run, extra: tuple[str, ...]) -> "list[Contender]":
    """Base, the adapter when it is asked for, and the fused model.

    Raises:
        ModelError: no fused model, or another base than the run's.
    """
    from mlx_tutor.commands.stages import find_base
    from mlx_tutor.errors import ModelError
    from mlx_tutor.evaluation.compare import Contender
    from mlx_tutor.fuse import hash_inputs, read_fuse

    record = read_fuse(run)
    if record is None:
        raise ModelError(f"Run {run.name!r} is not fused yet. Fuse it with: mlx-tutor fuse --run {run.name}")
    base = find_base(job, run)
    if record["inputs"]["adapter"] != hash_inputs(run, job.recipe)["adapter"]:
        hint = f"The fused model is stale, its adapter changed. Renew it: mlx-tutor fuse --run {run.name}"
        job.screen.warn(adapt_hints(hint))
    adapter = [Contender("adapter", base, run.adapter)] if "adapter" in extra else []
    return [Contender("base", base), *adapter, Contender("fused", run.fused)]
