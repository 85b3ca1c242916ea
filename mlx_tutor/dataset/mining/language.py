"""Which sentences can stand alone, and whether words could name a concept; the words stand in the language tables."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from mlx_tutor.dataset.mining.headings import read_heading
from mlx_tutor.languages.table import read_language
from mlx_tutor.languages.words import list_common_words, list_stopwords
from mlx_tutor.records import ENTRY, Block
from mlx_tutor.text import FORMULA, count_words, split_sentences, strip_bold

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
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+")
BULLET = re.compile(r"^(?:- |\d{1,2}[.)] )")


# "Exercise 3. Show that ...", "**Solution:** ..."
LABEL = re.compile(r"[^\w\n]*([^\W\d_][^.:*\n]{1,40}?)(?:\s*\d[\d.]*)?(?:[.:]?\*\*|[.:：])\s*\S")
# "Remark: ...", "Def.: ..."
LABELLED = re.compile(r"[^\W\d_](?:[^\s:]*\s){0,2}[^\s:]*[:：]\s")
# English verbs behind a name end so, and few nouns that go on with it do.
VERB = re.compile(r"(?:[^s]s|ed)$")
ENDS, QUOTES = (".", "!", "?", "。", "！", "？"), '"”’)*»」』'
LEAST_WORDS, MOST_WORDS, LEAST_STEP, MOST_STEP = 5, 60, 5, 45


def list_sentences(block: Block, language: str = "en") -> list[str]:
    """Sentences of a paragraph or of a list of whole sentences, each an exact piece of it; none of other blocks.

    None of a paragraph that is labelled as an exercise or a solution.
    """
    if block.kind != "text":
        return []
    if is_task(block, language):
        return []
    lines = block.text.split("\n")
    if len(lines) == 1:
        return split_sentences(block.text, language)
    if not all(BULLET.match(line) and line.endswith(ENDS) for line in lines):
        return []
    return [sentence for line in lines for sentence in split_sentences(BULLET.sub("", line), language)]


def is_task(block: Block, language: str) -> bool:
    """Whether a paragraph is an exercise or a solution: marked or labelled so, or beginning as tasks do."""
    if block.role is not None:
        return block.role != ENTRY
    label = LABEL.match(block.text)
    labelled = label is not None and read_heading(label[1], language).role in ("exercise", "solution")
    return labelled or _search("sentence_task", block.text, language, start=True) is not None


@lru_cache(maxsize=1 << 15)
def is_whole_sentence(sentence: str, language: str = "en") -> bool:
    """Whether a sentence can stand alone: begins and ends like one, is no fragment and refers to nothing before it."""
    plain = strip_bold(sentence)
    return (
        LEAST_WORDS <= count_words(plain) <= MOST_WORDS
        and ((plain[0].isalpha() and not plain[0].islower()) or plain[0] in "¿¡")
        and plain.rstrip(QUOTES).endswith(ENDS)
        and plain.count("(") == plain.count(")")
        and plain.count("$") % 2 == 0
        and not dangles(plain, language)
        and _search("sentence_task", plain, language, start=True) is None
    )


def dangles(text: str, language: str = "en") -> bool:
    """Whether a text begins with a word that takes up what was said before: alone, it would not be understood."""
    return _search("sentence_dangling", text.lstrip('¿¡"“„«'), language, start=True) is not None


def points_back(text: str, language: str = "en") -> bool:
    """Whether a word inside a text points at what was said before it."""
    return _search("sentence_back", text, language) is not None


def addresses(text: str, language: str = "en") -> bool:
    """Whether a text speaks to the reader or for its author: we, you, I."""
    return _search("sentence_person", text, language) is not None


def tells_story(sentence: str) -> bool:
    """Whether a sentence gives the numbers of an example, which nobody can know who has not read it."""
    return re.search(r"\d", FORMULA.sub("", sentence)) is not None


def is_step(sentence: str, block: Block, language: str = "en") -> bool:
    """Whether a sentence of a block can be a step: of some length, with an end, of nothing beside it on the page."""
    beside = _search("sentence_beside", sentence, language)
    # In a notebook, "the cell" is none of biology.
    is_beside = beside is not None and (beside.groupdict().get("cell") is None or block.cell is not None)
    ends = sentence.rstrip(QUOTES).endswith((".", "!", "。", "！"))
    return LEAST_STEP <= count_words(sentence) <= MOST_STEP and ends and not is_beside


def ends_subject(after: str, language: str) -> bool:
    """Whether what follows a name can be a verb: no "A and B", "A, B and C", "A: it does", nor "input" of an image."""
    table = read_language(language)
    word = (after.split(maxsplit=1) or [""])[0]
    joined = table is not None and word in table.words["concept_and"]
    is_noun = language == "en" and word.isalpha() and word not in list_stopwords("en") and not VERB.search(word)
    return after[:1] not in (",", ":", "：", "、", "，") and not joined and not is_noun


def _search(name: str, text: str, language: str, *, start: bool = False) -> re.Match[str] | None:
    """A pattern of a language's table in a text, or where it begins; None without a table."""
    pattern = table.patterns.get(name) if (table := read_language(language)) else None
    return None if pattern is None else pattern.match(text) if start else pattern.search(text)


def could_be_concept(term: str, language: str = "en") -> bool:
    """Whether one to six words could name a concept."""
    if language != "en":
        return _could_be_named(term.strip(), language)
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


def _could_be_named(term: str, language: str) -> bool:
    """As `could_be_concept`, by the function words of a language and what its headings say of no topic."""
    words = term.split()
    if not 1 <= len(words) <= count_words(term) <= 5 or len(term) > 60 or not re.fullmatch(r"[\w&'’()/+ -]+", term):
        return False
    small, common = list_stopwords(language), list_common_words(language)
    if words[0].lower() in small or words[-1].lower() in small or (len(words) == 1 and term.lower() in common):
        return False
    # Nouns have capitals in German.
    is_noun = language != "de" or not words[-1][0].islower()
    return is_noun and not words[-1].isdigit() and read_heading(term, language).whole


def pick(options: Sequence[str], *key: object) -> str:
    """One of the options, always the same one for the same key."""
    return options[rank(*key) % len(options)]


def rank(*key: object) -> int:
    """A fixed pseudo-random number for a key; Python's own hash differs from run to run."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()[:8])


def list_stems(text: str, language: str) -> set[str]:
    """Content words, cut so that singular and plural mostly agree; without blanks, pairs of characters."""
    pairs = {run[i : i + 2] for run in UNSPACED.findall(text) for i in range(len(run) - 1)}
    words = re.findall(r"[^\W\d_]{4,}", UNSPACED.sub(" ", text.lower()))
    return pairs | {word.rstrip("s")[:6] for word in words if word not in list_stopwords(language)}
