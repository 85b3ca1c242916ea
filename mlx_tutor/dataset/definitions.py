"""Definitions as sentences state them: "X is a", "X refers to", "is called X", glossaries."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mlx_tutor.dataset.concepts import BOLD, Concepts
from mlx_tutor.dataset.forms import clean_term, find_named
from mlx_tutor.dataset.language import (
    BULLET,
    clean_heading,
    could_be_concept,
    is_whole_sentence,
    list_sentences,
    rank,
    split_sentences,
    strip_bold,
)
from mlx_tutor.records import Block, Chunk, QaPair

ARTICLE = r"(?:(?P<article>An?|The|In \w+(?: \w+)?, an?|In \w+(?: \w+)?,)\s+)?"
TERM = r"(?P<term>[A-Za-z][\w’'-]*(?: [\w’'()-]+){0,4}?)"
AFTER = re.compile(
    rf"^{ARTICLE}{TERM}(?:,? (?:or|also (?:called|known as)) [\w -]{{3,40}},?|,? \([\w -]{{2,40}}\))? "
    r"(?:is|are) (?:an?|the|any|one of|defined as|when|where|what|how)\b"
)
VERB = re.compile(
    rf"^{ARTICLE}{TERM}(?:,? \([\w -]{{2,40}}\))? "
    r"(?:refers? to|means|denotes?|is defined as|describes?|measures?|consists? of)\b"
)
CALLED = re.compile(
    r"\b(?:is|are|we|is then|are then) (?:call(?:ed)?|termed|known as)\b[^.]{0,60}?\*\*(?P<term>[^*]{3,60})\*\*"
)
GLOSSARY = re.compile(r"^(?:[-•] )?\*\*(?P<term>[^*:]{2,60}?):?\*\*\s*[:—–-]\s*(?P<text>\S.{15,})$")
PLAIN_GLOSSARY = re.compile(r"^(?:[-•] )?(?P<term>[A-Z][\w’' -]{2,50}?)\s*[:—–]\s+(?P<text>[A-Za-z].{20,})$")
DEFINES = re.compile(r"(?:an?|the|any|how|when|where|what|share|sum|number|rate|process)\b[^:]+$", re.IGNORECASE)
IS_GLOSSARY = re.compile(r"glossary|key terms|definitions|terminology|vocabulary", re.IGNORECASE)
WORDINGS = (
    "What {be} {the_term}?",
    "Define {the_term}.",
    "What does the term {term} mean?",
    "How would you explain {the_term} to a classmate?",
    "What is meant by {the_term}?",
    "Give a short definition of {the_term}.",
)
WORDINGS_PER_FACT = 3
MOST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Definition:
    """A term, the text that defines it, and the sentences around that help; `evidence` is an exact piece of a block.

    `article` is the one that the course gives the term, with a space behind it.
    """

    term: str
    text: str
    support: tuple[str, ...]
    evidence: str
    plural: bool = False
    article: str = ""


# The names of a course's concepts need those of all its chunks first, and two ways of making rows need them again.
@lru_cache(maxsize=1 << 14)
def find_definitions(chunk: Chunk) -> tuple[Definition, ...]:
    """The definitions in the prose of a chunk, each term once."""
    found: dict[str, Definition] = {}
    for block in chunk.blocks:
        for definition in (*_find_in_glossary(block, chunk), *_find_in_prose(block, chunk), *_find_named(block)):
            found.setdefault(definition.term.lower(), definition)
    return tuple(found.values())


def _find_in_glossary(block: Block, chunk: Chunk) -> Iterator[Definition]:
    in_glossary = any(IS_GLOSSARY.search(heading) for heading in chunk.heading)
    for line in block.text.split("\n") if block.kind == "text" else ():
        match = GLOSSARY.match(line.strip()) or (PLAIN_GLOSSARY.match(line.strip()) if in_glossary else None)
        # Elsewhere a bold word and a colon may begin a remark as well.
        if match and could_be_concept(match["term"]) and (in_glossary or DEFINES.match(match["text"])):
            term, text = match["term"].strip(), strip_bold(match["text"]).strip()
            plural = re.search(r"[^suia]s$", term) is not None
            first = text.split()[0].lower()
            article = ("an " if term[0].lower() in "aeiou" else "a ") if first in ("a", "an") and not plural else ""
            if DEFINES.match(text):
                name = term[0].lower() + term[1:] if article and term[1:].islower() else term
                text = f"{article}{name} {'are' if plural else 'is'} {text[0].lower()}{text[1:]}"
            yield Definition(term, text[0].upper() + text[1:], (), line.strip(), plural, article)


def _find_in_prose(block: Block, chunk: Chunk) -> Iterator[Definition]:
    sentences = list_sentences(block)
    topic = clean_heading(chunk.heading[-1]).lower()
    for i, sentence in enumerate(sentences):
        if not is_whole_sentence(sentence) or sentence.endswith("?"):
            continue
        plain = strip_bold(sentence)
        match = AFTER.match(plain) or VERB.match(plain)
        bold = {clean_term(term[1]).lower(): clean_term(term[1]) for term in BOLD.finditer(sentence)}
        if match is None:
            called = CALLED.search(sentence)
            if called and could_be_concept(called["term"]):
                yield Definition(called["term"].strip(), plain, _support(sentences, i), sentence)
            continue
        term = re.sub(r"\s*\(.*?\)", "", match["term"]).strip()
        # Without bold type, the term has to be what the section is about, or to open the paragraph.
        about = _is_about(term, topic) and len(term.split()) <= len(topic.split()) + 1
        known = term.lower() in bold or (not bold and (about or i == 0))
        # "The theorem" under "Central limit theorem" says something of it and does not define it.
        known = known and not (match["article"] == "The" and term.lower() in topic and term.lower() != topic)
        if could_be_concept(term) and known and not re.search(r"\b(?:was|were|has|have|had|been)\b", term):
            plural = " are " in match.group() or _is_plural(match)
            article = (match["article"] or "").lower().split()[-1:]
            given = f"{article[0]} " if article and not plural and article[0] in ("a", "an", "the") else ""
            yield Definition(term, plain, _support(sentences, i), sentence, plural, given)
        elif len(bold) == 1:
            [(low, name)] = bold.items()
            if low in plain.lower()[: match.end()] and could_be_concept(name):
                yield Definition(name, plain, _support(sentences, i), sentence)


def _find_named(block: Block) -> Iterator[Definition]:
    # Lines of a list need not be whole sentences: what is said beside the term stands alone.
    lines = block.text.split("\n") if block.kind == "text" else []
    sentences = [sentence for line in lines for sentence in split_sentences(BULLET.sub("", line))]
    for i, sentence in enumerate(sentences):
        for named in find_named(sentence, sentences[i - 1] if i else "", block.text) if "**" in sentence else ():
            if could_be_concept(named.term):
                support = _support(sentences, i)
                yield Definition(named.term, named.text, support, named.evidence, named.plural, named.article)


def _is_plural(match: re.Match[str]) -> bool:
    return re.search(r" (?:refer|denote|describe|measure|consist)$", match.group()) is not None


def _is_about(term: str, topic: str) -> bool:
    low = term.lower()
    return low in topic or topic in low or low.rstrip("s") in topic


def _support(sentences: list[str], index: int) -> tuple[str, ...]:
    """The sentences after a definition that go on about it."""
    following = [strip_bold(sentence) for sentence in sentences[index + 1 : index + 1 + MOST_STEPS]]
    return tuple(s for s in following if 5 <= len(s.split()) <= 45 and not s.endswith(("?", ":")))


def make_definitions(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """Rows "What is X?", several wordings for each fact, since one wording teaches one wording."""
    for definition in find_definitions(chunk):
        questions = ask_for_definition(definition, concepts, seed)
        for question in questions[:WORDINGS_PER_FACT]:
            yield answer_definition(definition, question, chunk, concepts), "definition", definition.evidence


def ask_for_definition(definition: Definition, concepts: Concepts, seed: int) -> list[str]:
    """All wordings, in the fixed random order of this term."""
    be = "are" if definition.plural else "is"
    order = sorted(WORDINGS, key=lambda wording: rank(seed, definition.term, wording))
    term = concepts.lower(definition.term)
    return [wording.format(term=term, be=be, the_term=f"{definition.article}{term}") for wording in order]


def answer_definition(definition: Definition, question: str, chunk: Chunk, concepts: Concepts) -> QaPair:
    """The sentences around the definition as steps, the definition as the answer."""
    # The rest of a glossary is about other terms.
    around = f"{definition.text} {chunk.text}" if definition.support else definition.text
    related = concepts.relate(around, definition.term)
    return QaPair(question, definition.support, definition.text, "concept", related)
