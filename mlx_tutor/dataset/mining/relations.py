"""Rows from reasons, consequences and contrasts between sentences (after AdaptLLM, arXiv 2309.09530).

Neighbouring sentences are looked at in pairs, and a row is made only where both can stand alone.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import name_context
from mlx_tutor.dataset.mining.language import (
    DANGLING,
    POINTS_BACK,
    is_whole_sentence,
    list_sentences,
    tells_story,
)
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import strip_bold

BECAUSE = re.compile(r"^(?P<effect>[A-Z][^,;:“”]{25,160}),? because (?P<cause>(?!of\b)[^,;:“”]{15,200})\.$")
SUBORDINATE = re.compile(r"^(?:even|if|when|although|though|while|since|as|unless|once|where|because)\b", re.IGNORECASE)
WHEREAS = re.compile(r"^(?P<one>[A-Z][^,;:“”]{25,160}), (?:whereas|while) (?P<other>[^,;:“”]{15,200})\.$")


def _begin(words: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{words}),? (?P<rest>.{{25,240}}[.])$")


# Kind of row, how the second of two neighbouring sentences begins, and the question about the first.
PAIRS = (
    (
        "consequence",
        _begin("Therefore|Thus|Hence|Consequently|As a result(?! of)|For this reason|Accordingly"),
        "The course says: “{}” What follows from this?",
    ),
    (
        "contrast",
        _begin(
            "However|But|In contrast(?! to)|By contrast|On the other hand|On the contrary|Conversely|Instead(?! of)"
        ),
        "The course says: “{}” What does it set against this?",
    ),
)


def make_relations(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """Reasons and contrasts inside a sentence, and what the next sentence makes of it; the heading says what about."""
    topic = name_context(chunk)
    about = f"On {concepts.lower(topic)}: " if topic else ""
    for qa, method, evidence in _find_relations(chunk, concepts):
        question = f"{about}{qa.question[0].lower()}{qa.question[1:]}" if about else qa.question
        yield replace(qa, question=question), method, evidence


def _find_relations(chunk: Chunk, concepts: Concepts) -> Iterator[tuple[QaPair, str, str]]:
    for block in chunk.blocks:
        sentences = list_sentences(block)
        for sentence in sentences:
            yield from _make_reason(sentence, concepts)
            yield from _make_contrast(sentence, concepts)
        for first, second in pairwise(sentences):
            yield from _make_pair(first, second, concepts, block.text)


def _make_reason(sentence: str, concepts: Concepts) -> Iterator[tuple[QaPair, str, str]]:
    match = BECAUSE.match(strip_bold(sentence))
    if (
        match is None
        or not is_whole_sentence(sentence)
        or SUBORDINATE.match(match["effect"])
        or POINTS_BACK.search(match["effect"])
        or match["effect"].endswith(" not")
        or DANGLING.match(match["cause"])
    ):
        return
    question = f"What is the reason that {_inside(match['effect'])}?"
    yield QaPair(question, (), f"Because {match['cause']}.", "reason", concepts.relate(sentence)), "reason", sentence


def _make_contrast(sentence: str, concepts: Concepts) -> Iterator[tuple[QaPair, str, str]]:
    match = WHEREAS.match(strip_bold(sentence))
    if match is None or not is_whole_sentence(sentence) or DANGLING.match(match["other"]) or tells_story(sentence):
        return
    question = f"The course says that {_inside(match['one'])}. What does it contrast this with?"
    answer = f"{match['other'][0].upper()}{match['other'][1:]}."
    yield QaPair(question, (), answer, "contrast", concepts.relate(sentence)), "contrast", sentence


def _make_pair(first: str, second: str, concepts: Concepts, text: str) -> Iterator[tuple[QaPair, str, str]]:
    """What the second sentence concludes from the first, or sets against it."""
    if not is_whole_sentence(first) or first.endswith("?"):
        return
    for kind, pattern, question in PAIRS:
        match = pattern.match(strip_bold(second))
        if match is None or DANGLING.match(match["rest"]) or tells_story(first) or tells_story(match["rest"]):
            continue
        start = text.index(first)
        evidence = text[start : text.index(second, start) + len(second)]
        answer = match["rest"][0].upper() + match["rest"][1:]
        qa = QaPair(question.format(strip_bold(first)), (), answer, kind, concepts.relate(evidence))
        yield qa, kind, evidence


def _inside(clause: str) -> str:
    """A main clause as it stands after "that"."""
    first, _, rest = clause.partition(" ")
    keep = (first.isupper() and len(first) > 1) or any(c.isupper() for c in first[1:])
    return clause if keep else f"{first[0].lower() + first[1:]} {rest}"
