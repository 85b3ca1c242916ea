"""Kinds of questions that no row of a fact has: it is known when it is right in these too, else only recited.

From the description back to the term, true or false with a near miss, and a word that is missing among the words of the
answer, in another order: two of them for each fact, since `build --from-learned` may train the third. A model that
learned a sentence by heart is right in the first direction only (the reversal curse, Berglund et al., 2023, arXiv
2309.12288). All are choices by likelihood.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from mlx_tutor.evaluation.bootstrap import Array
from mlx_tutor.evaluation.choice import Choice, find_margin, write_choice
from mlx_tutor.evaluation.learned import OPTIONS, Fact, find_near, split_words
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import GAP, RECALL, REVERSE, TRUE_FALSE

# Shares that guessing gets right; a statement and its near miss are compared with each other.
CHANCE = {REVERSE: 1 / OPTIONS, TRUE_FALSE: 1 / 2, GAP: 1 / OPTIONS}
# Words of an answer that are named, and how many it must have.
NAMED, FEWEST = 7, 4
WORD = re.compile(r"[^\W\d_]{4,}(?:-[^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Probe:
    """A fact asked in another kind of question: (question, options) pairs, the right option first.

    Two pairs are a statement and its near miss, each with "true" and "false".
    """

    fact: int
    kind: str
    asked: tuple[tuple[str, tuple[str, ...]], ...]


def list_probes(
    facts: Sequence[Fact],
    indices: Sequence[int],
    train: Sequence[Mapping[str, Any]],
    language: str,
    *,
    leave_out: bool = True,
) -> list[Probe]:
    """The chosen facts in each kind of question but the one that is left to training, where there are others.

    A kind in which a row of `train` asks the same is none that shows knowledge.

    Args:
        facts: All facts of the course, of which wrong options are taken.
    """
    table = read_language(language) or read_language("en")
    wordings = {key: texts[0] for key, texts in table.questions.items() if key.startswith("probe_")} if table else {}
    # Practice of a fact is in the kind that it is not asked in; a word of it may be the answer to another.
    pairs = [qa for row in train if (qa := row.get("qa_pair") or {}).get("type") != RECALL]
    answers = {_fold(qa.get("answer", "")) for qa in pairs}
    asked = "\n".join(_fold(qa.get("question", "")) for qa in pairs)
    counts = Counter(word for fact in facts for word in {word.casefold() for word in WORD.findall(fact.answer)})
    probes = []
    for i in indices:
        near = find_near(facts, i)
        made = [
            probe
            for probe in (
                _ask_back(facts, i, near, wordings),
                _ask_truth(facts, i, near, wordings),
                _ask_gap(facts, i, near, wordings, counts),
            )
            if probe is not None and not _is_trained(probe, facts[i], answers, asked)
        ]
        probes += [probe for probe in made if not leave_out or probe.kind != facts[i].left_out] or made
    return probes


def _is_trained(probe: Probe, fact: Fact, answers: Collection[str], asked: str) -> bool:
    if probe.kind == TRUE_FALSE:
        return _fold(fact.rest) in asked
    return _fold(probe.asked[0][1][0]) in answers


def _fold(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".。")


def _ask_back(facts: Sequence[Fact], i: int, near: Sequence[int], wordings: Mapping[str, str]) -> Probe | None:
    """Which term, or which question, an answer belongs to."""
    by_term = bool(facts[i].term) and all(facts[other].term for other in near)
    names = [facts[other].term if by_term else facts[other].question for other in (i, *near)]
    if len(set(map(_fold, names))) < OPTIONS:
        return None
    text = f"… {facts[i].rest}" if facts[i].lead else facts[i].rest
    return Probe(
        i, REVERSE, ((wordings["probe_term" if by_term else "probe_question"].format(text=text), tuple(names)),)
    )


def _ask_truth(facts: Sequence[Fact], i: int, near: Sequence[int], wordings: Mapping[str, str]) -> Probe | None:
    """The fact, and the same with the answer of its nearest neighbour; told apart by which is likelier called true."""
    if not near:
        return None
    lead = facts[i].lead or f"{facts[i].question} –"
    statements = [f"{lead} {facts[other].rest}" for other in (i, near[0])]
    options = (wordings["probe_yes"], wordings["probe_no"])
    return Probe(i, TRUE_FALSE, tuple((wordings["probe_true"].format(text=text), options) for text in statements))


def _ask_gap(
    facts: Sequence[Fact], i: int, near: Sequence[int], wordings: Mapping[str, str], counts: Mapping[str, int]
) -> Probe | None:
    """The rarest word of an answer, among its other words in another order; other options are words of near answers."""
    fact = facts[i]
    given = split_words(f"{fact.question} {fact.lead} {fact.term}")

    def list_words(text: str) -> list[str]:
        """The content words that the question does not give, rarest first."""
        words = {word.casefold(): None for word in WORD.findall(text) if not split_words(word) & given}
        return sorted(words, key=lambda word: (counts[word], -len(word), word))

    missing, *rest = list_words(fact.rest) or [""]
    if len(rest) < FEWEST - 1:
        return None
    said = split_words(fact.rest)
    others = [next((w for w in list_words(facts[o].rest) if not split_words(w) & said), "") for o in near]
    options = tuple(dict.fromkeys(word for word in (missing, *others) if word))
    if len(options) < OPTIONS:
        return None
    shown = sorted(rest[: NAMED - 1], key=lambda word: hashlib.sha256(f"{fact.question} {word}".encode()).digest())
    key = "probe_gap_term" if fact.term else "probe_gap"
    wording = wordings[key].format(term=fact.term, question=fact.question, words=", ".join(shown))
    return Probe(i, GAP, ((wording, options),))


def write_probes(tokenizer: Any, facts: Sequence[Fact], probes: Sequence[Probe]) -> list[Choice]:
    """The questions of the probes as tokens, in their order."""
    return [
        write_choice(tokenizer, facts[probe.fact].write_messages(question), facts[probe.fact].before, options)
        for probe in probes
        for question, options in probe.asked
    ]


def read_probes(probes: Sequence[Probe], losses: Sequence[Array]) -> dict[int, dict[str, float]]:
    """Of each fact its margin in each kind, in nats a token: above 0 it is right. `losses` are of `write_probes`."""
    found: dict[int, dict[str, float]] = {}
    left = iter(losses)
    for probe in probes:
        margins = [find_margin(next(left)) for _ in probe.asked]
        # Of a statement and its near miss: how much likelier the first is called true, whatever the model prefers.
        found.setdefault(probe.fact, {})[probe.kind] = margins[0] - margins[1] if len(margins) == 2 else margins[0]
    return found


def correct_chance(right: int, asked: int, chance: float) -> float:
    """The share that is right beyond what guessing gets right, from 0 to 1."""
    return max(0.0, (right / asked - chance) / (1 - chance)) if asked else 0.0


def find_chance(kinds: Sequence[str]) -> float:
    """How often guessing gets a fact right in one wording and in all of these kinds."""
    return prod(CHANCE[kind] for kind in kinds) / OPTIONS
