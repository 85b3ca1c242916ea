"""The options that several commands share."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from mlx_tutor.stages.job import Options

COMMON = {
    "course": click.option("-c", "--course", metavar="NAME", help="Course; default: your only one, else the sample."),
    "run": click.option("--run", metavar="NAME", help="Run; default: the newest finished one."),
    "overrides": click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override the recipe."),
    "hosts": click.option("--hosts", metavar="A,B", help="Train on these machines together, or those of a hostfile."),
    "json": click.option("--json", is_flag=True, help="Print the result as JSON on stdout."),
    "verbose": click.option("-v", "--verbose", is_flag=True, help="Say more."),
    "quiet": click.option("-q", "--quiet", is_flag=True, help="Say only results and warnings."),
}


def common_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the named options of `COMMON`, -v and -q; the command gets them as one `Options`."""
    chosen = [*names, "verbose", "quiet"]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(**values: Any) -> None:
            options = Options(**{name: values.pop(name) for name in chosen})
            function(options, **values)

        for name in reversed(chosen):
            command = COMMON[name](command)
        return command

    return decorate


def model_options(verb: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add --no-search, --base and --adapter; at most one of --base, --adapter and --run may name a model."""
    added = (
        click.option("--no-search", is_flag=True, help="Let the model answer alone, without the course."),
        click.option("--base", is_flag=True, help=f"{verb} the base model."),
        click.option("--adapter", metavar="NAME", help=f"{verb} the base with the adapter of this run."),
    )

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(**values: Any) -> None:
            if sum((values["base"], values["adapter"] is not None, values["run"] is not None)) > 1:
                raise click.UsageError("--base, --adapter and --run each name a model: give one of them.")
            function(**values)

        for option in reversed(added):
            command = option(command)
        return command

    return decorate
