"""Rows that quote a passage and ask for its title (after AdaptLLM: Cheng et al., ICLR 2024, arXiv 2309.09530)."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import name_topic, uses_words
from mlx_tutor.dataset.mining.language import (
    BULLET,
    LABELLED,
    addresses,
    is_step,
    is_whole_sentence,
    list_sentences,
    pick,
    points_back,
)
from mlx_tutor.dataset.mining.prose import LOST
from mlx_tutor.dataset.passage import LEAST_WORDS, MOST_WORDS, is_passage
from mlx_tutor.dataset.pointers import is_unfit
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import count_words, split_sentences, strip_bold


def make_readings(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most one row a chunk: the heading as the title of a passage, where the passage uses its words."""
    table, topic = read_language(chunk.language), name_topic(chunk)
    if table is None or topic is None:
        return
    blocks = _find_passage(chunk, topic)
    passage = "\n\n".join(strip_bold(block.text) for block in blocks)
    if blocks and _is_complete(passage, table) and uses_words(passage, topic, chunk.language, least=1.0):
        question = pick(table.questions["title"], seed, passage)
        yield QaPair(question, (), topic, "title", (), passage), "title", blocks[0].text


def _find_passage(chunk: Chunk, topic: str) -> Sequence[Block]:
    """The first clear paragraph of a passage's length; without one, short ones that begin the chunk with its topic."""
    language = chunk.language
    for block in chunk.blocks:
        if is_passage(block, language) and _is_clear(block, language):
            return [block]
    first, words = chunk.blocks[0], 0
    if not _is_clear(first, language) or not uses_words(first.text, topic, language, least=1.0):
        return ()
    # Some courses have a paragraph for each sentence.
    for number, block in enumerate(takewhile(lambda block: _goes_on(block, language), chunk.blocks), start=1):
        words += count_words(block.text)
        if words >= LEAST_WORDS:
            return chunk.blocks[:number] if words <= MOST_WORDS else ()
    return ()


def _is_complete(passage: str, table: Language) -> bool:
    """Whether a passage names no listing, link or example that is not in it, and ends what it begins."""
    first = split_sentences(passage, table.code)[0]
    lost = LOST.search(passage) or is_unfit(passage, table) or points_back(first, table.code)
    return not lost and not passage.endswith((":", "："))


def _goes_on(block: Block, language: str) -> bool:
    """Whether a paragraph, no list, consists of whole sentences that speak to nobody and of nothing beside it."""
    sentences = list_sentences(block, language)
    plain = "\n" not in block.text and "$$" not in block.text and not BULLET.match(block.text)
    impersonal = plain and not addresses(block.text, language)
    return bool(sentences) and impersonal and all(is_step(s, block, language) for s in sentences)


def _is_clear(block: Block, language: str) -> bool:
    """Whether a paragraph begins with a sentence that stands alone, and speaks of nothing beside it."""
    sentences = list_sentences(block, language)
    whole = bool(sentences) and is_whole_sentence(sentences[0], language) and not LABELLED.match(sentences[0])
    return whole and all(is_step(s, block, language) or not s.endswith((".", "。")) for s in sentences)
