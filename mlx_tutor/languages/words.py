"""Words of a language: those that carry no meaning of their own, and stems."""

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

# The Snowball lists that bm25s keeps; its English one is the longer of two.
SNOWBALL = {
    "da": "DANISH", "de": "GERMAN", "en": "EN_PLUS", "es": "SPANISH", "fr": "FRENCH", "it": "ITALIAN",
    "nl": "DUTCH", "no": "NORWEGIAN", "pt": "PORTUGUESE", "ru": "RUSSIAN", "sv": "SWEDISH", "tr": "TURKISH",
}  # fmt: skip
STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french",
    "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip


@cache
def list_stopwords(language: str) -> frozenset[str]:
    """The function words of a language in small letters: articles, pronouns, prepositions, forms of "be".

    Of a language that Snowball has no list of, the longer list of `list_common_words`.
    """
    if name := SNOWBALL.get(language):
        from bm25s import stopwords

        return frozenset(getattr(stopwords, f"STOPWORDS_{name}"))
    return list_common_words(language)


@cache
def list_common_words(language: str) -> frozenset[str]:
    """Words that name no topic by themselves ("always", "two"), the function words among them; empty if unknown.

    Some are terms of a course nevertheless: "mean" and "order" in English, "valor" in Spanish.
    """
    import stopwordsiso

    return frozenset(stopwordsiso.stopwords(language)) if stopwordsiso.has_lang(language) else frozenset()


def stem_words(words: Iterable[str], language: str) -> list[str]:
    """Each word in small letters as its Snowball stem, or as it is where the language has no stemmer."""
    return [_stem(word.lower(), language) for word in words]


# A book repeats its words: 730,000 words have some 30,000 forms.
@lru_cache(maxsize=1 << 17)
def _stem(word: str, language: str) -> str:
    stemmer = _load_stemmer(language)
    return word if stemmer is None else str(stemmer.stemWord(word))


@cache
def _load_stemmer(language: str) -> Any:
    if language not in STEMMERS:
        return None
    import snowballstemmer

    return snowballstemmer.stemmer(STEMMERS[language])
