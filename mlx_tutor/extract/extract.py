"""Reading all sources of a course into documents.jsonl; unchanged files are not read again."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.kinds import find_kind
from mlx_tutor.extract.ocr import check_ocr
from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.extract.sources import Failure, Sources, describe_os_error, list_sources
from mlx_tutor.extract.worker import read_in_workers
from mlx_tutor.files import hash_file, mend_surrogates, read_json, read_jsonl, write_json, write_jsonl
from mlx_tutor.languages.detect import detect_language
from mlx_tutor.records import Document
from mlx_tutor.text import count_words
from mlx_tutor.workspace import Course, count_languages, find_language

# Raise it when a reader changes what it returns: then every source is read again.
EXTRACTOR = 30
# Kinds of pages without text.
LOST = ("scanned", "unreadable", "broken")
# A source's line in the manifest, and its document unless it could not be read.
Result = tuple[dict[str, Any], Document | None]


@dataclass(frozen=True, slots=True)
class Scan:
    """Pages of a source that hold no text: those that tesseract read, and those left out of the course.

    `unread` are pictures, `unreadable` have glyphs without characters, `broken` make the reader fail.
    """

    source: str
    read: tuple[int, ...]
    unread: tuple[int, ...]
    unreadable: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()

    def describe_lost(self) -> Iterator[str]:
        """What is the matter with the pages that are left out, one line for each kind."""
        for pages, what in (
            (self.unread, "scanned, without text"),
            (self.unreadable, "set in fonts that do not say which characters they draw; left out"),
            (self.broken, "broken; left out"),
        ):
            if pages:
                yield f"{describe_pages(pages)} {what}"


def describe_pages(numbers: Sequence[int]) -> str:
    """`page 3`, or `pages 1-2, 5`."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    parts = [str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)]
    return f"page{'s' if len(numbers) > 1 else ''} {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """The result of an extraction.

    `read` counts files that were opened, `reused` those that had not changed. `languages` are words by language, most
    first; "" stands for files whose language is unknown.
    """

    documents: int
    words: int
    read: int
    reused: int
    failures: tuple[Failure, ...]
    skipped: tuple[str, ...]
    is_current: bool
    scans: tuple[Scan, ...]
    languages: dict[str, int]


def extract_course(
    course: Course,
    on_file: Callable[[str, int, int], None] | None = None,
    ocr: str = "",
    *,
    may_be_empty: bool = False,
    known: Mapping[str, Result] = MappingProxyType({}),
) -> ExtractReport:
    """Read the sources of a course; writes `dataset/documents.jsonl` and, last, `dataset/documents.json`.

    Ctrl-C keeps the files that were read.

    Args:
        on_file: Called with the source, how many are done, and how many there are.
        ocr: Languages of tesseract ("eng+deu") for scanned pages; empty: those are left out.
        may_be_empty: The course has its rows from elsewhere, and needs no source.
        known: What `read_file` made of sources a moment ago; those that are still the same are not read again.

    Raises:
        CorpusError: no source, none that could be read, or `ocr` without tesseract.
    """
    found = list_sources(course)
    paths = found.known
    _check_sources(course, found, may_be_empty)
    if ocr:
        check_ocr(ocr)
    earlier = _read_manifest(course)
    read, changed = _reuse_sources(course, paths, earlier, ocr, known)
    reused = len(read)
    try:
        for source, result in _read_changed(changed, ocr):
            read[source] = _tell_language(*result)
            if on_file is not None:
                on_file(source, len(read), len(paths))
    except KeyboardInterrupt:
        _write_documents(course, [read[source] for source in paths if source in read])
        raise
    results = [read[source] for source in paths]
    entries = [entry for entry, _ in results]
    documents = sum(document is not None for _, document in results)
    failures = (*_list_failures(entries), *found.refused)
    if paths and not documents:
        reasons = "; ".join(f"{failure.source}: {failure.reason}" for failure in failures)
        raise CorpusError(f"No file in {course.sources} could be read: {reasons}.")
    _write_documents(course, results)
    return ExtractReport(
        documents=documents,
        words=sum(entry["words"] for entry in entries),
        read=len(changed),
        reused=reused,
        failures=failures,
        skipped=tuple(found.others),
        is_current=reused == len(paths) == len(earlier) and not known,
        scans=list_scans(entries),
        languages=count_languages(entries),
    )


def _check_sources(course: Course, found: Sources, may_be_empty: bool) -> None:
    if course.lacks_sources:
        raise CorpusError(
            f"Course {course.name!r} was opened without its files, and reading others would replace what it has. Put "
            "yours into a course of their own: mlx-tutor init NAME"
        )
    if not found.known and not may_be_empty:
        reasons = "".join(f" {failure.source}: {failure.reason}." for failure in found.refused)
        suffixes = ", ".join(READERS)
        raise CorpusError(f"No course file in {course.sources}.{reasons} Put {suffixes} files there and run again.")


def _reuse_sources(
    course: Course, paths: dict[str, Path], earlier: dict[str, dict[str, Any]], ocr: str, known: Mapping[str, Result]
) -> tuple[dict[str, Result], dict[str, Path]]:
    """What the last extraction made of sources that are still the same, and the paths of the others."""
    documents = {document.source: document for document in _read_rows(course)} if earlier else {}
    same: dict[str, Result] = {}
    for source, path in paths.items():
        for old, document in (known.get(source, (None, None)), (earlier.get(source), documents.get(source))):
            if old is not None and _is_unchanged(path, old) and not (ocr and _find_lost(old) and old["ocr"] != ocr):
                same[source] = {**old, **_stat(path)}, document
                break
    return same, {source: path for source, path in paths.items() if source not in same}


def list_scans(entries: Iterable[dict[str, Any]]) -> tuple[Scan, ...]:
    """The pages without text, by the manifest's lines of the files."""
    return tuple(
        Scan(entry["source"], tuple(entry["recognized"]), *(tuple(entry[state]) for state in LOST))
        for entry in entries
        if not entry["reason"] and (entry["recognized"] or _find_lost(entry))
    )


