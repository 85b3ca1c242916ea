"""Command: begin a course, with a folder for files and a commented recipe."""

import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
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
SUBJECTS = ("mathematics", "programming", "languages", "humanities", "formal-writing")


@dataclass(frozen=True, slots=True)
class Preset:
    """A setting that a subject chooses, as `dataset.chunk_tokens`, and the reason in one sentence."""

    setting: str
    value: Any
    why: str


@click.command()
@click.argument("name")
@click.option("--recipe", type=click.Choice(SHIPPED), default="small", show_default=True, help="For this size of Mac.")
@click.option("--subject", type=click.Choice(SUBJECTS), help="With prompt, style, rows and lengths for such a course.")
@common_options()
def command(options: Options, name: str, recipe: str, subject: str | None) -> None:
    """Begin a course: a folder for files and a commented recipe.

    Writes corpora/NAME/sources and corpora/NAME/recipe.toml in this workspace, which is the nearest folder with
    corpora/ at or above this one, else this one. What --subject chooses stands in the recipe with its reason;
    its system prompt is in English.

    Example: mlx-tutor init statistics --recipe standard --subject mathematics
    """
    course = Course(find_workspace(), check_name(name))
    if course.recipe.exists() or course.sources.exists():
        raise CorpusError(f"Course {name!r} exists in {course.root}. Pick another name, or edit {course.recipe}.")
    with disk_errors(course.sources):
        course.sources.mkdir(parents=True)
    write_text(course.recipe, write_recipe(name, read_shipped(recipe), read_subject(subject)))
    screen = open_screen(options)
    screen.show(f"Course {name} is in {course.root}")
    screen.show(f"1. Put your .pdf, .ipynb, .md and .txt files into {course.sources}")
    step = f"See what is set for {subject}, and why," if subject else "Set the subject and the system prompt"
    screen.show(f"2. {step} in {course.recipe}")
    base = read_shipped(recipe)["model"]["base"]
    screen.show(f"3. {find_program()} pull {base}      (once; afterwards no network is needed)")
    screen.show(f"4. {find_program()} run -c {name}")
    if sys.platform == "darwin":
        screen.show(
            "Recommended on a Mac: the model writes further questions about the course itself, without a network."
        )
        screen.show(f"   How long:  {find_program()} build -c {name} --estimate --set teacher.model=self")
        screen.show(f'   Then put model = "self" below [teacher] in {course.recipe}, and run again.')


def read_shipped(name: str) -> dict[str, Any]:
    """The tables of a recipe that comes with the package."""
    return tomllib.loads((files("mlx_tutor") / "recipes" / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def read_subject(name: str | None) -> tuple[Preset, ...]:
    """What one of `SUBJECTS` chooses; nothing for None."""
    text = (files("mlx_tutor") / "recipes" / "subjects.toml").read_text(encoding="utf-8")
    return tuple(Preset(**item) for item in tomllib.loads(text)[name]) if name else ()


def write_recipe(course: str, chosen: dict[str, Any], presets: Sequence[Preset] = ()) -> str:
    """A recipe with every setting: chosen ones as they are, the others as comments that show the default.

    A preset stands below its reason.
    """
    preset = {item.setting: item for item in presets}
    lines = [f"# Recipe of course {course}. A line behind # shows a default: remove the # to change it."]
    section = ""
    for row in list_settings():
        table, _, key = row.name.partition(".")
        if table != section:
            section = table
            lines += ["", f"[{section}]"]
        given = chosen.get(section, {})
        value = given.get(key, row.default)
        if item := preset.get(row.name):
            given, value = {key: item.value}, item.value
            lines.append(f"## {item.why}")
        lines.append(f"{'' if key in given else '# '}{key} = {write_value(value)}  # {row.doc}")
    for name, rows in list_table_settings():
        lines += ["", "## As often as you like, each with its own settings:", f"## [[{name}]]"]
        lines += [f"## {row.name} = {write_value(row.default)}  # {row.doc}" for row in rows]
    return "\n".join(lines) + "\n"
