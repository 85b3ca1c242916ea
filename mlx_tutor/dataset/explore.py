"""What is in a course and in its rows: counts, lengths, coverage, concepts and duplicates."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlx_tutor.dataset.build import read_rows
from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.mining.concepts import Key, collect_concepts
from mlx_tutor.dataset.mining.defining import collect_definitions, fold_term
from mlx_tutor.dataset.mining.gaps import LEAST_WORDS
from mlx_tutor.dataset.mining.outcomes import Outcome, find_outcomes
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.files import read_jsonl
from mlx_tutor.languages.detect import name_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Document, Section, describe_place
from mlx_tutor.text import count_words, strip_bold
from mlx_tutor.workspace import Course

# Shorter paragraphs repeat by chance.
MIN_REPEATED = 12
MOST_CONCEPTS, MOST_BINS = 40, 12

Cover = Literal["none", "few", "enough", "short"]


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What one source file holds; `pages` and `cells` are those with text, None where the format has none."""

    source: str
    words: int
    pages: int | None
    cells: int | None
    sections: int
    rows: int
    language: str


@dataclass(frozen=True, slots=True)
class SectionCount:
    """One section and how many rows were made of it.

    `cover` is none, few (less than the recipe's dataset.gap_rows), enough, or short for a section of fewer than
    LEAST_WORDS words, of which nothing is asked. What has none or few is what `build --fill-gaps` makes rows for.
    """

    source: str
    section: int
    place: str
    words: int
    rows: int
    cover: Cover


