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

from mlx_tutor.languages.table import match_labels
from mlx_tutor.study.chat.markdown import find_formal
from mlx_tutor.study.search.passages import Passage, count_words, place_sentences
from mlx_tutor.study.search.words import find_negation, list_stem_runs
from mlx_tutor.text import strip_bold

# Words without content of their own; a leading "No," answers the question and negates nothing.
LIGHT = re.compile(
    r"^\W*no\s*,|\b(?:answer|yes|so|thus|hence|therefore|simply|basically|called|known|named|means|refers|term|concept"
    r"|example)\b",
    re.IGNORECASE,
)
# A sentence with fewer content words is not checked.
MIN_STEMS = 3
# Longer "sentences" are tables and lists, in which anything can be found.
MAX_QUOTE_WORDS = 80
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
POLAR = re.compile(r"\W*(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|may|must)\b", re.IGNORECASE)
MARKER = re.compile(
    rf"^\s*(?:[-*•#>]+\s+|(?:step\s+)?\d+[.):]\s+)?(?:(?:{match_labels('answer')})\s*[:：]\s*)?", re.IGNORECASE
)
# A number that the model wrote itself cites nothing; behind a word it is an index.
OWN_NUMBER = re.compile(r"(?<![\w\]\[])\[(\d{1,3}(?:\s?[,–-]\s?\d{1,3})*)\]")
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

    `start` and `end` are where that sentence stands in the answer.
    """

    source: str
    section: int
    heading: tuple[str, ...]
    page: int | None
    cell: int | None
    quote: str
    sentence: str
    start: int = 0
    end: int = 0


def find_support(
    answer: str, question: str, passages: Sequence[Passage], language: str = "en"
) -> tuple[tuple[Source, ...], tuple[tuple[int, int], ...]]:
    """For each sentence of an answer, the sentence of the passages that supports it best.

    Returns:
        The sources; and where the sentences that were checked begin and end in the answer. A sentence is checked when
        it states something in at least MIN_STEMS content words: headings, questions, and what is code or a formula
        altogether, are not. Repeating the question proves nothing: a word of the sentence must be new, unless the
        question asks yes or no.
    """
    placed = list(_place_statements(answer, language))
    said = [sentence for _, _, sentence in placed]
    quotes = [
        (passage, offset, sentence)
        for passage in passages
        for offset, sentence in place_sentences(passage.text, language)
        if not sentence.endswith("?") and count_words(sentence) <= MAX_QUOTE_WORDS
    ]
    texts = (question, *said, *(quote for _, _, quote in quotes))
    stems = list_stem_runs([LIGHT.sub(" ", text) for text in texts], language)
    asked = set() if POLAR.match(question) else set(stems[0])
    answer_stems, quote_stems = stems[1 : 1 + len(said)], stems[1 + len(said) :]
    checked = [number for number, words in enumerate(answer_stems) if len(set(words)) >= MIN_STEMS]
    # A word said twice has to be found twice.
    candidates = [
        (number, place)
        for number in checked
        if not asked >= set(answer_stems[number])
        for place, found in enumerate(quote_stems)
        if not Counter(answer_stems[number]) - Counter(found)
        and is_compatible(said[number], quotes[place][2], language)
    ]
    ordered = _find_ordered([(said[number], quotes[place][2]) for number, place in candidates], language)
    best: dict[int, Source] = {}
    for (number, place), fits in zip(candidates, ordered, strict=True):
        if fits and number not in best:
            passage, offset, quote = quotes[place]
            page, cell = passage.find_place(offset)
            where = (passage.source, passage.section, passage.heading, page, cell)
            best[number] = Source(*where, quote, said[number], *placed[number][:2])
    return tuple(best.values()), tuple(placed[number][:2] for number in checked)


def _place_statements(answer: str, language: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of each sentence of an answer that states something, and the sentence without bold type."""
    formal = find_formal(answer)
    kept: list[int] = []
    at = 0
    for piece in answer.split("**"):
        kept += range(at, at + len(piece))
        at += len(piece) + 2
    for offset, sentence in place_sentences(strip_bold(answer), language):
        bare = MARKER.sub("", sentence).strip()
        if not bare or bare.endswith(("?", "？")):
            continue
        begun = offset + sentence.index(bare)
        start, end = _take_bold(answer, kept[begun], kept[begun + len(bare) - 1] + 1)
        if not any((a <= start and end <= b) or start < a < end < b or a < start < b < end for a, b in formal):
            yield start, end, OWN_NUMBER.sub("", bare)


def _take_bold(answer: str, start: int, end: int) -> tuple[int, int]:
    """A sentence with the mark that opens bold type just before it, and the one that closes it just behind."""
    line = answer.rfind("\n", 0, start) + 1
    if answer.endswith("**", line, start) and answer.count("**", line, start) % 2:
        start -= 2
    if answer.startswith("**", end) and answer.count("**", line, end) % 2:
        end += 2
    return start, end


def is_compatible(sentence: str, quote: str, language: str) -> bool:
    """Whether all numbers of the sentence are in the quote, and both or neither are negated."""
    numbers = set(NUMBER.findall(sentence)) <= set(NUMBER.findall(quote))
    negated = [bool(find_negation(LIGHT.sub(" ", text), language)) for text in (sentence, quote)]
    return numbers and negated[0] == negated[1]


def _find_ordered(pairs: Sequence[tuple[str, str]], language: str) -> list[bool]:
    """Of each pair, whether the common words have the same order, apart from a moved clause or a passive."""
    orders = {text: list(_list_orders(LIGHT.sub(" ", text))) for pair in pairs for text in pair}
    runs = iter(list_stem_runs([form for forms in orders.values() for form in forms], language, negated=True))
    stems = {text: [next(runs) for _ in forms] for text, forms in orders.items()}
    return [
        any(_is_part(form, stems[quote][0]) for form in stems[sentence])
        or any(_is_part(stems[sentence][0], form) for form in stems[quote])
        for sentence, quote in pairs
    ]


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
    """Whether all of our stems occur in the other sentence in this order, perhaps with others between them."""
    rest = iter(theirs)
    return all(stem in rest for stem in ours)
