"""Rows from how sentences hang together: reason and consequence (after AdaptLLM, arXiv 2309.09530).

Neighbouring sentences are looked at in pairs, and a row is made only where both can stand alone.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from mlx_tutor.dataset.concepts import Concepts
from mlx_tutor.dataset.language import DANGLING, is_whole_sentence, split_sentences, strip_bold
from mlx_tutor.records import Chunk, QaPair

BECAUSE = re.compile(r"^(?P<effect>[A-Z][^,;:“”]{25,160}),? because (?P<cause>(?!of\b)[^,;:“”]{15,200})\.$")
SUBORDINATE = re.compile(r"^(?:even|if|when|although|though|while|since|as|unless|once|where|because)\b", re.IGNORECASE)
FOLLOWS = re.compile(
    r"^(?:Therefore|Thus|Hence|Consequently|As a result(?! of)|For this reason|Accordingly),? (?P<rest>.{25,240}[.])$"
)
CONSEQUENCE = "The course says: “{}” What follows from this?"


def make_relations(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """Reasons inside a sentence, and what the next sentence concludes from it."""
    for block in chunk.blocks:
        if block.kind != "text" or "\n" in block.text:
            continue
        sentences = split_sentences(block.text)
        for sentence in sentences:
            yield from _make_reason(sentence, concepts)
        for first, second in pairwise(sentences):
            yield from _make_consequence(first, second, concepts, block.text)


def _make_reason(sentence: str, concepts: Concepts) -> Iterator[tuple[QaPair, str, str]]:
    match = BECAUSE.match(strip_bold(sentence))
    if (
        match is None
        or not is_whole_sentence(sentence)
        or SUBORDINATE.match(match["effect"])
        or DANGLING.match(match["cause"])
    ):
        return
    question = f"What is the reason that {_inside(match['effect'])}?"
    yield QaPair(question, (), f"Because {match['cause']}.", "reason", concepts.relate(sentence)), "reason", sentence


def _make_consequence(first: str, second: str, concepts: Concepts, text: str) -> Iterator[tuple[QaPair, str, str]]:
    match = FOLLOWS.match(strip_bold(second))
    if match is None or not is_whole_sentence(first) or DANGLING.match(match["rest"]):
        return
    start = text.index(first)
    evidence = text[start : text.index(second, start) + len(second)]
    answer = match["rest"][0].upper() + match["rest"][1:]
    question = CONSEQUENCE.format(strip_bold(first))
    yield QaPair(question, (), answer, "consequence", concepts.relate(evidence)), "consequence", evidence


def _inside(clause: str) -> str:
    """A main clause as it stands after "that"."""
    first, _, rest = clause.partition(" ")
    keep = (first.isupper() and len(first) > 1) or any(c.isupper() for c in first[1:])
    return clause if keep else f"{first[0].lower() + first[1:]} {rest}"
