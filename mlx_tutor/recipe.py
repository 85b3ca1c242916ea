"""Reading a recipe: every setting of a course, from TOML and `--set`, checked.

Precedence: `--set section.key=value`, then `recipe.toml`, then the defaults in settings.py.
"""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from mlx_tutor.errors import RecipeError
from mlx_tutor.settings import (
    COLUMNS,
    LOCAL,
    SELF,
    CourseSettings,
    DatasetSettings,
    ExamSettings,
    ExtractSettings,
    FuseSettings,
    GateSettings,
    GenerateSettings,
    ImportSettings,
    ModelSettings,
    RateSettings,
    SearchSettings,
    ServeSettings,
    SweepSettings,
    TeacherSettings,
    TemplateSettings,
    TrainSettings,
)

# Two settings with one meaning; a recipe may have only one of them.
TWINS = {"alpha": "scale", "scale": "alpha", "epochs": "iters", "iters": "epochs"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a course."""

    course: CourseSettings = field(default_factory=CourseSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    extract: ExtractSettings = field(default_factory=ExtractSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    fuse: FuseSettings = field(default_factory=FuseSettings)
    generate: GenerateSettings = field(default_factory=GenerateSettings)
    exam: ExamSettings = field(default_factory=ExamSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    rate: RateSettings = field(default_factory=RateSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)

    def hides_code(self, exam: bool = False) -> bool:
        """Whether a note takes the place of code in answers, in an exam or outside."""
        return not self.course.allow_code or (exam and not self.exam.allow_code)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The resolved recipe as written to manifests."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the recipe reference."""

    name: str
    default: Any
    doc: str


def list_settings() -> Iterator[SettingRow]:
    """Every setting with its dotted name, default and meaning, in order."""
    recipe = Recipe()
    for section in fields(Recipe):
        for item in fields(getattr(recipe, section.name)):
            if "key" in item.metadata:
                continue
            yield SettingRow(f"{section.name}.{item.name}", item.default, item.metadata["doc"])


def list_table_settings() -> Iterator[tuple[str, list[SettingRow]]]:
    """Every array of tables as `dataset.import`, with the settings of one of its tables."""
    for section in fields(Recipe):
        kind = get_type_hints(Recipe)[section.name]
        hints = get_type_hints(kind)
        for item in (item for item in fields(kind) if "key" in item.metadata):
            entry = get_args(hints[item.name])[0]
            rows = [SettingRow(row.name, getattr(entry(), row.name), row.metadata["doc"]) for row in fields(entry)]
            yield f"{section.name}.{item.metadata['key']}", rows


def load_recipe(path: Path | None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides; without a file, the defaults.

    Raises:
        RecipeError: all problems of the file and the overrides in one message.
    """
    tables: dict[str, Any] = {}
    if path is not None and path.is_file():
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
            raise RecipeError(f"{path} is not valid TOML: {err}.") from err
    problems: list[str] = []
    for override in overrides:
        _apply_override(tables, override, problems)
    sections: dict[str, Any] = {}
    known = {section.name: getattr(Recipe(), section.name) for section in fields(Recipe)}
    for name, table in tables.items():
        if name not in known:
            problems.append(f"unknown section [{name}]{_suggest(name, known)}")
        elif not isinstance(table, dict):
            problems.append(f"{name} must be a section, as [{name}]")
        else:
            sections[name] = _read_section(name, type(known[name]), table, problems)
    if problems:
        where = f"{path}: " if path is not None and path.is_file() else ""
        raise RecipeError(where + "; ".join(problems) + ".")
    recipe = Recipe(**sections)
    # By name from here on: what is kept of its replies must not be taken for another base's.
    teacher = f"{LOCAL}{recipe.model.base}" if recipe.teacher.model == SELF else recipe.teacher.model
    return replace(recipe, teacher=replace(recipe.teacher, model=teacher))


def _apply_override(tables: dict[str, Any], override: str, problems: list[str]) -> None:
    name, equals, value = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        problems.append(f"--set {override!r} is not of the form section.key=value")
        return
    try:
        parsed = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    table = tables.setdefault(section, {})
    if isinstance(table, dict):
        # The command line overrides the file, also by the other setting of the same meaning.
        table.pop(TWINS.get(key, ""), None)
        table[key] = parsed


def _read_section(name: str, kind: type, table: dict[str, Any], problems: list[str]) -> Any:
    hints = get_type_hints(kind)
    known = {item.metadata.get("key", item.name): item for item in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if name == "train" and key == "alpha":
            continue
        if key not in known:
            problems.append(f"unknown key {name}.{key}{_suggest(key, known)}")
            continue
        if "key" in known[key].metadata:
            entry = get_args(hints[known[key].name])[0]
            values[known[key].name] = _read_tables(f"{name}.{key}", entry, value, problems)
            continue
        converted = _convert(value, hints[key])
        if converted is None:
            problems.append(f"{name}.{key} must be {_describe(hints[key])}, not {value!r}")
        elif problem := _check_bounds(converted, known[key].metadata):
            problems.append(f"{name}.{key} must be {problem}, not {value!r}")
        else:
            values[key] = converted
    if name == "train" and "alpha" in table:
        _apply_alpha(table, values, problems)
    if name == "train" and "iters" in table and table.get("epochs"):
        problems.append("train.epochs and train.iters both say how long to train; keep one")
    if name == "sweep":
        _check_sweep(values, problems)
    return None if problems else kind(**values)


def _read_tables(name: str, kind: type, value: Any, problems: list[str]) -> tuple[Any, ...]:
    """The tables of `[[name]]`, counted from 1 in messages."""
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        problems.append(f"{name} must be written as [[{name}]]")
        return ()
    read = []
    for number, table in enumerate(value, 1):
        where = f"{name}[{number}]"
        read.append(_read_section(where, kind, table, problems))
        if kind is ImportSettings and bool(table.get("path")) == bool(table.get("hub")):
            problems.append(f"{where} needs either path or hub")
        columns = table.get("columns") if kind is ImportSettings else None
        for column in set(columns if isinstance(columns, dict) else ()) - set(COLUMNS):
            problems.append(f"unknown key {where}.columns.{column}{_suggest(column, COLUMNS)}")
        if kind is TemplateSettings and not table.get("path"):
            problems.append(f"{where} needs path")
        own = bool(table.get("questions")) and bool(table.get("answer"))
        if kind is TemplateSettings and own == bool(table.get("use")):
            problems.append(f"{where} needs either use, or questions and answer")
    return tuple(read)


def _check_sweep(values: dict[str, Any], problems: list[str]) -> None:
    lengths = {name: len(value) for name, value in values.items() if isinstance(value, tuple) and value}
    if {"epochs", "iters"} <= set(lengths):
        problems.append("sweep.epochs and sweep.iters both say how long to train; keep one")
    if values.get("combine") == "list" and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        problems.append(f"sweep.combine: the lists of a `list` must be equally long, not {counts}")


def _apply_alpha(table: dict[str, Any], values: dict[str, Any], problems: list[str]) -> None:
    alpha = _convert(table["alpha"], float)
    if "scale" in table:
        problems.append("train.alpha and train.scale say the same thing; keep one (scale = alpha / rank)")
    elif alpha is None or alpha < 0:
        problems.append(f"train.alpha must be a number of at least 0, not {table['alpha']!r}")
    else:
        values["scale"] = alpha / values.get("rank", TrainSettings().rank)


def _convert(value: Any, hint: Any) -> Any:
    """`value` as the hinted type, or None when it does not fit."""
    if get_origin(hint) is Mapping:
        inner = get_args(hint)[1]
        found = {key: _convert(item, inner) for key, item in value.items()} if isinstance(value, dict) else {"": None}
        return None if None in found.values() else found
    if get_origin(hint) is tuple:
        items = [_convert(item, get_args(hint)[0]) for item in value] if isinstance(value, list) else [None]
        return None if None in items else tuple(items)
    if isinstance(value, bool):
        return value if hint is bool else None
    if hint is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, hint) else None


def _check_bounds(value: Any, metadata: Any) -> str | None:
    low, high, choices = metadata["low"], metadata["high"], metadata["choices"]
    if choices and not set(value if isinstance(value, tuple) else (value,)) <= set(choices):
        return "one of " + ", ".join(str(choice) for choice in choices)
    if isinstance(value, tuple):
        return next((problem for item in value if (problem := _check_bounds(item, metadata))), None)
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if (low is not None and value < low) or (high is not None and value > high):
        return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
    return None


def _describe(hint: Any) -> str:
    if get_origin(hint) is Mapping:
        return f"a table whose values are each {_describe(get_args(hint)[1])}"
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        kinds = {int: "whole numbers", float: "numbers", str: "texts"}
        return f"a list of {kinds.get(inner, 'lists of texts')}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[hint]


def _suggest(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def write_value(value: Any) -> str:
    """A setting as TOML."""
    # Strings, lists, integers and booleans are written alike in JSON and TOML.
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
