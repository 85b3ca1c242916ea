"""Writing the generated parts of the guides: `python -m mlx_tutor.commands.reference --check|--write`."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from mlx_tutor.commands import COMMANDS, load_command
from mlx_tutor.errors import TutorError
from mlx_tutor.files import write_text
from mlx_tutor.recipe import SettingRow, list_settings, list_table_settings, write_value

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


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
        parts.append(f"## `mlx-tutor {name}`\n\n```text\n{command.get_help(usage)}\n```")
    return "\n\n".join(parts)


def write_settings() -> str:
    """Every setting as Markdown: one table for each section of a recipe."""
    sections: dict[str, list[SettingRow]] = {}
    for row in list_settings():
        sections.setdefault(f"[{row.name.split('.')[0]}]", []).append(row)
    sections |= {f"[[{name}]]": rows for name, rows in list_table_settings()}
    parts = []
    for name, rows in sections.items():
        lines = [f"| `{row.name}` | `{write_value(row.default)}` | {row.doc} |" for row in rows]
        parts.append("\n".join([f"## `{name}`\n", "| setting | default | meaning |", "|---|---|---|", *lines]))
    return "\n\n".join(parts)


def write_map() -> str:
    """Every module of the package as Markdown, one list for each folder, with the first line of its docstring."""
    package = ROOT / "mlx_tutor"
    parts = []
    for room in sorted({path.parent for path in package.rglob("*.py")}):
        lines = [
            f"- [`{path.name}`](../{path.relative_to(ROOT).as_posix()}): {read_purpose(path)}"
            for path in sorted(room.glob("*.py"))
            if path.name != "__init__.py"
        ]
        purpose = read_purpose(room / "__init__.py")
        parts.append(
            "\n".join([f"## `{room.relative_to(ROOT).as_posix()}/`\n", purpose, *([""] if lines else []), *lines])
        )
    return "\n\n".join(parts)


def read_purpose(path: Path) -> str:
    """The first line of a module's docstring.

    Raises:
        TutorError: it has none.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise TutorError(f"{path} has no docstring that says what it is for")
    return text.partition("\n")[0]


def make_anchor(heading: str) -> str:
    """The fragment that GitHub gives a heading of a Markdown file."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def write_contents(text: str) -> str:
    """A table of contents of a Markdown file: its headings of the second level."""
    headings = re.findall(r"^## (.+)$", FENCE.sub("", text), re.MULTILINE)
    return "\n".join(f"- [{heading}](#{make_anchor(heading)})" for heading in headings)


# Marker -> the text between it and its end, made from the whole file. Contents come last: they list the headings.
GENERATED: dict[str, Callable[[str], str]] = {
    "commands": lambda _: write_commands(),
    "recipe": lambda _: write_settings(),
    "map": lambda _: write_map(),
    "contents": write_contents,
}
GUIDES = {
    "mlx_tutor/commands/README.md": ("commands", "contents"),
    "mlx_tutor/recipes/README.md": ("recipe", "contents"),
    "mlx_tutor/extract/README.md": ("contents",),
    "mlx_tutor/dataset/README.md": ("contents",),
    "mlx_tutor/training/README.md": ("contents",),
    "mlx_tutor/fuse/README.md": ("contents",),
    "mlx_tutor/gguf/README.md": ("contents",),
    "mlx_tutor/evaluation/README.md": ("contents",),
    "mlx_tutor/study/README.md": ("contents",),
    "tests/benchmarks/README.md": ("contents",),
    ".github/CONTRIBUTING.md": ("contents",),
    ".github/MAP.md": ("map", "contents"),
}


def renew(text: str, names: tuple[str, ...]) -> str:
    """`text` with what stands between the markers of these `names` written again.

    Raises:
        TutorError: a marker is missing.
    """
    for name in names:
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise TutorError(f"no <!-- {name} --> ... <!-- /{name} --> in it")
        content = GENERATED[name](text)
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)  # type: ignore[misc]
    return text


def main(arguments: list[str], root: Path = ROOT) -> str | None:
    """Check or write all guides below `root`; returns what is wrong, for `sys.exit`."""
    if arguments not in (["--check"], ["--write"]):
        return "usage: python -m mlx_tutor.commands.reference --check|--write"
    problems = []
    for name, markers in GUIDES.items():
        text = (root / name).read_text(encoding="utf-8")
        try:
            renewed = renew(text, markers)
        except TutorError as err:
            problems.append(f"{name}: {err}")
            continue
        if renewed == text:
            continue
        if arguments == ["--write"]:
            write_text(root / name, renewed)
        else:
            problems.append(f"{name} is stale: its generated part differs from the program. Run: make fix")
    return "\n".join(problems) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
