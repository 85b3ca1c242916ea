"""Which rows stay: duplicates, near duplicates and rows that are too long are dropped."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from math import ceil

from mlx_tutor.dataset.balance import fold_question, gives_answer_away, normalize
from mlx_tutor.dataset.pointers import points_elsewhere
from mlx_tutor.records import RECALL, Example, Message, Place
from mlx_tutor.text import count_words, cut_shingles, list_words

SHINGLE = 4
# Two answers that share four of five word runs say the same thing; on both sides of a split they would leak.
NEAR = 0.8
# Counters of shingles, and the largest shingle, of 32 bits.
COUNTERS, MOST_COUNTERS = 1 << 20, 1 << 27
MOST = (1 << 32) - 1
# Percent of its letters that a question shares with another on the same fact: "What's" for "What is" teaches nothing.
SAME = 92.0
# The same of two questions with one answer.
SAME_FACT = 85.0

CODE = frozenset({"code", "output", "code completion"})
# Rows that may ask for one fact.
MOST_WORDINGS = 4
# Answers of fewer words are said of many things.
LEAST_WORDS = 5


def curate_examples(
    examples: Sequence[Example], count_tokens: Callable[[Sequence[Message]], int], max_seq_length: int
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """The examples that stay, and those that do not, each with its reason; both in order."""
    kept: list[Example] = []
    dropped: list[tuple[Example, str]] = []
    # Fingerprints: the texts of a million rows would fill the memory.
    seen: set[int] = set()
    near, facts = NearDuplicates(examples), Facts()
    for number, example in enumerate(examples):
        qa = example.qa_pair
        key = hash((normalize(qa.question), normalize(qa.answer), bool(qa.context)))
        place = (example.origin.source, example.origin.section)
        # Rows of tables and templates are as somebody else made them.
        is_mined = example.origin.row is None
        if key in seen:
            dropped.append((example, "exact duplicate"))
        elif is_mined and gives_answer_away(qa, example.messages):
            dropped.append((example, "the question gives the answer away"))
        elif is_mined and points_elsewhere(qa, example.language):
            dropped.append((example, "points at what is not there"))
        elif is_mined and (reason := facts.refuse(example)) is not None:
            dropped.append((example, reason))
        # What is practised, another row of the section says.
        elif qa.type != RECALL and near.is_known(number, place):
            dropped.append((example, "near duplicate of another section"))
        elif count_tokens(example.messages) > max_seq_length:
            dropped.append((example, f"longer than {max_seq_length} tokens"))
        else:
            near.add(number, place)
            if is_mined:
                facts.add(example)
            kept.append(example)
        seen.add(key)
    return kept, dropped


class Facts:
    """What rows ask for: few wordings of a fact, none almost as another, and one answer to a question from memory."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.wordings: dict[Hashable, list[str]] = defaultdict(list)
        self.places: dict[tuple[Place, bool], list[tuple[str, str]]] = defaultdict(list)

    def refuse(self, example: Example) -> str | None:
        """Why a row asks for too much of the same, with those added before; None when it does not."""
        qa, question, answer = (
            example.qa_pair,
            fold_question(example.qa_pair.question),
            normalize(example.qa_pair.answer),
        )
        if not qa.context and self.answers.get(question, answer) != answer:
            return "asked from memory with another answer"
        facts = _list_facts(example)
        if any(len(self.wordings[fact]) >= MOST_WORDINGS for fact in facts):
            return f"more than {MOST_WORDINGS} wordings of one fact"
        same = self.wordings[answer] if answer in facts else []
        if _is_near(question, same, SAME_FACT) or self._is_reworded(example, question, answer):
            return "near duplicate of another wording"
        return None

    def add(self, example: Example) -> None:
        """Keep what a row asks for to compare others with."""
        question, answer = fold_question(example.qa_pair.question), normalize(example.qa_pair.answer)
        if not example.qa_pair.context:
            self.answers.setdefault(question, answer)
        for fact in _list_facts(example):
            self.wordings[fact].append(question)
        self.places[_find_place(example)].append((question, answer))

    def _is_reworded(self, example: Example, question: str, answer: str) -> bool:
        """Whether question and answer are almost those of another row of the section."""
        from rapidfuzz import fuzz, process

        others = self.places[_find_place(example)]
        least = SAME_FACT if example.qa_pair.type in CODE else SAME
        near = process.extract(
            question, [asked for asked, _ in others], scorer=fuzz.ratio, score_cutoff=least, limit=None
        )
        return any(fuzz.ratio(answer, others[number][1]) >= least for _, _, number in near)


def _is_near(question: str, others: Sequence[str], least: float) -> bool:
    from rapidfuzz import fuzz

    # A row may quote the passage for a question that another asks from memory, word for word.
    return any(question != other and fuzz.ratio(question, other) >= least for other in others)


