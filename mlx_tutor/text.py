"""What every part asks of a text: its sentences, plain words, runs of words, and its language."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from mlx_tutor.languages.table import read_language

SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)\]*]*\s+(?=[\"“‘(*\[$]*[A-Z0-9])")
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$|`[^`]+`", re.DOTALL)
# What a terminal or a reader may obey: control and half characters, and marks that turn the writing direction around.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Lines of an answer count as sentences too.
LINE_END = re.compile(r"(?<=[.!?])[\"”’)]*\s+|\n+")
SCRIPTS = {
    "ja": r"[\u3040-\u30ff]",
    "ko": r"[\uac00-\ud7af]",
    "zh": r"[\u4e00-\u9fff]",
    "ru": r"[\u0400-\u04ff]",
    "ar": r"[\u0600-\u06ff]",
    "he": r"[\u0590-\u05ff]",
    "hi": r"[\u0900-\u097f]",
    "el": r"[\u0370-\u03ff]",
    "th": r"[\u0e00-\u0e7f]",
}
# Words that hardly any other of these languages has.
WORDS = {
    "en": "the of and is are was were that this which with for from by how what does do you your it its an be have has",
    "de": "der das und ist nicht ein eine einer den dem mit für auf von wird werden wie was auch sich bei oder wenn zu",
    "fr": "le les des et est une dans pour que qui avec sur par pas sont ce cette vous nous comment quel quelle du aux",
    "es": "el los las del y es una con para por que como cual qué cómo está son pero más su se al lo esta este",
    "it": "il gli della delle di è una che con per non sono come questo questa nel nella dei più si anche quale cosa",
    "pt": "o os das dos do da e é uma com para por que não são como mais você em na no ao pelo pela qual isso",
    "nl": "het een van en is niet met voor op de zijn wordt worden hoe wat ook bij als dat deze naar te aan uit er",
}
STOPWORDS = {language: frozenset(words.split()) for language, words in WORDS.items()}
# With fewer letters of a script, or fewer common words, there is nothing to tell by.
LEAST_LETTERS, LEAST_WORDS = 4, 3


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


def name_language(text: str) -> str | None:
    """The language as its two letters, or None when the text is too short or mixed to tell."""
    letters = sum(c.isalpha() for c in text)
    for language, pattern in SCRIPTS.items():
        found = len(re.findall(pattern, text))
        # A little kana makes Chinese characters Japanese.
        if found >= LEAST_LETTERS and found >= (0.1 if language == "ja" else 0.3) * letters:
            return language
    # Each word counts once: `y` and `com` are everywhere in mathematics and in addresses.
    words = set(re.findall(r"[^\W\d_]+", text.lower()))
    counts = {language: len(words & known) for language, known in STOPWORDS.items()}
    (best, most), (_, next_most) = Counter(counts).most_common(2)
    return best if most >= LEAST_WORDS and most > next_most else None
