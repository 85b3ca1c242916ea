"""Pages of a PDF as pictures, with the boxes in which a passage stands."""

import json
import subprocess
import sys
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path

# Pages that are kept; each has some hundred kilobytes.
KEPT = 24
MOST_SECONDS = 20.0
# Of a passage that goes on at the next page, or around a figure, pieces of so many letters are marked.
LEAST_LETTERS = 20

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page as a picture: the pages of its file, its size in pixels, and its characters with their boxes there.

    A box is left, top, right and bottom.
    """

    pages: int
    width: int
    height: int
    characters: str
    boxes: tuple[Box, ...]
    kind: str
    picture: bytes


class Drawer:
    """Draws pages, one at a time, and keeps the newest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int], Sheet | None] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, path: Path, page: int) -> Sheet | None:
        """The page of a file, from 1; None where it cannot be drawn."""
        if find_spec("pypdfium2") is None:
            return None
        try:
            key = (path, path.stat().st_mtime_ns, page)
        except OSError:
            return None
        with self._lock:
            if key not in self._kept:
                self._kept[key] = draw_page(path, page)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def draw_page(path: Path, page: int) -> Sheet | None:
    """Draw a page in a process of its own; None where the file is broken, has no such page, or takes too long."""
    command = [sys.executable, "-P", "-m", "mlx_tutor.study.reader.page_program", str(path), str(page)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=MOST_SECONDS, check=True)
    # An exam denies new programs.
    except (subprocess.SubprocessError, OSError):
        return None
    head, _, picture = done.stdout.partition(b"\n")
    found = json.loads(head)
    if not picture:
        return None
    kind = "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"
    boxes = tuple(tuple(box) for box in found["boxes"])
    return Sheet(found["pages"], found["width"], found["height"], found["characters"], boxes, kind, picture)


def find_boxes(sheet: Sheet, passages: Iterable[str]) -> list[Box]:
    """Where passages stand on a page, a box for each line; of one that is not there in one piece, its long pieces.

    Letters and digits are compared: blanks, hyphens and ligatures are not as they were read.
    """
    letters = [(letter, i) for i, c in enumerate(sheet.characters) for letter in _list_letters(c)]
    text = "".join(letter for letter, _ in letters)
    found: list[Box] = []
    for passage in passages:
        for start, length in _find_pieces(text, "".join(_list_letters(passage))):
            found += _join_lines(sheet.boxes[i] for _, i in letters[start : start + length])
    return found


def _list_letters(text: str) -> Iterator[str]:
    return (c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def _find_pieces(text: str, wanted: str) -> list[tuple[int, int]]:
    """Where `wanted` stands, or its pieces if together they are half of it: where each begins, and its length."""
    start = text.find(wanted)
    if not wanted or start >= 0:
        return [(start, len(wanted))] if wanted else []
    matches = SequenceMatcher(None, text, wanted, autojunk=False).get_matching_blocks()
    pieces = [(match.a, match.size) for match in matches if match.size >= LEAST_LETTERS]
    return pieces if 2 * sum(size for _, size in pieces) >= len(wanted) else []


def _join_lines(boxes: Iterable[Box]) -> list[Box]:
    """Boxes of neighbouring characters as one, as long as they stand in a line."""
    lines: list[Box] = []
    for box in boxes:
        if lines:
            left, top, right, bottom = lines[-1]
            height = max(bottom - top, box[3] - box[1])
            is_beside = -height < box[0] - right < 3 * height
            if is_beside and min(bottom, box[3]) - max(top, box[1]) > -0.2 * height and box[0] >= left - height:
                lines[-1] = (min(left, box[0]), min(top, box[1]), max(right, box[2]), max(bottom, box[3]))
                continue
        lines.append(box)
    return lines
