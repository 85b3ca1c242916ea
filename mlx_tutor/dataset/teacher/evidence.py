"""The numbered sentences of a chunk: a teacher cites their numbers, so that its evidence is word for word."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlx_tutor.records import Block, Chunk
from mlx_tutor.text import count_words, split_sentences

# Fewer words than this occur anywhere, and prove nothing.
LEAST_WORDS = 4
# What begins an entry of a list; it is shown, and cited only between two entries.
BULLET = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+")
LINE = re.compile(r"\S(?:[^\n]*\S)?")
# Code and its output are numbered by paragraph: single lines say little.
PARAGRAPH = re.compile(r"\S(?:.|\n(?!\s*\n))*")


@dataclass(frozen=True, slots=True)
class Numbered:
    """A sentence, a line of a table or a paragraph of code: `start` and `end` are its place in `block.text`."""

    block: Block
    start: int
    end: int

    @property
    def text(self) -> str:
        """It as it stands in its block."""
        return self.block.text[self.start : self.end]


def number_sentences(chunk: Chunk) -> list[Numbered]:
    """The citable pieces of a chunk, in order; the first has number 1."""
    return [piece for block in chunk.blocks for piece in _cut_block(block, chunk.language)]


def _cut_block(block: Block, language: str) -> Iterator[Numbered]:
    if block.kind in ("code", "output"):
        for match in PARAGRAPH.finditer(block.text):
            yield Numbered(block, match.start(), match.start() + len(match.group().rstrip()))
        return
    for line in LINE.finditer(block.text):
        bullet = BULLET.match(line.group())
        start = line.start() + (bullet.end() if bullet and block.kind == "text" else 0)
        whole = block.text[start : line.end()]
        for sentence in [whole] if block.kind == "table" else split_sentences(whole, language):
            start = block.text.index(sentence, start)
            yield Numbered(block, start, start + len(sentence))
            start += len(sentence)


def write_numbered(pieces: Sequence[Numbered]) -> str:
    """The pieces with their numbers in front, as a teacher reads them; code in fences."""
    lines: list[str] = []
    for number, piece in enumerate(pieces, 1):
        code = piece.block.kind in ("code", "output")
        lines.append(f"[{number}]\n```\n{piece.text}\n```" if code else f"[{number}] {piece.text}")
    return "\n".join(lines)


def assemble_evidence(numbers: Sequence[int], pieces: Sequence[Numbered], *, code: bool = False) -> Numbered | None:
    """The longest run of neighbouring cited pieces of one block, the first of equally long ones, as one piece.

    None when all runs have fewer than LEAST_WORDS words. `code`: only code counts.

    Args:
        numbers: What is cited, from 1 to the number of pieces.
        pieces: From `number_sentences`.
        code: Whether the evidence must be code.
    """
    runs: list[Numbered] = []
    before = 0
    for number in sorted(set(numbers)):
        piece = pieces[number - 1]
        if runs and number == before + 1 and piece.block is runs[-1].block:
            runs[-1] = Numbered(piece.block, runs[-1].start, piece.end)
        else:
            runs.append(piece)
        before = number
    fit = [run for run in runs if (run.block.kind == "code" or not code) and _count(run.text) >= LEAST_WORDS]
    return max(fit, key=lambda run: _count(run.text), default=None)


def _count(text: str) -> int:
    return max(count_words(text), len(re.findall(r"\w+", text)))
