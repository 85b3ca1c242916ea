"""Putting an opened bundle in place: all of it or nothing, and never over what is the user's own."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_tutor.bundle.archive import Bundle, refuse
from mlx_tutor.bundle.contents import MTIME_NS, reduce_recipe
from mlx_tutor.bundle.manifest import SOURCES
from mlx_tutor.bundle.pack import check_room
from mlx_tutor.errors import TutorError
from mlx_tutor.files import disk_errors, read_json, write_json
from mlx_tutor.recipe import load_recipe
from mlx_tutor.workspace import Course, Run

# Where the parts of an earlier bundle lie until the new ones are in place.
ASIDE = "before"
OnProgress = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a bundle goes: the course and the run that it becomes."""

    course: Course
    run: Run

    def list_folders(self) -> dict[str, Path]:
        """The folder of each part of a bundle."""
        return {"course": self.course.root, "adapter": self.run.adapter, "fused": self.run.fused}


def read_record(course: Course) -> dict[str, Any] | None:
    """What `bundle.json` says of an opened course; None for one that was made here."""
    record: dict[str, Any] | None = read_json(course.bundle) if course.bundle.is_file() else None
    return record


def place_bundle(bundle: Bundle, target: Target, on_progress: OnProgress, *, replace: bool, is_trusted: bool) -> None:
    """Write an open bundle into a workspace, with `bundle.json` in the course.

    With `replace`, a course that was opened from a bundle before is renewed; what its user made stays.

    Raises:
        TutorError: something is there already, the content is not what was packed, no room, or another signer than
            that of the bundle before while `is_trusted` is not set.
    """
    manifest = bundle.manifest
    before = check_free(bundle, target, replace=replace, is_trusted=is_trusted)
    with ExitStack() as stack:
        stages: dict[str, Path] = {}
        for part, folder in target.list_folders().items():
            with disk_errors(folder.parent):
                folder.parent.mkdir(parents=True, exist_ok=True)
            stages[part] = stack.enter_context(_stage(folder))
        check_room(target.course.root.parent, manifest.size)
        with disk_errors(target.course.root.parent):
            bundle.extract(lambda name: stages[name.split("/")[0]] / name, on_progress)
            _settle(bundle, target, {part: stage / part for part, stage in stages.items()})
            moves = list(_list_moves(target, stages, renew=before is not None))
            _move_all(moves, [stage / ASIDE for stage in stages.values()])


def check_free(bundle: Bundle, target: Target, *, replace: bool, is_trusted: bool) -> dict[str, Any] | None:
    """See that nothing of the user's is in the way; returns the record of the bundle that is to be renewed, if any."""
    course, run = target.course, target.run
    other = "Open it under another name with: --as NAME"
    if not any(folder.exists() or folder.is_symlink() for folder in target.list_folders().values()):
        return None
    record = read_record(course)
    if record is None:
        taken = next(
            folder for folder in (course.root, run.adapter, run.fused) if folder.exists() or folder.is_symlink()
        )
        raise TutorError(f"{taken} is there, and is not from a bundle: it stays as it is. {other}")
    if not replace:
        raise TutorError(f"Course {course.name!r} is there, from a bundle. Renew it with --replace. {other}")
    taken = run.adapter if run.adapter.exists() else run.fused
    if record["run"] != run.name and taken.exists():
        raise TutorError(f"{taken} is of your own: it stays as it is. {other}")
    known = {entry["name"] for entry in record["manifest"]["files"]}
    for path in sorted(course.sources.rglob("*")) if course.sources.is_dir() else ():
        if path.is_file() and f"course/{path.relative_to(course.root).as_posix()}" not in known:
            raise TutorError(f"{path} is of your own and would be lost. Move it elsewhere first. {other}")
    if record["signed_by"] and record["signed_by"] != bundle.signed_by and not is_trusted:
        now = f"is signed by {bundle.signed_by}" if bundle.signed_by else "is not signed"
        raise TutorError(
            f"Course {course.name!r} was signed by {record['signed_by']}, and {bundle.path} {now}. Ask who gave it to "
            f"you for the public key, and name it with --key. {other}"
        )
    return record


@contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, on the same disk, that is gone afterwards."""
    stage = folder.with_name(f".{folder.name}.opening")
    aside = stage / ASIDE
    if aside.exists():
        raise TutorError(
            f"{aside} holds what an interrupted `mlx-tutor open` set aside. Move back to {folder} what is missing "
            f"there, then delete {stage}."
        )
    # Of an attempt that was killed while it wrote.
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        yield stage
    finally:
        if not aside.exists():
            shutil.rmtree(stage, ignore_errors=True)


def _settle(bundle: Bundle, target: Target, parts: dict[str, Path]) -> None:
    """Check what the files say beyond their hashes, give them the names they have here, and add `bundle.json`."""
    manifest, course = bundle.manifest, parts["course"]
    record = read_json(parts["adapter"] / "run.json")
    named = isinstance(record, dict) and (record.get("course"), record.get("run"), record.get("base"))
    if named != (manifest.course, manifest.run, manifest.base):
        raise refuse(bundle.path, ["adapter/run.json is of another course or run than the manifest"])
    recipe = load_recipe(course / "recipe.toml")
    if reduce_recipe(recipe) != recipe:
        raise refuse(bundle.path, ["course/recipe.toml names a teacher, tables or folders of this machine"])
    if (target.course.name, target.run.name) != (manifest.course, manifest.run):
        write_json(parts["adapter"] / "run.json", record | {"course": target.course.name, "run": target.run.name})
    for entry in manifest.files:
        if entry.name.startswith(SOURCES):
            os.utime(course.parent / entry.name, ns=(MTIME_NS, MTIME_NS))
    write_json(
        course / target.course.bundle.name,
        {"run": target.run.name, "signed_by": bundle.signed_by, "manifest": manifest.to_json()},
    )


def _list_moves(target: Target, stages: dict[str, Path], *, renew: bool) -> Iterator[tuple[Path, Path, Path]]:
    """What is to be moved where, and where what is there goes meanwhile.

    The course first: it has `bundle.json`, so that --replace can complete what was killed half-way.
    """
    for part, folder in target.list_folders().items():
        new, aside = stages[part] / part, stages[part] / ASIDE
        if part != "course" or not renew:
            yield new, folder, aside
            continue
        # Conversations, ratings and exports lie beside these.
        names = {path.name for path in new.iterdir()} | {"sources"}
        for name in sorted(names):
            yield new / name, folder / name, aside / name


def _move_all(moves: list[tuple[Path, Path, Path]], asides: list[Path]) -> None:
    """Do all moves and delete what was set aside; where one fails, take all back."""
    done: list[tuple[Path, Path]] = []
    try:
        for new, target, aside in moves:
            if target.exists():
                aside.parent.mkdir(exist_ok=True)
                target.rename(aside)
                done.append((aside, target))
            if new.exists():
                new.rename(target)
                done.append((target, new))
    except BaseException:
        for here, back in reversed(done):
            here.rename(back)
        for folder in asides:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise
    for folder in asides:
        shutil.rmtree(folder, ignore_errors=True)
