"""Whether a quote is in a text word for word, apart from spacing, quotation marks and bold type."""

import re
import unicodedata
from collections.abc import Sequence

from mlx_tutor.records import Block

# Accents that are signs of their own and soft hyphens belong to their word.
TOKEN = re.compile(r"(?:\w[\u0300-\u036f\u00ad]*)+|[^\w\s]")
# Marks of emphasis carry no meaning, and a model drops or adds them.
SILENT = frozenset("*_`")
SAME = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "‑": "-", "−": "-"})
ENDS = frozenset(".,;:!?\"'")
# Fewer words than this occur anywhere, and prove nothing.
LEAST_WORDS = 4


def find_evidence(quote: str, blocks: Sequence[Block]) -> tuple[str, Block] | None:
    """The piece of one block that a quote repeats, as it stands there, and that block.

    Words and signs must be the same and in the same order after Unicode normalization (NFKC), regardless of case,
    blanks, emphasis and the shape of quotation marks and dashes. Marks at the ends of the quote do not count.
    """
    wanted = [token for token, _, _ in _read_tokens(quote)]
    while wanted and ENDS.issuperset(wanted[0]):
        wanted.pop(0)
    while wanted and ENDS.issuperset(wanted[-1]):
        wanted.pop()
    if sum(token[0].isalnum() for token in wanted) < LEAST_WORDS:
        return None
    for block in blocks:
        tokens = _read_tokens(block.text)
        words = [token for token, _, _ in tokens]
        for start in range(len(words) - len(wanted) + 1):
            if words[start] == wanted[0] and words[start : start + len(wanted)] == wanted:
                end = start + len(wanted)
                # The full stop belongs to the quoted sentence.
                end += end < len(words) and words[end] in ".!?"
                return block.text[tokens[start][1] : tokens[end - 1][2]], block
    return None


def _read_tokens(text: str) -> list[tuple[str, int, int]]:
    """Normalized words and signs, each with where it begins and ends in `text`."""
    found = []
    for match in TOKEN.finditer(text):
        token = unicodedata.normalize("NFKC", match.group()).translate(SAME).casefold().strip("_").replace("\xad", "")
        if token and token not in SILENT:
            found.append((token, *match.span()))
    return found
