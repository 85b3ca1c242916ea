"""Which rows stay: duplicates, near duplicates and rows that are too long are dropped."""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import chain
from math import ceil

from mlx_tutor.records import Example, Message
from mlx_tutor.text import cut_shingles

SHINGLE = 4
# Two answers that share four of five word runs say the same thing; on both sides of a split they would leak.
NEAR = 0.8
# Percent of its letters that a question shares with another on the same fact: "What's" for "What is" teaches nothing.
SAME = 92.0

Place = tuple[str, int]


def curate_examples(
    examples: Sequence[Example], count_tokens: Callable[[Sequence[Message]], int], max_seq_length: int
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """The examples that stay, and those that do not, each with its reason; both in order."""
    kept: list[Example] = []
    dropped: list[tuple[Example, str]] = []
    seen: set[tuple[str, str, bool]] = set()
    near = NearDuplicates(examples)
    asked: dict[tuple[Place, bool], list[tuple[str, str]]] = defaultdict(list)
    for number, example in enumerate(examples):
        qa = example.qa_pair
        key = (normalize(qa.question), normalize(qa.answer), bool(qa.context))
        place = (example.origin.source, example.origin.section)
        if key in seen:
            dropped.append((example, "exact duplicate"))
        elif example.origin.row is None and _is_reworded(key[:2], asked[place, key[2]]):
            dropped.append((example, "near duplicate of another wording"))
        elif near.is_known(number, place):
            dropped.append((example, "near duplicate of another section"))
        elif count_tokens(example.messages) > max_seq_length:
            dropped.append((example, f"longer than {max_seq_length} tokens"))
        else:
            near.add(number, place)
            asked[place, key[2]].append(key[:2])
            kept.append(example)
        seen.add(key)
    return kept, dropped


def normalize(text: str) -> str:
    """The words of a text, in small letters."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _is_reworded(pair: tuple[str, str], others: Sequence[tuple[str, str]]) -> bool:
    """Whether question and answer are almost those of another row of the section."""
    from rapidfuzz import fuzz, process

    questions = [question for question, _ in others]
    near = process.extract(pair[0], questions, scorer=fuzz.ratio, score_cutoff=SAME, limit=None)
    return any(fuzz.ratio(pair[1], others[number][1]) >= SAME for _, _, number in near)


class NearDuplicates:
    """Finds answers of other sections that share most of their runs of words (Jaccard over shingles).

    Only the rarest shingles of an answer are indexed, as many as two answers that near cannot all differ in (prefix
    filtering, Chaudhuri et al., ICDE 2006): what a template writes into every row is never looked up.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.cut = [array("q", {hash(shingle) for shingle in _cut_shingles(example)}) for example in examples]
        counts = Counter(chain.from_iterable(self.cut))
        for number, shingles in enumerate(self.cut):
            self.cut[number] = array("q", sorted(shingles, key=lambda shingle: (counts[shingle], shingle)))
        self.holders: dict[int, list[tuple[Place, int]]] = defaultdict(list)

    def is_known(self, number: int, place: Place) -> bool:
        """Whether an answer added before, of another section, is near that of the example with this number."""
        shingles = set(self.cut[number])
        for shingle in self._rarest(number):
            for other, known in self.holders.get(shingle, ()):
                theirs = self.cut[known]
                shorter, longer = sorted((len(shingles), len(theirs)))
                if other == place or shorter < NEAR * longer:
                    continue
                shared = sum(shingle in shingles for shingle in theirs)
                if shared / (shorter + longer - shared) >= NEAR:
                    return True
        return False

    def add(self, number: int, place: Place) -> None:
        """Keep the example with this number to compare others with."""
        for shingle in self._rarest(number):
            self.holders[shingle].append((place, number))

    def _rarest(self, number: int) -> "array[int]":
        shingles = self.cut[number]
        return shingles[: len(shingles) - ceil(NEAR * len(shingles)) + 1]


def _cut_shingles(example: Example) -> list[tuple[str, ...]]:
    words = normalize(f"{example.qa_pair.answer} {' '.join(example.qa_pair.thought_process)}").split()
    if example.origin.row is not None:
        # Rows of tables often share an answer, as "4" or "There are no prerequisites", and mean another thing.
        words = normalize(example.qa_pair.question).split() + words
    return cut_shingles(words, SHINGLE)
