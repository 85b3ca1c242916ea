"""Command: show what is in a course and its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.errors import ModelError
from mlx_tutor.stages.ask import warn_changes
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job
from mlx_tutor.tables import Table
from mlx_tutor.text import cut_text

if TYPE_CHECKING:
    from mlx_tutor.dataset.explore import Exploration

# In the terminal; the page and --json list more.
MOST_SHOWN, MOST_REPEATS = 20, 5
BAR = 24


@click.command()
@common_options("course", "overrides", "json")
def command(options: Options) -> None:
    """Show what is in a course and in its rows.

    Words and pages of each file; rows by method, kind and style; their lengths in tokens; sections that have few or no
    rows; the most frequent concepts; text that occurs twice; and, for the lecturer, questions of the web page that
    nothing in the course answered, by topic, and answers with a thumb down, with the note on it, without who it was.

    Reads corpora/COURSE/dataset, writes explore.html there: the same with pictures, one file that needs no network.

    Example: mlx-tutor explore -c statistics
    """
    from mlx_tutor.dataset.explore import explore_course
    from mlx_tutor.study.chat.thumbs import list_disliked
    from mlx_tutor.study.chat.unfound import list_unfound
    from mlx_tutor.study.web.explore import write_exploration

    job = open_job(options)
    with job.screen.wait("looking through the course"):
        found = explore_course(job.course, job.recipe, find_counter(job))
    path = write_exploration(job.course, found)
    warn_changes(job, "Not counted yet")
    if options.json:
        told = {
            "unfound": [asdict(topic) for topic in list_unfound(job.course)],
            "disliked": [asdict(answer) for answer in list_disliked(job.course)],
        }
        job.screen.give_json(asdict(found) | told | {"page": str(path)})
        return
    show_exploration(job, found)
    show_unfound(job)
    show_disliked(job)
    job.screen.show(f"With pictures: {path}")


def find_counter(job: Job) -> Callable[[Sequence[Any]], int] | None:
    """What counts the tokens of a row; None, with a warning, where the model of the recipe is not here."""
    if not (job.course.dataset / "train.jsonl").is_file():
        return None
    from mlx_tutor.models import load_tokenizer, render_tokens, resolve_model

    try:
        tokenizer = load_tokenizer(resolve_model(job.recipe.model.base))
    except ModelError as err:
        job.screen.warn(adapt_hints(f"Lengths are left out. {err}"))
        return None
    return lambda messages: len(render_tokens(tokenizer, messages)[0])


def show_exploration(job: Job, found: "Exploration") -> None:
    """Everything in tables, the first entries of each."""
    screen = job.screen
    headings = ("file", "words", "pages", "cells", "sections", "rows", "language")
    sources = [
        (
            cut_text(s.source),
            *(("" if n is None else f"{n:,}") for n in (s.words, s.pages, s.cells, s.sections, s.rows)),
            s.language,
        )
        for s in found.sources
    ]
    total = [sum(source.words for source in found.sources), sum(source.rows for source in found.sources)]
    last = ("all", f"{total[0]:,}", "", "", f"{len(found.sections):,}", f"{total[1]:,}", "")
    _show_first(job, headings, sources, last, numbers=True, title="Sources")
    if found.splits:
        splits = ", ".join(f"{count:,} {split}" for split, count in found.splits.items())
        screen.show(f"{sum(found.splits.values()):,} rows: {splits}\n")
        groups = {
            "method": found.methods,
            "kind": found.kinds,
            "style": found.styles,
            "from elsewhere": found.elsewhere,
            "dropped, because": found.dropped,
        }
        screen.show(*(_draw_counts(name, counts) for name, counts in groups.items() if counts))
        show_lengths(job, found)
        show_cover(job, found)
    else:
        screen.show(adapt_hints(f"No rows yet. Make them with: mlx-tutor build -c {found.course}\n"))
    show_outcomes(job, found)
    concepts = [
        (cut_text(c.name), f"{c.sections:,}", f"{c.times:,}", "yes" if c.defined else "no") for c in found.concepts
    ]
    title = "Concepts named in most sections"
    screen.show(Table(("concept", "sections", "times", "defined"), concepts[:MOST_SHOWN], numbers=True, title=title))
    show_repeats(job, found)


def _show_first(
    job: Job, headings: Sequence[str], rows: Sequence[tuple[str, ...]], *last: tuple[str, ...], **kind: Any
) -> None:
    """A table of the first rows, a line that says how many are not shown, and `last`; none where nothing is there."""
    rest = [(f"and {len(rows) - MOST_SHOWN} more", *[""] * (len(headings) - 1))] if len(rows) > MOST_SHOWN else []
    if rows or last:
        job.screen.show(Table(headings, [*rows[:MOST_SHOWN], *rest, *last], **kind))


def _draw_counts(name: str, counts: Mapping[str, int]) -> Any:
    most = max(counts.values())
    rows = [(cut_text(label), f"{count:,}", _draw_bar(count, most)) for label, count in counts.items()]
    return Table((name, "rows", ""), rows)


def _draw_bar(value: int, most: int) -> str:
    return "█" * max(round(BAR * value / most), 1 if value else 0)


def show_lengths(job: Job, found: "Exploration") -> None:
    """Rows by their length in tokens."""
    lengths = found.lengths
    if lengths is None:
        return
    most = max(count for _, _, count in lengths.bins)
    rows = [(f"{low:,} to {high - 1:,}", f"{count:,}", _draw_bar(count, most)) for low, high, count in lengths.bins]
    title = (
        f"Tokens of a row: half have at most {lengths.median:,}, the longest {lengths.longest:,} of {lengths.limit:,}"
    )
    job.screen.show(Table(("tokens", "rows", ""), rows, title=title))


def show_cover(job: Job, found: "Exploration") -> None:
    """Which sections have few or no rows."""
    from mlx_tutor.dataset.mining.gaps import LEAST_WORDS
    from mlx_tutor.study.web.explore import list_thin

    thin = list_thin(found.sections)
    none = sum(section.cover == "none" for section in thin)
    long = sum(section.cover != "short" for section in found.sections)
    job.screen.show(
        f"Coverage: of {long:,} sections with {LEAST_WORDS} words or more, {none:,} have no row, "
        f"and {len(thin) - none:,} fewer than {found.gap_rows}.\n"
    )
    rows = [(cut_text(section.place, 400), f"{section.words:,}", f"{section.rows:,}") for section in thin]
    _show_first(job, ("thin section", "words", "rows"), rows, numbers=True)


def show_outcomes(job: Job, found: "Exploration") -> None:
    """The learning outcomes that the course states, and how many of them a row asks about."""
    from mlx_tutor.study.web.explore import describe_outcomes, list_open

    job.screen.show(describe_outcomes(found.outcomes))
    rows = [
        (cut_text(outcome.text, 70), f"{outcome.rows:,}", cut_text(next(iter(outcome.questions), "-"), 50))
        for outcome in list_open(found.outcomes)
    ]
    _show_first(job, ("learning outcome", "rows", "a question about it"), rows)


def show_repeats(job: Job, found: "Exploration") -> None:
    """Paragraphs and questions that stand there more than once."""
    for name, repeats, tells in (
        ("Paragraphs that stand in several places", found.paragraphs, "places"),
        ("Questions with several answers", found.questions, "answers"),
    ):
        job.screen.show(f"{name}: {len(repeats):,}")
        job.screen.show(*(f"  {cut_text(r.text, 90)} ({len(r.places)} {tells})" for r in repeats[:MOST_REPEATS]))
        job.screen.show("")


def show_unfound(job: Job) -> None:
    """Which questions the course did not answer, by topic."""
    from mlx_tutor.study.chat.unfound import list_unfound

    rows = []
    for found in list_unfound(job.course):
        asked = "; ".join(text for text, _ in found.questions[:MOST_REPEATS])
        rows.append((cut_text(found.topic), f"{found.times:,}", cut_text(asked)))
    title = "Questions on the page that nothing in the course answered"
    _show_first(job, ("near", "times", "asked"), rows, title=title)


def show_disliked(job: Job) -> None:
    """Answers that readers found bad, and why."""
    from mlx_tutor.study.chat.thumbs import list_disliked

    rows = [
        (cut_text(found.note) or "-", cut_text(found.question), cut_text(found.answer))
        for found in list_disliked(job.course)
    ]
    _show_first(job, ("note", "question", "answer"), rows, title="Answers with a thumb down")
