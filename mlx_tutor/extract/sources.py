"""The files of a course: which can be read, what they are called, and which are refused."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlx_tutor.extract import READERS
from mlx_tutor.workspace import Course

OUTSIDE = "a link that leads out of the course's sources; put the file itself there"

# What to do with files that no reader takes; assets of pages and everything else are skipped silently.
ADVICE = (
    ("doc rtf odt pages wpd", "save it as .docx or PDF"),
    ("ppt odp key", "save it as .pptx or PDF"),
    ("ps djvu dvi", "make a PDF of it"),
    ("rst adoc org textile wiki tid", "turn it into Markdown (pandoc does)"),
    ("mobi azw azw3 fb2", "turn it into EPUB or PDF"),
    ("csv tsv xlsx xls ods parquet jsonl", "a table is imported by the recipe, under [[dataset.import]]"),
    ("png jpg jpeg gif tif tiff bmp webp heic", "a picture; write what it says, or make a PDF of it for --ocr"),
    ("mp4 mov avi mkv webm mp3 m4a wav ogg", "put its transcript there as .txt"),
    ("zip tar gz tgz 7z rar", "unpack it"),
    ("py r jl java c cpp cs js m sql hs rs go", "code is read from notebooks and Markdown"),
)
NAMED = 3
# Hidden files, and what Office leaves beside a file that is open.
HIDDEN = (".", "~$")


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that could not be read, and why; `trace` is the traceback of an unexpected error."""

    source: str
    reason: str
    trace: str = ""


@dataclass(slots=True)
class Sources:
    """Files by their name below `sources/`: those of a known kind, the others, and those refused unread."""

    known: dict[str, Path] = field(default_factory=dict)
    others: dict[str, Path] = field(default_factory=dict)
    refused: list[Failure] = field(default_factory=list)


def name_source(path: str) -> str:
    """A path below `sources/` as written in rows and recipes: composed characters, U+FFFD for bytes that are not UTF-8.

    macOS may give the same name in two forms (NFC and NFD), and on Linux a name may be any bytes.
    """
    return unicodedata.normalize("NFC", os.fsencode(path).decode("utf-8", "replace"))


def list_sources(course: Course) -> Sources:
    """All files below `sources/`, by name; hidden files and folders are skipped.

    Links to files and folders inside `sources/` are followed; a link that leads out of it is refused.
    """
    found = Sources()
    root = course.sources
    for path in sorted(_walk(root, found), key=lambda path: path.parts):
        name = name_source(path.relative_to(root).as_posix())
        kind = found.known if path.suffix.lower() in READERS else found.others
        if name in found.known or name in found.others:
            found.refused.append(Failure(name, "two files have this name, in two encodings; rename one"))
        else:
            kind[name] = path
    return found


def advise(others: Iterable[str]) -> Iterator[str]:
    """What to do with files of other kinds, one line for each kind that may hold part of the course."""
    names = list(others)
    for suffixes, advice in ADVICE:
        known = suffixes.split()
        found = [name for name in names if name.rpartition(".")[2].lower() in known]
        if found:
            more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
            yield f"{', '.join(found[:NAMED])}{more}: not read; {advice}"


def _walk(root: Path, found: Sources) -> Iterator[Path]:
    """Files below `root`; folders that cannot be opened and links that lead out are added to `found.refused`."""

    def refuse(path: str | Path, reason: str) -> None:
        found.refused.append(Failure(name_source(Path(path).relative_to(root).as_posix()), reason))

    def refuse_folder(err: OSError) -> None:
        if Path(err.filename) != root:
            refuse(err.filename, describe_os_error(err))

    inside = root.resolve()
    entered: set[Path] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*folders, *(name for name in files if not name.startswith(HIDDEN))]:
            path = Path(folder, name)
            is_folder = name in folders
            if path.is_symlink():
                target = Path(os.path.realpath(path))
                if not target.is_relative_to(inside):
                    refuse(path, OUTSIDE)
                elif not target.exists():
                    refuse(path, "a link to a file that is not there")
                elif not is_folder or (target not in entered and not Path(folder).resolve().is_relative_to(target)):
                    # A folder is entered only once through links, so that circular links come to an end.
                    entered.add(target)
                    if not is_folder:
                        yield path
                    continue
                if is_folder:
                    folders.remove(name)
            elif not is_folder and path.is_file():
                yield path


def describe_os_error(err: OSError) -> str:
    """Why the system cannot open a file, without its path."""
    return "no permission to read it" if isinstance(err, PermissionError) else (err.strerror or type(err).__name__)
