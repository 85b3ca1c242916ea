"""Questions, answers and sources as the page shows them: Markdown in which HTML, images and links are text."""

import re
from dataclasses import replace
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mlx_tutor.study.chat.ask import CitedAnswer, clean_text, describe_place
from mlx_tutor.study.chat.citations import list_references, mark_answer
from mlx_tutor.study.chat.markdown import DOLLARS, escape_html, split_code
from mlx_tutor.study.chat.support import Source
from mlx_tutor.study.reader.inline import Spans, write_inline
from mlx_tutor.study.search.passages import Passage

# Longer text is cut on the page only: the model gets all of it, or says that it is too long.
MAX_SHOWN = 20_000
# Around a number of a source, and around a sentence that has none, until it is HTML.
NUMBER, UNSUPPORTED, RESERVED = ("\ufdd0", "\ufdd1"), ("\ufdd2", "\ufdd3"), re.compile("[\ufdd0-\ufdd3]")
CITED = re.compile(r"\ufdd0(\d+)\ufdd1")
UNCITED = re.compile(r"\ufdd2([^\ufdd2\ufdd3]+)\ufdd3")
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


def write_cited_markdown(cited: CitedAnswer) -> str:
    """An answer as `write_safe_markdown` gives it; numbers lead into the reader, what nothing supports is marked."""
    references = list_references(cited)
    # Noncharacters, which a text has no use for; HTML would be shown as text.
    marked = mark_answer(
        replace(cited, answer=replace(cited.answer, text=RESERVED.sub("\ufffd", cited.answer.text))),
        lambda number: f"{NUMBER[0]}{number}{NUMBER[1]}",
        lambda text: f"{UNSUPPORTED[0]}{text}{UNSUPPORTED[1]}",
    )
    shown = CITED.sub(lambda found: _write_number(int(found[1]), references), write_safe_markdown(marked))
    shown = UNCITED.sub(r'<span class="unsupported">\1</span>', shown)
    return RESERVED.sub("", shown)


def _write_number(number: int, references: dict[int, Source]) -> str:
    source = references[number]
    target = link_reader(source.source, source.section, source.page, source.cell, source.quote)
    name = f"Source {number}: {describe_place(source)}"
    return f'<a class="cited" href="{escape(target)}" title="{escape(clean_text(name))}">[{number}]</a>'


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


def link_document(source: str) -> str:
    """Where the page of the course shows a document from its beginning, relative to that page."""
    return f"read/{quote(source)}"


def link_reader(source: str, section: int, page: int | None, cell: int | None, passage: str = "") -> str:
    """Where the page shows a document, at the passage; without one, at its section."""
    place = {"page": page, "cell": cell, "section": section, "passage": passage}
    query = urlencode({name: value for name, value in place.items() if value not in (None, "")}, quote_via=quote)
    return f"{link_document(source)}?{query}#{'cited' if passage else f'section-{section}'}"


def link_source(source: str, page: int | None) -> str:
    """Where the page serves a source file, a PDF at its page."""
    anchor = f"#page={page}" if page and PurePosixPath(source).suffix.lower() == ".pdf" else ""
    return f"sources/{quote(source)}{anchor}"


def draw_sources(cited: CitedAnswer) -> Markup:
    """The sources of an answer as HTML: quotes first, numbered, each with its passage to open; then what was read."""
    references = list_references(cited)
    by_section = {(passage.source, passage.section): passage for passage in reversed(cited.passages)}
    quoted = [(source.source, source.section) for source in references.values()]
    read = [passage for passage in cited.passages if (passage.source, passage.section) not in quoted]
    return draw(
        "sources",
        cited,
        [
            prepare_source(source, source.quote, by_section.get(key), number)
            for (number, source), key in zip(references.items(), quoted, strict=True)
        ],
        [prepare_source(passage, "", passage) for passage in read],
    )


def prepare_source(
    place: Source | Passage, quoted: str, passage: Passage | None, number: int | None = None
) -> dict[str, Any]:
    """Of one source its number and name, the quote, the passage with the quote marked, and where it can be read."""
    page, cell = place.find_place() if isinstance(place, Passage) else (place.page, place.cell)
    text = passage.text if passage is not None else ""
    start = text.find(quoted) if quoted else -1
    return {
        "number": number,
        "name": describe_place(place),
        "quote": _write_math(quoted),
        "passage": _write_math(text, [(start, start + len(quoted))] if start >= 0 else []),
        "target": link_reader(place.source, place.section, page, cell, quoted or text),
    }


def _write_math(text: str, spans: Spans = ()) -> Markup:
    """A passage with its formulas; Gradio fills in what stands in braces or behind a dollar."""
    return write_inline(text, spans).replace("{", Markup("&#123;")).replace("$", Markup("&#36;"))
