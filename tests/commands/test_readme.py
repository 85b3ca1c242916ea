"""What README and guides tell people to type can be typed; CI itself runs `make train` and `make test`."""

import re
import shlex
from pathlib import Path

import click
import pytest

from mlx_tutor.cli import cli
from mlx_tutor.commands.reference import FENCE, ROOT, make_anchor
from mlx_tutor.commands.reference import GUIDES as LISTED
from tests.commands.conftest import Invoke

GUIDES = [ROOT / "README.md", *(ROOT / name for name in LISTED)]
TEXT = "\n".join(guide.read_text(encoding="utf-8") for guide in GUIDES)
# Blocks whose commands are run, in order, on a small course that went through `mlx-tutor run`.
MARK = "```console run"
# Whole lines of console blocks, code inside sentences, and the example of each command's help.
CONSOLES = "\n".join(re.findall(r"```console[^\n]*\n(.*?)```", TEXT, re.DOTALL))
TYPED = [
    *re.findall(r"^(?:mlx-tutor|make) .+$", CONSOLES, re.MULTILINE),
    *re.findall(r"`((?:mlx-tutor|make) [^`]+)`", TEXT.replace("\n", " ")),
    *re.findall(r"^  Example: (mlx-tutor .+)$", TEXT, re.MULTILINE),
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


@pytest.mark.parametrize(
    "guide",
    [guide for guide in GUIDES if MARK in guide.read_text(encoding="utf-8")],
    ids=lambda guide: guide.parent.name,
)
def test_commands_marked_run_run(guide: Path, finished: Path, invoke: Invoke) -> None:
    blocks = re.findall(rf"{MARK}\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    for line in "".join(blocks).splitlines():
        program, *arguments = shlex.split(line)
        result = invoke(*arguments)
        assert program == "mlx-tutor" and result.exit_code == 0, f"{line}\n{result.output}"


def list_anchors(markdown: str) -> set[str]:
    return {make_anchor(heading) for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", markdown), re.MULTILINE)}


# Pages of the course are not ours to link.
PAGES = [
    ROOT / "README.md",
    *(page for room in (".github", "mlx_tutor", "tests") for page in (ROOT / room).rglob("*.md")),
]


@pytest.mark.parametrize("guide", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_a_file_and_a_heading(guide: Path) -> None:
    text = FENCE.sub("", guide.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = link.partition("#")
        target = guide.parent / name if name else guide
        assert target.exists(), link
        assert not anchor or anchor in list_anchors(target.read_text(encoding="utf-8")), link


def test_every_guide_is_linked_in_the_readme() -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(LISTED) <= set(links)