def _write_documents(course: Course, results: Sequence[Result]) -> None:
    rows = course.dataset / "documents.jsonl"
    write_jsonl(rows, (document.to_row() for _, document in results if document is not None))
    manifest = {"extractor": EXTRACTOR, "documents": hash_file(rows), "sources": [entry for entry, _ in results]}
    write_json(course.dataset / "documents.json", manifest)


def _list_failures(entries: Iterable[dict[str, Any]]) -> tuple[Failure, ...]:
    return tuple(Failure(entry["source"], entry["reason"], entry["trace"]) for entry in entries if entry["reason"])


def _read_changed(paths: dict[str, Path], ocr: str) -> Iterator[tuple[str, Result]]:
    """Read files in worker processes, the largest first."""
    jobs = sorted(paths, key=lambda source: (-_stat(paths[source])["size"], source))
    with closing(read_in_workers([(paths[source], source) for source in jobs], ocr=ocr)) as results:
        for source, result in results:
            failed = isinstance(result, str)
            yield source, ({**_begin_entry(paths[source], source, ocr), "reason": result}, None) if failed else result


def read_file(path: Path, source: str, ocr: str = "") -> Result:
    """Read one file in a process of its own, as `extract_course` does, with its language."""
    ((_, result),) = _read_changed({source: path}, ocr)
    return _tell_language(*result)


def _begin_entry(path: Path, source: str, ocr: str) -> dict[str, Any]:
    """The line of a file in the manifest before it is read; `recognized` and LOST are its pages without text."""
    counts: dict[str, Any] = {"words": 0, "sections": 0, "language": "", "reason": None, "trace": "", "ocr": ocr}
    pages: dict[str, list[int]] = {state: [] for state in ("recognized", *LOST)}
    return {"source": source, "sha256": _hash_source(path), **_stat(path), **counts, **pages}


def _find_lost(entry: dict[str, Any]) -> list[int]:
    """The pages of a source that are not in the course."""
    return [page for state in LOST for page in entry[state]]


