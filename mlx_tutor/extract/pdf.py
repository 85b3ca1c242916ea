"""PDF to sections: lines with their place and size, then headings and paragraphs."""

import logging
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.characters import clean_characters
from mlx_tutor.extract.content import PageReader
from mlx_tutor.extract.lines import Line, drop_running_lines, make_lines
from mlx_tutor.extract.ocr import has_picture, recognize_page
from mlx_tutor.extract.paragraphs import add_lines
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.records import Section

LONGEST_OUTLINE = 5000
# What pypdf raises on malformed files, besides its own errors.
BROKEN = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, ZeroDivisionError, OverflowError,
    RecursionError, NotImplementedError, OSError, EOFError, zlib.error,
)  # fmt: skip


def read_pdf(
    path: Path, ocr: str = "", on_scan: Callable[[int, bool], None] = lambda page, is_read: None
) -> tuple[str, tuple[Section, ...]]:
    """A .pdf file, through pypdf; headings by size of type and outline, page numbers on every block.

    Args:
        path: The file.
        ocr: Languages of tesseract ("eng+deu") for pages without text; empty: leave those out.
        on_scan: Called with the number of each scanned page, and whether it could be read.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    if path.stat().st_size == 0:
        raise CorpusError("empty")
    # pypdf logs what it mends on the way.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = PdfReader(path)
            if reader.is_encrypted and not reader.decrypt(""):
                raise CorpusError("encrypted; open it with its password and save it without one")
            pages = read_pages(reader)
            scanned = [n for n, lines in enumerate(pages, 1) if not lines and has_picture(reader.pages[n - 1])]
            for number in scanned:
                if ocr:
                    runs, width, height = recognize_page(path, number, ocr)
                    pages[number - 1] = make_lines(runs, number, width, height)
                on_scan(number, bool(pages[number - 1]))
            title, outline = _read_title(reader), read_outline(reader)
    except DependencyError as err:
        raise CorpusError("encrypted; open it with its password and save it without one") from err
    except PyPdfError as err:
        reason = str(err).split("\n")[0].rstrip(".") or type(err).__name__
        head = path.read_bytes()[:1024]
        raise CorpusError(f"broken PDF ({reason})" if b"%PDF" in head else "not a PDF") from err
    except BROKEN as err:
        raise CorpusError(f"broken PDF ({type(err).__name__})") from err
    if not any(pages):
        count = len(pages)
        hint = "" if not scanned else ", and tesseract finds none either" if ocr else "; extract --ocr reads them"
        raise CorpusError(f"looks scanned: {count} page{'s' if count != 1 else ''} without text{hint}")
    builder = SectionBuilder()
    add_lines(builder, [line for page in drop_running_lines(pages) for line in page], outline)
    title = title or builder.find_title(path.stem)
    return title, builder.finish(title)


def _read_title(reader: Any) -> str:
    """The title of the metadata, when it looks like one and not like a file name."""
    title = str((reader.metadata or {}).get("/Title") or "").strip()
    looks_like_file = re.search(
        r"\.(?:docx?|pptx?|pdf|tex|dvi|indd|html?)$|^(?:untitled|microsoft word)", title, re.IGNORECASE
    )
    return "" if looks_like_file else clean_characters(title)


def read_pages(reader: Any) -> list[list[Line]]:
    """The lines of each page in the order of reading."""
    drawn = PageReader(reader)
    pages = []
    for number, page in enumerate(reader.pages, 1):
        width, height = float(page.mediabox.width), float(page.mediabox.height)
        pages.append(make_lines(drawn.read_page(page), number, width, height))
    return pages


def read_outline(reader: Any) -> list[tuple[int, int, str]]:
    """Level from 1, page from 1 and title of each entry; empty where there is none, or a broken one."""
    from pypdf.errors import PyPdfError

    entries: list[tuple[int, int, str]] = []

    def walk(items: Sequence[Any], level: int) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item, level + 1)
            elif len(entries) < LONGEST_OUTLINE:
                number = reader.get_destination_page_number(item)
                entries.append((level, (-1 if number is None else number) + 1, clean_characters(str(item.title))))

    try:
        walk(reader.outline, 1)
    except (PyPdfError, *BROKEN):
        return []
    return entries
