"""What a file marks as an exercise or a solution: by class, type, directive or the title of a collapsible part."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from mlx_tutor.languages.table import list_languages, read_language

# Elements that can be one, and the attributes that say so: Pandoc, MyST, PyMdown, OpenStax, Quarto.
BOXES = frozenset("div section aside article details blockquote li".split())
TITLES = frozenset("h1 h2 h3 h4 h5 h6 summary".split())
MOST_WORDS = 6
CROSS = re.compile(r"#?(exr|sol)-")


def find_role(element: Any) -> str | None:
    """`exercise` or `solution`, if an element says that it is one."""
    if element.tag not in BOXES:
        return None
    names = [element.get("data-type", ""), *element.get("class", "").split()]
    if role := read_names([*names, element.get("id", "")]):
        # Answers to choose from are no solution.
        return role if role == "exercise" or element.find(".//input") is None else None
    if element.tag != "details":
        return None
    summary = element.find("summary")
    said = " ".join(summary.text_content().split()) if summary is not None else ""
    return read_label(said) or (
        "exercise" if read_label(re.split(r"\s+\d|[:.–—-]", said)[0].strip()) == "exercise" else None
    )


def read_names(names: list[str]) -> str | None:
    """The role that names of classes, directives and anchors give."""
    for name in names:
        if match := CROSS.match(name):
            return "exercise" if match[1] == "exr" else "solution"
        word = re.sub(r"-(?:start|end)$", "", name.strip(".{}").lower())
        for role, pattern in _list_patterns():
            if pattern.fullmatch(word):
                return role
    return None


def read_label(text: str) -> str | None:
    """The role given by a title that says little else: "Solution", "Show the answer", "Lösung anzeigen"."""
    words = re.findall(r"[^\W_]+", text.lower())
    if not 0 < len(words) <= MOST_WORDS:
        return None
    for role, pattern in _list_patterns():
        if pattern.fullmatch(" ".join(words)) or (role == "solution" and any(map(pattern.fullmatch, words))):
            return role
    return None


def is_title(element: Any) -> bool:
    """Whether an element only announces an exercise or a solution."""
    said = " ".join(element.text_content().split()) if isinstance(element.tag, str) else ""
    word = said.strip(" :.").lower()
    if element.tag == "p":
        return any(pattern.fullmatch(word) for _, pattern in _list_patterns())
    return element.tag in TITLES and read_label(said) is not None


@cache
def _list_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(_read_patterns())


def _read_patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for role in ("solution", "exercise"):
        for code in list_languages():
            language = read_language(code)
            if language is not None and f"worked_{role}" in language.patterns:
                yield role, language.patterns[f"worked_{role}"]
