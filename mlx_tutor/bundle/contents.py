"""What of a course and a run goes into a bundle, without what is the lecturer's own.

Left out are the journal with its conversations and ratings, rows made of rated answers, held-out exams with the rows
made of them, tables, teacher, reports, and paths of this machine. What has to be written anew for that lies in a
folder for the time being.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePath
from typing import Any

from mlx_tutor.bundle.manifest import FUSED, MODEL_KINDS, NEEDED, ROWS, SOURCES, name_base
from mlx_tutor.dataset.firewall import find_held
from mlx_tutor.errors import CorpusError, TutorError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.extract.sources import list_sources
from mlx_tutor.files import hash_file, read_json, write_json, write_text
from mlx_tutor.recipe import Recipe, write_value
from mlx_tutor.settings import ServeSettings, SweepSettings, TeacherSettings
from mlx_tutor.study.search.index import build_index, find_index, pick_encoder
from mlx_tutor.workspace import Course, Run

RECIPE, DOCUMENTS_MANIFEST, DOCUMENTS, ADAPTER_CONFIG, ADAPTER, RUN = NEEDED
METRICS = "adapter/metrics.jsonl"
# In place of the times of the lecturer's files; sources get it when they are put in place.
MTIME_NS = 315_532_800 * 10**9
# Where transformers notes the folder that a model was loaded from.
PATH_KEYS = ("_name_or_path", "name_or_path")
RATED = "rated"


@dataclass(slots=True)
class Contents:
    """The files of a bundle by their names there, and what was left out or is worth a remark."""

    files: dict[str, Path]
    rows: int = 0
    rows_left_out: int = 0
    documents: int = 0
    documents_left_out: int = 0
    # Lines of documents and rows with a path of this machine, as the output of a notebook may have.
    lines_with_paths: int = 0


def reduce_recipe(recipe: Recipe) -> Recipe:
    """The part of a recipe that is for others: no held-out files, no tables, no teacher, no sweep, no paths."""
    return replace(
        recipe,
        model=replace(recipe.model, base=name_base(recipe.model.base)),
        dataset=replace(recipe.dataset, holdout=(), imports=(), templates=()),
        teacher=TeacherSettings(),
        sweep=SweepSettings(),
        serve=ServeSettings(),
    )


def write_recipe(recipe: Recipe) -> str:
    """A recipe as TOML: what differs from the defaults."""
    lines = ["# The recipe that this course was packed with; the README of mlx_tutor/recipes explains all settings."]
    for section in fields(Recipe):
        values, usual = getattr(recipe, section.name), getattr(Recipe(), section.name)
        pairs = [(item.name, getattr(values, item.name)) for item in fields(values) if "key" not in item.metadata]
        # The base always: a later mlx-tutor may have another default.
        named = "base" if section.name == "model" else ""
        changed = [(name, value) for name, value in pairs if name == named or value != getattr(usual, name)]
        if changed:
            lines += ["", f"[{section.name}]", *(f"{name} = {write_value(value)}" for name, value in changed)]
    return "\n".join(lines) + "\n"


def gather_contents(course: Course, run: Run, recipe: Recipe, folder: Path, *, fused: bool, sources: bool) -> Contents:
    """Everything that a bundle of a run holds; writes into `folder` what is not packed as it is.

    Raises:
        CorpusError: not extracted yet, or a source that is gone.
        TutorError: a file that is broken, or that tells a path of this machine.
    """
    staged = Course(folder, course.name)
    staged.dataset.mkdir(parents=True)
    named = {*recipe.dataset.holdout, *run.read().get("recipe", {}).get("dataset", {}).get("holdout", ())}
    held = find_held(read_documents(course), named)
    contents = Contents({})
    names = _stage_documents(course, staged, held, contents)
    _stage_rows(course, staged, held, contents)
    build_index(staged, pick_encoder(staged) if recipe.search.semantic else None)
    contents.files |= {"course/index.sqlite": find_index(staged), RECIPE: staged.recipe}
    write_text(staged.recipe, write_recipe(reduce_recipe(recipe)))
    _stage_adapter(run, Run(folder, run.name), contents)
    if fused:
        _stage_fused(run, Run(folder, run.name), contents)
    if sources:
        known = list_sources(course).known
        if missing := sorted(names - set(known)):
            raise CorpusError(f"{missing[0]} is no longer in {course.sources}. Run: mlx-tutor extract -c {course.name}")
        contents.files |= {f"{SOURCES}{name}": known[name] for name in names}
    _check_paths(course, contents)
    return contents


def _stage_documents(course: Course, staged: Course, held: Collection[str], contents: Contents) -> set[str]:
    """Write the documents that are not held out, and their manifest; returns their sources."""
    rows, manifest = course.dataset / "documents.jsonl", course.dataset / "documents.json"
    if not rows.is_file() or not manifest.is_file():
        raise CorpusError(f"Course {course.name!r} is not extracted yet. Run: mlx-tutor extract -c {course.name}")
    names: set[str] = set()

    def keep(row: Mapping[str, Any]) -> bool:
        if row["source"] not in held:
            names.add(row["source"])
        return row["source"] not in held

    target = staged.dataset / rows.name
    contents.documents, contents.documents_left_out = _copy_lines(course, rows, target, keep, contents)
    if not names:
        raise CorpusError(f"Course {course.name!r} has no document that is not held out: there is nothing to search.")
    record = read_json(manifest)
    entries = [entry | {"mtime_ns": MTIME_NS, "trace": ""} for entry in record["sources"] if entry["source"] in names]
    kept = staged.dataset / manifest.name
    write_json(kept, {"extractor": record["extractor"], "documents": hash_file(target), "sources": entries})
    contents.files |= {DOCUMENTS: target, DOCUMENTS_MANIFEST: kept}
    return names


def _stage_rows(course: Course, staged: Course, held: Collection[str], contents: Contents) -> None:
    """Write the rows that come neither from held-out files nor from answers that somebody rated."""

    def keep(row: Mapping[str, Any]) -> bool:
        # Rows that came from elsewhere have no origin.
        origin = row.get("origin") or {}
        return origin.get("source") not in held and origin.get("method") != RATED

    for name in ROWS:
        path = course.dataset / PurePath(name).name
        if path.is_file():
            kept, left = _copy_lines(course, path, staged.dataset / path.name, keep, contents)
            contents.rows += kept
            contents.rows_left_out += left
            contents.files[name] = staged.dataset / path.name


def _copy_lines(
    course: Course, source: Path, target: Path, keep: Callable[[Mapping[str, Any]], bool], contents: Contents
) -> tuple[int, int]:
    """Copy the lines of a JSONL file that are to be kept; returns how many are, and how many are not."""
    kept = left = 0
    paths = [path.encode() for path in _list_own_paths(course)]
    with source.open("rb") as old, target.open("wb") as new:
        for number, line in enumerate(old, 1):
            if not line.strip():
                continue
            try:
                wanted = keep(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError) as err:
                raise TutorError(
                    f"{source}, line {number} cannot be read. Run the stage that writes it again."
                ) from err
            kept, left = kept + wanted, left + (not wanted)
            if wanted:
                new.write(line.rstrip(b"\r\n") + b"\n")
                contents.lines_with_paths += any(path in line for path in paths)
    return kept, left


def _stage_adapter(run: Run, staged: Run, contents: Contents) -> None:
    record, config = run.read(), read_json(run.adapter / "adapter_config.json")
    base = name_base(record["base"])
    recipe = dict(record.get("recipe", {}))
    for section in ("teacher", "sweep", "serve"):
        recipe.pop(section, None)
    if "model" in recipe:
        recipe["model"] = recipe["model"] | {"base": name_base(recipe["model"]["base"])}
    if "dataset" in recipe:
        recipe["dataset"] = recipe["dataset"] | {"holdout": [], "imports": [], "templates": []}
    write_json(staged.adapter / "run.json", record | {"base": base, "recipe": recipe})
    write_json(staged.adapter / "adapter_config.json", config | {"model": base})
    contents.files |= {
        RUN: staged.adapter / "run.json",
        ADAPTER_CONFIG: staged.adapter / "adapter_config.json",
        ADAPTER: run.adapter / "adapters.safetensors",
    }
    if (run.adapter / "metrics.jsonl").is_file():
        contents.files[METRICS] = run.adapter / "metrics.jsonl"


def _stage_fused(run: Run, staged: Run, contents: Contents) -> None:
    base = str(run.read()["base"])
    for path in sorted(run.fused.iterdir()):
        # Whatever else lies there is none of the model's.
        if path.name.startswith(".") or not path.is_file() or path.suffix not in MODEL_KINDS:
            continue
        target = staged.fused / path.name
        contents.files[f"{FUSED}{path.name}"] = target
        if path.name == "fuse.json":
            write_json(target, read_json(path) | {"base": name_base(base)})
        elif path.name in ("config.json", "tokenizer_config.json"):
            write_json(target, {key: item for key, item in read_json(path).items() if key not in PATH_KEYS})
        elif path.suffix == ".md":
            write_text(target, path.read_text(encoding="utf-8").replace(base, name_base(base)))
        else:
            contents.files[f"{FUSED}{path.name}"] = path


def _list_own_paths(course: Course) -> tuple[str, ...]:
    """Folders that tell who packs, and where."""
    return tuple(f"{folder}/" for folder in {course.workspace.resolve(), Path.home()} if folder != Path("/"))


def _check_paths(course: Course, contents: Contents) -> None:
    """Raise TutorError where a file that is written by programs, not by people, tells a path of this machine."""
    for name, path in contents.files.items():
        # A tokenizer's words are not ours, and its file is large.
        is_text = path.suffix in (".toml", ".json", ".jinja", ".md") and path.name != "tokenizer.json"
        if not is_text or name.startswith((SOURCES, "course/dataset/")):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for own in _list_own_paths(course):
            if own in text:
                raise TutorError(f"{name} would tell {own} of this machine. Take the path out of {path.name} first.")
