"""Rows that quote a passage and ask for its title (after AdaptLLM: Cheng et al., ICLR 2024, arXiv 2309.09530)."""

from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import name_topic, uses_words
from mlx_tutor.dataset.mining.language import (
    LABELLED,
    is_step,
    is_whole_sentence,
    list_sentences,
    pick,
)
from mlx_tutor.dataset.passage import is_passage
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import strip_bold


def make_readings(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most one row a chunk: the heading as the title of a passage, where the passage uses its words."""
    table, topic = read_language(chunk.language), name_topic(chunk)
    block = next((block for block in chunk.blocks if is_passage(block) and _is_clear(block, chunk.language)), None)
    if table is None or topic is None or block is None:
        return
    passage = strip_bold(block.text)
    if uses_words(passage, topic, chunk.language, least=1.0):
        question = pick(table.questions["title"], seed, passage)
        yield QaPair(question, (), topic, "title", (), passage), "title", block.text


def _is_clear(block: Block, language: str) -> bool:
    """Whether a paragraph begins with a sentence that stands alone, and speaks of nothing beside it."""
    sentences = list_sentences(block, language)
    whole = bool(sentences) and is_whole_sentence(sentences[0], language) and not LABELLED.match(sentences[0])
    return whole and all(is_step(s, block, language) or not s.endswith((".", "。")) for s in sentences)
