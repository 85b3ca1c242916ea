"""What every part asks of a text: its sentences, plain words and runs of words."""

import re
from collections.abc import Sequence
from functools import lru_cache

from mlx_tutor.languages.table import read_language

SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)\]*]*\s+(?=[\"“‘(*\[$]*[A-Z0-9])")
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$|`[^`]+`", re.DOTALL)
# What a terminal or a reader may obey: control and half characters, and marks that turn the writing direction around.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Lines of an answer count as sentences too.
LINE_END = re.compile(r"(?<=[.!?])[\"”’)]*\s+|(?<=[。！？])(?=[^”’）])|\n+")


def strip_controls(text: str) -> str:
    """`text` without control characters but newline and tab, half characters and marks of writing direction."""
    return CONTROLS.sub("", text)


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Sentences of one paragraph, each an exact piece of it; abbreviations, decimals and formulas do not end one."""
    return list(_cut_sentences(text, language))


# Each way of making rows asks for the sentences of the same paragraphs.
@lru_cache(maxsize=1 << 15)
def _cut_sentences(text: str, language: str) -> tuple[str, ...]:
    table = read_language(language)
    abbreviations = table.words.get("abbreviations", frozenset()) if table else frozenset()
    hidden = FORMULA.sub(lambda match: "\x00" * len(match.group()), text)
    sentences: list[str] = []
    start = 0
    for match in SENTENCE_END.finditer(hidden):
        before = hidden[start : match.start()].rstrip('"”’)]*')
        last = (before.rstrip(".").split() or [""])[-1].lower().lstrip('("“‘*')
        single = len(last) == 1 and last.isalpha() and last != "i"
        if before.endswith(".") and (last in abbreviations or single):
            continue
        end = match.start() + len(match.group()) - len(match.group().lstrip('"”’)]*'))
        sentences.append(text[start:end].strip())
        start = match.end()
    return tuple(sentence for sentence in [*sentences, text[start:].strip()] if sentence)


def strip_bold(text: str) -> str:
    """Text without the markers of bold type."""
    return text.replace("**", "")


def split_lines(text: str) -> list[str]:
    """Sentences of an answer, roughly: every line break and every full stop before a blank ends one."""
    return LINE_END.split(text)


def cut_shingles(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """Every run of `length` neighbouring words; of fewer words, all of them."""
    return [tuple(words[i : i + length]) for i in range(max(1, len(words) - length + 1))]
