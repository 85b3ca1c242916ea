"""Command: fetch a model, or the Hub datasets of a recipe."""

from pathlib import Path

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job, open_screen


@click.command()
@click.argument("model", required=False)
@click.option("--name", metavar="NAME", help="Call the model of a GGUF file so: model.base = NAME.")
@click.option("--data", is_flag=True, help="Fetch the Hub datasets that the recipe names instead.")
@common_options("course", "json")
def command(options: Options, model: str | None, name: str | None, data: bool) -> None:
    """Fetch a model, or convert a GGUF file, to work offline.

    Writes a model of the Hugging Face Hub into the Hub's cache (HF_HOME moves it), and what a GGUF file of a Qwen2,
    Qwen2.5, Qwen3, Llama or SmolLM model becomes into ~/.cache/mlx-tutor (macOS: ~/Library/Caches/mlx-tutor;
    XDG_CACHE_HOME moves it). `smollm2` comes from its package, else from the Hub; a folder or `starter` is only
    checked. With --data, writes the rows of the recipe's Hub datasets into corpora/COURSE/imports.

    Example: mlx-tutor pull mlx-community/Qwen2.5-0.5B-Instruct-4bit
    """
    if data == (model is not None):
        raise click.UsageError("Give either a MODEL, or --data.")
    if model is None:
        pull_data(options)
    else:
        pull_model(options, model, name)


def pull_model(options: Options, model: str, name: str | None) -> None:
    """Fetch, convert or check one model."""
    from mlx_tutor.display import describe_bytes
    from mlx_tutor.gguf.convert import describe_conversion, name_conversion
    from mlx_tutor.models import RESERVED, resolve_model

    if name is not None and (name in RESERVED or not Path(model).expanduser().is_file()):
        raise click.UsageError(f"--name is for a GGUF file, and none of {', '.join(RESERVED)}.")
    screen = open_screen(options)
    with screen.wait(f"looking for {model}"):
        path = resolve_model(model, fetch=True)
    if name is not None:
        name_conversion(name, Path(model).expanduser())
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    conversion = describe_conversion(path)
    if options.json:
        screen.give_json({"model": name or model, "path": str(path), "bytes": size, "conversion": conversion or None})
        return
    if conversion:
        screen.say(conversion)
    screen.show(f"{name or model}: {describe_bytes(size)} in {path}")


def pull_data(options: Options) -> None:
    """Fetch the Hub datasets that the recipe of a course names."""
    from mlx_tutor.dataset.tables.imports import fetch_imports

    job = open_job(options)
    with job.screen.wait("fetching"):
        fetched = fetch_imports(job.course, job.recipe)
    if options.json:
        job.screen.give_json({"course": job.course.name, "rows": fetched})
        return
    for name, rows in fetched.items():
        job.screen.show(f"{name}: {rows} rows in {job.course.root / 'imports'}")
