"""Rows from sentences that define a term: "X is a", "X refers to", "is called X", glossaries."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, takewhile

from mlx_tutor.dataset.mining.concepts import BOLD, Concepts
from mlx_tutor.dataset.mining.forms import clean_term, find_named
from mlx_tutor.dataset.mining.headings import clean_heading, is_topic
from mlx_tutor.dataset.mining.language import (
    BULLET,
    could_be_concept,
    is_step,
    is_whole_sentence,
    list_sentences,
    rank,
    tells_story,
)
from mlx_tutor.dataset.mining.pairs import Known, list_bold
from mlx_tutor.dataset.passage import find_passage, read_from
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import split_sentences, strip_bold

ARTICLE = r"(?:(?P<article>An?|The|In \w+(?: \w+)?, an?|In \w+(?: \w+)?,)\s+)?"
TERM = r"(?P<term>[A-Za-z][\w’'-]*(?: [\w’'()-]+){0,4}?)"
AFTER = re.compile(
    rf"^{ARTICLE}{TERM}(?:,? (?:or|also (?:called|known as)) [\w -]{{3,40}},?|,? \([\w -]{{2,40}}\))? "
    r"(?:is|are) (?:an?|the|any|one of|defined as|when|where|what|how)\b"
)
VERB = re.compile(
    rf"^{ARTICLE}{TERM}(?:,? \([\w -]{{2,40}}\))? "
    r"(?:refers? to|means(?! the same)|denotes?|is defined as|describes?|measures?|consists? of)\b"
)
GLOSSARY = re.compile(r"^(?:[-•] )?\*\*(?P<term>[^*:]{2,60}?):?\*\*\s*[:—–-]\s*(?P<text>\S.{15,})$")
PLAIN_GLOSSARY = re.compile(r"^(?:[-•] )?(?P<term>[A-Z][\w’' -]{2,50}?)\s*[:—–]\s+(?P<text>[A-Za-z].{20,})$")
DEFINES = re.compile(r"(?:an?|the|any|how|when|where|what|share|sum|number|rate|process)\b[^:]+$", re.IGNORECASE)
# "X refers to", "X is a way of"; and what is said of X beside what it is.
MEANS = re.compile(r"\b(?:means|refers? to|(?:is|are) (?:best )?defined as|denotes?)\b")
KIND = re.compile(
    r"\b(?:is|are) (?:an?|the|any|those|when|where|what|how)\b.*?\b(?:that|who|which|of|to|for|in|by|from|between)\b"
)
REMARK = re.compile(r", but |\b(?:example|important|simple|one of|ideal|useful|would|cause of)\b")
# What only definitions say: "Net sales is the amount left".
NATURE = re.compile(
    r"(?:is|are) (?:the|an?) (?:amount|difference|ratio|sum|process|number|percentage|share|practice|act|ability|method"
    r"|measure|type|kind|form|situation|condition|collection|system) "
    r"(?:of|that|by|left|to|between|in which|where|for)\b"
)
_SUBJECT = r"(?:[\w’'(),-]+ ){1,8}?(?:is|are)"
_WORDS = r"(?:(?!(?:an?|the|of|that|to|which|who|where|whereby|in|for|by)\b)[\w,’'.-]+ )"
# What is said of a thing that the reader knows.
PRAISE = re.compile(
    rf"{_SUBJECT} (?:(?:an?|the) {_WORDS}{{0,4}}?(?:issues?|matters?|questions?|industry|industries|challenges?|topics?"
    r"|priority|priorities|debates?|mistakes?|assumption|subject(?! to))\b"
    r"|the (?:most|second most) (?:popular|common|important|widely|famous|frequent)"
    r"|an? (?:very|quite|rather|hugely|extremely|exceedingly) "
    r"|the (?:first|second|third|last) [\w ]* in the (?:figure|table)"
    r"|an? (?:important|crucial|vital|essential|powerful|key|central) "
    r"(?:part|component|factor|element|role|step|tool|source)\b"
    r"|the key to\b|a factor in\b|an example of\b|the area labell?ed\b|an? \w+ that can be [a-z]+[.])"
)
FIRM = re.compile(
    rf"{_SUBJECT} (?:an?|the|one of the) {_WORDS}{{0,7}}?(?:company|retailer|maker|manufacturer|firm|corporation"
    r"|chain|start-?up|founder|initiator|author|professor|engineer|researcher|scientist|president|director)\b(?!-)"
)
# "It …" behind a definition, where the term is what that speaks of.
MORE = re.compile(
    r"(?:It|They) (?!(?:is|are|was|were) (?:not|also|an?|the|important|easy|hard|useful|one|clear|possible|true"
    r"|difficult)\b)(?!may|might|can|could|will|would|should|must|has|have|had|takes?|affects?\b|\w+ed\b)"
)
MOST_WORDS, MOST_MORE = 25, 25
IS_GLOSSARY = re.compile(r"glossary|key terms|definitions|terminology|vocabulary", re.IGNORECASE)
WORDINGS = (
    "What {be} {the_term}?",
    "Define {the_term}.",
    "What does the term {term} mean?",
    "How would you explain {the_term} to a classmate?",
    "What is meant by {the_term}?",
    "Give a short definition of {the_term}.",
)
# Who asks so gets the definition alone.
BRIEF = ("Define", "Give a short definition")
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
    known = list_bold(chunk.blocks)
    for block in chunk.blocks:
        found_in = (_find_in_glossary(block, chunk), _find_in_prose(block, chunk, known), _find_named(block, known))
        for definition in chain(*found_in):
            if PRAISE.match(definition.text) or _is_firm(definition):
                continue
            better = found.setdefault(definition.term.lower(), definition)
            if _weigh(definition) > _weigh(better):
                found[definition.term.lower()] = definition
    return tuple(found.values())


def _is_firm(definition: Definition) -> bool:
    """Whether the term is a firm: what kinds of firms are has an article or is a plural."""
    name = definition.term[0].isupper() and not definition.plural and not definition.article
    return name and FIRM.match(definition.text) is not None


def _weigh(definition: Definition) -> int:
    """How much like a definition a text is worded."""
    kind = 2 if MEANS.search(definition.text) else 1 if KIND.search(definition.text) else 0
    return kind - 2 * bool(REMARK.search(definition.text))


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


def _find_in_prose(block: Block, chunk: Chunk, known: Known) -> Iterator[Definition]:
    sentences = list_sentences(block)
    topic = clean_heading(chunk.heading[-1]).lower()
    bold_elsewhere = {term for terms in known.values() for term in terms}
    for i, sentence in enumerate(sentences):
        if not is_whole_sentence(sentence) or sentence.endswith("?"):
            continue
        plain = strip_bold(sentence)
        match = AFTER.match(plain) or VERB.match(plain)
        if match is None:
            continue
        bold = {clean_term(term[1]).lower(): clean_term(term[1]) for term in BOLD.finditer(sentence)}
        term = re.sub(r"\s*\(.*?\)", "", match["term"]).strip()
        # Without bold type, the term has to be what the section is about, or to open the paragraph.
        about = _is_about(term, topic) and len(term.split()) <= len(topic.split()) + 1
        nature = match["article"] != "The" and NATURE.search(plain[match.end("term") : match.end() + 40])
        # "The funding for the program" is none.
        alone = not re.search(r" (?:for|of) the |^(?:important|key|major|main) ", term)
        elsewhere = term.lower().removesuffix("s") in bold_elsewhere
        defined = term.lower() in bold or (alone and (nature or (not bold and (about or i == 0 or elsewhere))))
        # "The theorem" under "Central limit theorem" says something of it and does not define it.
        defined = defined and not (match["article"] == "The" and term.lower() in topic and term.lower() != topic)
        if could_be_concept(term) and defined and not re.search(r"\b(?:was|were|has|have|had|been)\b", term):
            plural = " are " in match.group() or _is_plural(match)
            article = (match["article"] or "").lower().split()[-1:]
            given = f"{article[0]} " if article and not plural and article[0] in ("a", "an", "the") else ""
            found = Definition(term, plain, _support(sentences, i, block), sentence, plural, given)
            yield _add_more(found, sentences[i + 1 : i + 2], block)
        elif len(bold) == 1:
            [(low, name)] = bold.items()
            if low in plain.lower()[: match.end()] and could_be_concept(name):
                yield Definition(name, plain, _support(sentences, i, block), sentence)


def _find_named(block: Block, known: Known) -> Iterator[Definition]:
    # Lines of a list need not be whole sentences: what is said beside the term stands alone.
    lines = block.text.split("\n") if block.kind == "text" else []
    sentences = [sentence for line in lines for sentence in split_sentences(BULLET.sub("", line.strip()))]
    for i, sentence in enumerate(sentences):
        before = sentences[i - 1] if i else ""
        for named in find_named(sentence, before, block.text, known):
            if could_be_concept(named.term) and is_topic(named.term):
                support = _support(sentences, i, block)
                found = Definition(named.term, named.text, support, named.evidence, named.plural, named.article)
                yield _add_more(found, sentences[i + 1 : i + 2], block)


def _add_more(definition: Definition, following: list[str], block: Block) -> Definition:
    """A short definition with the sentence that goes on about it."""
    text, evidence = definition.text, definition.evidence
    subject = f"{definition.article}{definition.term}".lower()
    if text != strip_bold(evidence) or not text.lower().startswith(subject) or len(text.split()) > MOST_WORDS:
        return definition
    for sentence in following:
        both = f"{evidence} {sentence}"
        about = MORE.match(sentence) and sentence.startswith("They" if definition.plural else "It")
        short = len(sentence.split()) <= MOST_MORE and sentence.endswith(".")
        if about and short and "**" not in sentence and not tells_story(sentence) and both in block.text:
            return replace(definition, text=f"{text} {sentence}", evidence=both, support=definition.support[1:])
    return definition


def _is_plural(match: re.Match[str]) -> bool:
    return re.search(r" (?:refer|denote|describe|measure|consist)$", match.group()) is not None


def _is_about(term: str, topic: str) -> bool:
    low = term.lower()
    return low in topic or topic in low or low.rstrip("s") in topic


def _support(sentences: list[str], index: int, block: Block) -> tuple[str, ...]:
    """The sentences after a definition that go on about it."""
    following = [strip_bold(sentence) for sentence in sentences[index + 1 : index + 1 + MOST_STEPS]]
    return tuple(sentence for sentence in following if is_step(sentence, block))


def make_definitions(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """Rows "What is X?", several wordings for each fact, since one wording teaches one wording.

    They quote the passage that holds the definition, where it stands in one, and then there is one row more that does
    not: a tutor answers from the course, and from memory only when it must. From memory it tells no example.
    """
    for definition in find_definitions(chunk):
        passage = find_passage(chunk, [definition.evidence, *definition.support])
        questions = ask_for_definition(definition, concepts, seed)[: WORDINGS_PER_FACT + (passage is not None)]
        for number, question in enumerate(questions):
            qa = answer_definition(definition, question, chunk, concepts)
            if passage is not None and number:
                quoted = read_from(qa, passage, concepts) if definition.support else replace(qa, context=passage)
                yield quoted, "definition in passage", definition.evidence
            else:
                known = tuple(takewhile(lambda step: not tells_story(step), qa.thought_process))
                yield replace(qa, thought_process=known), "definition", definition.evidence


def ask_for_definition(definition: Definition, concepts: Concepts, seed: int) -> list[str]:
    """All wordings, in the fixed random order of this term."""
    be = "are" if definition.plural else "is"
    order = sorted(WORDINGS, key=lambda wording: rank(seed, definition.term, wording))
    term = concepts.lower(definition.term)
    return [wording.format(term=term, be=be, the_term=f"{definition.article}{term}") for wording in order]


def answer_definition(definition: Definition, question: str, chunk: Chunk, concepts: Concepts) -> QaPair:
    """The sentences around as steps, unless a short answer is asked for; the definition as the answer."""
    # The rest of a glossary is about other terms.
    around = f"{definition.text} {chunk.text}" if definition.support else definition.text
    related = concepts.relate(around, definition.term)
    steps = () if question.startswith(BRIEF) else definition.support
    return QaPair(question, steps, definition.text, "concept", related)
