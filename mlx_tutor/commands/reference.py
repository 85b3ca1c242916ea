"""Writes the generated parts of the README: `python -m mlx_tutor.commands.reference --check|--write FILE`."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from mlx_tutor.commands import COMMANDS, load_command
from mlx_tutor.commands.init import write_value
from mlx_tutor.errors import TutorError
from mlx_tutor.files import write_text
from mlx_tutor.recipe import list_settings, list_table_settings


def list_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its name, those of a group behind it."""
    for name in COMMANDS:
        command = load_command(name)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {part}", below) for part, below in command.commands.items())


def write_commands() -> str:
    """The help of every command as Markdown."""
    parts = []
    for name, command in list_commands():
        usage = click.Context(
            command, info_name=f"mlx-tutor {name}", terminal_width=100, help_option_names=["-h", "--help"]
        )
        parts.append(f"### `mlx-tutor {name}`\n\n```text\n{command.get_help(usage)}\n```")
    return "\n\n".join(parts)


def write_recipe_table() -> str:
    """Every setting as a Markdown table."""
    settings = list(list_settings())
    for name, table in list_table_settings():
        settings += [replace(row, name=f"[[{name}]] {row.name}") for row in table]
    rows = [f"| `{row.name}` | `{write_value(row.default)}` | {row.doc} |" for row in settings]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def renew(text: str) -> str:
    """`text` with what stands between the markers written again.

    Raises:
        TutorError: a marker is missing.
    """
    for name, content in (("commands", write_commands()), ("recipe", write_recipe_table())):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise TutorError(f"no <!-- {name} --> ... <!-- /{name} --> in it")
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)  # type: ignore[misc]
    return text


def main(arguments: list[str]) -> str | None:
    """Check or write one file; returns what is wrong, for `sys.exit`."""
    match arguments:
        case ["--check" | "--write" as mode, name]:
            path = Path(name)
        case _:
            return "usage: python -m mlx_tutor.commands.reference --check|--write FILE"
    text = path.read_text(encoding="utf-8")
    try:
        renewed = renew(text)
    except TutorError as err:
        return f"{path}: {err}"
    if mode == "--write":
        write_text(path, renewed)
    elif renewed != text:
        return f"{path} is stale: its reference differs from the program. Run: make fix"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
