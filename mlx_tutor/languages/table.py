"""What is known of a language: one TOML table each, read once.

A table without a key means that the language lacks what needs it: a kind of row without questions is not made.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Language:
    """The table of a language.

    Attributes:
        code: Two letters, ISO 639-1; the file's name.
        name: What English calls it.
        frame: What stands around an answer (`steps`, `answer`, `related`), around passages (`question`, `grounding`)
            and before all of it (`prompt`).
        questions: Wordings by kind of row, with the fields of that kind in braces.
        patterns: Regular expressions by name, compiled without regard to case unless they say `(?-i:...)`.
        words: Sets of words in small letters, by name.
    """

    code: str
    name: str
    frame: Mapping[str, str]
    questions: Mapping[str, tuple[str, ...]]
    patterns: Mapping[str, re.Pattern[str]]
    words: Mapping[str, frozenset[str]]


@cache
def list_languages() -> tuple[str, ...]:
    """Codes of the languages that have a table."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@cache
def _read_table(code: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8"))


@cache
def read_frame(code: str) -> Mapping[str, str]:
    """The frame of a language; where the language has no table, or not that part, it is English."""
    frame: dict[str, str] = _read_table("en")["frame"]
    return frame | _read_table(code)["frame"] if code in list_languages() else frame


def list_frames() -> list[Mapping[str, str]]:
    """The frames of all languages, English first."""
    return [read_frame(code) for code in sorted(list_languages(), key=lambda code: code != "en")]


def match_labels(part: str) -> str:
    """A regular expression for that part of any language's frame, without its colon."""
    labels = dict.fromkeys(frame[part].strip(" :：") for frame in list_frames())
    return "|".join(map(re.escape, labels))


@cache
def read_language(code: str) -> Language | None:
    """The table of a language; None where there is none."""
    if code not in list_languages():
        return None
    table = _read_table(code)
    return Language(
        code=code,
        name=table["name"],
        frame=table.get("frame", {}),
        questions={kind: tuple(wordings) for kind, wordings in table.get("questions", {}).items()},
        # In a pattern, blanks and line breaks only lay it out: a blank of the text is \s or "[ ]".
        patterns={
            name: re.compile(text, re.IGNORECASE | re.VERBOSE) for name, text in table.get("patterns", {}).items()
        },
        words={name: frozenset(text.split()) for name, text in table.get("words", {}).items()},
    )
