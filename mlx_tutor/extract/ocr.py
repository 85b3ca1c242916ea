"""Reading scanned pages: rendered by pypdfium2 (pypdf cannot render), read by tesseract through pytesseract."""

import os
import statistics
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.content import Run

# The resolution that tesseract is trained on.
DOTS_PER_INCH = 300
# Words that tesseract is less sure of (of 100) are mostly specks and pieces of pictures.
LEAST_CONFIDENCE = 30
# Time limit for one page, in seconds.
MOST_SECONDS = 120
INSTALL = (
    "Reading scanned pages needs the program tesseract (macOS: brew install tesseract; Debian: apt install "
    "tesseract-ocr) and two packages (pip install 'mlx-tutor[ocr]')"
)


def check_ocr(languages: str) -> None:
    """Raise CorpusError, which says what to install, unless tesseract is here and knows the languages ("eng+deu")."""
    try:
        import pypdfium2  # noqa: F401
        import pytesseract
    except ImportError as err:
        raise CorpusError(f"{INSTALL}; the package {err.name} is missing.") from err
    try:
        known = pytesseract.get_languages()
    except pytesseract.TesseractNotFoundError as err:
        raise CorpusError(f"{INSTALL}; the program is missing.") from err
    if unknown := [language for language in languages.split("+") if language not in known]:
        raise CorpusError(
            f"tesseract does not know {', '.join(unknown)}; it knows {', '.join(sorted(known))}. "
            "Install the language (Debian: tesseract-ocr-deu, macOS: tesseract-lang) or change extract.ocr."
        )


def has_picture(page: Any) -> bool:
    """Whether a page of pypdf holds a picture, so that a page without text is not just blank."""
    objects = (page.get("/Resources") or {}).get("/XObject") or {}
    named = [objects[name].get_object().get("/Subtype") for name in objects]
    # A form may hold the picture; inline pictures are in the page's own stream.
    return any(kind in ("/Image", "/Form") for kind in named) or b"\nBI" in _read_stream(page)


def _read_stream(page: Any) -> bytes:
    contents = page.get_contents()
    return b"" if contents is None else b"\n" + contents.get_data()


def recognize_page(path: Path, page: int, languages: str) -> tuple[list[Run], float, float]:
    """The words of a page (from 1), and its width and height in points; no words if nothing can be read."""
    import pypdfium2
    import pytesseract

    # The workers already use all cores.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    with pypdfium2.PdfDocument(path) as document:
        sheet = document[page - 1]
        width, height = sheet.get_size()
        image = sheet.render(scale=DOTS_PER_INCH / 72, grayscale=True).to_pil()
    try:
        data = pytesseract.image_to_data(
            image, lang=languages, timeout=MOST_SECONDS, output_type=pytesseract.Output.DICT
        )
    except (pytesseract.TesseractError, RuntimeError):
        # A page that it gives up on, or that takes too long, is a page without text.
        return [], width, height
    return make_runs(data, height), width, height


def make_runs(data: dict[str, list[Any]], height: float) -> list[Run]:
    """Tesseract's words, in its reading order, as runs of a page `height` points high."""
    scale = 72 / DOTS_PER_INCH
    lines: dict[tuple[int, ...], list[int]] = {}
    for index, word in enumerate(data["text"]):
        if word.strip() and float(data["conf"][index]) >= LEAST_CONFIDENCE:
            key = tuple(data[name][index] for name in ("block_num", "par_num", "line_num"))
            lines.setdefault(key, []).append(index)
    sizes = {
        key: scale * max(data["top"][i] + data["height"][i] for i in words) - scale * min(data["top"][i] for i in words)
        for key, words in lines.items()
    }
    body = statistics.median(sizes.values()) if sizes else 0.0
    runs = []
    for key, words in lines.items():
        # A line without tall letters is not smaller type.
        size = body if 0.7 * body < sizes[key] < 1.3 * body else sizes[key]
        bottom = height - scale * statistics.median(data["top"][i] + data["height"][i] for i in words)
        for i in words:
            x, end = scale * data["left"][i], scale * (data["left"][i] + data["width"][i])
            runs.append(Run(data["text"][i], x, end, bottom, size, bold=False, mono=False, turn=0, space=0.3 * size))
    return runs
