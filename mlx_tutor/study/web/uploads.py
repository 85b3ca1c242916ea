"""Files that are added to a course from its page: read first, then put among the sources in one step."""

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from mlx_tutor.errors import ServeError, TutorError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.extract import Result, extract_course, list_scans, read_file
from mlx_tutor.extract.sources import HIDDEN, advise, list_sources, name_source
from mlx_tutor.files import hash_file
from mlx_tutor.study.web.middleware import MAX_UPLOAD
from mlx_tutor.study.web.site import Site
from mlx_tutor.text import strip_controls
from mlx_tutor.workspace import Course

# The longest that all file systems take, with room for the suffix of a temporary file.
LONGEST_NAME = 200
# Statuses of HTTP.
ADDED, REFUSED, TAKEN, FAILED = 201, 400, 409, 507


@dataclass(slots=True)
class Shelf:
    """What was read of the files that came, until the course is read anew; one file is put in place at a time."""

    read: dict[str, Result] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def make_uploads(site: Site) -> APIRouter:
    """The routes: one puts a file among the sources, the other reads the course and renews its index."""
    router, shelf = APIRouter(prefix="/files"), Shelf()

    @router.put("/add")
    async def add(request: Request) -> Response:
        name = request.query_params.get("name", "")
        try:
            name = check_file_name(name)
            with open_folder(site.course) as folder:
                path = folder / name
                await write_body(path, request.stream())
                replaces = request.query_params.get("replace") == "yes"
                status, said = await run_in_threadpool(place_file, site, shelf, path, replaces)
        except TutorError as err:
            return PlainTextResponse(f"{err}\n", REFUSED)
        except OSError as err:
            return PlainTextResponse(f"{strip_controls(name)} is not added: {explain(err)}\n", FAILED)
        return PlainTextResponse(f"{said}\n", status)

    @router.post("/read")
    def read() -> Response:
        try:
            return PlainTextResponse(f"{read_course(site, shelf)}\n")
        except TutorError as err:
            return PlainTextResponse(f"{err}\n", FAILED)
        except OSError as err:
            return PlainTextResponse(f"The course cannot be read anew: {explain(err)}\n", FAILED)

    return router


def check_file_name(name: str) -> str:
    """The name as sources are named; raises ServeError for one that is no plain name of a file that extract reads."""
    shown, suffix = strip_controls(name)[:LONGEST_NAME], PurePosixPath(name).suffix.lower()
    if name in (".", "..") or any(letter in name for letter in "/\\") or shown != name or not name.isprintable():
        raise ServeError(f"{shown!r} is not added: it is no plain file name. Rename the file.")
    if name.startswith(HIDDEN):
        raise ServeError(f"{shown} is not added: hidden files are not read. Rename the file.")
    if len(name.encode()) > LONGEST_NAME:
        raise ServeError(f"{shown} is not added: its name is too long. Rename the file.")
    if suffix not in READERS:
        advice = next(advise([name]), "").partition("; ")[2] or f"files of these kinds are: {', '.join(READERS)}"
        raise ServeError(f"{shown} is not added: {suffix or 'a file without a suffix'} is not read; {advice}.")
    return name_source(name)


@contextmanager
def open_folder(course: Course) -> Iterator[Path]:
    """A hidden folder among the sources, so that a file is moved and not copied from it; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=".upload-", dir=course.sources))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def write_body(path: Path, chunks: AsyncIterator[bytes]) -> None:
    """Write what comes; raises ServeError when it is nothing, or more than was said to come."""
    size = 0
    with path.open("xb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > MAX_UPLOAD:
                raise ServeError(f"{path.name} is not added: at most {MAX_UPLOAD // 10**6} MB.")
            file.write(chunk)
    if not size:
        raise ServeError(f"{path.name} is not added: it is empty (0 bytes).")


def place_file(site: Site, shelf: Shelf, path: Path, replaces: bool) -> tuple[int, str]:
    """Read a file, and move it among the sources when there is text in it; returns a status and what to say.

    A source of that name is replaced only when `replaces` says so.
    """
    name, course = path.name, site.course
    if course.lacks_sources:
        raise ServeError(f"{name} is not added: this course was handed out without its files.")
    with shelf.lock:
        target = find_taken(course, name)
        if target is not None and not target.is_dir() and hash_file(target) == hash_file(path):
            return ADDED, f"{name} is in the course already, with the same content."
        if target is not None and not replaces:
            return TAKEN, f"{name} is not added: the course has a file of that name, with other content."
        result = read_file(path, name, site.recipe.extract.ocr)
        if result[1] is None:
            raise ServeError(describe_unread(course, result))
        # On disk before it takes the place of another one.
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(target or course.sources / name)
        shelf.read[name] = result
    return ADDED, f"{name} {'is replaced' if target else 'is added'}: {describe_read(result)}"


def find_taken(course: Course, name: str) -> Path | None:
    """The file that has this name among the sources, in whichever form of Unicode."""
    found = list_sources(course)
    path = found.known.get(name) or found.others.get(name) or course.sources / name
    return path if os.path.lexists(path) else None


def describe_read(result: Result) -> str:
    """`1,204 words in 9 sections on 12 pages. Pages 3-4 scanned, without text.`"""
    entry, document = result
    assert document is not None
    pages = {block.page for section in document.sections for block in section.blocks} - {None}
    parts = [f"{count_things(entry['words'], 'word')} in {count_things(entry['sections'], 'section')}"]
    parts[0] += f" on {count_things(len(pages), 'page')}" if pages else ""
    parts += [line[0].upper() + line[1:] for scan in list_scans([entry]) for line in scan.describe_lost()]
    return f"{'. '.join(parts)}."


def describe_unread(course: Course, result: Result) -> str:
    """Why a file is not added: nothing can be read of it."""
    entry, _ = result
    said = f"{entry['source']} is not added: {entry['reason']}."
    if entry["scanned"] and not entry["ocr"]:
        folder = course.sources.relative_to(course.workspace)
        said += f" Put it into {folder} for that, and run: mlx-tutor extract -c {course.name} --ocr"
    return said


def count_things(number: int, name: str) -> str:
    """`1 word`, or `1,204 words`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def read_course(site: Site, shelf: Shelf) -> str:
    """Read the course and renew its index; what came of it, a line for each remark.

    Raises:
        TutorError: nothing can be read, the disk is full, or a folder cannot be written.
    """
    course = site.course
    with shelf.lock:
        report = extract_course(course, ocr=site.recipe.extract.ocr, known=shelf.read)
        shelf.read.clear()
        if site.search:
            site.open_index().close()
    lines = [f"The course has {count_things(report.documents, 'document')} with {report.words:,} words now."]
    lines += [f"Could not be read: {failure.source}: {failure.reason}." for failure in report.failures]
    lines.append(
        "Questions in the chat find the new text from now on. The model itself was not trained on it: that takes "
        f"mlx-tutor run -c {course.name}"
    )
    return "\n".join(lines)


def explain(err: OSError) -> str:
    """What is wrong with the disk, and what to do."""
    if err.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full. Free some space and try again."
    if isinstance(err, PermissionError) or err.errno == errno.EROFS:
        return "the folder of the sources cannot be written. Allow it, and try again."
    return f"{err.strerror or type(err).__name__}."
