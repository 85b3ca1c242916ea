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

from mlx_tutor.study.search.index import NEGATION, Passage, count_words, list_stem_runs, place_sentences
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
    """A sentence of the course, word for word, and the sentence of the answer that it supports.

    `share` is the share of its own content words that the answer's sentence has, 0 to 1.
    """

    source: str
    section: int
    heading: tuple[str, ...]
    page: int | None
    cell: int | None
    quote: str
    sentence: str
    share: float


def find_support(answer: str, question: str, passages: Sequence[Passage]) -> tuple[tuple[Source, ...], int]:
    """For each sentence of an answer, the sentence of the passages that supports it best; and how many were checked.

    A sentence is checked when it has at least MIN_STEMS content words. Repeating the question proves nothing: one of its
    words must be new, unless the question asks yes or no.
    """
    said = [MARKER.sub("", sentence).strip() for _, sentence in place_sentences(strip_bold(answer))]
    quotes = [
        (passage, offset, sentence)
        for passage in passages
        for offset, sentence in place_sentences(passage.text)
        if not sentence.endswith("?") and count_words(sentence) <= MAX_QUOTE_WORDS
    ]
    stems = list_stem_runs([question, *said, *(sentence for _, _, sentence in quotes)])
    asked = set() if POLAR.match(question) else set(stems[0])
    answer_stems, quote_stems = stems[1 : 1 + len(said)], stems[1 + len(said) :]
    sources: list[Source] = []
    checked = 0
    for sentence, words in zip(said, answer_stems, strict=True):
        if len(set(words)) < MIN_STEMS:
            continue
        checked += 1
        shares = [measure_share(words, asked, found) for found in quote_stems]
        for best in sorted(range(len(shares)), key=lambda i: -shares[i]):
            if shares[best] < SUPPORT:
                break
            passage, offset, quote = quotes[best]
            if _agree(sentence, quote) and _is_in_order(sentence, quote):
                page, cell = passage.find_place(offset)
                place = (passage.source, passage.section, passage.heading, page, cell)
                sources.append(Source(*place, quote, sentence, shares[best]))
                break
    return tuple(sources), checked


def measure_share(said: Sequence[str], asked: set[str], found: Sequence[str]) -> float:
    """Share of the stems `said` that are `found`; over all of them, or over those not `asked`, whichever is less.

    A stem said twice has to be found twice.
    """
    new = [stem for stem in said if stem not in asked]
    if not new:
        return 0.0
    theirs = Counter(found)
    return min((Counter(stems) & theirs).total() / len(stems) for stems in (said, new))


def _agree(sentence: str, quote: str) -> bool:
    """Whether numbers, negation and opposites allow both to be true."""
    if not set(NUMBER.findall(sentence)) <= set(NUMBER.findall(quote)):
        return False
    if bool(NEGATION.search(sentence)) != bool(NEGATION.search(quote)):
        return False
    ours, theirs = (Counter(re.findall(r"\w+", text.lower())) for text in (sentence, quote))
    added, missing = (ours - theirs).keys(), (theirs - ours).keys()
    return not any(added & one and missing & other for sides in OPPOSITES for one, other in (sides, sides[::-1]))


def _is_in_order(sentence: str, quote: str) -> bool:
    """Whether the words that both have stand in one order, which one of the two may have changed as a whole."""
    orders = [list(_list_orders(text)) for text in (sentence, quote)]
    runs = list_stem_runs([text for forms in orders for text in forms], negated=True)
    said, quoted = runs[: len(orders[0])], runs[len(orders[0]) :]
    for ours, theirs in [*((form, quoted[0]) for form in said), *((said[0], form) for form in quoted)]:
        common = (Counter(ours) & Counter(theirs)).total()
        if common >= SUPPORT * len(ours) and _measure_run(ours, theirs) == common:
            return True
    return False


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


def _measure_run(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Length of the longest sequence of stems that both have in this order."""
    lengths = [0] * (len(theirs) + 1)
    for stem in ours:
        before = 0
        for i, other in enumerate(theirs, 1):
            before, lengths[i] = lengths[i], before + 1 if stem == other else max(lengths[i], lengths[i - 1])
    return lengths[-1]
