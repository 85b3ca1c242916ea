"""What every part asks of a text: its sentences, plain words and runs of words."""

import re
from collections.abc import Sequence
from functools import lru_cache

from mlx_tutor.languages.table import read_language

SENTENCE_END = re.compile(
    r"""
    (?<=[.!?؟।۔…])[\"”“’»)\]*]*(?:\s»)?\s+
    (?=(?:[\"“‘„‹¿¡(*\[$]|«\s?)*(?P<next>[^\W_]|\x00|['’][a-z]\s[A-Z]))
    | (?<=[。！？])[”’」』]*+(?!）)\s*+(?=\S)
    """,
    re.VERBOSE,
)
# "z.B", "U.S", "J.-C": every part is one letter.
LETTERS = re.compile(r"(?:[^\W\d_]\.-?)+[^\W\d_]")
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$|`[^`]+`", re.DOTALL)
# Scripts without blanks between words: two characters count as one.
NO_BLANKS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
# What a terminal or a reader may obey: control and half characters, and marks that turn the writing direction around.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Lines of an answer count as sentences too.
LINE_END = re.compile(r"(?<=[.!?])[\"”’)]*\s+|(?<=[。！？])(?=[^”’）])|\n+")


def strip_controls(text: str) -> str:
    """`text` without control characters but newline and tab, half characters and marks of writing direction."""
    return CONTROLS.sub("", text)


def cut_text(text: str, most: int = 160) -> str:
    """A text on one line, without what a terminal would obey, cut where it is long."""
    line = " ".join(strip_controls(text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Sentences of one paragraph, each an exact piece of it; abbreviations, decimals and formulas do not end one."""
    return list(_cut_sentences(text, language))


# Each way of making rows asks for the sentences of the same paragraphs.
@lru_cache(maxsize=1 << 15)
def _cut_sentences(text: str, language: str) -> tuple[str, ...]:
    hidden = FORMULA.sub(lambda match: "\x00" * len(match.group()), text)
    sentences: list[str] = []
    start = 0
    for match in SENTENCE_END.finditer(hidden):
        following = match["next"] or ""
        if following.islower() or _goes_on(hidden[start : match.start()], following, language):
            continue
        sentences.append(text[start : match.start() + len(match.group().rstrip())].strip())
        start = match.end()
    return tuple(sentence for sentence in [*sentences, text[start:].strip()] if sentence)


def _goes_on(before: str, following: str, language: str) -> bool:
    """Whether a full stop ends a number of a list, an initial, an abbreviation or an ordinal, and no sentence."""
    if not before.endswith("."):
        return False
    words = before[:-1].split()
    # Behind an elided article too: "l'éq."
    last = re.split("['’]", words[-1].lstrip('("“‘„«*['))[-1] if words else ""
    if (len(words) == 1 and last.isdigit()) or (len(last) == 1 and last.isupper() and last != "I"):
        return True
    table = read_language(language) or read_language("en")
    known = table.words if table else {}
    is_number = following.isdigit() or following == "\x00"
    return (
        last.lower() in known.get("abbreviations", ())
        or (is_number and last.lower() in known.get("abbreviations_of_numbers", ()))
        or LETTERS.fullmatch(last) is not None
        or (table is not None and "ordinal" in table.patterns and table.patterns["ordinal"].search(before) is not None)
    )


def count_words(text: str) -> int:
    """Words between blanks; of a script without blanks, half its characters."""
    characters = len(NO_BLANKS.findall(text))
    return len(NO_BLANKS.sub("", text).split()) + characters // 2


def list_words(text: str) -> list[str]:
    """Words between blanks; of a script without blanks, its characters."""
    return NO_BLANKS.sub(r" \g<0> ", text).split()


def strip_bold(text: str) -> str:
    """Text without the markers of bold type."""
    return text.replace("**", "")


def split_lines(text: str) -> list[str]:
    """Sentences of an answer, roughly: every line break and every full stop before a blank ends one."""
    return LINE_END.split(text)


def cut_shingles(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """Every run of `length` neighbouring words; of fewer words, all of them."""
    return list(zip(*(words[i:] for i in range(length)), strict=False)) or [tuple(words)]
