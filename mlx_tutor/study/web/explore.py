"""The page that `explore` writes: what is in a course and its rows, with pictures."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from mlx_tutor.dataset.explore import Exploration, Lengths, Repeat, SectionCount
from mlx_tutor.dataset.mining.gaps import LEAST_WORDS
from mlx_tutor.evaluation.html import escape, write_facts, write_page, write_table
from mlx_tutor.files import write_text
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.workspace import Course

HUNDRED = 100
# Of thin sections and of texts that repeat.
MOST_LISTED, MOST_REPEATS = 100, 30
CELL, CELLS_A_LINE = 18, 20
BAR_WIDTH = 140


def write_exploration(course: Course, found: Exploration) -> Path:
    """Write `corpora/<course>/dataset/explore.html`; returns its path."""
    path = course.dataset / "explore.html"
    write_text(path, render_exploration(found))
    return path


def render_exploration(found: Exploration) -> str:
    """The page as text; what sources wrote is escaped."""
    parts = [_write_head(found), _write_sources(found)]
    if found.splits:
        parts += [_write_rows(found), _write_lengths(found.lengths), _write_cover(found)]
    parts += [_write_concepts(found), _write_repeats(found)]
    return write_page(f"Course {found.course}", parts)


def _write_head(found: Exploration) -> str:
    words = sum(source.words for source in found.sources)
    rows = sum(found.splits.values())
    made = f", and {rows:,} rows made of them" if rows else "; no rows yet: mlx-tutor build"
    text = f"{len(found.sources):,} files with {words:,} words in {len(found.sections):,} sections{made}."
    return f'<h1>Course {escape(found.course)}</h1><p class="lead">{escape(text)}</p>'


def _write_sources(found: Exploration) -> str:
    longest = max((source.words for source in found.sources), default=0)
    rows = [
        (
            escape(source.source),
            f"{source.words:,}",
            draw_bar(source.words, longest),
            *(("" if count is None else f"{count:,}") for count in (source.pages, source.cells)),
            f"{source.sections:,}",
            f"{source.rows:,}",
            f"{HUNDRED * source.rows / source.words:.1f}" if source.words else "",
        )
        for source in found.sources
    ]
    headings = ("file", "words", "", "pages", "cells", "sections", "rows", f"rows / {HUNDRED} words")
    return f"<h2>Sources</h2>{write_table(headings, rows)}"


def _write_rows(found: Exploration) -> str:
    splits = ", ".join(f"{count:,} {split}" for split, count in found.splits.items())
    parts = ["<h2>Rows</h2>", write_facts([("splits", splits)])]
    groups = (("method", found.methods), ("kind of question", found.kinds), ("style", found.styles))
    parts += [_write_counts(name, counts) for name, counts in groups]
    if found.elsewhere:
        parts.append(_write_counts("origin beside the sources", found.elsewhere))
    if found.dropped:
        parts.append(_write_counts("reason of those that were dropped", found.dropped))
    return "".join(parts)


def _write_counts(name: str, counts: Mapping[str, int]) -> str:
    most, total = max(counts.values()), sum(counts.values())
    rows = [
        (escape(label), f"{count:,}", f"{100 * count / total:.1f}&nbsp;%", draw_bar(count, most))
        for label, count in counts.items()
    ]
    return f"<h3>By {escape(name)}</h3>{write_table(('', 'rows', 'share', ''), rows)}"


def draw_bar(value: float, most: float) -> str:
    """A bar as long as its share of the most."""
    length = round(BAR_WIDTH * value / most, 1) if most else 0
    return (
        f'<svg width="{BAR_WIDTH}" height="12" viewBox="0 0 {BAR_WIDTH} 12" aria-hidden="true">'
        f'<rect class="adapter" x="0" y="2" width="{length}" height="9" rx="1"/></svg>'
    )


def _write_lengths(lengths: Lengths | None) -> str:
    if lengths is None:
        return '<h2>Length of the rows</h2><p class="soft">Not measured: the model of the recipe is not here.</p>'
    text = (
        f"Tokens of whole rows: half of them have at most {lengths.median:,}, the longest {lengths.longest:,}. "
        f"Training takes {lengths.limit:,}; a longer row is dropped."
    )
    return f"<h2>Length of the rows</h2><figure>{draw_histogram(lengths)}<figcaption>{text}</figcaption></figure>"


def draw_histogram(lengths: Lengths) -> str:
    """A column for each bin with its count above and where it begins below."""
    step, height = 52, 150
    most = max(count for _, _, count in lengths.bins)
    parts = []
    for i, (low, _, count) in enumerate(lengths.bins):
        tall = round(height * count / most, 1)
        x, y = 8 + i * step, 20 + height - tall
        parts.append(f'<rect class="adapter" x="{x}" y="{y}" width="{step - 6}" height="{tall}"/>')
        parts.append(f'<text x="{x + step / 2 - 3}" y="{y - 5}" text-anchor="middle">{count:,}</text>')
        parts.append(f'<text x="{x}" y="{height + 36}" text-anchor="middle">{low:,}</text>')
    right, base = 8 + len(lengths.bins) * step, 20 + height
    parts.append(f'<line class="axis" x1="4" y1="{base}" x2="{right}" y2="{base}"/>')
    parts.append(f'<text x="{right}" y="{height + 36}" text-anchor="middle">{lengths.bins[-1][1]:,}</text>')
    size = f'viewBox="0 0 {right + 24} {height + 44}" width="{right + 24}"'
    return (
        f'<div class="scroll"><svg {size} height="{height + 44}" font-size="12" fill="currentColor" role="img" '
        f'aria-label="Rows by length in tokens">{"".join(parts)}</svg></div>'
    )


def _write_cover(found: Exploration) -> str:
    thin = list_thin(found.sections)
    caption = (
        f"A square for each section, in the order of the file: the fuller, the more rows for each {HUNDRED} words. A "
        f"red frame: no row; a dashed one: fewer than {found.gap_rows}; a dot: fewer than {LEAST_WORDS} words, too "
        f"short to ask. {len(thin):,} of {len(found.sections):,} sections are thin; for those, mlx-tutor build "
        "--fill-gaps makes rows."
    )
    parts = [f'<h2>Coverage</h2><p class="soft">{escape(caption)}</p>']
    files = groupby(found.sections, lambda section: section.source)
    rows = [f"<dt>{escape(source)}</dt><dd>{draw_cover(list(sections))}</dd>" for source, sections in files]
    parts.append(f"<dl>{''.join(rows)}</dl>")
    if thin:
        shown = [(escape(s.place), f"{s.words:,}", f"{s.rows:,}") for s in thin[:MOST_LISTED]]
        parts.append(f"<h3>{_name_first('Thin sections', thin, MOST_LISTED)}</h3>")
        parts.append(write_table(("section", "words", "rows"), shown))
    return "".join(parts)


def list_thin(sections: Sequence[SectionCount]) -> list[SectionCount]:
    """Sections with few rows or none, those where most words are unasked first."""
    thin = [section for section in sections if section.cover in ("none", "few")]
    return sorted(thin, key=lambda section: -section.words / (section.rows + 1))


def _name_first(name: str, listed: Sequence[object], most: int) -> str:
    return f"{name}, the first {most} of {len(listed):,}" if len(listed) > most else name


def draw_cover(sections: Sequence[SectionCount]) -> str:
    """A square for each section; its name and figures come with the pointer."""
    parts = []
    for i, section in enumerate(sections):
        x, y = 2 + CELL * (i % CELLS_A_LINE), 2 + CELL * (i // CELLS_A_LINE)
        title = f"<title>{escape(f'{section.place}: {section.words:,} words, {section.rows:,} rows')}</title>"
        if section.cover == "short":
            parts.append(f'<circle class="base" cx="{x + 7}" cy="{y + 7}" r="2">{title}</circle>')
            continue
        share = min(1.0, HUNDRED * section.rows / section.words / 10)
        frame = {
            "none": 'stroke="var(--bad)" stroke-width="2"',
            "few": 'stroke="var(--soft)" stroke-width="1.5" stroke-dasharray="3 2"',
        }.get(section.cover, 'stroke="var(--adapter)" stroke-width="1"')
        fill = f'fill="var(--adapter)" fill-opacity="{0.15 + 0.85 * share if section.rows else 0:.2f}"'
        parts.append(f'<rect x="{x}" y="{y}" width="14" height="14" rx="2" {fill} {frame}>{title}</rect>')
    width = 4 + CELL * min(len(sections), CELLS_A_LINE)
    height = 4 + CELL * -(-len(sections) // CELLS_A_LINE)
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'


def _write_concepts(found: Exploration) -> str:
    if not found.concepts:
        return '<h2>Concepts</h2><p class="soft">No heading, bold word or definition names one.</p>'
    most = found.concepts[0].sections
    rows = [
        (
            escape(concept.name),
            f"{concept.sections:,}",
            draw_bar(concept.sections, most),
            f"{concept.times:,}",
            "yes" if concept.defined else '<span class="worse">no</span>',
        )
        for concept in found.concepts
    ]
    headings = ("concept", "sections", "", "times", "defined")
    caption = "Those named in most sections. Of one that is not defined, no sentence says what it is."
    return f"<h2>Concepts</h2>{write_table(headings, rows, caption)}"


def _write_repeats(found: Exploration) -> str:
    parts = ["<h2>Duplicates</h2>"]
    for name, repeats, tells in (
        ("Paragraphs that stand in several places", found.paragraphs, "places"),
        ("Questions with several answers", found.questions, "answers"),
    ):
        parts.append(f"<h3>{_name_first(name, repeats, MOST_REPEATS)}</h3>")
        parts.append(_write_list(repeats, tells))
    return "".join(parts)


def _write_list(repeats: Sequence[Repeat], tells: str) -> str:
    if not repeats:
        return '<p class="soft">None.</p>'
    rows = [
        (escape(cut_text(repeat.text)), "<br>".join(escape(cut_text(place)) for place in repeat.places[:5]))
        for repeat in repeats[:MOST_REPEATS]
    ]
    return write_table(("text", tells), rows, numbers=False)


def cut_text(text: str, most: int = 160) -> str:
    """A text on one line, without what a terminal would obey, cut where it is long."""
    line = " ".join(clean_text(text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"
