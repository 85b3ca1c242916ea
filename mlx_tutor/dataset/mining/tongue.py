"""The language of a text: by its script, else by its commonest words. Short texts stay undecided."""

import re
from collections import Counter

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
