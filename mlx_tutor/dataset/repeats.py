"""Texts that stand in several places, as in slides and their handout: kept once, and never on both sides of a split."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import PurePath

from mlx_tutor.records import Document, Place, Section, describe_place
from mlx_tutor.text import cut_shingles

# Words in a run; sections with fewer than LEAST_WORDS are headings and greetings.
LENGTH, LEAST_WORDS = 4, 8
# Shares of the runs of the shorter text: the same page; a piece of a page of more than twice its size, which may quote
# its code and say other things about it; partly the same.
NEAR, INSIDE, ALIKE = 0.8, 0.95, 0.3
# Share of all sections that may be bound together.
LARGEST = 0.25
# A run in more sections is no page that was copied but a form, as the head of each exercise sheet.
MOST_HOLDERS = 8
# Sections that are looked up for one run.
MOST_LOOKED_UP = 64
# Formulas are written in many ways: their commands are no words. Characters of Chinese and Japanese are.
WORD = re.compile(r"\\[A-Za-z]+|([\u2e80-\u9fff\uac00-\ud7af]|(?:(?![\u2e80-\u9fff\uac00-\ud7af])[^\W_])+)")
# What stands where on a page is guessed; other formats say what is a heading, a list and code.
GUESSED = (".pdf", ".txt")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A section that is left out, and `other`, the place that says the same."""

    source: str
    section: int
    page: int | None
    cell: int | None
    heading: tuple[str, ...]
    other_source: str
    other: str


@dataclass(frozen=True, slots=True)
class Unrepeated:
    """Documents in which repeated sections are empty, those sections, and which of the others are partly alike.

    `alike` gives for each section that is like others one of them, the same for all.
    """

    documents: list[Document]
    repeats: tuple[Repeat, ...]
    alike: dict[Place, Place]


def cut_runs(text: str) -> set[int]:
    """Fingerprints of the runs of neighbouring words of a text; none for a text of a few words."""
    words = [word for word in WORD.findall(text.lower()) if word]
    return {hash(run) for run in cut_shingles(words, LENGTH)} if len(words) >= LEAST_WORDS else set()


def is_held(runs: set[int], others: set[int]) -> bool:
    """Whether a text stands nearly word for word in another."""
    return bool(runs) and len(runs & others) >= NEAR * len(runs)


def drop_repeats(documents: Sequence[Document], holdout: Sequence[str] = ()) -> Unrepeated:
    """Leave out each section whose text stands, nearly word for word, in another or over those of another document.

    The fuller one stays; of two equal ones that of the format which says more about its text, then that of the longer
    document. Sections of held-out documents stay in any case, and one that holds such a section, as an exam's
    solutions do, is left out. Takes time in proportion to the length of the texts.
    """
    known = {document.source: document for document in documents}
    finder = _Finder(frozenset(holdout))
    for document in sorted(documents, key=lambda document: _rank(document, holdout)):
        for number, section in enumerate(document.sections):
            if runs := cut_runs(section.text):
                finder.add((document.source, number), runs)
    finder.settle({place: cut_runs(known[place[0]].sections[place[1]].text) for place in finder.repeated})
    repeats = tuple(_describe(known, place, other) for place, other in sorted(finder.repeated.items()))
    emptied = [replace(document, sections=tuple(_empty(document, finder.repeated))) for document in documents]
    return Unrepeated(emptied, repeats, _find_alike(finder.kept))


def _rank(document: Document, holdout: Sequence[str]) -> tuple[bool, bool, int, str]:
    """Documents whose text is kept come first."""
    length = sum(len(section.text) for section in document.sections)
    return document.source not in holdout, _is_guessed(document.source), -length, document.source


def _empty(document: Document, gone: Collection[Place]) -> Iterator[Section]:
    for number, section in enumerate(document.sections):
        yield replace(section, blocks=()) if (document.source, number) in gone else section


