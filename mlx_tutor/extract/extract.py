"""All sources of a course to documents.jsonl; what did not change is not read again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.ocr import check_ocr
from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.extract.worker import read_in_workers
from mlx_tutor.files import hash_file, read_json, read_jsonl, write_json, write_jsonl
from mlx_tutor.records import Document
from mlx_tutor.workspace import Course

# Raise it when a reader changes what it returns: then every source is read again.
EXTRACTOR = 6
# Kinds of pages that give no text.
LOST = ("scanned", "unreadable", "broken")
# Text of fewer bytes is read faster than a process starts.
SMALL = 300_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that could not be read, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """Pages of a source without text of their own: those that tesseract read, and those left out of the course.

    `unread` are pictures, `unreadable` are set in glyphs without characters, `broken` fail in the reader.
    """

    source: str
    read: tuple[int, ...]
    unread: tuple[int, ...]
    unreadable: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction came to. `read` counts files that were opened, `reused` those that had not changed."""

    documents: int
    words: int
    read: int
    reused: int
    failures: tuple[Failure, ...]
    skipped: tuple[str, ...]
    is_current: bool
    scans: tuple[Scan, ...]


def list_sources(course: Course) -> tuple[list[Path], list[Path]]:
    """Files with a known suffix, and the others; hidden files and folders are passed over."""
    files = [
        path
        for path in sorted(course.sources.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(course.sources).parts)
    ]
    known = [path for path in files if path.suffix.lower() in READERS]
    return known, [path for path in files if path not in set(known)]


def extract_course(
    course: Course,
    on_file: Callable[[str, int, int], None] | None = None,
    ocr: str = "",
    *,
    may_be_empty: bool = False,
) -> ExtractReport:
    """Read the sources of a course; writes `dataset/documents.jsonl` and, last, `dataset/documents.json`.

    Ctrl-C keeps the files that were read.

    Args:
        course: The course.
        on_file: Called with the source, how many are done, and how many there are.
        ocr: Languages of tesseract ("eng+deu") for scanned pages; empty: those are left out.
        may_be_empty: The course has its rows from elsewhere, and needs no source.

    Raises:
        CorpusError: no source, none that could be read, or `ocr` without tesseract.
    """
    known, others = list_sources(course)
    suffixes = ", ".join(READERS)
    if not known and not may_be_empty:
        raise CorpusError(f"No course file in {course.sources}. Put {suffixes} files there and run again.")
    if ocr:
        check_ocr(ocr)
    earlier = _read_manifest(course)
    documents = {document.source: document for document in read_documents(course)} if earlier else {}
    paths = {path.relative_to(course.sources).as_posix(): path for path in known}
    read: dict[str, tuple[dict[str, Any], Document | None]] = {}
    changed: dict[str, Path] = {}
    for source, path in paths.items():
        old = earlier.get(source)
        if old is not None and _is_unchanged(path, old) and not (ocr and _find_lost(old) and old["ocr"] != ocr):
            read[source] = {**old, **_stat(path)}, documents.get(source)
        else:
            changed[source] = path
    try:
        for done, (source, result) in enumerate(_read_changed(changed, ocr), len(read) + 1):
            read[source] = result
            if on_file is not None:
                on_file(source, done, len(known))
    except KeyboardInterrupt:
        _write_documents(course, [read[source] for source in paths if source in read])
        raise
    entries = [read[source][0] for source in paths]
    kept = [document for document in (read[source][1] for source in paths) if document is not None]
    reused = len(known) - len(changed)
    failures = tuple(Failure(entry["source"], entry["reason"]) for entry in entries if entry["reason"])
    if known and not kept:
        reasons = "; ".join(f"{failure.source}: {failure.reason}" for failure in failures)
        raise CorpusError(f"No file in {course.sources} could be read: {reasons}.")
    _write_documents(course, [read[source] for source in paths])
    return ExtractReport(
        documents=len(kept),
        words=sum(entry["words"] for entry in entries),
        read=len(changed),
        reused=reused,
        failures=failures,
        skipped=tuple(path.relative_to(course.sources).as_posix() for path in others),
        is_current=reused == len(known) and len(earlier) == len(known),
        scans=tuple(
            Scan(entry["source"], tuple(entry["recognized"]), *(tuple(entry[state]) for state in LOST))
            for entry in entries
            if not entry["reason"] and (entry["recognized"] or _find_lost(entry))
        ),
    )


