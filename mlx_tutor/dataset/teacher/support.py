"""Whether an answer of a teacher rests on the sentences that it cites: a test of words, not of meaning."""

import re
from collections.abc import Sequence

from mlx_tutor.dataset.mining.language import list_stems
from mlx_tutor.dataset.teacher.evidence import Numbered
from mlx_tutor.dataset.teacher.parsing import Item
from mlx_tutor.records import Chunk
from mlx_tutor.text import FORMULA

# Kinds whose answer may bring in a case or a comparison of its own.
OWN_WORDS = frozenset({"apply", "what-if", "compare", "misconception", "code", "connect"})
# Those whose answer may compute with numbers of its own.
OWN_CASES = frozenset({"apply", "what-if"})
# An answer needs so many content words of the cited sentences, or all of its own, and, but for those kinds, this share
# of its own from the chunk.
LEAST_COMMON, LEAST_SHARE = 2, 0.5
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def pick_supporting(item: Item, pieces: Sequence[Numbered], chunk: Chunk) -> list[int]:
    """The cited numbers whose pieces share LEAST_COMMON content words with the answer; all, where none does.

    A small model cites half the text for one sentence of it.
    """
    said = list_stems(" ".join([*item.thought_process, item.answer]), chunk.language)
    fit = [
        number
        for number in item.cited
        if len(said & list_stems(pieces[number - 1].text, chunk.language)) >= LEAST_COMMON
    ]
    return fit or list(item.cited)


def find_unsupported(item: Item, cited: Sequence[Numbered], chunk: Chunk) -> str:
    """Why an answer cannot be told to rest on what it cites; empty when it does.

    The steps count as part of it. Its numbers must stand in the chunk or the question, but for the kinds that bring a
    case of their own.
    """
    if any(_is_copied(question, chunk) for question in item.questions):
        return "the question is a sentence of the text"
    said = list_stems(" ".join([*item.thought_process, item.answer]), chunk.language)
    quoted = list_stems(" ".join(piece.text for piece in cited), chunk.language)
    if len(said & quoted) < min(LEAST_COMMON, len(said)):
        return "the cited sentences do not support the answer"
    given = " ".join([*chunk.heading, chunk.text, *item.questions])
    if item.type not in OWN_WORDS and len(said & list_stems(given, chunk.language)) < LEAST_SHARE * len(said):
        return "the answer says what the text does not"
    # Single digits of a formula are exponents and halves.
    stated = NUMBER.findall(FORMULA.sub(" ", item.answer))
    numbers = {*stated, *(number for number in NUMBER.findall(item.answer) if len(number) > 1)}
    own_case = item.type in OWN_CASES or numbers <= set(NUMBER.findall(given))
    return "" if own_case else "a number of the answer is not in the text"


def _is_copied(question: str, chunk: Chunk) -> bool:
    """Whether a question without a question mark stands in the text: a small model copies the next sentence."""
    plain = " ".join(question.split()).rstrip(".:").casefold()
    return plain[-1:] not in ("?", "？", "؟") and plain in " ".join(chunk.text.split()).casefold()
