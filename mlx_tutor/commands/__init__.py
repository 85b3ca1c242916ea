"""One small module for each command: parse, call, show."""

from importlib import import_module

import click

# In the order of the straight line. Each is a module here with a function `command`.
COMMANDS = (
    "init extract explore build show export train sweep runs fuse evaluate compare rate ask chat serve monitor "
    "exam quiz cards guide learned pack open run pull doctor"
).split()


def load_command(name: str) -> click.Command:
    """Import a command."""
    command: click.Command = import_module(f"mlx_tutor.commands.{name}").command
    return command
