"""Paths: the workspace, its courses and their runs."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError, TutorError
from mlx_tutor.files import read_json

SAMPLE = "sample"
# Between a course and a number in the names of the runs of a sweep.
SWEEP = "-sweep-"
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Course:
    """One folder below `corpora/`."""

    workspace: Path
    name: str

    @property
    def root(self) -> Path:
        return self.workspace / "corpora" / self.name

    @property
    def sources(self) -> Path:
        return self.root / "sources"

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.toml"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    @property
    def bundle(self) -> Path:
        """What `mlx-tutor open` notes of the bundle that the course came from."""
        return self.root / "bundle.json"

    @property
    def lacks_sources(self) -> bool:
        """Whether the course was opened from a bundle without the files that were read."""
        return self.bundle.is_file() and not read_json(self.bundle)["manifest"]["sources"]


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one course: its adapter, and the fused model once there is one."""

    workspace: Path
    name: str

    @property
    def adapter(self) -> Path:
        return self.workspace / "adapters" / self.name

    @property
    def fused(self) -> Path:
        return self.workspace / "fused_models" / self.name

    @property
    def is_complete(self) -> bool:
        return (self.adapter / "run.json").is_file()

    @property
    def is_fused(self) -> bool:
        return (self.fused / "fuse.json").is_file()

    def read(self) -> dict[str, Any]:
        """What `run.json` says of this run."""
        record: dict[str, Any] = read_json(self.adapter / "run.json")
        return record


def find_workspace() -> Path:
    """The nearest folder at or above the working directory that has `corpora/`; else the working directory."""
    here = Path.cwd().resolve()
    return next((folder for folder in (here, *here.parents) if (folder / "corpora").is_dir()), here)


def list_courses(workspace: Path) -> list[Course]:
    """Every folder below `corpora/` with a `sources/` or a recipe, by name."""
    corpora = workspace / "corpora"
    courses = [Course(workspace, folder.name) for folder in sorted(corpora.iterdir())] if corpora.is_dir() else []
    return [course for course in courses if course.sources.is_dir() or course.recipe.is_file()]


def list_own_courses(workspace: Path) -> list[Course]:
    """The courses of a workspace; the sample counts only while it is alone."""
    courses = list_courses(workspace)
    return [course for course in courses if course.name != SAMPLE] or courses


def find_course(workspace: Path, name: str | None = None) -> Course:
    """The named course, or the only one.

    Raises:
        CorpusError: no course, an unknown name, or several courses and no name.
    """
    courses = {course.name: course for course in list_courses(workspace)}
    if name is not None:
        if name in courses:
            return courses[name]
        known = f"Courses here: {', '.join(courses)}." if courses else "There is none yet."
        raise CorpusError(f"No course {name!r} in {workspace / 'corpora'}. {known} Make it with: mlx-tutor init {name}")
    own = list_own_courses(workspace)
    if not own:
        if not (workspace / "corpora").is_dir():
            raise CorpusError(
                f"No course: there is no corpora/ in {workspace} or above. Go to the folder that has it, or begin "
                "here with: mlx-tutor init NAME"
            )
        raise CorpusError(f"No course in {workspace / 'corpora'}. Make one with: mlx-tutor init NAME")
    if len(own) > 1:
        raise CorpusError(f"Several courses: {', '.join(c.name for c in own)}. Name one with -c NAME.")
    return own[0]


def find_language(course: Course) -> str:
    """The language that most words of the extracted course are in (ISO 639-1), "" where none is known."""
    path = course.dataset / "documents.json"
    if not path.is_file():
        return ""
    return next((language for language in count_languages(read_json(path).get("sources", [])) if language), "")


def count_languages(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Words by language, most first, of the lines of documents.json; "" where a file does not tell its language."""
    words: Counter[str] = Counter()
    for entry in entries:
        if entry.get("words"):
            words[entry.get("language", "")] += entry["words"]
    return dict(words.most_common())


def check_name(name: str) -> str:
    """`name`, when it can be a folder everywhere; raises TutorError otherwise."""
    if not NAME_PATTERN.fullmatch(name):
        raise TutorError(
            f"{name!r} cannot be a name. Use letters, digits, dot, dash and underscore, 64 at most, "
            "a letter or digit first."
        )
    return name


def list_runs(course: Course) -> list[Run]:
    """The complete runs of a course, newest last; those of a sweep before all others, the best of them last."""
    folder = course.workspace / "adapters"
    runs = [Run(course.workspace, path.parent.name) for path in folder.glob("*/run.json")]
    mine = [(record, run) for run in runs if (record := run.read()).get("course") == course.name]

    def rank(pair: tuple[dict[str, Any], Run]) -> tuple[bool, float, str]:
        record, run = pair
        swept = run.name.startswith(f"{course.name}{SWEEP}")
        return not swept, -record["result"]["best_loss"] if swept else 0.0, str(record.get("finished"))

    return [run for _, run in sorted(mine, key=rank)]


def find_run(course: Course, name: str | None = None) -> Run:
    """The named run, or the newest complete one of the course.

    Raises:
        TutorError: no such run, or none that is complete.
    """
    if name is None:
        runs = list_runs(course)
        if not runs:
            raise TutorError(
                f"Course {course.name!r} has no finished run. Train one with: mlx-tutor train -c {course.name}"
            )
        return runs[-1]
    run = Run(course.workspace, check_name(name))
    if not run.is_complete:
        known = ", ".join(run.name for run in list_runs(course)) or "none"
        raise TutorError(
            f"No finished run {name!r} in {course.workspace / 'adapters'}. Runs of {course.name!r}: {known}."
        )
    return run


def name_new_run(course: Course, *, sweep: bool = False) -> Run:
    """The first free name: `<course>`, then `<course>-2`, `<course>-3`; for a sweep `<course>-sweep-1` and so on."""
    number = 1
    while True:
        plain = course.name if number == 1 else f"{course.name}-{number}"
        run = Run(course.workspace, f"{course.name}{SWEEP}{number}" if sweep else plain)
        if not run.adapter.exists() and not run.fused.exists():
            return run
        number += 1