def _find_place(example: Example) -> tuple[Place, bool]:
    # A program grows from section to section.
    section = -1 if example.qa_pair.type in CODE else example.origin.section
    return (example.origin.source, section), bool(example.qa_pair.context)


def _list_facts(example: Example) -> list[Hashable]:
    """What a row says and the sentence that it rests on, each where it is long enough to tell a fact.

    None of a row that asks once more on purpose.
    """
    if example.origin.method.startswith("practice"):
        return []
    answer, evidence = normalize(example.qa_pair.answer), example.origin.evidence
    facts: list[Hashable] = [answer] if count_words(answer) >= LEAST_WORDS else []
    # What two definitions say together is another fact than either, and so is what a teacher asks of a sentence.
    other = example.qa_pair.type == "comparison" or example.origin.method.startswith("teacher ")
    if not other and "\n" not in evidence and count_words(evidence) >= LEAST_WORDS:
        facts.append((example.origin.source, example.origin.section, evidence))
    return facts


class NearDuplicates:
    """Finds answers of other sections that share most of their runs of words (Jaccard over shingles).

    Only the rarest shingles of an answer are indexed, as many as two answers that near cannot all differ in (prefix
    filtering, Chaudhuri et al., ICDE 2006): what a template writes into every row is never looked up.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        # All in two arrays, those of an example beside each other: a million examples have forty million.
        self.shingles, self.starts = array("I"), array("Q", [0])
        for example in examples:
            self.shingles.extend({hash(shingle) & MOST for shingle in _cut_shingles(example)})
            self.starts.append(len(self.shingles))
        # How many of the rarest no other example has: they lead to none.
        self.alone = array("H", bytes(2 * len(examples)))
        self._sort(len(examples))
        self.places: dict[int, Place] = {}
        # Most shingles have one holder, which needs no list.
        self.holders: dict[int, int | list[int]] = {}

    def _sort(self, examples: int) -> None:
        """Put the rarest shingles of each example first."""
        # How often is only asked to put shingles into one order, so a count may be shared.
        size = min(max(COUNTERS, 1 << (4 * len(self.shingles)).bit_length()), MOST_COUNTERS)
        counts = bytearray(size)
        for shingle in self.shingles:
            count = counts[shingle % size]
            if count < 255:
                counts[shingle % size] = count + 1
        for number in range(examples):
            begin, end = self.starts[number], self.starts[number + 1]
            order = sorted(self.shingles[begin:end], key=lambda shingle: (counts[shingle % size], shingle))
            self.shingles[begin:end] = array("I", order)
            rarest = order[: _count_rarest(end - begin)]
            self.alone[number] = min(sum(counts[shingle % size] == 1 for shingle in rarest), 0xFFFF)

    def is_known(self, number: int, place: Place) -> bool:
        """Whether an answer added before, of another section, is near that of the example with this number."""
        rarest = self._rarest(number)
        shingles = set(self._get(number)) if rarest else set()
        for shingle in rarest:
            holders = self.holders.get(shingle, [])
            for known in [holders] if isinstance(holders, int) else holders:
                theirs = self._get(known)
                shorter, longer = sorted((len(shingles), len(theirs)))
                if self.places[known] == place or shorter < NEAR * longer:
                    continue
                shared = sum(shingle in shingles for shingle in theirs)
                if shared / (shorter + longer - shared) >= NEAR:
                    return True
        return False

    def add(self, number: int, place: Place) -> None:
        """Keep the example with this number to compare others with."""
        for shingle in self._rarest(number):
            self.places[number] = place
            holders = self.holders.setdefault(shingle, number)
            if isinstance(holders, list):
                holders.append(number)
            elif holders != number:
                self.holders[shingle] = [holders, number]

    def _get(self, number: int) -> "array[int]":
        return self.shingles[self.starts[number] : self.starts[number + 1]]

    def _rarest(self, number: int) -> "array[int]":
        """The rarest shingles of an example that others have too."""
        begin, end = self.starts[number], self.starts[number + 1]
        return self.shingles[begin + self.alone[number] : begin + _count_rarest(end - begin)]


def _count_rarest(shingles: int) -> int:
    return shingles - ceil(NEAR * shingles) + 1


def _cut_shingles(example: Example) -> list[tuple[str, ...]]:
    words = list_words(normalize(f"{example.qa_pair.answer} {' '.join(example.qa_pair.thought_process)}"))
    if example.origin.row is not None:
        # Rows of tables often share an answer, as "4" or "There are no prerequisites", and mean another thing.
        words = list_words(normalize(example.qa_pair.question)) + words
    return cut_shingles(words, SHINGLE)
