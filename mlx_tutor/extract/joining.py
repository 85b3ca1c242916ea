"""Joining lines into text: hyphenated words are made whole; items, table rows and code keep their own lines."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from mlx_tutor.extract.labels import BULLETS, CLEAR_BULLETS
from mlx_tutor.extract.segments import Line

BULLET = re.compile(rf"^(?:[{CLEAR_BULLETS}]\s*|(?:[{BULLETS}]|o(?= [A-Z]))\s+)(?=\S)")
NUMBERED = re.compile(r"^(?:\(?\d{1,2}[.)]|\[\d{1,3}\]|\(?[a-z][.)])\s+(?=\S)")
# A soft or typographic hyphen at the end of a line can only come from hyphenation.
SOFT_HYPHENS = "\u00ad\u2010"
URL = re.compile(r"(?:https?://|www\.)\S*$")


def count_words(lines: Sequence[Line]) -> Counter[str]:
    """Words of the document that no line end divides, in lower case: the dictionary for undoing hyphenation."""
    words: Counter[str] = Counter()
    for line in lines:
        inner = line.text.lower().split()
        if inner and inner[-1][-1:] in f"-{SOFT_HYPHENS}":
            inner = inner[:-1]
        for word in inner:
            words[word.strip(".,;:!?()[]\"'“”‘’")] += 1
    return words


def join_paragraph(lines: Sequence[Line], vocabulary: Counter[str]) -> str:
    """The lines as one paragraph; list items keep their own lines, each with "- " or its number."""
    text = ""
    for line in lines:
        if match := BULLET.match(line.text):
            text += ("\n" if text else "") + "- " + line.text[match.end() :]
        elif text and NUMBERED.match(line.text) and (NUMBERED.match(lines[0].text) or BULLET.match(lines[0].text)):
            text += "\n" + line.text
        elif not text:
            text = line.text
        else:
            text = join_words(text, line.text, vocabulary)
    return text.replace(SOFT_HYPHENS[0], "").replace(SOFT_HYPHENS[1], "-")


def join_code(lines: Sequence[Line]) -> str:
    """Lines of code with the indentation and blank lines that the page shows."""
    left = min(line.x for line in lines)
    step = min((a.y - b.y for a, b in pairwise(lines)), default=0.0)
    text = ""
    for i, line in enumerate(lines):
        width = (line.end - line.x) / len(line.text) or 1.0
        blank = round((lines[i - 1].y - line.y) / step) - 1 if i and step else 0
        text += ("\n" if i else "") + "\n" * min(blank, 2) + " " * round((line.x - left) / width) + line.text
    return text


def join_table(line: Line, vocabulary: Counter[str]) -> str:
    """A table in Markdown; its first row is the header."""
    rows = []
    for row in line.rows:
        cells = []
        for texts in row:
            cell = ""
            for text in texts:
                cell = join_words(cell, text, vocabulary) if cell else text
            cells.append(cell.replace(SOFT_HYPHENS[0], "").replace(SOFT_HYPHENS[1], "-").replace("|", "\\|"))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([rows[0], "|" + "---|" * len(line.rows[0]), *rows[1:]])


def join_words(text: str, following: str, vocabulary: Counter[str]) -> str:
    """`text` and the next line; a word divided by a hyphen is made whole, a compound keeps its hyphen."""
    if text[-1:] in SOFT_HYPHENS and following[:1].isalpha():
        return text[:-1] + following
    if re.search(r"\S[/–—]$", text) or re.match(r"[–—]\w", following) or (URL.search(text) and text[-1] in "-._=&?#%:"):
        # Addresses, ratios and "Texas–based" have no space at the line end.
        return text + following
    match = re.search(r"([^\W\d_]+)-$", text)
    if not match or not following[:1].isalpha():
        # A dash or a minus sign at the end of a line.
        keep = text.endswith("-") and len(text) > 1 and text[-2].isalnum() and following[:1].isalnum()
        return text + following if keep else f"{text} {following}"
    left = match[1].lower()
    right = re.split(r"[\W\d_]", following, maxsplit=1)[0]
    if right in ("and", "or", "to"):
        # The hyphen stands for a word: small- and medium-sized.
        return f"{text} {following}"
    return text[:-1] + following if is_one_word(left, right, vocabulary) else text + following


def is_one_word(left: str, right: str, vocabulary: Counter[str]) -> bool:
    """Whether `left` and `right` are halves of one word, by what the document says elsewhere."""
    if right[:1].isupper():
        return False
    whole, hyphenated = vocabulary[left + right], vocabulary[f"{left}-{right}"]
    if whole or hyphenated:
        return whole >= hyphenated
    # Two words that both occur alone elsewhere are a compound: well-known, cost-benefit.
    return not (vocabulary[left] and vocabulary[right] and len(left) > 2 and len(right) > 2)
