"""Rows that point at what is not there: a figure, another chapter, a symbol that nothing declares, left-over markup."""

import re

from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.languages.words import list_stopwords
from mlx_tutor.records import QaPair

# In these the text of the course is cut where the task wants it.
CUT = frozenset({"completion", "connection", "code", "output", "code completion"})
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
# Values that only a program knows;
# references and tags of Markdown, R Markdown, MyST, LaTeX and HTML that no reader has resolved.
MARKUP = re.compile(
    r"\[…\]|@ref\("
    r"|\\(?:ref|eqref|autoref|cref|pageref|cite\w*|label|index|footnote)\b|\[link\]|\{:\s|\{\{|\}\}|\]\(|\[@|\[\^"
    r"|\{(?:ref|eq|doc|numref|cite\w*|term|index|fig|prf:ref)\}|:(?:ref|eq|doc|numref|cite\w*|fig|label|chap):"
    r"|\b(?:fig|eq|sec|tab|chap|ch|tbl):\w|<!--|\{\d+(?:-\d+)?\}\{|</?(?:br|div|span|img|sup|sub|font|center)\b|&(?:nbsp|lt|gt|amp);"
)
# Faces, and marks that stand for inches, are no brackets and quotes that miss another.
OTHER = re.compile(r"[:;]-?[()]|(?<![\"“„\d.,])\d+(?:[.,]\d+)?[\"”]")
BRACKETS = {"(": 1, "[": 1, "（": 1, ")": -1, "]": -1, "）": -1}
PAIRS = (("“", "”"), ("«", "»"), ("「", "」"))
SYMBOL = re.compile(r"(?<!\$)\$\s*(?P<tex>\\?[A-Za-z]+|[α-ωΑ-Ω])(?:_(?:\w|\{\w+\}))?\s*\$(?!\$)")
# A small letter by itself; a number before it makes it a unit.
LETTER = re.compile(r"(?<![\w$\\`'’./^=+-])(?<!\d )(?P<letter>[b-df-hj-np-tv-xz])(?![\w$'’.)/^=+-])")


def points_elsewhere(qa: QaPair, language: str) -> bool:
    """Whether a question, its steps or its answer need what they do not say and no passage quotes."""
    table = read_language(language)
    parts = [qa.question, "\n".join(qa.thought_process), qa.answer]
    if qa.type in CUT:
        return any(MARKUP.search(_hide(part)) for part in parts)
    said = [_hide(part) for part in parts]
    if any(MARKUP.search(part) or is_half(part) for part in said):
        return True
    if table is None:
        return False
    return (
        any(table.patterns["elsewhere"].search(part) for part in said)
        or ("```" not in qa.question and table.patterns["unnamed"].search(said[0]) is not None)
        # The maker of formulas sees to their symbols itself.
        or (not qa.context and qa.type != "formula" and has_undeclared("\n".join(parts), table))
    )


def is_unfit(sentence: str, table: Language) -> bool:
    """Whether a sentence of the text would make a row point elsewhere."""
    said = _hide(sentence)
    return MARKUP.search(said) is not None or table.patterns["elsewhere"].search(said) is not None


def _hide(text: str) -> str:
    """A text without its code and formulas."""
    return FORMULA.sub("X", CODE.sub("X", text))


def is_half(text: str) -> bool:
    """Whether a bracket or a quotation mark has no other half."""
    plain = OTHER.sub(" ", text)
    depth = 0
    for sign in plain:
        # "a)" closes nothing that is open.
        depth = max(0, depth + BRACKETS.get(sign, 0))
    half = any(plain.count(left) > plain.count(right) for left, right in PAIRS[1:])
    # German opens below, and closes with what opens in English.
    low, high, end = plain.count("„"), plain.count("“"), plain.count("”")
    half |= (low != high + end) if low else high != end
    return half or depth > 0 or plain.count('"') % 2 == 1


def has_undeclared(text: str, table: Language) -> bool:
    """Whether a text uses a symbol of one letter and nowhere says what it is.

    It does where a noun stands before the symbol, as in "the matrix $A$", or a verb that declares it behind.
    """
    text = CODE.sub("X", text)
    found: dict[str, bool] = {}
    for match in SYMBOL.finditer(text):
        name = match["tex"]
        if len(name) == 1 or name.startswith("\\"):
            found[name] = found.get(name, False) or _declares(text, match, table)
    for match in LETTER.finditer(FORMULA.sub("X", text)) if table.code != "zh" else ():
        name = match["letter"]
        plain = match.string
        found[name] = found.get(name, False) or _declares(plain, match, table)
    return not all(found.values())


def _declares(text: str, match: re.Match[str], table: Language) -> bool:
    """Whether a noun stands before a symbol or behind it, as in "$m$ bits", or a verb that declares it."""
    small = list_stopwords(table.code) | table.words.get("verbs", frozenset())
    before = re.search(r"([^\W\d_]{3,})[”»“\"')]?[\s,]*\(?$", text[: match.start()])
    after = re.match(r"\s([^\W\d_]{4,})", text[match.end() :])
    if any(word is not None and word[1].lower() not in small for word in (before, after)):
        return True
    return table.patterns["declares"].match(text[match.end() :].lstrip(" )”“»\"'")) is not None
