"""What a command works on: course, settings, typed options, and the terminal."""

import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_tutor.languages.table import read_frame
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.settings import SYSTEM_PROMPT
from mlx_tutor.workspace import Course, find_course, find_language, find_workspace

if TYPE_CHECKING:
    from mlx_tutor.display import Screen


@dataclass(frozen=True, slots=True)
class Options:
    """The values of the common options; a command without one of them gets its default."""

    course: str | None = None
    run: str | None = None
    overrides: tuple[str, ...] = ()
    hosts: str | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A course with its settings, and the screen to report to."""

    course: Course
    recipe: Recipe
    options: Options
    screen: "Screen"


def open_screen(options: Options) -> "Screen":
    """The screen of this command."""
    from mlx_tutor.display import Screen

    return Screen(json=options.json, quiet=options.quiet, verbose=options.verbose)


def open_job(options: Options) -> Job:
    """Find the course and read its recipe.

    Raises:
        CorpusError: no such course.
        RecipeError: a setting that cannot be.
    """
    course = find_course(find_workspace(), options.course)
    recipe = settle_language(load_recipe(course.recipe, options.overrides), course)
    return Job(course, recipe, options, open_screen(options))


def settle_language(recipe: Recipe, course: Course) -> Recipe:
    """The recipe with the course's language, and the whole system prompt: the default one where it sets none.

    Where the course allows no code, the prompt says so.
    """
    settings = recipe.course
    language = settings.language or find_language(course)
    prompt = settings.system_prompt
    if prompt == SYSTEM_PROMPT:
        prompt = read_frame(language).get("prompt", prompt)
    if not settings.allow_code:
        prompt = f"{prompt} {read_frame(language)['no_code']}".strip()
    return replace(recipe, course=replace(settings, language=language, system_prompt=prompt))


@cache
def find_program() -> str:
    """How this program is called in the user's shell: `mlx-tutor`, or its path when it is not on the PATH."""
    called = sys.argv[0]
    return called if shutil.which("mlx-tutor") is None and Path(called).name == "mlx-tutor" else "mlx-tutor"


def adapt_hints(text: str) -> str:
    """Commands in a message as they work in the user's shell, and its options as make takes them."""
    if "MLX_TUTOR_MAKE" in os.environ:
        text = text.replace("one with -c NAME", "one with COURSE=NAME")
        text = re.sub(r"model: --set model\.base=(\w+)", r"model: MODEL=\1", text)
    return re.sub(r"(?<![/\w])mlx-tutor (?=[a-z])", f"{find_program()} ", text)
