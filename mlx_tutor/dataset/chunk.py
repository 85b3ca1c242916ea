"""Document -> Chunk: neighbouring blocks of one section, within a number of tokens."""

from collections.abc import Iterable, Iterator

from mlx_tutor.languages.detect import detect_language
from mlx_tutor.records import ENTRY, Block, Chunk, Document
from mlx_tutor.text import count_words

# English words to tokens; the whole row is counted exactly later on.
TOKENS_PER_WORD = 1.4


def split_document(document: Document, chunk_tokens: int) -> Iterator[Chunk]:
    """The chunks of a document; a block is never cut, so one longer than `chunk_tokens` is a chunk of its own."""
    language = find_language(document)
    for index, section in enumerate(document.sections):
        for number, blocks in enumerate(_pack_blocks(_list_prose(section.blocks), chunk_tokens)):
            yield Chunk(document.source, index, section.heading, blocks, number == 0, language)


def find_language(document: Document) -> str:
    """The language of a document (ISO 639-1), "" where it cannot be told; looked for where nobody has."""
    return detect_language(document.prose) if document.language is None else document.language


def _list_prose(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks that are no exercise and no solution: those give rows of their own."""
    return (block for block in blocks if block.role in (None, ENTRY))


def _pack_blocks(blocks: Iterable[Block], chunk_tokens: int) -> Iterator[tuple[Block, ...]]:
    packed: list[Block] = []
    size = 0.0
    for block in blocks:
        length = TOKENS_PER_WORD * count_words(block.text)
        if packed and size + length > chunk_tokens:
            yield tuple(packed)
            packed, size = [], 0.0
        packed.append(block)
        size += length
    if packed:
        yield tuple(packed)
