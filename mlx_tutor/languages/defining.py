"""How each language defines a term: one table each in `definitions/`, a pattern a row.

A row has an expression, a sentence that it must match (`yes`) with the term and the answer that it gives (`term`,
`says`), and a sentence of which the whole table must make nothing (`no`). Rows that come first are trusted most.

In expressions, `{name}` stands for a macro of the table, and a line break with the blanks around it for nothing.
Groups: `term` is a term in bold type and `alias` another name of it; `plain` is one without bold type, and `topic` one
that is believed only where the heading or bold type elsewhere names it; `text` is what is said of the term.

Rules: `entry_head` finds tables whose rows are entries, by the heads of their first columns; `bare` and `no_kind` are
tried on what an answer has behind its term (a class alone, which a sentence that begins as `goes_on` may mend; praise
and comparisons), `no_subject` on what stands before it, `declares` on what stands before a formula; `no_noun` is what
a noun with what belongs to it has not; a definition is cut at `tail`, unless a clause of `open` stands before.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mlx_tutor.languages.table import list_languages, read_language

FOLDER = Path(__file__).parent / "definitions"
MACRO = re.compile(r"\{([a-z_]+)\}")
ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row of the table.

    Attributes:
        scope: What the expression is tried on: an `entry` of a definition list or a table, a line of a `glossary`,
            any `line`, a `sentence`, or a `pair` of neighbouring sentences.
        answer: The definition: `{sentence}` is what was matched, `{subject}` and `{Subject}` the term with its article,
            `{text}` and the like a group; of `{one|many}`, the second stands behind plurals.
        names: Whether it says what somebody or a firm is; what those do says little.
    """

    name: str
    scope: str
    expression: re.Pattern[str]
    answer: str
    yes: str
    term: str
    says: str
    no: str
    names: bool
    needs_bold: bool


@dataclass(frozen=True, slots=True)
class DefinitionTable:
    """The patterns of a language, and its rules: what is taken away, and what no term, sentence or answer says."""

    patterns: tuple[Pattern, ...]
    rules: Mapping[str, re.Pattern[str]]


@cache
def read_table(code: str) -> DefinitionTable | None:
    """The table of a language; None where there is none."""
    path = FOLDER / f"{code}.toml"
    if not path.is_file():
        return None
    table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    macros = {name: _join(text) for name, text in table["macros"].items()}
    expressions = [_compile(row["expression"], macros) for row in table["pattern"]]
    patterns = tuple(
        Pattern(
            row["name"],
            row.get("scope", "sentence"),
            expression,
            row.get("answer", "{sentence}"),
            row["yes"],
            row["term"],
            row.get("says", row["yes"].replace("**", "")),
            row["no"],
            row.get("names", True),
            # Most sentences have none: they need not be looked at.
            r"\*\*" in expression.pattern and not {"plain", "topic"} & expression.groupindex.keys(),
        )
        for row, expression in zip(table["pattern"], expressions, strict=True)
    )
    return DefinitionTable(patterns, {name: _compile(text, macros) for name, text in table["rules"].items()})


def find_asked(question: str) -> tuple[str, str] | None:
    """The language of a question for a definition, and the term with its article; None of any other question."""
    for language, wording in _list_wordings():
        if match := wording.fullmatch(question.strip()):
            return language, match["term"]
    return None


def find_term(question: str) -> str | None:
    """What a question for a definition asks about, without its article; None for other questions."""
    asked = find_asked(question)
    return ARTICLE.sub("", asked[1]) if asked else None


@cache
def _list_wordings() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """All wordings that ask for a definition: "What is meant by X?" before "What is X?"."""
    tables = [table for code in list_languages() if (table := read_language(code))]
    wordings = [(text, "", table.code) for table in tables for text in table.questions.get("definition", ())]
    # These have the word in the place of an article.
    further = [
        (text, "(?:the term )?", table.code)
        for table in tables
        for text in table.questions.get("practice_definition", ())
    ]
    return tuple(
        (code, _compile_wording(text, before))
        for text, before, code in sorted([*wordings, *further], key=lambda wording: -len(wording[0]))
    )


def _compile_wording(text: str, before: str) -> re.Pattern[str]:
    asked = re.escape(text).replace(r"\{be\}", "(?:is|are)")
    return re.compile(re.sub(r"\\{(?:the_)?term\\}", rf"{before}(?P<term>.+)", asked), re.I)


def _join(text: str) -> str:
    return "".join(line.strip() for line in text.split("\n"))


def _compile(text: str, macros: Mapping[str, str]) -> re.Pattern[str]:
    text = _join(text)
    while MACRO.search(text):
        text = MACRO.sub(lambda match: macros[match[1]], text)
    return re.compile(text)
