"""The pictures of a notebook, by cell: PNG and JPEG that its cells drew or that are attached to its text."""

import base64
import binascii
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Of a picture, in bytes and in pixels: larger ones stop a browser.
MOST_BYTES, MOST_PIXELS = 20_000_000, 50_000_000
KINDS = ("image/png", "image/jpeg")
# As notebooks of the format 3 name them.
OLD_KINDS = {"image/png": "png", "image/jpeg": "jpeg"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it stands in the file; `kind` is its media type, `width` and `height` are in pixels."""

    cell: int
    kind: str
    data: bytes
    width: int
    height: int


def read_pictures(path: Path) -> list[Picture]:
    """The pictures of a notebook in order; none where it cannot be read, and none that is not what it says it is."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [
        picture
        for number, cell in enumerate(_list_cells(notebook), 1)
        for kind, text in _list_data(cell)
        if (picture := decode_picture(number, kind, text)) is not None
    ]


def _list_cells(notebook: Any) -> Iterator[dict[str, Any]]:
    if isinstance(notebook, dict):
        for sheet in [notebook, *_objects(notebook.get("worksheets"))]:
            yield from _objects(sheet.get("cells"))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _list_data(cell: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    attached = cell.get("attachments")
    bundles = [*attached.values()] if isinstance(attached, dict) else []
    bundles += [output.get("data", output) for output in _objects(cell.get("outputs"))]
    for bundle in bundles:
        if isinstance(bundle, dict):
            # The same picture may stand there in both kinds.
            found = [(kind, bundle.get(kind) or bundle.get(OLD_KINDS[kind])) for kind in KINDS]
            yield from [(kind, data) for kind, data in found if data][:1]


def decode_picture(cell: int, kind: str, text: Any) -> Picture | None:
    """A picture out of base64; None where it is none of that kind, or too large."""
    from PIL import Image

    if isinstance(text, list):
        text = "".join(map(str, text))
    if not isinstance(text, str) or len(text) > MOST_BYTES * 4 // 3:
        return None
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
        # Reads the head alone.
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
            found, (width, height) = Image.MIME[image.format or ""], image.size
    except (binascii.Error, OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError):
        return None
    if found != kind or width * height > MOST_PIXELS:
        return None
    return Picture(cell, kind, data, width, height)
