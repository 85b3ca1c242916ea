"""Which files of a course give few rows for their length, and why."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlx_tutor.dataset.mining.headings import has_prose, name_context
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import Chunk, Document, Example
from mlx_tutor.text import count_words

# Rows that a thousand words should give: sixty for a lesson of five thousand.
ROWS_PER_1000 = 12
# Shorter files are no lessons.
LEAST_WORDS = 500


@dataclass(frozen=True, slots=True)
class SparseLesson:
    """A file with fewer rows than `wanted`.

    `dropped` counts rows by the reason for which they were left out, `unused` words that give rows hardly ever, by why.
    """

    source: str
    words: int
    rows: int
    wanted: int
    dropped: dict[str, int]
    unused: dict[str, int]


def find_sparse(
    documents: Sequence[Document],
    chunks: Iterable[Chunk],
    rows: Iterable[Example],
    dropped: Iterable[tuple[Example, str]],
) -> tuple[SparseLesson, ...]:
    """The files that give fewer than ROWS_PER_1000 rows for a thousand words, in the order of the course."""
    made = Counter(row.origin.source for row in rows)
    lost: dict[str, Counter[str]] = {document.source: Counter() for document in documents}
    unused: dict[str, Counter[str]] = {document.source: Counter() for document in documents}
    for row, reason in dropped:
        if row.origin.source in lost:
            lost[row.origin.source][reason] += 1
    for chunk in chunks:
        for block in chunk.blocks:
            if (why := _explain(chunk, block.kind)) and chunk.source in unused:
                unused[chunk.source][why] += count_words(block.text)
    found = []
    for document in documents:
        words = sum(count_words(section.text) for section in document.sections)
        wanted = words * ROWS_PER_1000 // 1000
        if words >= LEAST_WORDS and made[document.source] < wanted:
            reasons = dict(lost[document.source].most_common()), dict(unused[document.source].most_common())
            found.append(SparseLesson(document.source, words, made[document.source], wanted, *reasons))
    return tuple(found)


def _explain(chunk: Chunk, kind: str) -> str:
    """Why the words of a block hardly give rows; "" where nothing speaks against it."""
    if kind != "text":
        return "code, output and tables"
    if not has_prose(chunk):
        return "exercises, solutions, objectives and references"
    if read_language(chunk.language) is None:
        return f"a language without a table ({chunk.language or 'not told'})"
    return "" if name_context(chunk) else "below headings that name no topic"


def describe_sparse(lesson: SparseLesson) -> str:
    """`week3.md: 20 rows of 4,000 words (48 wanted); dropped: ... (3); unused words: code, output and tables (900)`."""
    text = f"{lesson.source}: {lesson.rows} rows of {lesson.words:,} words ({lesson.wanted} wanted)"
    for name, counts in (("dropped", lesson.dropped), ("words without rows", lesson.unused)):
        if counts:
            text += f"; {name}: {', '.join(f'{why} ({count:,})' for why, count in counts.items())}"
    return text
