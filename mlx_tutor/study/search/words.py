"""Words as the search index sees them: folded, stemmed, and those of a question that tell what it is about."""

import re
import sqlite3
import unicodedata
from collections.abc import Sequence, Set
from contextlib import closing
from functools import cache

from mlx_tutor.languages.table import read_language
from mlx_tutor.languages.words import STEMMERS, list_stopwords, stem_words

# The porter stemmer is English; words of other languages come stemmed.
TOKENIZER, PLAIN_TOKENIZER = "porter unicode61 remove_diacritics 2", "unicode61 remove_diacritics 2"
# More words than this are no question; the longest ones say most.
MAX_TERMS = 24
# Scripts without spaces between words, and Korean, which glues particles to them: every two neighbouring characters
# are a word, as in Lucene's CJK analyzer. Trigrams would miss Chinese words, most of which have two characters.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
UNSPACED_RUN = re.compile(f"[{UNSPACED}]+")
# A word as it is asked for; letters of Indic scripts carry marks that \w does not take.
TERM = re.compile(r"(?:[^\W_]|[\u0900-\u0dff])+")
NEGATION = re.compile(r"\b(?:not|no|never|none|neither|nor|cannot|without)\b|n['’]t\b", re.IGNORECASE)
# Stands for any of these among stems.
NEGATED = "zqnot"
ASKING = re.compile(
    r"""^\W*(?:please\s+|(?:can|could|would)\s+you\s+(?:please\s+)?|i\s+(?:want|would\s+like)\s+to\s+know\s+)*
    (?:what\s+do\s+you\s+mean\s+by|what\s+is\s+meant\s+by|what(?:['’]s|\s+(?:is|are|was|were|does|do|did))?|who\s+(?:is|are|was|were)|how\s+(?:do|does|can)\s+(?:you|we|i)
    |define|explain|describe|tell\s+me(?:\s+more)?(?:\s+about)?|give(?:\s+me)?|show\s+me)\b\s*
    (?:what\b\s*)?(?:(?:by|about)\b\s*)?
    (?:(?:the|a|an)\s+(?:meaning|definition|explanation|example|term|concept|idea)\s*(?:of|for|behind)?\b\s*)?
    (?:(?:the|a|an)\s+)?""",
    re.IGNORECASE | re.VERBOSE,
)
MEANING = re.compile(r"^\W*(what\s+do(?:es)?\b.*)\b(?:mean|stand\s+for)\W*$", re.IGNORECASE | re.DOTALL)
ASKING_UNSPACED = re.compile(
    "什么是|是什么|为什么|什么|怎么|如何|解释|とは何ですか|とは|何ですか|란 무엇인가요?|무엇인가요?"
)
_SMALL_WORDS = """
a an the this that these those it its they their them there here he she his her we you i me my your our us
what which who whom whose when where why how is are was were be been being am do does did done can could should would
will shall may might must has have had of in on at to for from by with about into onto as and or but if than then so
not no yes s t re ve ll d please also between
"""
SMALL_WORDS = frozenset(_SMALL_WORDS.split())


def is_stemmed(language: str) -> bool:
    """Whether words are stemmed before the index has them: in every language with a stemmer but English."""
    return language in STEMMERS and language != "en"


def pick_tokenizer(language: str) -> str:
    """The tokenizer of SQLite's FTS5 for what `fold` gives."""
    return PLAIN_TOKENIZER if is_stemmed(language) else TOKENIZER


@cache
def list_small_words(language: str) -> frozenset[str]:
    """Words that say nothing of what a text is about: of English an own list, as questions were measured with it."""
    return list_stopwords(language) if is_stemmed(language) else SMALL_WORDS


def find_negation(text: str, language: str = "en") -> re.Match[str] | None:
    """The first word that negates; told by English ones where the language has no table."""
    return _read_negation(language).search(text)


@cache
def _read_negation(language: str) -> re.Pattern[str]:
    table = read_language(language)
    return table.patterns.get("negation", NEGATION) if table else NEGATION


def fold(text: str, language: str = "en") -> str:
    """`text` as the index sees it: lower case without accents, runs without spaces as pairs of characters.

    Words of a language with a stemmer are stemmed, but for English ones: the tokenizer stems those.
    """
    if is_stemmed(language):
        text = TERM.sub(lambda word: stem_words([word.group()], language)[0], text)
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = unicodedata.normalize("NFKC", "".join(c for c in decomposed if not unicodedata.combining(c)))
    return UNSPACED_RUN.sub(lambda run: f" {' '.join(_list_pairs(run.group()))} ", bare)


def _list_pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(max(1, len(run) - 1))]


def list_trigrams(word: str) -> set[str]:
    """Every three neighbouring characters."""
    return {word[i : i + 3] for i in range(len(word) - 2)}


def read_question(question: str, language: str = "en") -> tuple[list[str], str]:
    """The words of a question that tell what it is about, and its bare subject ("law of demand").

    Words of asking ("what is", "explain") are dropped, and small words, unless written in capitals. A question of
    nothing else keeps all its words.
    """
    text = unicodedata.normalize("NFC", question)
    bare = text if is_stemmed(language) else ASKING.sub("", MEANING.sub(r"\1", text), count=1)
    bare = ASKING_UNSPACED.sub(" ", bare)
    subject = TERM.findall(bare) or TERM.findall(text)
    shouted = text.isupper()
    small = list_small_words(language)
    if is_stemmed(language):
        table = read_language(language)
        small = small | (table.words.get("asking", frozenset()) if table else frozenset())
        # The words of asking stand before and behind the subject.
        subject = _strip_words(subject, small) or subject
    telling = [w for w in subject if w.lower() not in small or (w.isupper() and len(w) > 1 and not shouted)]
    terms = list(dict.fromkeys(term for word in telling or subject for term in fold(word, language).split()))
    if len(terms) > MAX_TERMS:
        terms = sorted(terms, key=len, reverse=True)[:MAX_TERMS]
    return terms, fold(" ".join(subject), language) if 1 < len(subject) <= 6 else ""


def _strip_words(words: list[str], small: Set[str]) -> list[str]:
    telling = [i for i, word in enumerate(words) if word.lower() not in small]
    return words[telling[0] : telling[-1] + 1] if telling else []


def list_stems(texts: Sequence[str], language: str = "en") -> list[set[str]]:
    """The stems of the content words of each text, as the index has them; numbers count as words."""
    return [set(stems) for stems in list_stem_runs(texts, language)]


def list_stem_runs(texts: Sequence[str], language: str = "en", *, negated: bool = False) -> list[list[str]]:
    """What `list_stems` gives, in the order of the text.

    With `negated`, the stem behind a negation has a "!" before it.
    """
    small = list_small_words(language)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            f"CREATE VIRTUAL TABLE words USING fts5 (text, content='', tokenize='{pick_tokenizer(language)}');"
            "CREATE VIRTUAL TABLE stems USING fts5vocab (words, instance);"
        )
        for number, text in enumerate(texts):
            marked = _read_negation(language).sub(f" {NEGATED} ", text) if negated else text
            content = " ".join(word for word in TERM.findall(marked) if word.lower() not in small)
            connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, fold(content, language)))
        stems: list[list[str]] = [[] for _ in texts]
        for stem, number in connection.execute("SELECT term, doc FROM stems ORDER BY doc, offset"):
            if stems[number] and stems[number][-1] == NEGATED:
                stems[number][-1] = f"!{stem}"
            else:
                stems[number].append(stem)
    return stems
