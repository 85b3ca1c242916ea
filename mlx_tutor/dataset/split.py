"""Splitting rows into train, validation and test by whole sections, so that no fact is on both sides."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import median

from mlx_tutor.dataset.balance import normalize
from mlx_tutor.dataset.mining.language import rank
from mlx_tutor.errors import DatasetError
from mlx_tutor.records import Example, Place
from mlx_tutor.text import split_sentences

SPLITS = ("train", "valid", "test")
# Share of a split that one large section may take.
LARGEST_SHARE = 0.25
# Words by which answers are found inside others.
BEGIN = 4

FEW_SECTIONS = "Add course files with headings and full sentences."


def split_examples(
    examples: Sequence[Example],
    valid: float,
    test: float,
    seed: int,
    alike: Mapping[Place, Place] | None = None,
    advice: str = FEW_SECTIONS,
) -> dict[str, list[Example]]:
    """Deal whole sections out to the splits, as near to the shares as they allow; a share of 0 leaves a split empty.

    Sections are dealt in a fixed random order, one source after the other, so that each source is spread; one that
    would be most of a small split, as a glossary is, goes to another. Sections for which `alike` names the same one are
    dealt as one. Rows of a split are in fixed random order too. `advice` ends the message where there are too few.

    Raises:
        DatasetError: fewer sections with rows than splits.
    """
    wanted = {"train": 1 - valid - test, "valid": valid, "test": test}
    wanted = {split: share * len(examples) for split, share in wanted.items() if share}
    sections: dict[tuple[str, int], list[Example]] = defaultdict(list)
    for example in examples:
        origin = example.origin
        place = origin.source, origin.section
        sections[(alike or {}).get(place, place)].append(example)
    if len(sections) < len(wanted):
        need = "three are needed, one each for training, validation and test"
        raise DatasetError(
            f"Only {len(sections)} of the course's sections gave rows; "
            f"{need if test else 'two are needed, one each for training and validation'}. "
            f"{advice}"
        )
    by_source: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for key in sorted(sections, key=lambda key: rank(seed, *key)):
        by_source[key[0]].append(key)
    rounds = max(len(keys) for keys in by_source.values())
    order = [keys[i] for i in range(rounds) for _, keys in sorted(by_source.items()) if i < len(keys)]
    dealt: dict[str, list[Example]] = {split: [] for split in SPLITS}
    usual = median(len(rows) for rows in sections.values())
    # Each split gets one section first; each further section goes to the split that lacks most rows.
    for number, key in enumerate(order):
        empty = [split for split in wanted if not dealt[split]]
        left = len(order) - number
        missing = {split: 1 - len(dealt[split]) / wanted[split] for split in wanted}
        size = len(sections[key])
        suited = [split for split in wanted if size <= max(usual, LARGEST_SHARE * wanted[split])]
        suited = suited or [max(wanted, key=lambda split: wanted[split])]
        split = empty[0] if len(empty) >= left else max(suited, key=lambda split: missing[split])
        dealt[split] += sections[key]
    return {split: mix_rows(rows, seed) for split, rows in dealt.items()}


def part_comparisons(splits: Mapping[str, list[Example]]) -> list[tuple[Example, str]]:
    """Take rows out that join two definitions, one of which is the answer of a row in another split; returns them."""
    # Only what a comparison could quote is kept: there may be a million answers, and few comparisons.
    begins: set[tuple[str, ...]] = set()
    for row in chain.from_iterable(splits.values()):
        if row.qa_pair.type == "comparison":
            words = normalize(row.qa_pair.answer).split()
            begins.update(tuple(words[i : i + BEGIN]) for i in range(len(words)))
    if not begins:
        return []
    answers: dict[tuple[str, ...], list[tuple[list[str], str]]] = defaultdict(list)
    for split, rows in splits.items():
        for row in rows:
            words = normalize(split_sentences(row.qa_pair.answer)[0] if row.qa_pair.answer else "").split()
            if row.qa_pair.type != "comparison" and len(words) > BEGIN and tuple(words[:BEGIN]) in begins:
                answers[tuple(words[:BEGIN])].append((words, split))
    dropped = []
    for split, rows in splits.items():
        kept = []
        for row in rows:
            said = normalize(row.qa_pair.answer).split() if row.qa_pair.type == "comparison" else []
            leaks = any(
                other != split and said[i : i + len(words)] == words
                for i in range(len(said))
                for words, other in answers.get(tuple(said[i : i + BEGIN]), ())
            )
            if leaks:
                dropped.append((row, "compares what another split asks for"))
            else:
                kept.append(row)
        rows[:] = kept
    return dropped


def mix_rows(rows: Sequence[Example], seed: int) -> list[Example]:
    """Rows in a fixed random order."""
    return sorted(rows, key=lambda row: rank(seed, row.origin.source, row.origin.section, row.qa_pair.question))
