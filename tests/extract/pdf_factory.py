"""PDFs made in the test."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
from pypdf import PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DecodedStreamObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    PdfObject,
    StreamObject,
    TextStringObject,
)
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4


def draw_pdf(
    path: Path, pages: list[list[tuple[float, float, float, str]]], *, bold: str = "Helvetica-Bold", packed: bool = True
) -> Path:
    """Write lines (x, y from the top, size, text), one list a page; a size above 13 is set in bold."""
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=1, pageCompression=int(packed))
    for lines in pages:
        for x, top, size, text in lines:
            canvas.setFont(bold if size > 13 else "Times-Roman", size)
            canvas.drawString(x, HEIGHT - top, text)
        canvas.showPage()
    canvas.save()
    path.write_bytes(file.getvalue())
    return path


def stack(
    lines: list[str], *, x: float = 72, top: float = 120, size: float = 11
) -> list[tuple[float, float, float, str]]:
    """Lines of running text below each other."""
    return [(x, top + 14 * i, size, line) for i, line in enumerate(lines)]


def scan_page(path: Path) -> None:
    """Replace a PDF by pictures of its pages."""
    canvas = Canvas(str(path.with_suffix(".scan")), pagesize=(595, 842))
    with pypdfium2.PdfDocument(path) as document:
        for page in document:
            picture = BytesIO()
            page.render(scale=2.5, grayscale=True).to_pil().save(picture, "PNG")
            canvas.drawImage(ImageReader(picture), 0, 0, 595, 842)
            canvas.showPage()
    canvas.save()
    path.with_suffix(".scan").replace(path)


def write_pdf(
    path: Path,
    streams: list[str],
    *,
    fonts: dict[str, dict[str, Any]] | None = None,
    resources: dict[str, Any] | None = None,
    catalog: dict[str, Any] | None = None,
    box: tuple[float, float] = A4,
) -> Path:
    """Write pages from their operators (Latin-1); F1 is Helvetica, `fonts` are dictionaries of plain values."""
    writer = PdfWriter()
    known = {"F1": {"/Subtype": "/Type1", "/BaseFont": "/Helvetica", "/Encoding": "/WinAnsiEncoding"}, **(fonts or {})}
    named = {}
    for name, font in known.items():
        named[name] = writer._add_object(to_pdf({"/Type": "/Font", **place_streams(writer, font)}))
    for stream in streams:
        page = writer.add_blank_page(*box)
        content = DecodedStreamObject()
        content.set_data(stream.encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(content)
        named_fonts = DictionaryObject({NameObject(f"/{name}"): font for name, font in named.items()})
        page[NameObject("/Resources")] = to_pdf({"/Font": named_fonts, **(resources or {})})
    for key, value in (catalog or {}).items():
        writer.root_object[NameObject(key)] = to_pdf(value)
    writer.write(path)
    return path


def place_streams(writer: PdfWriter, values: dict[str, Any]) -> dict[str, Any]:
    """The values with references in place of streams, which cannot stand inside of others."""
    placed: dict[str, Any] = {}
    for key, value in values.items():
        is_stream = isinstance(value, StreamObject)
        placed[key] = place_streams(writer, value) if isinstance(value, dict) and not is_stream else value
        if is_stream:
            placed[key] = writer._add_object(value)
    return placed


def to_pdf(value: Any) -> PdfObject:
    """Plain values as objects of pypdf; text that begins with / is a name."""
    match value:
        case PdfObject():
            return value
        case dict():
            return DictionaryObject({NameObject(key): to_pdf(item) for key, item in value.items()})
        case list():
            return ArrayObject([to_pdf(item) for item in value])
        case bool():
            return BooleanObject(value)
        case int() | float():
            return FloatObject(value) if isinstance(value, float) else NumberObject(value)
        case _:
            return NameObject(value) if value.startswith("/") else TextStringObject(value)
