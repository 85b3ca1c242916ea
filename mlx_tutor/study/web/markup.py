"""Questions, answers and sources as the page shows them: Markdown in which HTML, images and links are text."""

import re
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mlx_tutor.study.chat.ask import CitedAnswer, clean_text, describe_place
from mlx_tutor.study.chat.markdown import DOLLARS, escape_html, split_code
from mlx_tutor.study.chat.support import Source
from mlx_tutor.study.search.passages import Passage

# Longer text is cut on the page only: the model gets all of it, or says that it is too long.
MAX_SHOWN = 20_000
# What Markdown reads as more than text.
MARKS = re.compile(r"[*_`~#>|!\[\]]")
# Those that KaTeX shows without dollars.
ENVIRONMENTS = ("align", "align*", "alignat", "equation", "equation*", "gather", "gather*")
LATEX = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
    *({"left": f"\\begin{{{name}}}", "right": f"\\end{{{name}}}", "display": True} for name in ENVIRONMENTS),
]


def write_safe_markdown(text: str) -> str:
    """A model's text as Markdown that can neither run nor fetch nor lead anywhere."""
    parts = split_code(escape_html(clean_text(_cut(text))))
    for number, part in enumerate(parts):
        if number % 2 == 0:
            # An image would be fetched; a link could name one place and lead to another.
            bare = re.sub(r"\](?=[(:\[])", "] ", re.sub(r"!(?=\[)", "! ", part))
            parts[number] = _break_addresses(DOLLARS.sub(r"\\(\1\\)", bare))
    return "".join(parts)


def write_plain_markdown(text: str) -> str:
    """What a user typed, as Markdown that shows it as it is, mathematics apart."""
    text = MARKS.sub(r"\\\g<0>", clean_text(_cut(text)).replace("&", "&amp;").replace("<", "&lt;"))

    def restore(found: re.Match[str]) -> str:
        return (
            "\\("
            + re.sub(rf"\\({MARKS.pattern})", r"\1", found[1]).replace("&lt;", r"\lt ").replace("&amp;", "&")
            + "\\)"
        )

    return _break_addresses(DOLLARS.sub(restore, text))


def _break_addresses(text: str) -> str:
    """Web and mail addresses as text: bare ones would become links too."""
    text = text.replace("://", "&#58;//").replace("@", "&#64;")
    return re.sub(r"\bwww\.", "www&#46;", text, flags=re.IGNORECASE)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} … ({len(text) - MAX_SHOWN:,} characters more)"


def escape_text(text: str) -> Markup:
    """Text for HTML. Gradio fills in what stands in braces or behind a dollar, so those are escaped too."""
    escaped = escape(clean_text(text))
    return escaped.replace("{", Markup("&#123;")).replace("$", Markup("&#36;"))


@cache
def open_fragments() -> Environment:
    """The templates of the parts of the page."""
    return Environment(
        loader=PackageLoader("mlx_tutor.study.web"),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else escape_text(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def draw(name: str, *values: Any) -> Markup:
    """A part of the page, by the macro of that name in `fragments.html.j2`."""
    return Markup(getattr(open_fragments().get_template("fragments.html.j2").module, name)(*values))


def draw_note(kind: str, text: str) -> Markup:
    """What the status line says: a `problem`, that one is `waiting`, that something is `working`, or a `hint`."""
    return draw("note", kind, text)


def link_source(source: str, page: int | None) -> str:
    """Where the page serves a source file, a PDF at its page."""
    anchor = f"#page={page}" if page and PurePosixPath(source).suffix.lower() == ".pdf" else ""
    return f"/sources/{quote(source)}{anchor}"


def draw_sources(cited: CitedAnswer) -> Markup:
    """The sources of an answer as HTML: quotes first, each with its passage to open; else what was read."""
    sources = list({source.quote: source for source in cited.sources}.values())
    by_section = {(passage.source, passage.section): passage for passage in reversed(cited.passages)}
    quoted = [(source.source, source.section) for source in sources]
    read = [passage for passage in cited.passages if (passage.source, passage.section) not in quoted]
    return draw(
        "sources",
        cited,
        [
            _prepare_source(source, source.quote, by_section.get(key))
            for source, key in zip(sources, quoted, strict=True)
        ],
        [_prepare_source(passage, "", passage) for passage in read],
    )


def _prepare_source(place: Source | Passage, quoted: str, passage: Passage | None) -> dict[str, Any]:
    """Of one source its name, the quote, the passage in three parts (the quote is the middle), file and link."""
    page = place.find_place()[0] if isinstance(place, Passage) else place.page
    parts = None
    if passage is not None:
        parts = passage.text.partition(quoted) if quoted else (passage.text, "", "")
    return {
        "name": describe_place(place),
        "quote": quoted.replace("**", ""),
        "passage": parts and [part.replace("**", "") for part in parts],
        "file": f"{place.source}{f', page {page}' if page else ''}",
        "target": link_source(place.source, page),
    }
