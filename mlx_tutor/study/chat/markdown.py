"""An answer as Markdown: tags are shown as text, and code stays as the model wrote it."""

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Parsed as the page does: HTML, links and images are text.
READER = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .disable(["reference", "link", "image", "autolink", "html_block", "html_inline"])
)
TAG = re.compile(r"<(?=[A-Za-z/!?])")
# $x$ is mathematics and "$5 and $6" is money: no blank inside the dollars, no letter before and no digit behind.
DOLLARS = re.compile(r"(?<![\\$\w])\$(?=[^\s$])([^$\n]*?[^\s$\\])\$(?![\d$])")
FORMULA = re.compile(
    rf"\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|\\begin\{{(?P<name>[a-z]+\*?)\}}.+?\\end\{{(?P=name)\}}|{DOLLARS.pattern}",
    re.DOTALL,
)


def split_code(text: str) -> list[str]:
    """Text and code in turn, text first; code with the marks around it. Joined they are `text`."""
    parts, end = [], 0
    for start, stop in _find_code(text, READER.parse(text)):
        parts += [text[end:start], text[start:stop]]
        end = stop
    return [*parts, text[end:]]


def find_formal(text: str) -> list[tuple[int, int]]:
    """Where code, formulas and headings stand: parts of an answer that are no sentences and stay as they are."""
    tokens = READER.parse(text)
    code = list(_find_code(text, tokens))
    hidden = text
    for start, stop in code:
        hidden = f"{hidden[:start]}{' ' * (stop - start)}{hidden[stop:]}"
    starts = list_starts(text)
    headings = [
        (starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)])
        for token in tokens
        if token.type == "heading_open" and token.map and token.markup.startswith("#")
    ]
    return sorted([*code, *headings, *(found.span() for found in FORMULA.finditer(hidden))])


def list_starts(text: str) -> list[int]:
    """Where each line begins, and at last where the text ends."""
    return [0, *(found.end() for found in re.finditer("\n", text)), len(text)]


def escape_html(text: str) -> str:
    """Markdown whose tags cannot be taken for HTML; fenced code that was cut off is closed."""
    parts = split_code(text)
    parts[::2] = [TAG.sub("< ", part) for part in parts[::2]]
    return "".join(parts) + _close_fence(text)


def _close_fence(text: str) -> str:
    """The end of a code block that the text leaves open; a block in a list or quotation ends with it."""
    last = next((token for token in reversed(READER.parse(text)) if token.level == 0), None)
    if last is None or last.type != "fence":
        return ""
    lines = text.rstrip().split("\n")
    closed = len(lines) > 1 + (last.map or [0])[0] and re.fullmatch(
        rf" {{0,3}}{re.escape(last.markup)}{re.escape(last.markup[0])}*[ \t]*", lines[-1]
    )
    return "" if closed else f"\n{last.markup}"


def _find_code(text: str, tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The places of code, in order."""
    starts = list_starts(text)
    for token in tokens:
        if token.map is None:
            continue
        start, stop = (starts[min(line, len(starts) - 1)] for line in token.map)
        if token.type in ("fence", "code_block"):
            yield start, stop
        for child in token.children or ():
            if child.type == "code_inline":
                found = _write_pattern(child).search(text, start, stop)
                # A span that cannot be located is shown as text.
                if found is not None:
                    yield found.span()
                    start = found.end()


def _write_pattern(code: Token) -> re.Pattern[str]:
    """An inline code span as written in the text: the token has spaces for line breaks, and | for a table's `\\|`."""
    words = [re.escape(word).replace(r"\|", r"\\?\|") for word in code.content.split(" ")]
    inside = r"(?: |\n[ \t>]*)".join(words)
    return re.compile(rf"(?<!`){code.markup}[ \n]?{inside}[ \n]?{code.markup}(?!`)")
