"""Document -> Chunk: neighbouring blocks of one section, within a number of tokens."""

from collections.abc import Iterator

from mlx_tutor.records import Block, Chunk, Document

# English words to tokens; the whole row is counted exactly later on.
TOKENS_PER_WORD = 1.4


def split_document(document: Document, chunk_tokens: int) -> Iterator[Chunk]:
    """The chunks of a document; a block is never cut, so one longer than `chunk_tokens` is a chunk of its own."""
    for index, section in enumerate(document.sections):
        blocks: list[Block] = []
        size = 0.0
        for block in section.blocks:
            length = TOKENS_PER_WORD * len(block.text.split())
            if blocks and size + length > chunk_tokens:
                yield Chunk(document.source, index, section.heading, tuple(blocks))
                blocks, size = [], 0.0
            blocks.append(block)
            size += length
        if blocks:
            yield Chunk(document.source, index, section.heading, tuple(blocks))
