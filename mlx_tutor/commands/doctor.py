"""Command: report on this machine, and say which recipe fits."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_screen

if TYPE_CHECKING:
    from mlx_tutor.doctor import Diagnosis


@click.command()
@common_options("json")
def command(options: Options) -> None:
    """Report on this machine, and say which recipe fits.

    Reads the machine, the Hub's cache and the workspace; writes nothing. Exit status 1 when something is wrong.

    Example: mlx-tutor doctor --json
    """
    from mlx_tutor.display import draw_facts
    from mlx_tutor.doctor import examine_machine

    screen = open_screen(options)
    found = examine_machine()
    if options.json:
        screen.give_json(asdict(found))
    else:
        screen.show(draw_facts(list_facts(found)))
    for problem in found.problems:
        screen.warn(problem)
    if found.problems:
        click.get_current_context().exit(1)


def list_facts(found: "Diagnosis") -> list[tuple[str, str]]:
    """The diagnosis as lines of a table."""
    from mlx_tutor.display import describe_bytes

    models = [f"{model.name} ({describe_bytes(model.bytes)})" for model in found.cached_models]
    slow = "; without a GPU, begin with smollm2" if found.backend == "CPU" else ""
    recipe = (
        f"{found.recipe} (mlx-tutor init NAME --recipe {found.recipe}){slow}" if found.recipe else "none: use smollm2"
    )
    return [
        ("chip", f"{found.chip}, {found.cores} cores"),
        ("memory", f"{found.memory_gib:.1f} GiB"),
        ("system", f"{found.system}, Python {found.python}"),
        ("MLX computes on", found.backend),
        ("BLAS", found.blas),
        ("products", f"{found.gflops:,.0f} GFLOP/s in float32"),
        ("C++ compiler", found.compiler or "none"),
        ("packages", ", ".join(f"{name} {number}" for name, number in found.packages.items())),
        ("cached models", "\n".join(models) or "none"),
        ("recipe that fits", recipe),
        ("search in other words", found.semantic_search),
        ("workspace", found.workspace),
        ("courses", ", ".join(found.courses) or "none"),
    ]
