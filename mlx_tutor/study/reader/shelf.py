"""The documents of a course for a reader: what was read of each, and how it stands with its file."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.extract import read_documents, read_failures
from mlx_tutor.extract.sections import PictureLink
from mlx_tutor.extract.sources import list_sources
from mlx_tutor.files import hash_file
from mlx_tutor.records import Document
from mlx_tutor.study.reader.figures import Figure, open_figure, read_links
from mlx_tutor.study.reader.pictures import Picture, read_pictures
from mlx_tutor.text import strip_controls
from mlx_tutor.workspace import Course


@dataclass(frozen=True, slots=True)
class Opened:
    """A source to be shown: its document, its file, and whether the file still is what was read.

    Without a document, `problem` says why there is none; without a file, it is gone.
    """

    name: str
    document: Document | None
    path: Path | None
    is_current: bool
    problem: str = ""


def find_source(course: Course, name: str) -> Path | None:
    """The file of a source, when `name` is one of the course's and lies in its folder."""
    folder = course.sources.resolve()
    path = list_sources(course).known.get(name)
    return path if path is not None and path.resolve().is_relative_to(folder) else None


def open_source(course: Course, name: str) -> Opened:
    """A source by its name; one that is none of the course's, or was not read, has a problem."""
    try:
        document = _read_shelf(course, _stamp(course)).get(name)
    except CorpusError as err:
        return Opened(name, None, None, False, str(err))
    path = find_source(course, name)
    if document is not None:
        return Opened(name, document, path, path is not None and _is_unchanged(path, document))
    return Opened(name, None, path, False, _explain_missing(course, name, path))


def _is_unchanged(path: Path, document: Document) -> bool:
    """Whether a file has the bytes that were read, by whichever version of the reader."""
    try:
        stat = path.stat()
        return _hash(path, stat.st_mtime_ns, stat.st_size) == document.sha256
    except OSError:
        return False


@lru_cache(maxsize=64)
def _hash(path: Path, changed: int, size: int) -> str:
    return hash_file(path)


def _explain_missing(course: Course, name: str, path: Path | None) -> str:
    shown = strip_controls(name)[:200]
    reason = next((failure.reason for failure in read_failures(course) if failure.source == name), None)
    if reason is not None:
        return f"{shown} was not read: {reason}."
    if path is not None:
        return f"{shown} came after the course was read. Run: mlx-tutor extract -c {course.name}"
    if name in list_sources(course).others:
        return f"{shown} is of a kind that is not read."
    return f"This course has no source {shown!r}."


def _stamp(course: Course) -> tuple[int, int]:
    path = course.dataset / "documents.jsonl"
    if not path.is_file():
        return (0, 0)
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=1)
def _read_shelf(course: Course, stamp: tuple[int, int]) -> dict[str, Document]:
    return {document.source: document for document in read_documents(course)}


def list_pictures(path: Path) -> list[Picture]:
    """The pictures of a notebook, read again when it changes; none of a file of another kind."""
    return _read_pictures(path, path.stat().st_mtime_ns) if path.suffix.lower() == ".ipynb" else []


def list_figures(course: Course, name: str, path: Path) -> list[Figure]:
    """The pictures that a file links to."""
    links = _read_links(path, path.stat().st_mtime_ns)
    files = list_sources(course).others if links else {}
    return [open_figure(link, name, files) for link in links]


@lru_cache(maxsize=8)
def _read_links(path: Path, stamp: int) -> list[PictureLink]:
    return read_links(path)


@lru_cache(maxsize=2)
def _read_pictures(path: Path, stamp: int) -> list[Picture]:
    return read_pictures(path)
