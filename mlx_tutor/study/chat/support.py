"""Which sentence of the course says what a sentence of an answer says.

A test of words, not of meaning, made to claim too little rather than too much. A sentence of the course supports one of
an answer when it has all its content words, in the same order, all its numbers, and when both or neither are negated.
The order may differ as whole clauses do ("When A, B." for "B when A."), and as a passive does ("B is done by A" for "A
does B"). One other word is enough to say the opposite: "The mean" for "The median", "the lagging strand" for "the
leading strand". With three of four words found instead of all, half of what was claimed was wrong (120 sentences of
somebody who did not know this program).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlx_tutor.study.search.passages import Passage, count_words, place_sentences
from mlx_tutor.study.search.words import NEGATION, list_stem_runs
from mlx_tutor.text import strip_bold

# Words of an answer that say nothing of their own.
LIGHT = re.compile(
    r"\b(?:answer|yes|no,|so|thus|hence|therefore|simply|basically|called|known|named|means|refers|term|concept|example)\b",
    re.IGNORECASE,
)
# A sentence with fewer content words says too little to be supported.
MIN_STEMS = 3
# Longer "sentences" are tables and lists, in which anything can be found.
MAX_QUOTE_WORDS = 80
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
POLAR = re.compile(r"\W*(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|may|must)\b", re.IGNORECASE)
MARKER = re.compile(r"^\s*(?:[-*•#>]+\s+|(?:step\s+)?\d+[.):]\s+)?(?:answer:\s*)?", re.IGNORECASE)
# Where a clause may be moved to the other end of a sentence.
CLAUSE = re.compile(
    r",\s+|;\s+|\s+(?=(?:because|when|if|while|although|after|before|since|unless|until|only|where|once|in|on|from|to|for"
    r"|at|with|of|than|by|that|which|is|are|was|were|means)\b)",
    re.IGNORECASE,
)
PASSIVE = re.compile(
    r"\b(?:is|are|was|were|be|been|being)\s+(?:\w+ly\s+)?(?P<verb>\w+(?:ed|en|wn|pt|ught|nt|ld|de|t|ut|id))\b(?P<rest>.*?)"
    r"\bby\s+(?P<agent>[^,;.]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A sentence of the course, word for word, and the sentence of the answer that it supports."""

    source: str
    section: int
    heading: tuple[str, ...]
    page: int | None
    cell: int | None
    quote: str
    sentence: str


def find_support(answer: str, question: str, passages: Sequence[Passage]) -> tuple[tuple[Source, ...], int]:
    """For each sentence of an answer, the sentence of the passages that supports it best; and how many were checked.

    A sentence is checked when it has at least MIN_STEMS content words. Repeating the question proves nothing: a word of
    the sentence must be new, unless the question asks yes or no.
    """
    said = [MARKER.sub("", sentence).strip() for _, sentence in place_sentences(strip_bold(answer))]
    quotes = [
        (passage, offset, sentence)
        for passage in passages
        for offset, sentence in place_sentences(passage.text)
        if not sentence.endswith("?") and count_words(sentence) <= MAX_QUOTE_WORDS
    ]
    stems = list_stem_runs([LIGHT.sub(" ", text) for text in (question, *said, *(quote for _, _, quote in quotes))])
    asked = set() if POLAR.match(question) else set(stems[0])
    answer_stems, quote_stems = stems[1 : 1 + len(said)], stems[1 + len(said) :]
    sources: list[Source] = []
    checked = 0
    for sentence, words in zip(said, answer_stems, strict=True):
        if len(set(words)) < MIN_STEMS:
            continue
        checked += 1
        for (passage, offset, quote), found in zip(quotes, quote_stems, strict=True):
            # A word said twice has to be found twice.
            whole = not Counter(words) - Counter(found) and not asked >= set(words)
            if whole and _agree(sentence, quote) and _is_in_order(sentence, quote):
                page, cell = passage.find_place(offset)
                place = (passage.source, passage.section, passage.heading, page, cell)
                sources.append(Source(*place, quote, sentence))
                break
    return tuple(sources), checked


def _agree(sentence: str, quote: str) -> bool:
    """Whether the sentence has no number that the quote has not, and both or neither are negated."""
    numbers = set(NUMBER.findall(sentence)) <= set(NUMBER.findall(quote))
    return numbers and bool(NEGATION.search(sentence)) == bool(NEGATION.search(quote))


def _is_in_order(sentence: str, quote: str) -> bool:
    """Whether the words that both have stand in one order, which one of the two may have changed as a whole."""
    orders = [list(_list_orders(LIGHT.sub(" ", text))) for text in (sentence, quote)]
    runs = list_stem_runs([text for forms in orders for text in forms], negated=True)
    said, quoted = runs[: len(orders[0])], runs[len(orders[0]) :]
    pairs = [*((form, quoted[0]) for form in said), *((said[0], form) for form in quoted)]
    return any(_is_part(ours, theirs) for ours, theirs in pairs)


def _list_orders(sentence: str) -> Iterator[str]:
    """The sentence as it is and with a passive as the active, each also with one of its clauses first."""
    sentence = sentence.rstrip(" .;:!")
    forms = [sentence]
    if passive := PASSIVE.search(sentence):
        before = sentence[: passive.start()]
        forms.append(f"{passive['agent']} {passive['verb']} {before} {passive['rest']} {sentence[passive.end() :]}")
    for form in forms:
        yield form
        cuts = [0, *(boundary.start() for boundary in CLAUSE.finditer(form)), len(form)]
        for number, start in enumerate(cuts[1:-1], 1):
            for end in cuts[number + 1 :]:
                yield f"{form[start:end]} {form[:start]} {form[end:]}"


def _is_part(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether all of our stems stand in the other sentence in this order, with others between them or not."""
    rest = iter(theirs)
    return all(stem in rest for stem in ours)
