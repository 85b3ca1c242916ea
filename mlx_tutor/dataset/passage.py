"""Passages that rows quote before their question, as `ask` gives them to the model."""

from collections.abc import Sequence

from mlx_tutor.dataset.concepts import Concepts
from mlx_tutor.dataset.language import list_sentences, strip_bold
from mlx_tutor.records import Block, Chunk, QaPair

# Words of a passage: enough to choose from, few enough to train on.
LEAST_WORDS, MOST_WORDS = 35, 130


def is_passage(block: Block) -> bool:
    """Whether a block is prose that says enough and is short enough."""
    return LEAST_WORDS <= len(block.text.split()) <= MOST_WORDS and bool(list_sentences(block))


def find_passage(chunk: Chunk, needed: Sequence[str]) -> str | None:
    """The paragraph that holds all of `needed`, or all prose of the chunk where that does and is no more than that."""
    prose = [block for block in chunk.blocks if list_sentences(block)]
    whole = Block("text", "\n\n".join(block.text for block in prose))
    for block in (*prose, whole):
        text = strip_bold(block.text)
        if is_passage(block) and all(strip_bold(sentence) in text for sentence in needed):
            return text
    return None


def read_from(qa: QaPair, context: str, concepts: Concepts) -> QaPair:
    """The same question with a passage; related concepts are those that the passage names."""
    related = concepts.relate(context, qa.question)
    return QaPair(qa.question, qa.thought_process, qa.answer, qa.type, related, context)
