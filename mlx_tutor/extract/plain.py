"""Drawn tables, JavaScript, lines of verse, numbered examples and labelled parts as plain Markdown."""

import re

from mlx_tutor.extract import jsx
from mlx_tutor.extract.grids import draw_bars

# Parts of an exercise on lines of their own, which Markdown would join: a) ... b) ...
LABEL = re.compile(r"^(?P<bar>[ \t>]*)(?P<label>\(?(?P<letter>[a-h])[.)])(?=[ \t]+\S)", re.MULTILINE)
# Lines of Pandoc that are not wrapped, as in a poem; tables have more bars.
VERSE = re.compile(
    r"(?:\A|(?<=\n\n))\|[ \t]+[^|\n]*[^|\s][ \t]*(?:\n|\Z)(?:^\|(?:[ \t]+[^|\n]*[^|\s])?[ \t]*(?:\n|\Z))*(?![ \t]*\|)",
    re.MULTILINE,
)
# Examples that Pandoc numbers through a document, and references to them.
EXAMPLE = re.compile(r"^(?P<indent>[ \t]*)\(@(?P<name>[\w-]*)\)(?=[ \t])", re.MULTILINE)
# An item that Pandoc numbers itself.
NUMBER = re.compile(r"^([ \t]*)#\.(?=[ \t]+\S)", re.MULTILINE)
# Classes around parts of a slide of remark, ".left[", and their ends.
SLIDE_CLASS = re.compile(r"(?<![\w)\]])(?:\.[a-z][\w-]*)+\[([^\[\]\n]+)\](?!\()")
SLIDE_BOX = re.compile(r"^(?:\.[a-z][\w-]*)+\[[ \t]*\n(?P<inside>(?:.*\n)*?)^\][ \t]*$", re.MULTILINE)


# Slides of remark: what says so, and what stands between slides, their steps and the notes.
SLIDES = re.compile(r"^(?:\?\?\?|class: [\w, -]+|(?:\.[a-z][\w-]*)+\[)[ \t]*$", re.MULTILINE)
SLIDE_BREAK = re.compile(
    r"(?:\A\s*|^(?:-{2,3}|\?\?\?)[ \t]*\n)(?:(?:class|name|layout|template|count|exclude|background-[a-z]+): ?.*\n)+"
    r"|^(?:-{2,3}|\?\?\?)[ \t]*$",
    re.MULTILINE,
)


def is_slides(text: str) -> bool:
    """Whether a text is slides of remark or xaringan, where a line of dashes never makes a heading."""
    return bool(SLIDES.search(text)) and bool(re.search(r"^---[ \t]*$", text, re.MULTILINE))


def write_plain(text: str, *, are_slides: bool = False) -> str:
    """Prose without JavaScript and classes of slides, its tables drawn with bars, and parts as items whose mark is
    their label.
    """
    if are_slides:
        text = SLIDE_BREAK.sub("\n\n<!-- -->\n\n", text)
    text = _number_examples(draw_bars(jsx.drop_statements(text)))
    text = VERSE.sub(lambda match: re.sub(r"^\|[ \t]*", "", match[0], flags=re.MULTILINE), text)
    text = SLIDE_CLASS.sub(r"\1", SLIDE_BOX.sub(r"\n\g<inside>", text))
    letters: dict[str, list[str]] = {}
    for match in LABEL.finditer(text):
        letters.setdefault(match["bar"] + match["label"].replace(match["letter"], ""), []).append(match["letter"])
    listed = {form for form, found in letters.items() if "a" in found and "b" in found}

    def write(match: re.Match[str]) -> str:
        form = match["bar"] + match["label"].replace(match["letter"], "")
        return f"{match['bar']}- {match['label']}" if form in listed else match[0]

    return LABEL.sub(write, text) if listed else text


def _number_examples(text: str) -> str:
    names: dict[str, int] = {}
    count = 0

    def write(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        names.setdefault(match["name"], count)
        return f"{match['indent']}{count}."

    text = EXAMPLE.sub(write, NUMBER.sub(r"\g<1>1.", text))
    if not count:
        return text
    return re.sub(r"\(@([\w-]+)\)", lambda match: f"({names[match[1]]})" if match[1] in names else match[0], text)
