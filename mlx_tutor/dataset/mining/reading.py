"""Rows that quote a passage: its title and the terms that it introduces; and sentences that connect two concepts.

The tasks are those of reading comprehension in AdaptLLM (Cheng et al., ICLR 2024, arXiv 2309.09530), as far as the text
shows that the answer is right: the heading that it uses, and the terms that it sets in bold type.
"""

from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import BOLD, Concepts, cut_key
from mlx_tutor.dataset.mining.defining import fold_term
from mlx_tutor.dataset.mining.headings import name_topic, uses_words
from mlx_tutor.dataset.mining.language import (
    LABELLED,
    addresses,
    ends_subject,
    is_step,
    is_whole_sentence,
    list_sentences,
    pick,
    points_back,
    rank,
    tells_story,
)
from mlx_tutor.dataset.passage import is_passage
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import count_words, strip_bold

MOST_PER_CHUNK = 1
LEAST_KEYWORDS, MOST_KEYWORDS = 2, 8
LEAST_WORDS, MOST_WORDS = 8, 30
# How near two concepts of a sentence are in the rest of the course.
LEAST_NEAR = 0.2


def make_readings(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most one row a chunk: the terms or the title of a passage."""
    passages = [block for block in chunk.blocks if is_passage(block) and _is_clear(block, chunk.language)]
    rows = [row for block in passages for row in _make_keywords(chunk, block, concepts, seed)]
    rows += list(_make_title(chunk, passages[0], seed)) if passages else []
    yield from sorted(rows, key=lambda row: rank(seed, chunk.text, row[1], row[2]))[:MOST_PER_CHUNK]


def _is_clear(block: Block, language: str) -> bool:
    """Whether a paragraph begins with a sentence that stands alone, and speaks of nothing beside it."""
    sentences = list_sentences(block, language)
    whole = bool(sentences) and is_whole_sentence(sentences[0], language) and not LABELLED.match(sentences[0])
    return whole and all(is_step(s, block, language) or not s.endswith((".", "。")) for s in sentences)


def _make_keywords(chunk: Chunk, block: Block, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """The terms in bold type of a paragraph, where the course defines all of them."""
    table = read_language(chunk.language)
    bold = dict.fromkeys(match[1].strip() for match in BOLD.finditer(block.text))
    names = list(dict.fromkeys(concepts.names.get(cut_key(term, concepts.language), "") for term in bold))
    known = all(fold_term(name) in concepts.definitions for name in names)
    if table and known and "\n" not in block.text and LEAST_KEYWORDS <= len(names) <= MOST_KEYWORDS:
        passage = strip_bold(block.text)
        question = pick(table.questions["keywords"], seed, passage)
        answer = "\n".join(f"- {name}" for name in names)
        yield QaPair(question, (), answer, "keywords", (), passage), "keywords", block.text


def _make_title(chunk: Chunk, block: Block, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """The heading, where the passage under it uses its words."""
    table, topic, passage = read_language(chunk.language), name_topic(chunk), strip_bold(block.text)
    if table and topic and uses_words(passage, topic, chunk.language, least=1.0):
        question = pick(table.questions["title"], seed, passage)
        yield QaPair(question, (), topic, "title", (), passage), "title", block.text


def make_sentences(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most one question a chunk how two concepts are related: the first is what the sentence is about.

    In a language without a table, the two alone are the question.
    """
    table = read_language(chunk.language)
    candidates = []
    for block in chunk.blocks:
        for sentence in list_sentences(block, chunk.language):
            plain = strip_bold(sentence)
            if _stands_alone(sentence, block, chunk.language) and (pair := _find_pair(plain, concepts)):
                candidates.append((sentence, plain, pair))
    for sentence, plain, (one, other) in sorted(candidates, key=lambda found: rank(seed, "connect", found[1]))[:1]:
        asked = table.questions["connection"] if table else ("{one}, {other}",)
        question = pick(asked, seed, plain).format(one=one, other=other)
        yield QaPair(question, (), plain, "connection", ()), "words to sentence", sentence


def _stands_alone(sentence: str, block: Block, language: str) -> bool:
    plain = strip_bold(sentence)
    clear = is_whole_sentence(sentence, language) and is_step(sentence, block, language) and not tells_story(sentence)
    # Names in code are those of an example.
    short = "`" not in plain and LEAST_WORDS <= count_words(plain) <= MOST_WORDS and plain.endswith((".", "。"))
    return clear and short and not points_back(plain, language) and not addresses(plain, language)


def _find_pair(plain: str, concepts: Concepts) -> tuple[str, str] | None:
    """The concept that a sentence begins with, and that one of the others which is nearest to it in the course."""
    found = list(concepts.index.find(plain))
    table = read_language(concepts.language)
    if not found:
        return None
    key, start, end = found[0]
    begin, one = plain[:start].lower().strip("“\"'‘’ "), concepts.names[key]
    # In English, "the matrix" is one of those around.
    begins = not begin or (table is not None and begin in table.words["concept_article"] and begin != "the")
    if not begins or not ends_subject(plain[end:], concepts.language):
        return None
    near = {
        name: concepts.weigh(one, name)
        for name in concepts.find_longest(plain)
        if one.lower() not in name.lower() and f"({name}" not in plain
    }
    best = max(near, key=lambda name: near[name], default=None)
    return (one, best) if best and near[best] >= LEAST_NEAR else None
