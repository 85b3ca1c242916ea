"""PDF to sections: lines with their place and size, then headings and paragraphs."""

import logging
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.paragraphs import Line, add_lines, clean_characters
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.records import Section

# Share of the page's height at either end where running headers and footers stand.
EDGE = 0.1
PAGE_NUMBER = re.compile(
    r"(?:page\s*)?[-–—|\s]*(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:/|of)\s*\d{1,4})?[-–—|\s]*", re.IGNORECASE
)
# What pypdf raises on malformed files, besides its own errors.
BROKEN = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, ZeroDivisionError, OverflowError,
    RecursionError, NotImplementedError, OSError, EOFError, zlib.error, MemoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters as the page draws it; `y` grows upwards, in points."""

    text: str
    x: float
    y: float
    size: float
    bold: bool


def read_pdf(path: Path) -> tuple[str, tuple[Section, ...]]:
    """A .pdf file, through pypdf; headings by size of type and outline, page numbers on every block."""
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
            pages = [read_lines(page, number) for number, page in enumerate(reader.pages, 1)]
            title = _read_title(reader)
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
        raise CorpusError(f"looks scanned: {count} page{'s' if count != 1 else ''} without text")
    builder = SectionBuilder()
    add_lines(builder, [line for page in drop_running_lines(pages) for line in page])
    title = title or builder.find_title(path.stem)
    return title, builder.finish(title)


def _read_title(reader: Any) -> str:
    """The title of the metadata, when it looks like one and not like a file name."""
    title = str((reader.metadata or {}).get("/Title") or "").strip()
    looks_like_file = re.search(
        r"\.(?:docx?|pptx?|pdf|tex|dvi|indd|html?)$|^(?:untitled|microsoft word)", title, re.IGNORECASE
    )
    return "" if looks_like_file else clean_characters(title)


def read_lines(page: Any, number: int) -> list[Line]:
    """The lines of one page in the order in which it draws them, which is that of reading."""
    pieces: list[Piece] = []

    def visit(text: str, cm: Sequence[float], tm: Sequence[float], font: Any, size: float) -> None:
        if not text.strip():
            if pieces and text:
                last = pieces[-1]
                pieces[-1] = Piece(last.text + text.replace("\n", ""), last.x, last.y, last.size, last.bold)
            return
        x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
        y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        # Turned text keeps its size in the off-diagonal terms.
        scale = max(abs(tm[3] * cm[3]), abs(tm[1] * cm[2]), abs(tm[3] * cm[1])) or 1.0
        bold = bool(re.search("bold|black|heavy|semib", str((font or {}).get("/BaseFont", "")), re.IGNORECASE))
        pieces.append(Piece(text, x, y, abs(size) * scale, bold))

    page.extract_text(visitor_text=visit)
    height = float(page.mediabox.height)
    return [_make_line(group, number, height) for group in _group_pieces(pieces)]


def _group_pieces(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Pieces on one baseline, left to right; a jump back or over a wide gap begins another line."""
    group: list[Piece] = []
    for piece in pieces:
        if group:
            last = group[-1]
            size = max(last.size, piece.size, 1.0)
            # The width of a piece is not given: half the type size a character is close for most fonts.
            gap = piece.x - (last.x + 0.5 * last.size * len(last.text.strip("\n")))
            if abs(piece.y - last.y) > 0.45 * size or piece.x < last.x - size or gap > 4 * size:
                yield group
                group = []
        group.append(piece)
    if group:
        yield group


def _make_line(group: Sequence[Piece], number: int, height: float) -> Line:
    text = clean_characters("".join(piece.text for piece in group))
    size, bold = Counter({(round(p.size, 1), p.bold): len(p.text.strip()) for p in group}).most_common(1)[0][0]
    weight = Counter[bool]()
    for piece in group:
        weight[piece.bold] += len(piece.text.strip())
    return Line(
        text=text,
        x=min(piece.x for piece in group),
        y=group[0].y,
        size=size,
        bold=bold and weight[True] > 0.9 * weight.total(),
        page=number,
        height=height,
    )


def drop_running_lines(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Pages without running headers, footers and page numbers.

    A line at the edge of a page runs when the same words, digits aside, stand at the same height on several
    pages; a bare page number counts on a single page.
    """
    places: Counter[tuple[str, int]] = Counter()
    edges = [[line for line in page if _is_at_edge(line, page)] for page in pages]
    for edge in edges:
        places.update({_place(line) for line in edge})
    filled = sum(1 for page in pages if page)
    # Left and right pages may differ, so a third of the pages is enough in a long document.
    enough = 2 if filled < 6 else max(3, filled // 3)
    kept = []
    for page, edge in zip(pages, edges, strict=True):
        running = [line for line in edge if places[_place(line)] >= enough or PAGE_NUMBER.fullmatch(line.text)]
        rest = [line for line in page if line not in running]
        kept.append(rest)
    return kept


def _place(line: Line) -> tuple[str, int]:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.text.lower()), round(line.y / 6)


def _is_at_edge(line: Line, page: Sequence[Line]) -> bool:
    heights = sorted(other.y for other in page)
    outermost = line.y <= heights[min(1, len(heights) - 1)] or line.y >= heights[max(-2, -len(heights))]
    return outermost and not EDGE * line.height < line.y < (1 - EDGE) * line.height
