"""Reading Word, PowerPoint and EPUB files: Word and EPUB through HTML, slides shape by shape."""

import re
import zipfile
from collections.abc import Iterator
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import IO, Any
from urllib.parse import unquote

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.html import add_html
from mlx_tutor.extract.omml import DRAWING, hide_office_formulas, read_paragraph
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.styles import map_styles, mark_code
from mlx_tutor.extract.webpage import decode_html
from mlx_tutor.records import Block, Section

# HTML takes an empty XHTML element for an opening tag.
EMPTY = re.compile(r"<(a|title|script|div|span|p|i|b|em|td|th)(\s[^<>]*)?/>")
# The texts inside an archive; those of a book of a thousand pages have 5 MB.
TEXTS = (".xml", ".rels", ".html", ".xhtml", ".htm", ".opf", ".ncx")
MOST_UNPACKED = 200_000_000
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
# Placeholders that repeat on every slide: date, number, footer and header.
RUNNING = (13, 14, 15, 16)


def _load(package: str, suffix: str) -> Any:
    try:
        return import_module(package)
    except ImportError as err:
        raise CorpusError(f"reading {suffix} files needs two packages: pip install 'mlx-tutor[office]'") from err


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as err:
        suffix = path.suffix.lower()
        reason = f"no {suffix} file, or one with a password; save it as {suffix} without one"
        raise CorpusError(reason if path.stat().st_size else "empty") from err
    unpacked = sum(item.file_size for item in archive.infolist() if item.filename.endswith(TEXTS))
    if unpacked > MOST_UNPACKED:
        archive.close()
        raise CorpusError(f"its texts unpack to {unpacked / 1e6:.0f} MB, which no document has")
    return archive


def read_docx(path: Path) -> tuple[str, tuple[Section, ...]]:
    """A .docx file through mammoth: headings by their styles, formulas as LaTeX, no pictures."""
    mammoth = _load("mammoth", ".docx")
    with _open_zip(path) as archive:
        file: IO[bytes] = hide_office_formulas(archive)
        styles = map_styles(archive)
    try:
        html = mammoth.convert_to_html(
            file, style_map=styles, convert_image=lambda image: [], transform_document=mark_code
        ).value
    except (KeyError, ValueError, IndexError, AttributeError, OSError) as err:
        raise CorpusError(f"broken .docx file ({type(err).__name__})") from err
    builder = SectionBuilder()
    add_html(builder, html)
    title = builder.find_title(path.stem)
    return title, builder.finish(title)


def read_epub(path: Path) -> tuple[str, tuple[Section, ...]]:
    """An .epub file: its chapters in reading order."""
    from lxml import etree

    builder = SectionBuilder()
    parser = etree.XMLParser(resolve_entities=False, recover=True, no_network=True)
    try:
        with _open_zip(path) as archive:
            if "META-INF/encryption.xml" in archive.namelist() and "META-INF/rights.xml" in archive.namelist():
                raise CorpusError("protected against reading by other programs")
            container = etree.fromstring(archive.read("META-INF/container.xml"), parser)
            package = container.xpath("string(//*[local-name()='rootfile']/@full-path)")
            book = etree.fromstring(archive.read(package), parser)
            title = " ".join(book.xpath("string(//*[local-name()='metadata']/*[local-name()='title'])").split())
            for name in _list_chapters(book, dirname(package)):
                # A listed chapter that is missing is skipped.
                if name in archive.namelist():
                    add_html(builder, EMPTY.sub(r"<\1\2></\1>", decode_html(archive.read(name))))
    except (KeyError, etree.XMLSyntaxError, zipfile.BadZipFile) as err:
        raise CorpusError(f"broken .epub file ({type(err).__name__})") from err
    title = title or builder.find_title(path.stem)
    return title, builder.finish(title)


def _list_chapters(book: Any, folder: str) -> Iterator[str]:
    """The pages of a book in reading order; without one, in the order of its file list."""
    items = {item.get("id"): item for item in book.xpath("//*[local-name()='manifest']/*")}
    order = book.xpath("//*[local-name()='spine']/*/@idref") or list(items)
    for item in [items[reference] for reference in dict.fromkeys(order) if reference in items]:
        name = normpath(join(folder, unquote(item.get("href", "").partition("#")[0])))
        kind = item.get("media-type") or ""
        is_page = "html" in kind or (not kind and name.endswith((".xhtml", ".html", ".htm", ".xml")))
        if is_page and "nav" not in (item.get("properties") or "").split():
            yield name


