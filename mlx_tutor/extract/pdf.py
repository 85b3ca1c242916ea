"""Reading PDFs: pages to lines with position and size, then to headings and paragraphs."""

import logging
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.characters import clean_characters
from mlx_tutor.extract.content import PageReader, Run
from mlx_tutor.extract.fonts import UNREADABLE
from mlx_tutor.extract.lines import drop_running_lines, make_lines
from mlx_tutor.extract.ocr import has_picture, recognize_page
from mlx_tutor.extract.paragraphs import add_lines
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.segments import Line
from mlx_tutor.extract.slides import merge_steps
from mlx_tutor.records import Section

LONGEST_OUTLINE = 5000
# Share of the glyphs of a page.
MOST_UNREADABLE = 0.2
# Kinds of pages that hold no text, and of those that tesseract read.
PageState = Literal["scanned", "unreadable", "broken", "recognized"]
# What pypdf raises for malformed files besides its own errors.
BROKEN = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, ZeroDivisionError, OverflowError,
    RecursionError, NotImplementedError, OSError, EOFError, zlib.error,
)  # fmt: skip


def read_pdf(
    path: Path, ocr: str = "", on_page: Callable[[int, PageState], None] = lambda page, state: None
) -> tuple[str, tuple[Section, ...]]:
    """A .pdf file, through pypdf; headings by type size and outline, page numbers on every block.

    Args:
        ocr: Languages of tesseract ("eng+deu") for pages without readable text; empty: leave those out.
        on_page: Called with the number of each page that is scanned, broken or has glyphs without characters, and
            what became of it.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    if path.stat().st_size == 0:
        raise CorpusError("empty")
    # pypdf logs what it repairs.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = PdfReader(path)
            if reader.is_encrypted and not reader.decrypt(""):
                raise CorpusError("encrypted; open it with its password and save it without one")
            pages, lost = read_pages(reader)
            for number, state in lost.items():
                if ocr:
                    runs, width, height = recognize_page(path, number, ocr)
                    pages[number - 1] = make_lines(runs, number, width, height)
                on_page(number, "recognized" if pages[number - 1] else state)
            title, outline, labels = _read_title(reader), read_outline(reader), _read_labels(reader)
    except DependencyError as err:
        raise CorpusError("encrypted; open it with its password and save it without one") from err
    except PyPdfError as err:
        reason = str(err).split("\n")[0].rstrip(".") or type(err).__name__
        head = path.read_bytes()[:1024]
        raise CorpusError(f"broken PDF ({reason})" if b"%PDF" in head else "not a PDF") from err
    except BROKEN as err:
        raise CorpusError(f"broken PDF ({type(err).__name__})") from err
    if not any(pages):
        raise CorpusError(_explain_empty(pages, lost, ocr))
    pages, last = merge_steps(pages, labels)
    outline = [(level, last[page - 1] if 0 < page <= len(last) else page, name) for level, page, name in outline]
    builder = SectionBuilder()
    add_lines(builder, [line for page in drop_running_lines(pages) for line in page], outline)
    title = title or builder.find_title(path.stem)
    return title, builder.finish(title)


def _read_labels(reader: Any) -> list[str]:
    """The label of each page; empty if the file has none, or broken ones."""
    from pypdf.errors import PyPdfError

    try:
        return list(reader.page_labels) if "/PageLabels" in reader.root_object else []
    except (PyPdfError, *BROKEN):
        return []


def _explain_empty(pages: Sequence[Sequence[Line]], lost: dict[int, PageState], ocr: str) -> str:
    """Why no page has text."""
    if not pages:
        return "empty: it has no pages"
    hint = "" if not lost else ", and tesseract finds none either" if ocr else "; extract --ocr reads them"
    if "unreadable" in lost.values():
        return f"its fonts do not say which characters they draw{hint}"
    return f"looks scanned: {len(pages)} page{'s' if len(pages) != 1 else ''} without text{hint}"


def _read_title(reader: Any) -> str:
    """The title in the metadata, unless it looks like a file name."""
    title = str((reader.metadata or {}).get("/Title") or "").strip()
    looks_like_file = re.search(
        r"\.(?:docx?|pptx?|pdf|tex|dvi|indd|html?)$|^(?:untitled|microsoft word)", title, re.IGNORECASE
    )
    return "" if looks_like_file else clean_characters(title)


def read_pages(reader: Any) -> tuple[list[list[Line]], dict[int, PageState]]:
    """The lines of each page in reading order, and the pages (from 1) that should have text and give none.

    Raises what pypdf raises if no page can be read.
    """
    from pypdf.errors import PyPdfError

    drawn = PageReader(reader)
    pages: list[list[Line]] = []
    lost: dict[int, PageState] = {}
    failure: Exception | None = None
    for number in range(1, len(reader.pages) + 1):
        lines: list[Line] = []
        try:
            page = reader.pages[number - 1]
            runs = drawn.read_page(page)
            if _is_unreadable(runs):
                lost[number] = "unreadable"
            else:
                width, height = float(page.mediabox.width), float(page.mediabox.height)
                lines = make_lines(runs, number, width, height, drawn.shapes.boxes, drawn.shapes.bars)
                if not lines and has_picture(page):
                    lost[number] = "scanned"
        except (PyPdfError, *BROKEN) as err:
            failure = err
            lost[number] = "broken"
        pages.append(lines)
    if failure and set(lost.values()) == {"broken"} and len(lost) == len(pages):
        raise failure
    return pages, lost


def _is_unreadable(runs: Sequence[Run]) -> bool:
    """Whether many glyphs of a page have no characters; a few may be signs in formulas."""
    text = "".join(run.text for run in runs)
    return text.count(UNREADABLE) > MOST_UNREADABLE * len(text.replace(" ", ""))


def read_outline(reader: Any) -> list[tuple[int, int, str]]:
    """Level from 1, page from 1 and title of each outline entry; empty without an outline, or with a broken one."""
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
