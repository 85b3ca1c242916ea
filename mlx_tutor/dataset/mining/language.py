"""Helpers for English text: which sentences can stand alone, and whether words could name a concept."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from mlx_tutor.records import Block
from mlx_tutor.text import FORMULA, split_sentences, strip_bold

# Words that begin a sentence about something said before: alone, it would not be understood.
_DANGLING = """
this|that|these|those(?! who )|it|its|they|their|them|he|she|his|her|such|both|either|neither|one|another|here|there
now|then|but|and|or|so|also|thus|hence|therefore|however|moreover|furthermore|similarly|likewise|instead|otherwise
consequently|accordingly|nevertheless|nonetheless|note|notice|recall|let|suppose|imagine|consider|see|visit|we|you|i|our|your
finally|first|second|third|next|again|still|yet|above|below|exercise
the (?:former|latter|following|above|same|other|next|previous|first|second|third|result|answer)
the (?:figure|table|example|code)
in (?:contrast|other words|addition|this|that|these|such|our|figure|table)|for (?:example|instance|this)
as (?:a result|such|we|shown|before)|to (?:start|begin)
""".strip().replace("\n", "|")
DANGLING = re.compile(rf"^(?:{_DANGLING})\b", re.IGNORECASE)
# What stands beside a text on its page, and not in an answer: in a notebook, "the cell" is none of biology.
BESIDE = re.compile(
    r"\b(?:the|this) (?:(?:next|following|last|first|second) )?(?:tables?|figures?|code|listing)\b"
    r"|\b(?:the|next|following) cells?\b(?P<cell>)"
    r"|^(?:The|These|Each|All) (?:\w+ ){1,2}(?:below|above) (?!the\b|an?\b)|\b(?:below|above)[,.]",
    re.IGNORECASE,
)
# Words inside a sentence that point at the sentences before it.
POINTS_BACK = re.compile(
    r"\b(?:here|then|now|this|these|also|as well|still|therefore|thus|below|above|the cell|(?:it|them)(?=[.,:;?]|$))",
    re.IGNORECASE,
)
_NO_CONCEPT = """
a an the this that these those it its they their he she we you i our your his her there here what which who how why
when where if while as so but and or not no some any many most all each every one two three other another such both
same first second third next last following above below more less few several much result reason idea problem problems
example examples goal point difference answer question way case thing step part kind type set number end section chapter
figure table page hint caution conclusion note tip warning remark exercise solution read use try see please need needs
author authors is are was were be has have can may will do does good size
however moreover nevertheless nonetheless therefore
"""
NO_CONCEPT = frozenset(_NO_CONCEPT.split())
# Words that may stand inside the name of a concept, though none begins or ends with them.
SMALL = frozenset({"of", "the", "and", "for", "in", "to", "on", "with", "by", "or"})
INNER = SMALL | {"type", "set", "number", "first", "second", "case", "no", "one", "good", "step", "size"}
# Those that may end one: a saddle point, though no key point.
ENDING = frozenset({"good", "number", "point", "set", "problem"})
EMPTY = frozenset({"key", "main", "important", "whole", "real", "big", "good"})
BULLET = re.compile(r"^(?:- |\d{1,2}[.)] )")


def list_sentences(block: Block) -> list[str]:
    """Sentences of a paragraph or of a list of whole sentences, each an exact piece of it; none of other blocks."""
    if block.kind != "text":
        return []
    lines = block.text.split("\n")
    if len(lines) == 1:
        return split_sentences(block.text)
    if not all(BULLET.match(line) and line.endswith((".", "!", "?")) for line in lines):
        return []
    return [sentence for line in lines for sentence in split_sentences(BULLET.sub("", line))]


@lru_cache(maxsize=1 << 15)
def is_whole_sentence(sentence: str) -> bool:
    """Whether a sentence can stand alone: begins and ends like one, is no fragment and refers to nothing before it."""
    plain = strip_bold(sentence)
    words = plain.split()
    return (
        5 <= len(words) <= 60
        and plain[0].isupper()
        and plain.rstrip('"”’)').endswith((".", "!", "?"))
        and plain.count("(") == plain.count(")")
        and plain.count("$") % 2 == 0
        and not DANGLING.match(plain)
    )


def tells_story(sentence: str) -> bool:
    """Whether a sentence gives the numbers of an example, which nobody can know who has not read it."""
    return re.search(r"\d", FORMULA.sub("", sentence)) is not None


def is_step(sentence: str, block: Block) -> bool:
    """Whether a sentence of a block can be a step: of some length, with an end, of nothing beside it on the page."""
    beside = BESIDE.search(sentence)
    is_beside = beside is not None and (beside["cell"] is None or block.cell is not None)
    return 5 <= len(sentence.split()) <= 45 and sentence.rstrip('"”’)*').endswith((".", "!")) and not is_beside


def could_be_concept(term: str) -> bool:
    """Whether one to five words could name a concept."""
    words = re.split(r"\s+", re.sub(r"^[Tt]ype I{1,2} ", "", term.strip()))
    if not 1 <= len(words) <= 6 or not 3 <= len(term) <= 60 or not re.fullmatch(r"[\w&'’()/+ -]+", term):
        return False
    inner = [word.lower() for word in words]
    return (
        inner[0] not in NO_CONCEPT
        and (inner[-1] not in NO_CONCEPT | SMALL or (inner[-1] in ENDING and inner[0] not in EMPTY and len(inner) > 1))
        and any(len(word) > 2 and word.replace("-", "").isalpha() and word not in SMALL for word in inner)
        and not any(word in NO_CONCEPT - INNER - ENDING for word in inner)
        and not (inner[-1].isdigit() and not words[0].isupper())
    )


def pick(options: Sequence[str], *key: object) -> str:
    """One of the options, always the same one for the same key."""
    return options[rank(*key) % len(options)]


def rank(*key: object) -> int:
    """A fixed pseudo-random number for a key; Python's own hash differs from run to run."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()[:8])
