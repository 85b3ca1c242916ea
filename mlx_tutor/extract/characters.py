"""Mending characters as PDF fonts give them: ligatures, accents, right-to-left order."""

import re
import unicodedata

LIGATURES = str.maketrans(
    {
        "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st",
        "\xa0": " ", "\u2002": " ", "\u2003": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "\t": " ",
    }
)  # fmt: skip
# TeX draws the stroke of ≠ before the sign.
NEGATED = re.compile(r"[\u2044\u0338] ?([=∈∋⊂⊃⊆⊇≡<>∼≃≈≤≥∣∥])")
# Spacing accents, and the combining accent for each.
COMBINING = {
    "`": "\u0300", "\u02cb": "\u0300", "´": "\u0301", "\u02ca": "\u0301", "^": "\u0302", "ˆ": "\u0302", "~": "\u0303",
    "˜": "\u0303", "¯": "\u0304", "ˉ": "\u0304", "˘": "\u0306", "˙": "\u0307", "¨": "\u0308", "°": "\u030a",
    "˚": "\u030a", "˝": "\u030b", "ˇ": "\u030c", "¸": "\u0327", "˛": "\u0328", "\u20d7": "\u20d7",
}  # fmt: skip
# Hebrew, Arabic and related scripts.
RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


def is_accent(character: str) -> bool:
    """Whether a glyph may be a part of the letter before or after it."""
    return character in COMBINING or "\u0300" <= character <= "\u036f"


def clean_characters(text: str) -> str:
    """Ligatures as letters, odd spaces as one space, a sign with a stroke through it as one (≠)."""
    text = NEGATED.sub(lambda match: unicodedata.normalize("NFC", f"{match[1]}\u0338"), text.translate(LIGATURES))
    return re.sub(r" {2,}", " ", text.replace("\n", " ")).strip()


def clean_run(text: str) -> str:
    """The characters of one glyph, in the order in which a page shows them from left to right."""
    if RIGHT_TO_LEFT.search(text):
        # Presentation forms become plain letters; several letters in one glyph are in reading order.
        return unicodedata.normalize("NFKC", text)[::-1]
    return text


def order_line(text: str) -> str:
    """A line in reading order, from one in display order; right to left if most of its letters are."""
    letters = sum(character.isalpha() for character in text)
    if not letters or 2 * len(RIGHT_TO_LEFT.findall(text)) < letters:
        return text
    return re.sub(r"[A-Za-z0-9][\w.,:/%@-]*", lambda match: match[0][::-1], text[::-1])
