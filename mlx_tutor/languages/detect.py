"""Which language a text is in."""

import re
from functools import cache
from typing import Any

# Those that are told apart; with dialects and small languages among them, short texts are taken for those.
NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "gl": "Galician", "he": "Hebrew",
    "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "is": "Icelandic", "it": "Italian",
    "ja": "Japanese", "ka": "Georgian", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili",
    "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
# Of 100 sentences and titles in ten languages all are at least as sure; names, code and formulas alone are not.
LEAST_SURE = 0.3
# As much of a text is looked at, in pieces from all of it: its first pages may be in another language.
MOST_CHARACTERS, PIECE = 40_000, 400
NO_LANGUAGE = re.compile(
    r"""
    (?s:^(?P<fence>`{3,}|~{3,}).*?(?:^(?P=fence)|\Z) | \$\$.+?\$\$ | \\\[.+?\\\] | \\\(.+?\\\))
    | `[^`\n]+` | \$[^$\n]+\$ | <[^<>\n]*> | \b(?:https?|ftp)://\S+
    | ^(?:\ {4}|\t|>>>|\s*(?:import|from|def|class|return|print|library|SELECT)\b).*$
    | ^\s*[\w.]+\s*(?:=|<-)\s.*$ | ^.*[:;{]\s*$
    # Parts of formulas and programs, names of files and hosts.
    | \S*[_=(){}\\@]\S* | \S*\w\.[a-z]\S*
    """,
    re.MULTILINE | re.VERBOSE,
)


def detect_language(text: str) -> str:
    """The language that the prose of a text is in (ISO 639-1), "" where it is too short or too mixed to tell.

    Naive Bayes over byte n-grams (Lui and Baldwin, "langid.py", ACL 2012) as py3langid has it.
    """
    prose = " ".join(NO_LANGUAGE.sub(" ", _sample(text)).split())
    language, sure = _load_model().classify(prose) if any(c.isalpha() for c in prose) else ("", 0.0)
    return str(language) if sure >= LEAST_SURE else ""


def _sample(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    step = len(text) * PIECE // MOST_CHARACTERS
    return "\n".join(text[i : i + PIECE] for i in range(0, len(text), step))


def name_language(code: str) -> str:
    """What English calls a language; the code itself where it is none of NAMES."""
    return NAMES.get(code, code)


@cache
def _load_model() -> Any:
    from py3langid import langid

    model = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    model.set_languages(list(NAMES))
    return model
