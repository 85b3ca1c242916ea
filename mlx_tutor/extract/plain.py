"""Drawn tables, JavaScript and labelled parts as plain Markdown."""

import re

from mlx_tutor.extract import jsx
from mlx_tutor.extract.grids import draw_bars

# Parts of an exercise on lines of their own, which Markdown would join: a) ... b) ...
LABEL = re.compile(r"^(?P<bar>[ \t>]*)(?P<label>\(?(?P<letter>[a-h])[.)])(?=[ \t]+\S)", re.MULTILINE)


def write_plain(text: str) -> str:
    """Prose without JavaScript, its tables drawn with bars, and parts as items whose mark is their label."""
    text = draw_bars(jsx.drop_statements(text))
    letters: dict[str, list[str]] = {}
    for match in LABEL.finditer(text):
        letters.setdefault(match["bar"] + match["label"].replace(match["letter"], ""), []).append(match["letter"])
    listed = {form for form, found in letters.items() if "a" in found and "b" in found}

    def write(match: re.Match[str]) -> str:
        form = match["bar"] + match["label"].replace(match["letter"], "")
        return f"{match['bar']}- {match['label']}" if form in listed else match[0]

    return LABEL.sub(write, text) if listed else text