@dataclass(frozen=True, slots=True)
class ConceptCount:
    """How often a course names a concept, in how many sections, and whether a sentence of it defines the concept."""

    name: str
    times: int
    sections: int
    defined: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """A text that occurs in several places, or a question with several answers (the places)."""

    text: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of the rows: the middle, the longest, the limit of training, and bins of (from, below, rows)."""

    median: int
    longest: int
    limit: int
    bins: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Exploration:
    """All that `explore` shows. Without rows, `splits` is empty; `lengths` is None when nobody could count tokens.

    `gap_rows` is how many rows a section needs to have enough. `outcomes` are the learning outcomes that the course
    states.
    """

    course: str
    gap_rows: int
    sources: tuple[SourceCount, ...]
    sections: tuple[SectionCount, ...]
    splits: dict[str, int]
    methods: dict[str, int]
    kinds: dict[str, int]
    styles: dict[str, int]
    elsewhere: dict[str, int]
    lengths: Lengths | None
    concepts: tuple[ConceptCount, ...]
    dropped: dict[str, int]
    paragraphs: tuple[Repeat, ...]
    questions: tuple[Repeat, ...]
    outcomes: tuple[Outcome, ...] = ()


def explore_course(
    course: Course, recipe: Recipe, count_tokens: Callable[[Sequence[Any]], int] | None = None
) -> Exploration:
    """Examine the documents of a course, and its rows where there are any.

    Args:
        recipe: For the size of chunks and the limit of training.
        count_tokens: Length of the messages of a row; None: lengths are left out.

    Raises:
        CorpusError: not extracted yet.
    """
    documents = read_documents(course)
    found = [split for split in SPLITS if (course.dataset / f"{split}.jsonl").is_file()]
    rows = {split: read_rows(course, split) for split in found}
    every = [row for split in found for row in rows[split]]
    origins = [row.get("origin") or {} for row in every]
    made = Counter((str(origin.get("source")), origin.get("section")) for origin in origins)
    dropped = course.dataset / "dropped.jsonl"
    names = {document.source for document in documents}
    return Exploration(
        course=course.name,
        gap_rows=recipe.dataset.gap_rows,
        sources=tuple(_count_source(document, made) for document in documents),
        sections=tuple(_count_sections(documents, made, recipe.dataset.gap_rows)),
        splits={split: len(rows[split]) for split in found},
        methods=_count(origin.get("method") for origin in origins),
        kinds=_count((row.get("qa_pair") or {}).get("type") for row in every),
        styles=_count((row.get("metadata") or {}).get("teaching_style") for row in every),
        elsewhere=_count(origin.get("source") for origin in origins if origin.get("source") not in names),
        lengths=count_lengths([count_tokens(row["messages"]) for row in every], recipe.train.max_seq_length)
        if count_tokens is not None and every
        else None,
        concepts=tuple(count_concepts(documents, recipe)[:MOST_CONCEPTS]),
        dropped=_count(row.get("dropped") for row in read_jsonl(dropped)) if dropped.is_file() and every else {},
        paragraphs=tuple(find_paragraphs(documents)),
        questions=tuple(find_questions(every)),
        outcomes=tuple(find_outcomes(documents, every)),
    )


def _count(values: Iterable[Any]) -> dict[str, int]:
    """How often each value occurs, the most frequent first; what is missing is "-"."""
    counts = Counter(str(value or "-") for value in values)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _count_source(document: Document, made: Mapping[tuple[str, Any], int]) -> SourceCount:
    blocks = [block for section in document.sections for block in section.blocks]
    pages, cells = {block.page for block in blocks} - {None}, {block.cell for block in blocks} - {None}
    return SourceCount(
        document.source,
        sum(count_words(section.text) for section in document.sections),
        len(pages) or None,
        len(cells) or None,
        len(document.sections),
        sum(rows for (source, _), rows in made.items() if source == document.source),
        name_language(document.language or ""),
    )


def _count_sections(
    documents: Iterable[Document], made: Mapping[tuple[str, Any], int], least: int
) -> Iterable[SectionCount]:
    for document in documents:
        for number, section in enumerate(document.sections):
            words, rows = count_words(section.text), made.get((document.source, number), 0)
            place = _describe_section(document.source, section)
            yield SectionCount(document.source, number, place, words, rows, judge_cover(words, rows, least))


def judge_cover(words: int, rows: int, least: int) -> Cover:
    """Whether a section of so many words has enough rows, by the rule of `find_thin`."""
    if words < LEAST_WORDS and rows < least:
        return "short"
    return "none" if not rows else "few" if rows < least else "enough"


def _describe_section(source: str, section: Section) -> str:
    page, cell = next(((block.page, block.cell) for block in section.blocks), (None, None))
    return describe_place(source, page, cell, section.heading)


def count_lengths(lengths: Sequence[int], limit: int) -> Lengths:
    """Bins of one round width, at most MOST_BINS of them, from zero to the longest row."""
    longest = max(lengths)
    width = next(w for power in range(9) for w in (10**power, 2 * 10**power, 5 * 10**power) if w * MOST_BINS > longest)
    counts = Counter(length // width for length in lengths)
    bins = tuple((i * width, (i + 1) * width, counts[i]) for i in range(longest // width + 1))
    return Lengths(sorted(lengths)[len(lengths) // 2], longest, limit, bins)


def count_concepts(documents: Sequence[Document], recipe: Recipe) -> list[ConceptCount]:
    """The concepts of a course, those in most sections first; the longest name counts where one holds another."""
    chunks = [chunk for document in documents for chunk in split_document(document, recipe.dataset.chunk_tokens)]
    defined = collect_definitions(chunks)
    concepts = collect_concepts(documents, defined)
    times: Counter[Key] = Counter()
    sections: Counter[Key] = Counter()
    for document in documents:
        for section in document.sections:
            found = Counter(key for key, _, _ in concepts.index.find(strip_bold(section.text)))
            times.update(found)
            sections.update(found.keys())
    order = sorted(sections, key=lambda key: (-sections[key], -times[key], key))
    names = concepts.names
    return [ConceptCount(names[key], times[key], sections[key], fold_term(names[key]) in defined) for key in order]


def find_paragraphs(documents: Iterable[Document]) -> list[Repeat]:
    """Paragraphs of at least MIN_REPEATED words that stand in several sections, most places first."""
    places: dict[str, dict[str, None]] = defaultdict(dict)
    texts: dict[str, str] = {}
    for document in documents:
        for section in document.sections:
            for block in section.blocks:
                key = " ".join(re.findall(r"\w+", block.text.lower()))
                if count_words(key) >= MIN_REPEATED:
                    texts.setdefault(key, block.text)
                    places[key][describe_place(document.source, block.page, block.cell, section.heading)] = None
    return _sort_repeats((texts[key], where) for key, where in places.items())


def find_questions(rows: Iterable[Mapping[str, Any]]) -> list[Repeat]:
    """Questions without a passage that have several answers, most answers first."""
    answers: dict[str, dict[str, None]] = defaultdict(dict)
    texts: dict[str, str] = {}
    for row in rows:
        qa = row.get("qa_pair") or {}
        if isinstance(qa.get("question"), str) and not qa.get("context"):
            key = " ".join(qa["question"].lower().split())
            texts.setdefault(key, qa["question"])
            answers[key][str(qa.get("answer"))] = None
    return _sort_repeats((texts[key], found) for key, found in answers.items())


def _sort_repeats(found: Iterable[tuple[str, Mapping[str, None]]]) -> list[Repeat]:
    repeats = [Repeat(text, tuple(places)) for text, places in found if len(places) > 1]
    return sorted(repeats, key=lambda repeat: (-len(repeat.places), repeat.text))