def _describe(documents: Mapping[str, Document], place: Place, other: Place) -> Repeat:
    section, same = (documents[source].sections[number] for source, number in (place, other))
    first = same.blocks[0]
    where = describe_place(other[0], first.page, first.cell, same.heading)
    block = section.blocks[0]
    return Repeat(*place, block.page, block.cell, section.heading, other[0], where)


@dataclass(slots=True)
class _Finder:
    """Keeps the sections that no other repeats; `repeated` names for each of the rest the one that says the same."""

    holdout: frozenset[str]
    kept: dict[Place, set[int]] = field(default_factory=dict)
    repeated: dict[Place, Place] = field(default_factory=dict)
    holders: dict[int, list[Place]] = field(default_factory=lambda: defaultdict(list))

    def add(self, place: Place, runs: set[int]) -> None:
        """Keep a section, or leave it out; where it says all of a shorter one that was kept, that is left out."""
        shared: Counter[Place] = Counter()
        covered: Counter[str] = Counter()
        for run in runs:
            holders = [other for other in self.holders.get(run, ()) if other in self.kept]
            shared.update(holders)
            covered.update({source for source, _ in holders if source != place[0]})
        # Of several that say the same, always the same one.
        ranked = sorted(shared, key=lambda other: (-shared[other], other))
        contained = [other for other in ranked if _holds(shared[other], len(self.kept[other]), len(runs))]
        held = [other for other in contained if other[0] in self.holdout and shared[other] >= ALIKE * len(runs)]
        # Whoever guesses headings may see one section where the other document has several.
        spread = (NEAR if _is_guessed(place[0]) else INSIDE) * len(runs)
        whole = [
            other
            for other in ranked
            if _holds(shared[other], len(runs), len(self.kept[other])) or covered[other[0]] >= spread
        ]
        if (whole or held) and place[0] not in self.holdout:
            self.repeated[place] = (whole or held)[0]
            return
        for other in contained:
            if other[0] not in self.holdout:
                del self.kept[other]
                self.repeated[other] = place
        self.kept[place] = runs
        for run in runs:
            if len(self.holders[run]) < MOST_LOOKED_UP:
                self.holders[run].append(place)

    def settle(self, runs: Mapping[Place, set[int]]) -> None:
        """See that what was left out for a section that went itself is in another; else it comes back."""
        for place in [place for place, other in self.repeated.items() if other not in self.kept]:
            del self.repeated[place]
            self.add(place, runs[place])
        for place in self.repeated:
            while (other := self.repeated[place]) not in self.kept:
                self.repeated[place] = self.repeated[other]


def _holds(shared: int, size: int, other: int) -> bool:
    """Whether a text of `size` runs stands in one of `other` runs as the same page, or wholly."""
    return shared >= (NEAR if other <= 2 * size else INSIDE) * size


def _is_guessed(source: str) -> bool:
    return PurePath(source).suffix.lower() in GUESSED


def _find_alike(kept: Mapping[Place, set[int]]) -> dict[Place, Place]:
    """For each section that is partly like others, directly or through a third one, the first of them."""
    holders: dict[int, list[Place]] = defaultdict(list)
    for place, runs in sorted(kept.items()):
        for run in runs:
            holders[run].append(place)
    shared: Counter[tuple[Place, Place]] = Counter()
    for places in holders.values():
        if 1 < len(places) <= MOST_HOLDERS:
            shared.update(combinations(places, 2))
    shares = {pair: count / min(len(kept[place]) for place in pair) for pair, count in shared.items()}
    groups = {place: [place] for place in kept}
    # The most alike first: a page that quotes all others would otherwise make one group of a whole course.
    for (one, other), share in sorted(shares.items(), key=lambda item: (-item[1], item[0])):
        group = groups[one] + groups[other]
        if share >= ALIKE and groups[one] is not groups[other] and len(group) <= max(2, LARGEST * len(kept)):
            groups |= dict.fromkeys(group, group)
    return {place: min(group) for place, group in groups.items() if len(group) > 1}
