"""The labels of exercises, examples and solutions at the beginning of a paragraph, and the words that say so."""

import re
from functools import cache

from mlx_tutor.languages.table import list_languages, read_language

NUMBER = r"\d+(?:[.-]\d+)*[a-z]?|[IVX]+(?=[.:)\s])"
OPENING, ENDING = r"[\s>*_\#-]*", r"(?:[.:)–—：。-]+\**|\*+|$)[\s*_.:：]*(?P<text>.*)$"
NUMBERED = re.compile(
    rf"^\**\(?(?P<number>{NUMBER}|\d+\.\d+(?=\**\s+[^\W\d_a-z]))(?:[.):]|(?<=\d\.\d)|(?<=\d\.\d\d))\**\s+(?P<text>\S.*)$",
    re.DOTALL,
)
ASKS = re.compile(r"^\W*Q(?:uestion)?\s?\d*[.:]\**\s*(?P<text>\S.*)$", re.DOTALL)
ANSWERS = re.compile(r"^\W*A(?:nswer)?\s?\d*:\**\s*(?P<text>\S.*)$", re.DOTALL)


def is_shared(text: str, language: str) -> bool:
    """Whether a paragraph says that it belongs to the exercises below it."""
    tables = [read_language(language), read_language("en")]
    return any(
        table.patterns["worked_shared"].search(text) for table in tables if table and "worked_shared" in table.patterns
    )


def names_solutions(source: str, language: str) -> bool:
    """Whether the name of a file says that it has solutions."""
    words = re.split(r"[\W_]+", source.rpartition("/")[2].lower())
    tables = [read_language(language), read_language("en")]
    patterns = [table.patterns["worked_solution"] for table in tables if table and "worked_solution" in table.patterns]
    return any(pattern.fullmatch(word) for pattern in patterns for word in words)


def is_question(text: str) -> bool:
    """Whether a paragraph or heading is a question by its number or its mark."""
    return "\n" not in text and (NUMBERED.match(text) is not None or text.rstrip(" *)").endswith(("?", "？")))


def match_task(text: str, language: str) -> re.Match[str] | None:
    """The label of an exercise or example: "Exercise 3.", "Aufgabe 2 (4 Punkte)", "**Example:**"."""
    match = _list_patterns(language)[0].match(text)
    if match is None or not (
        match["number"] or re.search(r"[.:：]|\*\*", match["end"] or "") or text == match["label"]
    ):
        return None
    # "Exercise 3 shows" is no label.
    return None if match["end"] == "" and match["text"][:1].islower() else match


def match_solution(text: str, language: str) -> re.Match[str] | None:
    return _list_patterns(language)[1].match(text)


def find_inner_solution(text: str, language: str) -> re.Match[str] | None:
    """The label of a solution in the middle of a paragraph."""
    return _list_patterns(language)[2].search(text)


@cache
def _list_patterns(language: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Labels of exercises and examples, of solutions, and of solutions inside a paragraph, also those of English."""
    codes = list_languages() if not language else (language, "en")
    tables = [table for code in codes if (table := read_language(code)) and "worked_solution" in table.patterns]

    def join(kind: str) -> str:
        return "|".join(table.patterns[f"worked_{kind}"].pattern for table in tables)

    tasks, examples, solutions = join("exercise"), join("example"), join("solution")
    number = rf"(?P<number>{NUMBER})?"
    points = r"(?:\s*[(\[][^)\]\n]{1,60}[)\]])?"
    small = r"(?:to|of|for|zu|zur|de|del|du|di|do|da|van|bij|à|à\sl['’])"
    return (
        re.compile(
            rf"^{OPENING}(?P<label>(?:{tasks})|(?P<example>{examples}))(?:\s*(?:n[ro]?[.°º]|№))?\s*{number}{points}\s*"
            rf"(?P<end>[.:)–—：。-]+\**|\*+|$|(?<=\d)\s)[\s*_.:：]*(?P<text>.*)$",
            re.IGNORECASE | re.VERBOSE | re.DOTALL,
        ),
        re.compile(
            rf"^{OPENING}(?:{solutions})(?:\s+{small})?(?:\s+(?:the|der|la|le|el))?(?:\s*(?:{tasks}|{examples}))?\s*{number}{points}\s*{ENDING}",
            re.IGNORECASE | re.VERBOSE | re.DOTALL,
        ),
        re.compile(rf"(?<=[.?!:)])\s+\**(?:{solutions})\**\s?[.:：]\**\s+", re.IGNORECASE | re.VERBOSE),
    )
