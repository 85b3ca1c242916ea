"""The loss curve in characters: everything stands where its number says."""

from typing import Any

import pytest

from mlx_tutor.training.curve import plot_curve

HEIGHT = 11
# 4 to 2 over 100 iterations; the best validation in the middle.
VALID = {0: 4.0, 20: 3.0, 50: 2.0, 80: 2.4, 100: 2.8}
METRICS: list[dict[str, Any]] = [
    *({"kind": "valid", "iteration": i, "loss": loss} for i, loss in VALID.items()),
    *({"kind": "train", "iteration": i, "loss": 3.9 - 0.015 * i} for i in range(10, 101, 10)),
]


def find(lines: list[str], mark: str) -> list[tuple[int, int]]:
    """Row and column of a mark, from the upper left corner of the plot."""
    plot = lines[1 : 1 + HEIGHT]
    edge = plot[0].index("┤")
    return [(r, c - edge - 1) for r, line in enumerate(plot) for c, cell in enumerate(line) if cell == mark]


@pytest.mark.parametrize("width", [70, 100])
def test_every_validation_stands_where_its_number_says(width: int) -> None:
    lines = plot_curve(METRICS, width, HEIGHT).split("\n")
    assert max(map(len, lines)) == width
    assert len(lines) == HEIGHT + 4
    columns = width - len("4.000 ┤")
    place = {i: (round((4 - loss) / 2 * (HEIGHT - 1)), round(i / 100 * (columns - 1))) for i, loss in VALID.items()}
    assert find(lines, "*") == [place[50]]
    assert sorted(find(lines, "o")) == sorted(place[i] for i in VALID if i != 50)
    assert place[0] == (0, 0)
    assert place[100] == (6, columns - 1)


def test_axes_and_legend_say_the_numbers() -> None:
    lines = plot_curve(METRICS, 80, HEIGHT).split("\n")
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["4.000", "3.000", "2.000"]
    assert [i for i, line in enumerate(lines) if "┤" in line] == [1, 6, 11]
    axis, numbers, legend = lines[-3:]
    assert numbers.split() == ["0", "25", "50", "75", "100"]
    assert axis.count("┬") == 5
    # The tick of 50 stands below the best point, above its number.
    star = next(line.index("*") for line in lines if "*" in line)
    assert axis[star] == "┬"
    assert numbers.index("50") <= star < numbers.index("50") + 2
    assert "o validation, 4.000 to 2.800" in legend
    assert "* best, 2.000 at 50" in legend


def test_the_training_line_is_unbroken_and_falls() -> None:
    lines = plot_curve([m for m in METRICS if m["kind"] == "train"], 80, HEIGHT).split("\n")[1 : 1 + HEIGHT]
    edge = lines[0].index("┤")
    rows: dict[int, list[int]] = {}
    for row, line in enumerate(lines):
        for column, cell in enumerate(line[edge + 1 :]):
            if cell != " ":
                assert 0x2800 < ord(cell) <= 0x28FF
                rows.setdefault(column, []).append(row)
    columns = sorted(rows)
    assert columns == list(range(columns[0], 80 - edge - 1))
    assert columns[0] == round(0.1 * (80 - edge - 2))
    tops = [min(rows[column]) for column in columns]
    assert tops == sorted(tops) and tops[0] == 0 and max(rows[columns[-1]]) == HEIGHT - 1


def test_little_to_draw() -> None:
    assert plot_curve([], 80) == ""
    assert plot_curve(METRICS[:1], 80) == ""
    flat = [{"kind": "valid", "iteration": i, "loss": 1.0} for i in (0, 1)]
    lines = plot_curve(flat, 40).split("\n")
    # The first of equals is the one that was kept.
    assert "* best, 1.000 at 0" in " ".join(lines)
    # Narrower than it can be drawn, it is still drawn.
    assert "*" in plot_curve(METRICS, 5)


def test_no_line_is_wider_than_a_hundred() -> None:
    assert max(map(len, plot_curve(METRICS, 400).split("\n"))) == 100