def _write_documents(course: Course, results: Sequence[tuple[dict[str, Any], Document | None]]) -> None:
    rows = course.dataset / "documents.jsonl"
    write_jsonl(rows, (document.to_row() for _, document in results if document is not None))
    manifest = {"extractor": EXTRACTOR, "documents": hash_file(rows), "sources": [entry for entry, _ in results]}
    write_json(course.dataset / "documents.json", manifest)


def _read_changed(paths: dict[str, Path], ocr: str) -> Iterator[tuple[str, tuple[dict[str, Any], Document | None]]]:
    """Read files, those that may take long or explode in processes of their own."""
    small = [source for source, path in paths.items() if path.suffix.lower() != ".pdf" and _stat(path)["size"] < SMALL]
    large = sorted(set(paths) - set(small), key=lambda source: (-_stat(paths[source])["size"], source))
    with closing(read_in_workers([(paths[source], source) for source in large], ocr=ocr)) as results:
        # The first says that the processes have begun.
        next(results)
        for source in small:
            yield source, read_source(paths[source], source)
        for source, result in results:
            failed = isinstance(result, str)
            yield source, ({**_begin_entry(paths[source], source, ocr), "reason": result}, None) if failed else result


def _begin_entry(path: Path, source: str, ocr: str) -> dict[str, Any]:
    """The line of a file in the manifest before it is read; `recognized` and LOST are its pages without text."""
    counts: dict[str, Any] = {"words": 0, "sections": 0, "reason": None, "ocr": ocr}
    pages: dict[str, list[int]] = {state: [] for state in ("recognized", *LOST)}
    return {"source": source, "sha256": hash_file(path), **_stat(path), **counts, **pages}


def _find_lost(entry: dict[str, Any]) -> list[int]:
    """The pages of a source that are not in the course."""
    return [page for state in LOST for page in entry[state]]


def read_source(path: Path, source: str, ocr: str = "") -> tuple[dict[str, Any], Document | None]:
    """Read one file: its line in the manifest, and the document unless it could not be read."""
    entry = _begin_entry(path, source, ocr)
    read = READERS[path.suffix.lower()]
    if read is read_pdf:

        def note_page(page: int, state: str) -> None:
            entry[state].append(page)

        read = partial(read_pdf, ocr=ocr, on_page=note_page)
    try:
        title, sections = read(path)
    except CorpusError as err:
        return {**entry, "reason": str(err)}, None
    if not sections:
        return {**entry, "reason": "empty: no text in it"}, None
    words = sum(len(section.text.split()) for section in sections)
    return {**entry, "words": words, "sections": len(sections)}, Document(source, entry["sha256"], title, sections)


def _stat(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _is_unchanged(path: Path, entry: dict[str, Any]) -> bool:
    now = _stat(path)
    if now == {"size": entry["size"], "mtime_ns": entry["mtime_ns"]}:
        return True
    return bool(now["size"] == entry["size"] and hash_file(path) == entry["sha256"])


def _read_manifest(course: Course) -> dict[str, dict[str, Any]]:
    """The manifest's lines by source; empty when there is none or it does not fit documents.jsonl."""
    path, rows = course.dataset / "documents.json", course.dataset / "documents.jsonl"
    if not path.is_file() or not rows.is_file():
        return {}
    manifest = read_json(path)
    if manifest.get("extractor") != EXTRACTOR or manifest.get("documents") != hash_file(rows):
        return {}
    return {entry["source"]: entry for entry in manifest["sources"]}


def find_changes(course: Course) -> tuple[str, ...]:
    """Sources that changed, came or went since the last extraction; all of them before the first."""
    entries = _read_manifest(course)
    known = {path.relative_to(course.sources).as_posix(): path for path in list_sources(course)[0]}
    changed = [
        source for source, path in known.items() if source not in entries or not _is_unchanged(path, entries[source])
    ]
    return tuple(sorted({*changed, *(set(entries) - set(known))}))


def is_extract_current(course: Course) -> bool:
    """Whether documents.jsonl holds all that the sources say now."""
    return (course.dataset / "documents.json").is_file() and not find_changes(course)


def read_failures(course: Course) -> tuple[Failure, ...]:
    """The sources that the last extraction could not read."""
    return tuple(Failure(e["source"], e["reason"]) for e in _read_manifest(course).values() if e["reason"])


def read_documents(course: Course) -> list[Document]:
    """The documents of the last extraction; raises CorpusError before the first."""
    path = course.dataset / "documents.jsonl"
    if not path.is_file():
        raise CorpusError(f"Course {course.name!r} is not extracted yet. Run: mlx-tutor extract -c {course.name}")
    return [Document.from_row(row) for row in read_jsonl(path)]
