"""What a file is after its first bytes, where its name says something else."""

import json
import zipfile
from pathlib import Path

from mlx_tutor.errors import CorpusError

# Enough for the head of any format; PDF may have other bytes above its own.
HEAD = 2048
TEXTS = frozenset([".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd", ".txt"])
PAGES = frozenset([".html", ".htm", ".xhtml"])
ARCHIVES = frozenset([".docx", ".pptx", ".epub"])
# Formats that are no course file, and what to do with one.
FOREIGN = (
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"{\\rtf", "an RTF text; save it as .docx or PDF"),
    (b"\x1f\x8b", "compressed with gzip; unpack it"),
    (b"BZh", "compressed with bzip2; unpack it"),
    (b"\xfd7zXZ", "compressed with xz; unpack it"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (
        b"\xd0\xcf\x11\xe0",
        "a file of an old Office program, or one with a password; save it as .docx or .pptx without one",
    ),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself; run git lfs pull"),
)


def find_kind(path: Path) -> str:
    """The suffix under which a file should be read: its own, or that of what it really is.

    Raises:
        CorpusError: it is something that no reader takes.
        OSError: it cannot be opened.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(HEAD)
    for magic, what in FOREIGN:
        if head.startswith(magic):
            raise CorpusError(f"it is {what}")
    if head.startswith(b"%PDF-"):
        return ".pdf"
    if head.startswith(b"PK\x03\x04"):
        return suffix if suffix in ARCHIVES else _look_inside(path)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")) and suffix not in TEXTS | PAGES:
        raise CorpusError("it is a web page, such as the one that asks for a password; download the file again")
    if suffix in TEXTS and text.startswith(b"{") and _is_notebook(path):
        return ".ipynb"
    return suffix


def _look_inside(path: Path) -> str:
    """The kind of a ZIP archive whose name is that of another format."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        names = []
    for name, suffix in (
        ("word/document.xml", ".docx"),
        ("ppt/presentation.xml", ".pptx"),
        ("META-INF/container.xml", ".epub"),
    ):
        if name in names:
            return suffix
    raise CorpusError("it is a ZIP archive; unpack it")


def _is_notebook(path: Path) -> bool:
    """Whether a file of text is a notebook: JSON with cells."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "nbformat" in found and bool({"cells", "worksheets"} & found.keys())