def read_source(path: Path, source: str, ocr: str = "") -> Result:
    """Read one file: its line in the manifest, and the document unless it could not be read."""
    entry = _begin_entry(path, source, ocr)
    # A suffix that no reader has is a bug of the caller, and no fault of the file.
    read = READERS[path.suffix.lower()]

    def note_page(page: int, state: str) -> None:
        entry[state].append(page)

    try:
        read = READERS[find_kind(path)]
        title, sections = read_pdf(path, ocr=ocr, on_page=note_page) if read is read_pdf else read(path)
    except MemoryError:
        # The worker must end.
        raise
    except CorpusError as err:
        return {**entry, "reason": str(err)}, None
    except OSError as err:
        return {**entry, "reason": describe_os_error(err)}, None
    except Exception as err:  # noqa: BLE001 - a bug in a reader costs one file, not the course; -v shows it
        reason = f"the reader failed ({type(err).__name__}); extract -v shows where"
        return {**entry, "reason": reason, "trace": mend_surrogates(traceback.format_exc())}, None
    if not sections:
        return {**entry, "reason": "empty: no text in it"}, None
    words = sum(count_words(section.text) for section in sections)
    document = Document(source, entry["sha256"], mend_surrogates(title), sections)
    return {**entry, "words": words, "sections": len(sections)}, document


def _tell_language(entry: dict[str, Any], document: Document | None) -> Result:
    """Both, with the language of the text; found here, so that not every worker loads the language model."""
    if document is None:
        return entry, None
    language = detect_language(document.prose)
    return {**entry, "language": language}, replace(document, language=language)


def _stat(path: Path) -> dict[str, int]:
    """Size and time of a file; -1 for both if it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return {"size": -1, "mtime_ns": -1}
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _hash_source(path: Path) -> str:
    """The hash of a file; empty if it cannot be opened."""
    with suppress(OSError):
        return hash_file(path)
    return ""


def _is_unchanged(path: Path, entry: dict[str, Any]) -> bool:
    now = _stat(path)
    # Permissions change without a new time.
    if entry["sha256"] and now == {"size": entry["size"], "mtime_ns": entry["mtime_ns"]}:
        return True
    return bool(now["size"] == entry["size"] and _hash_source(path) == entry["sha256"])


def _read_manifest(course: Course) -> dict[str, dict[str, Any]]:
    """The manifest's entries by source; empty if there is none or it does not match documents.jsonl."""
    path, rows = course.dataset / "documents.json", course.dataset / "documents.jsonl"
    if not path.is_file() or not rows.is_file():
        return {}
    manifest = read_json(path)
    if manifest.get("extractor") != EXTRACTOR or manifest.get("documents") != hash_file(rows):
        return {}
    return {entry["source"]: entry for entry in manifest["sources"]}


def find_changes(course: Course) -> tuple[str, ...]:
    """Sources that were changed, added or removed since the last extraction; all of them before the first.

    None where a course was opened without its sources: there is nothing to compare.
    """
    if course.lacks_sources:
        return ()
    entries = _read_manifest(course)
    known = list_sources(course).known
    changed = [
        source for source, path in known.items() if source not in entries or not _is_unchanged(path, entries[source])
    ]
    return tuple(sorted({*changed, *(set(entries) - set(known))}))


def is_extract_current(course: Course) -> bool:
    """Whether documents.jsonl matches the sources as they are now."""
    return (course.dataset / "documents.json").is_file() and not find_changes(course)


def read_failures(course: Course) -> tuple[Failure, ...]:
    """The sources that the last extraction could not read, and those that are refused now."""
    return (*_list_failures(_read_manifest(course).values()), *list_sources(course).refused)


def _read_rows(course: Course) -> list[Document]:
    return [Document.from_row(row) for row in read_jsonl(course.dataset / "documents.jsonl")]


def read_documents(course: Course) -> list[Document]:
    """The documents of the last extraction; one that does not tell its language is taken to be in the course's.

    Raises:
        CorpusError: not extracted yet.
    """
    path = course.dataset / "documents.jsonl"
    if not path.is_file():
        raise CorpusError(f"Course {course.name!r} is not extracted yet. Run: mlx-tutor extract -c {course.name}")
    documents, language = _read_rows(course), find_language(course)
    return [replace(document, language=language) if document.language == "" else document for document in documents]
