"""Passages that rows quote before their question, as `ask` gives them to the model."""

from collections.abc import Iterator, Sequence

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import list_sentences
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import count_words, strip_bold

# Words of a paragraph that is a passage by itself: enough to choose from, few enough to train on.
LEAST_WORDS, MOST_WORDS = 35, 130
# Words of a passage of several paragraphs: as many as `ask` gives at most.
LONGEST_PASSAGE = 200


def is_passage(block: Block, language: str = "en") -> bool:
    """Whether a block is prose of a suitable length."""
    return LEAST_WORDS <= count_words(block.text) <= MOST_WORDS and bool(list_sentences(block, language))


def find_passage(chunk: Chunk, needed: Sequence[str]) -> str | None:
    """The paragraph that holds all of `needed`, else the whole text of the chunk, else the lines around in a list."""
    wanted = [strip_bold(sentence) for sentence in needed]
    return next((text for text in _list_passages(chunk, wanted[0]) if all(part in text for part in wanted)), None)


def _list_passages(chunk: Chunk, needed: str) -> Iterator[str]:
    yield from (strip_bold(block.text) for block in chunk.blocks if is_passage(block, chunk.language))
    if whole := quote_whole(chunk):
        yield whole
    yield from (around for block in chunk.blocks if (around := _quote_around(block, needed)))


def _quote_around(block: Block, needed: str) -> str | None:
    """As many lines of a long list, with the one that holds `needed` in the middle, as make a passage."""
    lines = [strip_bold(line) for line in block.text.split("\n")] if block.kind == "text" else []
    at = next((i for i, line in enumerate(lines) if needed in line), None)
    if at is None or len(lines) == 1:
        return None
    quoted: list[str] = []
    for far in range(len(lines)):
        wider = lines[max(0, at - far) : at + far + 1]
        if sum(count_words(line) for line in wider) > MOST_WORDS:
            break
        quoted = wider
    return "\n".join(quoted) if sum(count_words(line) for line in quoted) >= LEAST_WORDS else None


def quote_whole(chunk: Chunk) -> str | None:
    """All text of the chunk, where it is long enough and not too long."""
    whole = "\n\n".join(strip_bold(block.text) for block in chunk.blocks if block.kind == "text")
    return whole if LEAST_WORDS <= count_words(whole) <= LONGEST_PASSAGE else None


def read_from(qa: QaPair, context: str, concepts: Concepts) -> QaPair:
    """The same question with a passage; related concepts are those that the passage names."""
    related = concepts.relate(context, qa.question)
    return QaPair(qa.question, qa.thought_process, qa.answer, qa.type, related, context)
