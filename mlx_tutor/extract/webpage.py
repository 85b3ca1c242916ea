"""Reading a web page, and the Markdown that slides in the browser are made of."""

import re
from pathlib import Path

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.html import add_html
from mlx_tutor.extract.markdown import add_markdown
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.text import decode_bytes
from mlx_tutor.records import Section

CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w-]{2,30})", re.IGNORECASE)
# Slides of reveal.js and remark, whose text is Markdown that a program sets.
SLIDES = re.compile(
    r"<(?P<tag>textarea|script)\b[^>]*?(?:\bdata-template\b|id=[\"']source[\"']|type=[\"']text/(?:template|x-markdown)[\"'])"
    r"[^>]*>(?P<text>.*?)</(?P=tag)>",
    re.DOTALL | re.IGNORECASE,
)
# Between slides, between the steps of one, and above the speaker's notes.
BREAK = re.compile(r"^(?:-{2,3}|\?\?\?)[ \t]*$", re.MULTILINE)
PROPERTY = re.compile(r"\A\s*(?:(?:class|name|layout|template|count|background-[a-z]+)\s*:.*\n)+")


def read_html(path: Path, builder: SectionBuilder | None = None) -> tuple[str, tuple[Section, ...]]:
    """An .html file; scripts, styles and menus are left out."""
    builder = builder or SectionBuilder()
    html = decode_html(path.read_bytes())
    title = add_html(builder, html)
    for slides in SLIDES.finditer(html):
        for slide in BREAK.split(slides["text"]):
            add_markdown(builder, PROPERTY.sub("", slide))
    heading = builder.find_title("")
    # Sites put their own name behind the title of a page.
    is_named = heading and re.fullmatch(rf"{re.escape(heading)}\s*[-–—|·:»«].{{1,80}}", title)
    title = (heading if is_named or not title else title) or path.stem
    sections = builder.finish(title)
    if not sections:
        raise CorpusError("empty: no text in it")
    return title, sections


def decode_html(data: bytes) -> str:
    """The text of a page, in the encoding that the page names."""
    named = CHARSET.search(data[:4096])
    return decode_bytes(data, named[1].decode("ascii") if named else "")
