"""Command: fetch a model."""

import click

from mlx_tutor.commands.options import Options, common_options, open_screen


@click.command()
@click.argument("name")
@common_options("json")
def command(options: Options, name: str) -> None:
    """Fetch a model from the Hugging Face Hub, to work offline.

    Writes into the Hub's cache, which HF_HOME moves. A local folder or `starter` is only checked.

    Example: mlx-tutor pull mlx-community/Qwen2.5-0.5B-Instruct-4bit
    """
    from mlx_tutor.display import describe_bytes
    from mlx_tutor.models import resolve_model

    screen = open_screen(options)
    path = resolve_model(name, fetch=True)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if options.json:
        screen.give_json({"model": name, "path": str(path), "bytes": size})
    else:
        screen.show(f"{name}: {describe_bytes(size)} in {path}")
