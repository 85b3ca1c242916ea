"""The page that `explore` writes: what is in a course and its rows, with pictures."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from mlx_tutor.dataset.explore import Exploration, Lengths, Repeat, SectionCount
from mlx_tutor.dataset.mining.gaps import LEAST_WORDS
from mlx_tutor.dataset.mining.outcomes import Outcome
from mlx_tutor.evaluation import html
from mlx_tutor.evaluation.html import render_page
from mlx_tutor.files import write_text
from mlx_tutor.tables import Table
from mlx_tutor.text import cut_text
from mlx_tutor.workspace import Course

HUNDRED = 100
# Of thin sections and of texts that repeat.
MOST_LISTED, MOST_REPEATS = 100, 30
PACKAGE = "mlx_tutor.study.web"


def write_exploration(course: Course, found: Exploration) -> Path:
    """Write `corpora/<course>/dataset/explore.html`; returns its path."""
    path = course.dataset / "explore.html"
    write_text(path, render_exploration(found))
    return path


def render_exploration(found: Exploration) -> str:
    """The page as text; what sources wrote is escaped."""
    thin = list_thin(found.sections)
    files = groupby(found.sections, lambda section: section.source)
    groups = {
        "method": found.methods,
        "kind of question": found.kinds,
        "style": found.styles,
        "origin beside the sources": found.elsewhere,
        "reason of those that were dropped": found.dropped,
    }
    values = {
        "title": f"Course {found.course}",
        "found": found,
        "words": sum(source.words for source in found.sources),
        "rows": sum(found.splits.values()),
        "sources": _tabulate_sources(found),
        "splits": ", ".join(f"{count:,} {split}" for split, count in found.splits.items()),
        "counts": [(name, _tabulate_counts(c)) for name, c in groups.items() if c],
        "histogram": None if found.lengths is None else draw_histogram(found.lengths),
        "least_words": LEAST_WORDS,
        "thin": thin,
        "thin_name": _name_first("Thin sections", thin, MOST_LISTED),
        "thin_table": Table(
            ("section", "words", "rows"),
            [(s.place, f"{s.words:,}", f"{s.rows:,}") for s in thin[:MOST_LISTED]],
            numbers=True,
        ),
        "cover": [(source, draw_cover(list(sections))) for source, sections in files],
        "outcomes": tabulate_outcomes(found.outcomes),
        "told": describe_outcomes(found.outcomes),
        "concepts": _tabulate_concepts(found),
        "repeats": [
            (_name_first(name, repeats, MOST_REPEATS), _tabulate_repeats(repeats, heading))
            for name, repeats, heading in (
                ("Paragraphs that stand in several places", found.paragraphs, "places"),
                ("Questions with several answers", found.questions, "answers"),
            )
        ],
    }
    return render_page("explore.html.j2", values, PACKAGE)


def draw(name: str, *values: object) -> str:
    """A picture of this page."""
    return html.draw(name, *values, file="pictures.html.j2", package=PACKAGE)


def _tabulate_sources(found: Exploration) -> Table:
    longest = max((source.words for source in found.sources), default=0)
    rows = [
        (
            source.source,
            f"{source.words:,}",
            draw("bar", source.words, longest),
            *(("" if count is None else f"{count:,}") for count in (source.pages, source.cells)),
            f"{source.sections:,}",
            f"{source.rows:,}",
            f"{HUNDRED * source.rows / source.words:.1f}" if source.words else "",
        )
        for source in found.sources
    ]
    columns = ("file", "words", "", "pages", "cells", "sections", "rows", f"rows / {HUNDRED} words")
    return Table(columns, rows, numbers=True)


def _tabulate_counts(counts: Mapping[str, int]) -> Table:
    most, total = max(counts.values()), sum(counts.values())
    rows = [
        (label, f"{count:,}", f"{100 * count / total:.1f}\u00a0%", draw("bar", count, most))
        for label, count in counts.items()
    ]
    return Table(("", "rows", "share", ""), rows, numbers=True)


def draw_histogram(lengths: Lengths) -> str:
    """A column for each bin with its count above and where it begins below."""
    return draw("histogram", lengths.bins, max(count for _, _, count in lengths.bins))


def list_thin(sections: Sequence[SectionCount]) -> list[SectionCount]:
    """Sections with few rows or none, those where most words are unasked first."""
    thin = [section for section in sections if section.cover in ("none", "few")]
    return sorted(thin, key=lambda section: -section.words / (section.rows + 1))


def _name_first(name: str, listed: Sequence[object], most: int) -> str:
    return f"{name}, the first {most} of {len(listed):,}" if len(listed) > most else name


def draw_cover(sections: Sequence[SectionCount]) -> str:
    """A square for each section; its name and figures are in the tooltip."""
    shares = [min(1.0, HUNDRED * s.rows / s.words / 10) if s.words else 0.0 for s in sections]
    return draw("cover", list(zip(sections, shares, strict=True)))


def describe_outcomes(outcomes: Sequence[Outcome]) -> str:
    """How many outcomes there are, and of how many a row asks."""
    if not outcomes:
        return "Learning outcomes: the course states none in a form that is known here."
    asked = sum(outcome.rows > 0 for outcome in outcomes)
    share = f"{asked:,} of {len(outcomes):,} have a row that asks about them ({asked / len(outcomes):.0%})"
    return f"Learning outcomes that the course states: {share}."


def list_open(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that fewest rows ask about first."""
    return sorted(outcomes, key=lambda outcome: outcome.rows)


def tabulate_outcomes(outcomes: Sequence[Outcome]) -> Table:
    """Each outcome with its place, the rows that ask about it and some of their questions."""
    rows = [
        (
            cut_text(outcome.text),
            cut_text(outcome.place),
            f"{outcome.rows:,}",
            html.draw("lines", [cut_text(question) for question in outcome.questions]),
        )
        for outcome in outcomes
    ]
    return Table(("outcome", "stated in", "rows", "questions"), rows)


def _tabulate_concepts(found: Exploration) -> Table:
    most = max((concept.sections for concept in found.concepts[:1]), default=0)
    rows = [
        (
            concept.name,
            f"{concept.sections:,}",
            draw("bar", concept.sections, most),
            f"{concept.times:,}",
            "yes" if concept.defined else html.draw("judged", "no", "worse"),
        )
        for concept in found.concepts
    ]
    return Table(("concept", "sections", "", "times", "defined"), rows, numbers=True)


def _tabulate_repeats(repeats: Sequence[Repeat], heading: str) -> Table:
    rows = [
        (cut_text(repeat.text), html.draw("lines", [cut_text(place) for place in repeat.places[:5]]))
        for repeat in repeats[:MOST_REPEATS]
    ]
    return Table(("text", heading), rows)
