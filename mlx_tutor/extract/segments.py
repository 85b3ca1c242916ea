"""The runs of a page as segments: text on one baseline without a wide gap."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlx_tutor.extract.characters import RIGHT_TO_LEFT, clean_characters, order_line
from mlx_tutor.extract.content import WIDE_GAP, Run, is_cell_gap
from mlx_tutor.extract.scripts import join_runs


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line, or a table. `x`, `end`, `y` (upwards), `size` and page `height` are in points.

    "code" is in a monospaced font. An "aside" (footnote, caption, text in the margin) does not belong to the
    text around it. `rows` holds the lines of each cell of a table.
    """

    text: str
    x: float
    end: float
    y: float
    size: float
    bold: bool
    page: int
    height: float
    kind: Literal["text", "code", "aside", "table"] = "text"
    rows: tuple[tuple[tuple[str, ...], ...], ...] = ()


def make_segments(runs: Sequence[Run], page: int, height: float) -> Iterator[Line]:
    """Join runs that follow each other on a baseline without a wide gap."""
    # Where spaces are drawn as characters, a gap without one does not separate words.
    spaced = sum(run.spaced for run in runs) > 0.3 * len(runs)
    group: list[Run] = []
    for run in runs:
        if not run.text.strip():
            if group:
                group[-1] = replace(group[-1], text=group[-1].text + " ")
            continue
        if group:
            last = group[-1]
            size = max(last.size, run.size, 1.0)
            gap = run.x - last.end
            if RIGHT_TO_LEFT.search(run.text) and run.x < last.x:
                gap = min(other.x for other in group) - run.end
            if abs(run.x - last.x) < 0.1 * size and abs(run.y - last.y) < 0.1 * size and run.text == last.text:
                # Drawn twice to look bold.
                continue
            if gap < 0 and max(run.size, last.size) < 0.85 * (base := _find_base(group)).size:
                # An index below a power begins where the power does.
                gap = run.x - base.end
            has_space = last.text.endswith(" ") or run.text.startswith(" ")
            wide = gap > WIDE_GAP * size if has_space else is_cell_gap(gap, size, max(last.space, run.space))
            wide = wide or (spaced and not has_space and gap > 0.2 * size)
            # Scripts may be this far from the line's own baseline, and scripts of scripts further.
            reach = 0.75 if run.size < 0.65 * group[0].size and gap < 0.2 * size else 0.45
            if abs(run.y - group[0].y) > reach * max(size, group[0].size) or gap <= -size or wide:
                yield _make_line(group, page, height)
                group = []
        group.append(run)
    if group:
        yield _make_line(group, page, height)


def _find_base(group: Sequence[Run]) -> Run:
    """The last run of the largest type."""
    largest = max(run.size for run in group)
    return next(run for run in reversed(group) if run.size > 0.85 * largest)


def _make_line(group: Sequence[Run], page: int, height: float) -> Line:
    if any(RIGHT_TO_LEFT.search(run.text) for run in group):
        group = sorted(group, key=lambda run: run.x)
    weights: Counter[tuple[float, bool]] = Counter()
    for run in group:
        weights[round(run.size, 1), run.bold] += len(run.text.strip())
    (size, bold), _ = weights.most_common(1)[0]
    heavy = sum(weight for (_, is_bold), weight in weights.items() if is_bold)
    # Superscripts do not move the baseline.
    baseline = max(group, key=lambda run: (round(run.size, 1) == size, -group.index(run)))
    return Line(
        text=order_line(clean_characters(join_runs(group))),
        x=min(run.x for run in group),
        end=max(run.end for run in group),
        y=baseline.y,
        size=size,
        bold=bold and heavy > 0.9 * weights.total(),
        page=page,
        height=height,
        kind="code" if all(run.mono for run in group) else "text",
    )


def join_segments(segments: Sequence[Line]) -> Iterator[Line]:
    """Neighbours on one baseline as one line, unless the gap is wide."""
    line: Line | None = None
    for segment in segments:
        if line is not None:
            gap = segment.x - line.end
            is_beside = abs(segment.y - line.y) < 0.45 * max(line.size, segment.size)
            if is_beside and -line.size < gap < 4 * line.size and "table" not in (line.kind, segment.kind):
                kind = line.kind if line.kind == segment.kind else "text"
                line = replace(line, text=f"{line.text} {segment.text}", end=max(line.end, segment.end), kind=kind)
                continue
            yield line
        line = segment
    if line is not None:
        yield line
