"""Which examples stay: no duplicates, no near duplicates, of another place or in other words, none too long."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from mlx_tutor.records import Example, Message

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
    near = _NearDuplicates()
    asked: dict[tuple[Place, bool], list[tuple[str, str]]] = defaultdict(list)
    for example in examples:
        qa = example.qa_pair
        key = (normalize(qa.question), normalize(qa.answer), bool(qa.context))
        place = (example.origin.source, example.origin.section)
        if key in seen:
            dropped.append((example, "exact duplicate"))
        elif example.origin.row is None and _is_reworded(key[:2], asked[place, key[2]]):
            dropped.append((example, "near duplicate of another wording"))
        elif near.is_known(example, place):
            dropped.append((example, "near duplicate of another section"))
        elif count_tokens(example.messages) > max_seq_length:
            dropped.append((example, f"longer than {max_seq_length} tokens"))
        else:
            near.add(example, place)
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
    words = normalize(f"{example.qa_pair.answer} {' '.join(example.qa_pair.thought_process)}").split()
    if example.origin.row is not None:
        # Rows of tables often share an answer, as "4" or "There are no prerequisites", and mean another thing.
        words = normalize(example.qa_pair.question).split() + words
    return frozenset(" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1)))
