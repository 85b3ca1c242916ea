"""Command: put the same prompts to base and fused model, or to any other models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.choose import find_models
from mlx_tutor.stages.job import Job, Options, open_job
from mlx_tutor.stages.prompts import add_passages, list_prompts

if TYPE_CHECKING:
    from mlx_tutor.evaluation.compare import Comparison
    from mlx_tutor.evaluation.prompts import Prompt
    from mlx_tutor.records import ModelSpec


@click.command()
@click.option("--prompt", metavar="TEXT", help="What to ask.")
@click.option("--prompts", metavar="FILE", help="Prompts, one a line or JSON lines; or a ready set: course, formal.")
@click.option("--from-test", type=click.IntRange(1), metavar="N", help="Take N prompts from the test rows.")
@click.option("--search", is_flag=True, help="Quote the course's best passage with each prompt, as training rows do.")
@click.option("--with", "extra", multiple=True, metavar="MODEL", help="Ask this one too: adapter, or any MODEL.")
@click.option("--model", "only", multiple=True, metavar="MODEL", help="Ask these instead of base and fused.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write .html, .md or .json.")
@click.option("--temp", type=float, metavar="NUMBER", help="Temperature; 0: the same answer every time.")
@click.option("--seed", type=int, metavar="NUMBER", help="Seed of sampling.")
@common_options("course", "run", "overrides", "json")
def command(
    options: Options,
    prompt: str | None,
    prompts: str | None,
    from_test: int | None,
    search: bool,
    extra: tuple[str, ...],
    only: tuple[str, ...],
    report: Path | None,
    temp: float | None,
    seed: int | None,
) -> None:
    """Ask base and fused model the same question, side by side.

    MODEL is base, adapter or fused (of --run), the name of another run (its fused model, or its adapter while it is
    not fused), adapters/RUN (its adapter), a model folder, or a model of the Hugging Face Hub that is on this machine.

    Reads adapters/RUN, fused_models/RUN and the base; writes nothing but --report, and with --search the search index.
    All get the recipe's system prompt; limits are in its [generate] section. Base and adapter share one loaded base.

    Example: mlx-tutor compare --from-test 5 --with adapter --report compare.html
    """
    if sum(given is not None for given in (prompt, prompts, from_test)) != 1:
        raise click.UsageError("Say what to ask with one of --prompt, --prompts and --from-test.")
    if search and from_test is not None:
        raise click.UsageError("Test rows bring their own passages: give --search with --prompt or --prompts.")

    from mlx_tutor.evaluation.compare import record_comparison
    from mlx_tutor.evaluation.compare_report import check_report, write_report
    from mlx_tutor.evaluation.prompts import make_prompt
    from mlx_tutor.stages.model import note_starter

    if report is not None:
        check_report(report)
    given = {"generate.temp": temp, "generate.seed": seed}
    overrides = tuple(f"{name}={value}" for name, value in given.items() if value is not None)
    job = open_job(replace(options, overrides=(*options.overrides, *overrides)))
    models = find_models(job, only, extra)
    note_starter(job, *(model.path for model in models))
    if prompt is None:
        asked = list_prompts(job, prompts or "", from_test)
    else:
        asked = [make_prompt(prompt, job.recipe.course.system_prompt)]
    if search:
        asked = add_passages(job, models, asked)
    found = ask_models(job, models, asked)
    record = record_comparison(models, asked, found, job.recipe.generate)
    if report is not None:
        write_report(report, record)
        job.screen.say(f"report    {report}")
    if not options.json:
        show_comparison(job, record, asked, found)
        return
    if prompt is not None:
        begins = {"run": options.run, "messages": asked[0].messages}
        record = begins | record | {"answers": [asdict(item) for item in found[0]]}
    job.screen.give_json(record)


def ask_models(job: Job, models: "Sequence[ModelSpec]", asked: "Sequence[Prompt]") -> "list[list[Comparison]]":
    """Let every model answer; the answers to a single prompt are shown while they are written."""
    from mlx_tutor.evaluation.compare import compare_prompts

    messages, settings = [item.messages for item in asked], job.recipe.generate
    if len(asked) == 1:
        with job.screen.watch_answers([model.label for model in models]) as on_text:
            return compare_prompts(models, messages, settings, on_text)
    with job.screen.count_files("answers") as on_progress:
        total = len(models) * len(asked)
        return compare_prompts(
            models, messages, settings, on_answer=lambda label, done: on_progress(label, done, total)
        )


def show_comparison(
    job: Job, record: Mapping[str, Any], prompts: "Sequence[Prompt]", found: "Sequence[Sequence[Comparison]]"
) -> None:
    """Each question with its answers, then what they are like; of several, the means."""
    from mlx_tutor.display import draw_answers, draw_style
    from mlx_tutor.evaluation.compare_report import tabulate_models

    screen = job.screen
    for prompt, answers in zip(prompts, found, strict=True):
        name = f"{prompt.id}  " if len(prompts) > 1 else ""
        texts = {item.label: item.answer.text for item in answers}
        if prompt.passages:
            screen.say(f"passages  {'; '.join(prompt.passages)}")
        screen.show(f"{name}Question: {prompt.text}", draw_answers(screen.results, texts))
        for item in answers:
            if item.answer.problem:
                screen.warn(f"{item.label}: {item.answer.problem}")
    if len(prompts) == 1:
        screen.show(draw_style(found[0]))
    else:
        table = tabulate_models(record["models"])
        screen.show(replace(table, title=f"means over {len(prompts)} prompts"))
    if record["sharing"]:
        screen.show(record["sharing"])
