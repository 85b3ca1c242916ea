"""Command: begin a course, with a folder for files and a commented recipe."""

import tomllib
from importlib.resources import files
from typing import Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.errors import CorpusError
from mlx_tutor.files import disk_errors, write_text
from mlx_tutor.recipe import list_settings, list_table_settings, write_value
from mlx_tutor.stages.job import Options, find_program, open_screen
from mlx_tutor.workspace import Course, check_name, find_workspace

SHIPPED = ("small", "standard", "large")


@click.command()
@click.argument("name")
@click.option("--recipe", type=click.Choice(SHIPPED), default="small", show_default=True, help="For this size of Mac.")
@common_options()
def command(options: Options, name: str, recipe: str) -> None:
    """Begin a course: a folder for files and a commented recipe.

    Writes corpora/NAME/sources and corpora/NAME/recipe.toml in this workspace, which is the nearest folder with
    corpora/ at or above this one, else this one.

    Example: mlx-tutor init statistics --recipe standard
    """
    course = Course(find_workspace(), check_name(name))
    if course.recipe.exists() or course.sources.exists():
        raise CorpusError(f"Course {name!r} exists in {course.root}. Pick another name, or edit {course.recipe}.")
    with disk_errors(course.sources):
        course.sources.mkdir(parents=True)
    write_text(course.recipe, write_recipe(name, read_shipped(recipe)))
    screen = open_screen(options)
    screen.show(f"Course {name} is in {course.root}")
    screen.show(f"1. Put your .pdf, .ipynb, .md and .txt files into {course.sources}")
    screen.show(f"2. Set the subject and the system prompt in {course.recipe}")
    base = read_shipped(recipe)["model"]["base"]
    screen.show(f"3. {find_program()} pull {base}      (once; afterwards no network is needed)")
    screen.show(f"4. {find_program()} run -c {name}")


def read_shipped(name: str) -> dict[str, Any]:
    """The tables of a recipe that comes with the package."""
    return tomllib.loads((files("mlx_tutor") / "recipes" / f"{name}.toml").read_text(encoding="utf-8"))


def write_recipe(course: str, chosen: dict[str, Any]) -> str:
    """A recipe with every setting: chosen ones as they are, the others as comments that show the default."""
    lines = [f"# Recipe of course {course}. A line behind # shows a default: remove the # to change it."]
    section = ""
    for row in list_settings():
        table, _, key = row.name.partition(".")
        if table != section:
            section = table
            lines += ["", f"[{section}]"]
        given = chosen.get(section, {})
        value = given.get(key, row.default)
        lines.append(f"{'' if key in given else '# '}{key} = {write_value(value)}  # {row.doc}")
    for name, rows in list_table_settings():
        lines += ["", "## As often as you like, each with its own settings:", f"## [[{name}]]"]
        lines += [f"## {row.name} = {write_value(row.default)}  # {row.doc}" for row in rows]
    return "\n".join(lines) + "\n"
