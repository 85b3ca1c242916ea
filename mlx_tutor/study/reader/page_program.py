"""Draws one page of a PDF, as a program of its own: a file that breaks the renderer breaks nothing else.

Standard output is a line of JSON (pages of the file, width and height in pixels, the characters of the page and their
boxes), and behind it the picture.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

from mlx_tutor.extract.worker import limit_memory

# Pixels of the longer side; more for each point of the page than a screen shows.
LONGEST_SIDE, MOST_SCALE = 1800, 3.0
MOST_MEMORY = 1_500_000_000
# A PNG beyond it is mostly photographs, which JPEG stores in a tenth.
LARGEST_PNG = 1_500_000


def main(path: Path, number: int) -> None:
    """Draw the page `number`, from 1; of one that is not there, only the count of pages is told."""
    import pypdfium2

    limit_memory(MOST_MEMORY)
    with pypdfium2.PdfDocument(path) as document:
        head: dict[str, Any] = {"pages": len(document)}
        picture = b""
        if 1 <= number <= len(document):
            page = document[number - 1]
            scale = min(LONGEST_SIDE / max(*page.get_size(), 1.0), MOST_SCALE)
            bitmap = page.render(scale=scale)
            head |= {"width": bitmap.width, "height": bitmap.height} | read_characters(page, bitmap)
            picture = write_picture(bitmap.to_pil())
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + picture)


def read_characters(page: Any, bitmap: Any) -> dict[str, Any]:
    """The characters of a page, and for each left, top, right and bottom in pixels of its picture."""
    import pypdfium2.raw as pdfium

    text, place = page.get_textpage(), bitmap.get_posconv(page)
    characters, boxes = [], []
    for index in range(text.count_chars()):
        code = pdfium.FPDFText_GetUnicode(text, index)
        left, bottom, right, top = text.get_charbox(index)
        corners = [place.to_bitmap(left, top), place.to_bitmap(right, bottom)]
        (x, x2), (y, y2) = (sorted(corner[axis] for corner in corners) for axis in (0, 1))
        characters.append(chr(code) if code and not 0xD800 <= code <= 0xDFFF and code < 0x110000 else " ")
        boxes.append([x, y, x2, y2])
    return {"characters": "".join(characters), "boxes": boxes}


def write_picture(image: Any) -> bytes:
    """The picture as PNG, or as JPEG where that is far smaller."""
    image = image.convert("RGB")
    png, jpeg = io.BytesIO(), io.BytesIO()
    image.save(png, "PNG", compress_level=6)
    if png.tell() <= LARGEST_PNG:
        return png.getvalue()
    image.save(jpeg, "JPEG", quality=88)
    return jpeg.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
