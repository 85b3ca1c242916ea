"""Styles of a Word file: which are headings and which are code, after their outline level and their font."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# Fonts whose letters are all as wide.
MONOSPACED = re.compile(
    r"mono|courier|consol|menlo|fixed|typewriter|lucida sans typewriter|source code|fira code|inconsolata|andale|cmtt"
    r"|jetbrains|hack\b|等宽",
    re.IGNORECASE,
)
BASIC = """
p[style-name='Title'] => h1:fresh
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='HTML Preformatted'] => pre:separator('\\n')
r[style-name='Verbatim Char'] => code
r[style-name='Source Code Char'] => code
r[style-name='HTML Code'] => code
r[style-name='HTML Typewriter'] => code
"""
# Headings of Word itself, which mammoth knows.
KNOWN = re.compile(r"heading \d|title", re.IGNORECASE)
DEEPEST = 6


def map_styles(archive: zipfile.ZipFile) -> str:
    """What mammoth should make of each style of a file, in its own words."""
    from lxml import etree

    try:
        root = etree.fromstring(archive.read("word/styles.xml"), etree.XMLParser(resolve_entities=False, recover=True))
    except (KeyError, etree.XMLSyntaxError):
        return BASIC
    if root is None:
        return BASIC
    styles = {style.get(f"{WORD}styleId"): style for style in root.iter(f"{WORD}style")}
    return "\n".join([*_map_each(styles), BASIC])


def _map_each(styles: dict[str | None, Any]) -> Iterator[str]:
    for style in styles.values():
        element = style.find(f"{WORD}name")
        name = element.get(f"{WORD}val", "") if element is not None else ""
        if not name or "'" in name or "\\" in name or KNOWN.fullmatch(name):
            continue
        chain = list(_list_bases(style, styles))
        level = next((found for each in chain if (found := _read(each, "outlineLvl", "val"))), "")
        font = next((found for each in chain if (found := _read(each, "rFonts", "ascii"))), "")
        kind = style.get(f"{WORD}type")
        if kind == "paragraph" and level.isdigit() and int(level) < DEEPEST:
            yield f"p[style-name='{name}'] => h{int(level) + 1}:fresh"
        elif kind == "paragraph" and MONOSPACED.search(font):
            yield f"p[style-name='{name}'] => pre:separator('\\n')"
        elif kind == "character" and MONOSPACED.search(font):
            yield f"r[style-name='{name}'] => code"


def _list_bases(style: Any, styles: dict[str | None, Any]) -> Iterator[Any]:
    """A style and those that it is based on."""
    seen: set[int] = set()
    while style is not None and id(style) not in seen:
        seen.add(id(style))
        yield style
        style = styles.get(_read(style, "basedOn", "val"))


def _read(style: Any, element: str, attribute: str) -> str:
    found = next(style.iter(f"{WORD}{element}"), None)
    return "" if found is None else found.get(f"{WORD}{attribute}", "")


def mark_code(element: Any) -> Any:
    """What is set in such a font without a style: a whole paragraph as code, a part of one as code in its line."""
    from mammoth import documents, transforms

    def mark(paragraph: Any) -> Any:
        runs = [run for run in transforms.get_descendants_of_type(paragraph, documents.Run) if _has_text(run)]
        if paragraph.style_id is None and runs and all(MONOSPACED.search(run.font or "") for run in runs):
            return paragraph.copy(style_id="SourceCode", style_name="Source Code")
        return transforms.run(
            lambda run: (
                run.copy(style_id="VerbatimChar", style_name="Verbatim Char")
                if run.style_id is None and MONOSPACED.search(run.font or "") and _has_text(run)
                else run
            )
        )(paragraph)

    return transforms.paragraph(mark)(element)


def _has_text(run: Any) -> bool:
    return any(getattr(child, "value", "").strip() for child in run.children)
