"""Limits on the share of rows from one section, one page or one method."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

from mlx_tutor.dataset.mining.language import rank
from mlx_tutor.hide import has_code
from mlx_tutor.records import Example
from mlx_tutor.settings import CourseSettings, DatasetSettings

# In a course of few sections each has a large share: this many times an even share is always allowed, and so many rows.
EVEN, FEW = 2.0, 100
# Tasks about the words of one sentence or passage: they teach its language more than its subject.
SENTENCE_TASKS = frozenset(["completion", "title"])
# Rows of tables are many and alike: one to so many others, which makes a sixth.
OTHERS_TO_TABLE, FEW_TABLES = 5, 4
# A course with fewer rows keeps more of them: of a language without a table there are no others.
FEW_SENTENCES = 40
CODE_ABOVE = "above dataset.code_share"
CODE_REASON = "holds code, and course.allow_code is false"


def apply_quotas(
    examples: Sequence[Example], settings: DatasetSettings
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """The rows within the shares of the recipe, and those above them with the reason; both in order.

    Shares are of all rows that are mined or taught; rows of tables and of past exams
    have limits of their own. Where a page or section
    has too many, each way of making rows loses some; where a way has too many, each section does.
    """
    dropped: dict[int, str] = {}

    bounded = [
        i for i, row in enumerate(examples) if row.origin.row is None and row.origin.source not in settings.holdout
    ]

    def limit(
        share: float, name: str, key: Callable[[Example], Hashable], other: Callable[[Example], Hashable]
    ) -> None:
        left = [i for i in bounded if i not in dropped]
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for i in left:
            groups[key(examples[i])].append(i)
        # Rows without a page form a group of their own.
        groups.pop(None, None)
        most = max(FEW, math.ceil(len(left) * max(share, EVEN / max(1, len(groups)))))
        for group in groups.values():
            for i in _spread(examples, group, other, settings.seed)[most:]:
                dropped[i] = f"above dataset.{name}"

    limit(settings.page_share, "page_share", _find_page, _find_method)
    limit(settings.section_share, "section_share", _find_section, _find_method)
    limit(settings.method_share, "method_share", _find_method, _find_section)
    left = [i for i in bounded if i not in dropped]
    _limit_kinds(examples, left, settings, dropped)
    kept = [row for i, row in enumerate(examples) if i not in dropped]
    return kept, [(examples[i], reason) for i, reason in sorted(dropped.items())]


def _limit_kinds(
    examples: Sequence[Example], left: Sequence[int], settings: DatasetSettings, dropped: dict[int, str]
) -> None:
    """Add to `dropped` the rows about single sentences, with code and of tables that are above their shares."""
    sentences = [i for i in left if examples[i].origin.method in SENTENCE_TASKS]
    coded = [i for i in left if settings.code_share < 1 and holds_code(examples[i])]
    kinds = (
        (sentences, settings.sentence_share, FEW_SENTENCES, _find_method, "above dataset.sentence_share"),
        (coded, settings.code_share, 0, _find_section, CODE_ABOVE),
    )
    before = -1
    # Rows that one kind loses make the share of the others larger.
    while before < len(dropped):
        before = len(dropped)
        for group, share, few, other, reason in kinds:
            kept_group = [i for i in group if i not in dropped]
            others = sum(i not in dropped for i in left) - len(kept_group)
            most = max(few - others, int(others * share / (1 - share)) if share < 1 else len(kept_group))
            for i in _spread(examples, kept_group, other, settings.seed)[max(0, most) :]:
                dropped[i] = reason
        for i in _pick_tables(examples, [i for i in left if i not in dropped]):
            dropped[i] = "above a sixth of the rows for tables"


def holds_code(example: Example) -> bool:
    """Whether question, passage or answer of a row hold code."""
    return any(has_code(turn["content"]) for turn in example.messages if turn["role"] != "system")


def leave_code_out(
    examples: Sequence[Example], course: CourseSettings
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """The rows that `course.allow_code` leaves, and those with code with the reason."""
    if course.allow_code:
        return list(examples), []
    coded = [holds_code(example) for example in examples]
    return (
        [example for example, has in zip(examples, coded, strict=True) if not has],
        [(example, CODE_REASON) for example, has in zip(examples, coded, strict=True) if has],
    )


def _pick_tables(examples: Sequence[Example], left: Sequence[int]) -> list[int]:
    """The rows of tables above their share; of each table its first rows, which are its best, stay longest."""
    tables = [i for i in left if examples[i].origin.method == "table"]
    rounds = _count_rounds(tables, lambda i: examples[i].qa_pair.context)
    most = (len(left) - len(tables)) // OTHERS_TO_TABLE
    ordered = sorted(tables, key=lambda i: (rounds[i], rank(examples[i].origin.source, examples[i].qa_pair.question)))
    return ordered[max(most, min(FEW_TABLES, len(tables))) :]


def _spread(
    examples: Sequence[Example], group: Sequence[int], key: Callable[[Example], Hashable], seed: int
) -> list[int]:
    """A group in an order in which every prefix has each key about equally often."""
    shuffled = sorted(group, key=lambda i: rank(seed, examples[i].origin.source, examples[i].qa_pair.question, i))
    rounds = _count_rounds(shuffled, lambda i: key(examples[i]))
    return sorted(shuffled, key=lambda i: rounds[i])


def _count_rounds(order: Sequence[int], key: Callable[[int], Hashable]) -> dict[int, int]:
    """Of each row, how many before it have its key."""
    met: Counter[Hashable] = Counter()
    rounds: dict[int, int] = {}
    for i in order:
        rounds[i] = met[key(i)]
        met[key(i)] += 1
    return rounds


def _find_page(example: Example) -> Hashable:
    origin = example.origin
    return None if origin.page is None and origin.cell is None else (origin.source, origin.page, origin.cell)


def _find_section(example: Example) -> Hashable:
    return example.origin.source, example.origin.section


def _find_method(example: Example) -> Hashable:
    return example.origin.method
