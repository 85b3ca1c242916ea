"""The loss curve of a run as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.files import write_file


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
    axes.set(title=title, xlabel="iteration", ylabel="answer loss (nats a token)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    write_file(path, figure.savefig)
