"""Which examples stay: no duplicates, no near duplicates from another place, none too long."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from mlx_tutor.records import Example, Message

SHINGLE = 4
# Two answers that share four of five word runs say the same thing; on both sides of a split they would leak.
NEAR = 0.8

Place = tuple[str, int]


def curate_examples(
    examples: Sequence[Example], count_tokens: Callable[[Sequence[Message]], int], max_seq_length: int
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """The examples that stay, and those that do not, each with its reason; both in order."""
    kept: list[Example] = []
    dropped: list[tuple[Example, str]] = []
    seen: set[tuple[str, str, bool]] = set()
    near = _NearDuplicates()
    for example in examples:
        qa = example.qa_pair
        key = (_normalize(qa.question), _normalize(qa.answer), bool(qa.context))
        place = (example.origin.source, example.origin.section)
        if key in seen:
            dropped.append((example, "exact duplicate"))
        elif near.is_known(example, place):
            dropped.append((example, "near duplicate of another section"))
        elif count_tokens(example.messages) > max_seq_length:
            dropped.append((example, f"longer than {max_seq_length} tokens"))
        else:
            near.add(example, place)
            kept.append(example)
        seen.add(key)
    return kept, dropped


def _normalize(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


class _NearDuplicates:
    """Finds answers of other sections that share most of their runs of words (Jaccard over shingles)."""

    def __init__(self) -> None:
        self.holders: dict[str, set[int]] = defaultdict(set)
        self.known: list[tuple[Place, frozenset[str]]] = []

    def is_known(self, example: Example, place: Place) -> bool:
        shingles = _cut_shingles(example)
        shared: Counter[int] = Counter(number for shingle in shingles for number in self.holders.get(shingle, ()))
        for number, count in shared.items():
            other, theirs = self.known[number]
            if other != place and count / (len(shingles) + len(theirs) - count) >= NEAR:
                return True
        return False

    def add(self, example: Example, place: Place) -> None:
        shingles = _cut_shingles(example)
        for shingle in shingles:
            self.holders[shingle].add(len(self.known))
        self.known.append((place, shingles))


def _cut_shingles(example: Example) -> frozenset[str]:
    words = _normalize(f"{example.qa_pair.answer} {' '.join(example.qa_pair.thought_process)}").split()
    return frozenset(" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1)))
