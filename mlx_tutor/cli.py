"""The program `mlx-tutor`: finds the command, and turns errors into one line and an exit status."""

import os
import sys
from difflib import get_close_matches
from typing import Any

import click

from mlx_tutor import __version__
from mlx_tutor.commands import COMMANDS, load_command
from mlx_tutor.errors import TutorError
from mlx_tutor.stages.job import adapt_hints
from mlx_tutor.text import strip_controls


class TutorGroup(click.Group):
    """Imports a command's module only when the command is used or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            # click suggests similar names of loaded commands only, and none is loaded here.
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TutorError as err:
            click.echo(f"Error: {strip_controls(adapt_hints(str(err)))}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("\nInterrupted. What was finished is kept; run the same command to go on.", err=True)
            ctx.exit(130)


@click.group(cls=TutorGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlx-tutor")
def cli() -> None:
    """Turn a folder of course files into a private tutor.

    Files go into corpora/NAME/sources. `mlx-tutor run` does the whole line: extract, build, train, fuse,
    evaluate. Then ask it: mlx-tutor compare --prompt "What is a p-value?"
    """


def main() -> None:
    """The program `mlx-tutor`."""
    set_quiet_environment(next((word for word in sys.argv[1:] if not word.startswith("-")), ""))
    cli(prog_name="mlx-tutor")


def set_quiet_environment(command: str) -> None:
    """Set the variables that other packages read on import: no notices on stderr, nothing over the network."""
    # Otherwise transformers warns on every import that PyTorch was not found.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if command != "pull":
        os.environ["HF_HUB_OFFLINE"] = "1"


if __name__ == "__main__":
    main()
