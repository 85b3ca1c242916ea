"""What MDX adds to Markdown: imports, exports and comments of JavaScript, and attributes that are expressions."""

import re

# A statement at the margin, up to a blank line; Python's imports have no quotes.
STATEMENT = re.compile(
    r"^(?:import (?:[\w*{][^\n]*?(?:\n[^\n]+?)*? from )?['\"][^'\"\n]+['\"];?[ \t]*$"
    r"|export (?:const|let|default|function|class)\b[^\n]*(?:\n(?![ \t]*\n)[^\n]*)*)",
    re.MULTILINE,
)
COMMENT = re.compile(r"\{/\*.*?\*/\}", re.DOTALL)
BRACES = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*+\})*+\})*+\}"
TAG = re.compile(rf"<[A-Za-z][\w.]*(?=\s)(?:[^<>{{}}\"']|\"[^\"]*+\"|'[^']*+'|{BRACES})*+>")


def drop_statements(text: str) -> str:
    """Markdown without the statements of JavaScript at its margin."""
    return STATEMENT.sub("", text) if "import " in text or "export " in text else text
