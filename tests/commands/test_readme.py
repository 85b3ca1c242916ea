"""What the README tells people to type can be typed; CI itself runs `make train` and `make test`."""

import re
import shlex
from pathlib import Path

import click
import pytest

from mlx_tutor.cli import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Whole lines of console blocks, code inside sentences, and the example of each command's help.
CONSOLES = "\n".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))
TYPED = [
    *re.findall(r"^(?:mlx-tutor|make) .+$", CONSOLES, re.MULTILINE),
    *re.findall(r"`((?:mlx-tutor|make) [^`]+)`", README.replace("\n", " ")),
    *re.findall(r"^  Example: (mlx-tutor .+)$", README, re.MULTILINE),
]


def test_there_is_something_to_check() -> None:
    assert len(TYPED) > 25


@pytest.mark.parametrize("line", sorted({line for line in TYPED if line.startswith("mlx-tutor")}))
def test_a_command_of_the_readme_can_be_typed(line: str) -> None:
    # Names in capitals stand for the reader's own, and a command may be named without its arguments.
    _, name, *arguments = shlex.split(line)
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
    assert command is not None, name
    if arguments:
        with click.Context(command, help_option_names=["-h", "--help"]) as context:
            command.parse_args(context, arguments)


@pytest.mark.parametrize("line", sorted({line for line in TYPED if line.startswith("make")}))
def test_a_target_of_the_readme_is_there(line: str) -> None:
    target, *variables = shlex.split(line)[1:]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert all(f"$({name})" in makefile or f"$$({name})" in makefile for name in (v.split("=")[0] for v in variables))


def test_files_that_the_readme_links_are_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links)
