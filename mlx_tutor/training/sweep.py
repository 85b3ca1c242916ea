"""The settings that a sweep tries, and its table, picture and record."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from mlx_tutor.errors import RecipeError
from mlx_tutor.files import disk_errors, read_json, write_json, write_text
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import write_count
from mlx_tutor.settings import SweepSettings
from mlx_tutor.tables import Table
from mlx_tutor.training.curve import draw_curves, read_metrics
from mlx_tutor.workspace import Course, Run

Point = dict[str, Any]
# More than this is a mistake in the recipe, or weeks.
MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One line of the table: what was tried, and what it came to. `share` is of the base's parameters.

    Of a training that failed there is only the reason, in `stopped`.
    """

    settings: dict[str, str]
    run: str
    stopped: str
    base_loss: float | None = None
    train_loss: float | None = None
    valid_loss: float | None = None
    best_iteration: int | None = None
    iterations: int | None = None
    minutes: float | None = None
    peak_memory_gb: float | None = None
    trained_parameters: int | None = None
    share: float | None = None
    best: bool = False

    @property
    def setting(self) -> str:
        """`rank 8, learning_rate 0.0001`."""
        return ", ".join(f"{name} {value}" for name, value in self.settings.items())


# Heading and how to write a value, in the order of the table; narrow, so that it fits into a terminal.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "train_loss": ("train", "{:.3f}".format),
    "valid_loss": ("valid", "{:.3f}".format),
    "minutes": ("min", "{:.1f}".format),
    "peak_memory_gb": ("GB", "{:.2f}".format),
    "trained_parameters": ("params", write_count),
    "share": ("share", lambda share: f"{100 * share:.2g}%"),
    "run": ("run", str),
}


def list_points(recipe: Recipe) -> list[Point]:
    """What [sweep] asks for: each a few settings of [train].

    Raises:
        RecipeError: nothing to try, or too much.
    """
    given = {
        item.name: values
        for item in fields(SweepSettings)
        if isinstance(values := getattr(recipe.sweep, item.name), tuple)
    }
    lists = {name: values for name, values in given.items() if values}
    if not lists:
        raise RecipeError(
            "[sweep] has nothing to try. Give it lists, in recipe.toml or as: --set 'sweep.learning_rate=[1e-4, 3e-4]'"
        )
    together = zip(*lists.values(), strict=True) if recipe.sweep.combine == "list" else product(*lists.values())
    count = math.prod(map(len, lists.values())) if recipe.sweep.combine == "all" else 0
    if count > MOST_POINTS:
        raise RecipeError(f"[sweep] has {count} combinations, more than {MOST_POINTS}. Shorten a list.")
    points = [dict(zip(lists, values, strict=True)) for values in together]
    return [point for i, point in enumerate(points) if point not in points[:i]]


def apply_point(recipe: Recipe, point: Point) -> Recipe:
    """The recipe of one training of a sweep."""
    settings: Point = {"epochs": 0.0, **point} if "iters" in point else point
    return replace(recipe, train=replace(recipe.train, **settings))


def write_point(point: Point) -> dict[str, str]:
    """The settings of one training as texts."""
    return {name: _write_value(value) for name, value in point.items()}


def _write_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(value) or "all"
    return f"{value:g}" if isinstance(value, float) else str(value)


def make_row(point: Point, run: Run) -> SweepRow:
    """The line of a training that came to its end."""
    result = run.read()["result"]
    return SweepRow(
        settings=write_point(point),
        run=run.name,
        stopped=result["stopped"],
        base_loss=result["base_loss"],
        train_loss=result["train_loss"],
        valid_loss=result["best_loss"],
        best_iteration=result["best_iteration"],
        iterations=result["iterations"],
        minutes=result["seconds"] / 60,
        peak_memory_gb=result["peak_memory_gb"],
        trained_parameters=result["trained_parameters"],
        share=result["trained_parameters"] / result["parameters"],
    )


def mark_best(rows: Sequence[SweepRow]) -> list[SweepRow]:
    """The rows, the one with the lowest validation loss marked."""
    best = min((row.valid_loss for row in rows if row.valid_loss is not None), default=None)
    index = next((i for i, row in enumerate(rows) if row.valid_loss == best), None) if best is not None else None
    return [replace(row, best=i == index) for i, row in enumerate(rows)]


def write_headings(row: SweepRow) -> list[str]:
    """The headings of the table: the settings that were tried, then `COLUMNS`."""
    return [*row.settings, *(heading for heading, _ in COLUMNS.values())]


def write_cells(row: SweepRow) -> list[str]:
    """A row as texts below `write_headings`; the best begins with a star."""
    cells = list(row.settings.values())
    for name, (_, write) in COLUMNS.items():
        value = getattr(row, name)
        cells.append("-" if value is None else write(value))
    return [f"* {cells[0]}" if row.best else cells[0], *cells[1:]]


def find_sweep(course: Course) -> Path:
    """The folder of a course's sweep."""
    return course.workspace / "adapters" / f"{course.name}-sweep"


def read_failures(course: Course) -> dict[str, str]:
    """Reasons of the trainings that failed, by the hash of their inputs: they would fail again."""
    path = find_sweep(course) / "sweep.json"
    failures: dict[str, str] = read_json(path)["failures"] if path.is_file() else {}
    return failures


def _keep_earlier(folder: Path, rows: Sequence[SweepRow]) -> None:
    path = folder / "sweep.json"
    old = read_json(path) if path.is_file() else {"rows": []}
    now = [row.settings for row in rows]
    if all(row["settings"] in now for row in old["rows"]):
        return
    # Sweeps of an older version have no date of their own.
    date = old.get("finished") or datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
    kept = folder / f"{date[:16].replace(':', '')} {' '.join(old['rows'][0]['settings'])}".replace("T", " ")
    with disk_errors(folder):
        kept.mkdir(exist_ok=True)
        for file in folder.glob("sweep.*"):
            file.rename(kept / file.name)


def write_sweep(course: Course, rows: Sequence[SweepRow], failures: dict[str, str]) -> Path:
    """Write sweep.csv, sweep.md, sweep.png and sweep.json; returns their folder.

    An earlier sweep that tried something else is kept beside it, in a folder named by its date and settings.
    """
    folder = find_sweep(course)
    _keep_earlier(folder, rows)
    entry = {"rows": [asdict(row) for row in rows], "failures": failures, "finished": datetime.now(UTC).isoformat()}
    write_json(folder / "sweep.json", entry)
    if not rows:
        return folder
    entries = [{**row.settings, **{k: v for k, v in asdict(row).items() if k != "settings"}} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(entries[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries)
    write_text(folder / "sweep.csv", text.getvalue())
    lines = [[f"**{cell.removeprefix('* ')}**" if row.best else cell for cell in write_cells(row)] for row in rows]
    write_text(folder / "sweep.md", Table(write_headings(rows[0]), lines, numbers=True).to_markdown())
    trained = [row for row in rows if row.valid_loss is not None]
    if trained:
        curves = [(row.setting, read_metrics(Run(course.workspace, row.run))) for row in trained]
        best = next(i for i, row in enumerate(trained) if row.best)
        draw_curves(curves, best, f"Sweep of {course.name}", folder / "sweep.png")
    return folder