def read_pptx(path: Path) -> tuple[str, tuple[Section, ...]]:
    """A .pptx file: a section for each slide, under its title; the slide number is the page."""
    pptx = _load("pptx", ".pptx")
    _open_zip(path).close()
    try:
        deck = pptx.Presentation(str(path))
    except (KeyError, ValueError, AttributeError) as err:
        raise CorpusError(f"broken .pptx file ({type(err).__name__})") from err
    builder = SectionBuilder()
    for number, slide in enumerate(deck.slides, 1):
        if slide._element.get("show") in ("0", "false"):
            # A hidden slide is not shown in the lecture.
            continue
        heading = slide.shapes.title
        title = " ".join(_read_lines(heading)).strip() if heading is not None else ""
        builder.add_heading(1, title or f"Slide {number}")
        for shape in _list_shapes(slide.shapes):
            if heading is None or shape.shape_id != heading.shape_id:
                _add_shape(builder, shape, number)
        if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
            for paragraph in notes.paragraphs:
                builder.add_block(Block("text", read_paragraph(paragraph._p), page=number))
    title = " ".join((deck.core_properties.title or "").split())
    title = title if title and title != "PowerPoint Presentation" else builder.find_title(path.stem)
    return title, builder.finish(title)


def _list_shapes(shapes: Any) -> Iterator[Any]:
    """All shapes with text, those in groups too, without what repeats on every slide."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _list_shapes(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type in RUNNING):
            yield shape


def _read_lines(shape: Any) -> list[str]:
    return [read_paragraph(paragraph._p) for paragraph in shape.text_frame.paragraphs]


def _add_shape(builder: SectionBuilder, shape: Any, number: int) -> None:
    """Add a shape: a placeholder with several lines is a list; a free text box is paragraphs."""
    if getattr(shape, "has_table", False) and shape.has_table:
        _add_table(builder, [[cell.text for cell in row.cells] for row in shape.table.rows], number)
    elif getattr(shape, "has_chart", False) and shape.has_chart:
        _add_chart(builder, shape.chart, number)
    elif shape.has_text_frame:
        lines = _read_lines(shape)
        if shape.is_placeholder and sum(map(bool, lines)) > 1:
            levels = [paragraph.level for paragraph in shape.text_frame.paragraphs]
            items = [f"{'  ' * level}- {line}" for level, line in zip(levels, lines, strict=True) if line]
            builder.add_block(Block("text", "\n".join(items), page=number))
        else:
            for line in lines:
                builder.add_block(Block("text", line, page=number))
    elif items := _read_diagram(shape):
        builder.add_block(Block("text", "\n".join(f"- {item}" for item in items), page=number))


def _add_table(builder: SectionBuilder, rows: list[list[str]], number: int) -> None:
    rows = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    lines = ["|" + "".join(f" {cell} |" if cell else " |" for cell in row) for row in rows]
    lines.insert(1, f"|{'---|' * max(map(len, rows), default=0)}")
    builder.add_block(Block("table", "\n".join(lines), page=number))


def _add_chart(builder: SectionBuilder, chart: Any, number: int) -> None:
    """Add the numbers that a chart draws: a row for each category, a column for each series."""
    if chart.has_title and chart.chart_title.has_text_frame:
        builder.add_block(Block("text", " ".join(chart.chart_title.text_frame.text.split()), page=number))
    for plot in chart.plots:
        series = list(plot.series)
        columns = [["" if value is None else f"{value:g}" for value in one.values] for one in series]
        categories = list(map(str, plot.categories)) or [
            str(place) for place in range(1, 1 + max(map(len, columns), default=0))
        ]
        rows = [[category, *cells] for category, *cells in zip_longest(categories, *columns, fillvalue="")]
        if rows and series:
            _add_table(builder, [["", *(one.name for one in series)], *rows], number)


def _read_diagram(shape: Any) -> list[str]:
    """The texts of a SmartArt, which stand in a part of their own."""
    from lxml import etree

    parts = (node.get(f"{RELATIONS}dm") for node in shape._element.iter(f"{DIAGRAM}relIds"))
    found = [shape.part.related_part(part).blob for part in parts if part in shape.part.rels]
    roots = [etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True)) for data in found]
    texts = [read_paragraph(paragraph) for root in roots for paragraph in root.iter(f"{DRAWING}p")]
    return [text for text in texts if text]
