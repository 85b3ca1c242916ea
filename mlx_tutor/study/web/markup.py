"""Questions, answers and sources as the page shows them: Markdown in which HTML, images and links are text."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from mlx_tutor.study.chat.ask import CitedAnswer, clean_text, describe_place
from mlx_tutor.study.chat.markdown import escape_html, split_code
from mlx_tutor.study.chat.support import Source
from mlx_tutor.study.search.index import Passage

# Longer text is cut on the page only: the model gets all of it, or says that it is too long.
MAX_SHOWN = 20_000
# $x$ is mathematics and "$5 and $6" is money: no blank inside the dollars, no letter before and no digit behind.
DOLLARS = re.compile(r"(?<![\\$\w])\$(?=[^\s$])([^$\n]*?[^\s$\\])\$(?![\d$])")
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


def write_text_html(text: str) -> str:
    """Text for HTML, where templates of the page find nothing to fill in either."""
    return escape(clean_text(text)).replace("{", "&#123;").replace("$", "&#36;")


def link_source(source: str, page: int | None) -> str:
    """Where the page serves a source file, a PDF at its page."""
    anchor = f"#page={page}" if page and PurePosixPath(source).suffix.lower() == ".pdf" else ""
    return f"/sources/{quote(source)}{anchor}"


def draw_sources(cited: CitedAnswer) -> str:
    """The sources of an answer as HTML: quotes first, each with its passage to open; else what was read."""
    if cited.supported is None:
        return "<p class='hint'>The course was not searched: nothing supports this answer.</p>"
    sources = list({source.quote: source for source in cited.sources}.values())
    passages = [*cited.passages]
    parts = []
    if sources:
        parts.append(f"<p>Nearly word for word in your course: {len(cited.sources)} of {cited.checked} sentences.</p>")
        for source in sources:
            passage = next((p for p in passages if (p.source, p.section) == (source.source, source.section)), None)
            parts.append(draw_source(source, source.quote, passage))
    else:
        parts.append("<p class='missing'><b>Not found in your course.</b> No sentence of it says nearly the same.</p>")
    quoted = {(source.source, source.section) for source in sources}
    read = [passage for passage in passages if (passage.source, passage.section) not in quoted]
    if read:
        parts.append("<p class='hint'>Read on the question:</p>")
        parts += [draw_source(passage, "", passage) for passage in read]
    return f"<div class='sources'>{''.join(parts)}</div>"


def draw_source(place: Source | Passage, quoted: str, passage: Passage | None) -> str:
    """One source: its place, the quoted sentence, the passage to open, and a link to the file."""
    page = place.find_place()[0] if isinstance(place, Passage) else place.page
    shown = write_text_html(quoted.replace("**", ""))
    summary = f"<b>{write_text_html(describe_place(place))}</b>" + (f"<q>{shown}</q>" if quoted else "")
    body = f"<div class='passage'>{mark_quote(passage.text, quoted)}</div>" if passage is not None else ""
    name = f"{place.source}{f', page {page}' if page else ''}"
    # Not `quote`: a file name may hold what HTML would take for its own.
    link = escape(link_source(place.source, page), quote=True)
    opened = f"<a href='{link}' target='_blank' rel='noopener'>Open {write_text_html(name)}</a>"
    return f"<details><summary>{summary}</summary>{body}{opened}</details>"


def mark_quote(text: str, quoted: str) -> str:
    """A passage as HTML with its quoted sentence marked."""
    before, found, after = text.partition(quoted) if quoted else (text, "", "")
    bare = [write_text_html(part.replace("**", "")) for part in (before, found, after)]
    return f"{bare[0]}<mark>{bare[1]}</mark>{bare[2]}" if found else bare[0]


def draw_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts as HTML."""

    def draw_row(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{write_text_html(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(draw_row("td", row) for row in rows)
    head = draw_row("th", headings)
    return f"<div class='scroll'><table><thead>{head}</thead><tbody>{body}</tbody></table></div>"
