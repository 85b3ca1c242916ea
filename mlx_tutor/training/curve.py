"""The loss curve of a run, as a picture and in characters for the terminal."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.files import read_jsonl, write_file
from mlx_tutor.workspace import Run

# A wider curve shows no more.
MAX_COLUMNS = 100


def read_metrics(run: Run) -> list[Any]:
    """What the training of a run reported, in order; each a `Metric`."""
    return read_jsonl(run.adapter / "metrics.jsonl")


def draw_curve(metrics: Sequence[Any], title: str, path: Path) -> None:
    """Write a PNG with training and validation loss (nats a token) over iterations."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    train = [(m["iteration"], m["loss"]) for m in metrics if m["kind"] == "train"]
    valid = [(m["iteration"], m["loss"]) for m in metrics if m["kind"] == "valid"]
    if train:
        axes.plot(*zip(*train, strict=True), color="#9aa7b8", linewidth=1.2, label="training")
    if valid:
        axes.plot(*zip(*valid, strict=True), color="#1f5fbf", linewidth=2, marker="o", markersize=4, label="validation")
        iteration, loss = min(valid, key=lambda point: point[1])
        axes.plot([iteration], [loss], marker="o", markersize=10, markerfacecolor="none", color="#c2410c")
        axes.annotate(
            f"best {loss:.3f}",
            (iteration, loss),
            textcoords="offset points",
            xytext=(0, 14),
            ha="center",
            color="#c2410c",
        )
    _dress_axes(axes, title)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    write_file(path, figure.savefig)


def _dress_axes(axes: Any, title: str) -> None:
    axes.set(title=title, xlabel="iteration", ylabel="answer loss (nats a token)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def draw_curves(curves: Sequence[tuple[str, Sequence[Any]]], best: int, title: str, path: Path) -> None:
    """Write a PNG with the validation loss of several trainings, each a name and its metrics; number `best` stands out.

    Training losses are drawn thin in the same colour.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5 + 0.12 * max(0, len(curves) - 16)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = colormaps["viridis"]
    for i, (name, metrics) in enumerate(curves):
        colour = "#c2410c" if i == best else colours(0.1 + 0.8 * i / max(1, len(curves) - 1))
        train, valid = (
            [(m["iteration"], m["loss"]) for m in metrics if m["kind"] == kind] for kind in ("train", "valid")
        )
        if train:
            axes.plot(*zip(*train, strict=True), color=colour, linewidth=0.6, alpha=0.5)
        width, label = (2.5, f"{name} (best)") if i == best else (1.5, name)
        axes.plot(*zip(*valid, strict=True), color=colour, linewidth=width, marker="o", markersize=3, label=label)
    _dress_axes(axes, title)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    write_file(path, figure.savefig)


def plot_curve(metrics: Sequence[Any], width: int, height: int = 11) -> str:
    """The same in characters, at most `width` columns (and 100) wide; "" before the first step.

    `height` lines between the axes, with a heading and a legend around them.
    Training is a line of braille dots, two by four to a character; a validation is an `o`, the best one a `*`.
    """
    last = max((m["iteration"] for m in metrics), default=0)
    if last == 0:
        return ""
    losses = [m["loss"] for m in metrics]
    low, high = min(losses), max(losses)
    labels = {row: f"{high - row / (height - 1) * (high - low):.3f}" for row in (0, height // 2, height - 1)}
    margin = max(map(len, labels.values())) + 2
    columns = max(20, min(width, MAX_COLUMNS) - margin)

    def place(metric: Any) -> tuple[float, float]:
        share = (high - metric["loss"]) / (high - low) if high > low else 0.0
        return metric["iteration"] / last * (columns - 1), share * (height - 1)

    rows = _draw_line([place(m) for m in metrics if m["kind"] == "train"], columns, height)
    # The best one comes last, on top of its neighbours.
    valid = sorted((m for m in metrics if m["kind"] == "valid"), key=lambda m: (-m["loss"], -m["iteration"]))
    for metric in valid:
        column, row = map(round, place(metric))
        rows[row][column] = "*" if metric is valid[-1] else "o"
    lines = ["answer loss (nats a token) over iterations"]
    for row, cells in enumerate(rows):
        edge = f"{labels[row]} ┤" if row in labels else "│"
        lines.append(edge.rjust(margin) + "".join(cells).rstrip())
    lines += [" " * (margin - 1) + line for line in _draw_axis(last, columns)]
    legend = "⠒⠒ training"
    if valid:
        first, end = (pick((m["iteration"], m["loss"]) for m in valid)[1] for pick in (min, max))
        best = valid[-1]
        legend += f"   o validation, {first:.3f} to {end:.3f}   * best, {best['loss']:.3f} at {best['iteration']}"
    return "\n".join([*lines, *textwrap.wrap(legend, max(20, width))])


def _draw_line(points: Sequence[tuple[float, float]], columns: int, height: int) -> list[list[str]]:
    """A polyline through (column, row) points, as braille characters."""
    # The bit of each dot in a braille character, by row and column.
    bits = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
    cells = [[0] * columns for _ in range(height)]
    # A point stands in the middle of its character.
    dots = [(2 * column + 0.5, 4 * row + 1.5) for column, row in points]
    for (x0, y0), (x1, y1) in zip(dots, [*dots[1:], *dots[-1:]], strict=True):
        steps = max(1, round(abs(x1 - x0)), round(abs(y1 - y0)))
        for step in range(steps + 1):
            x, y = int(x0 + (x1 - x0) * step / steps), int(y0 + (y1 - y0) * step / steps)
            cells[y // 4][x // 2] |= bits[y % 4][x % 2]
    return [[chr(0x2800 + cell) if cell else " " for cell in row] for row in cells]


def _draw_axis(last: int, columns: int) -> list[str]:
    """The line from iteration 0 to the last, with a tick at each quarter, and the numbers below it."""
    line, numbers = list("└" + "─" * columns), [" "] * (columns + 1)
    for iteration in {round(quarter * last / 4) for quarter in range(5)}:
        place = 1 + round(iteration / last * (columns - 1))
        line[place] = "┬"
        text = str(iteration)
        start = min(place - (len(text) - 1) // 2, len(numbers) - len(text))
        numbers[start : start + len(text)] = text
    return ["".join(line), "".join(numbers).rstrip()]
