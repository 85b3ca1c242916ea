"""The Course tab of the web page: sources, rows, runs and curves; and the example questions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.mining.defining import find_definitions
from mlx_tutor.dataset.mining.definitions import write_question
from mlx_tutor.dataset.mining.outcomes import find_outcomes
from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.extract import find_changes, read_documents
from mlx_tutor.files import hash_file, read_json, read_jsonl
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import Document, describe_bits
from mlx_tutor.settings import DatasetSettings
from mlx_tutor.study.search.held import leave_out_held
from mlx_tutor.study.web.explore import describe_outcomes, tabulate_outcomes
from mlx_tutor.study.web.markup import draw, link_document, link_source
from mlx_tutor.study.web.middleware import MAX_UPLOAD
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Course, Run, list_runs

SPLITS = ("train", "valid", "test")
EXAMPLES = 4
# Sections looked at for examples, from all over the course.
EXAMPLE_SECTIONS = 300


def list_examples(course: Course, holdout: Sequence[str] = ()) -> list[str]:
    """Questions about terms that the course defines, past exams apart, from all over it; none where it defines none."""
    words = DatasetSettings().chunk_tokens
    documents = leave_out_held(read_documents(course), holdout)
    chunks = [chunk for document in documents for chunk in split_document(document, words)]
    questions = [
        write_question(found, table.questions["definition"][0], _begin_small(found.term, chunk.language))
        for chunk in chunks[:: 1 + len(chunks) // EXAMPLE_SECTIONS]
        if (table := read_language(chunk.language)) is not None
        for found in find_definitions(chunk)
        if len(found.term.split()) <= 4
    ]
    step = max(1, len(questions) // EXAMPLES)
    return list(dict.fromkeys(questions[step // 2 :: step]))[:EXAMPLES]


def _begin_small(term: str, language: str) -> str:
    """`Mean` becomes `mean`; names of several capitals (`ARIMA`, `Bayes' Theorem`) and German nouns stay."""
    return term[0].lower() + term[1:] if term[1:].islower() and language != "de" else term


def find_curve(course: Course, name: str) -> Path | None:
    """The loss curve of a run of the course."""
    path = next((run.adapter / "loss.png" for run in list_runs(course) if run.name == name), None)
    return path if path is not None and path.is_file() else None


def draw_course(course: Course) -> str:
    """Sources, rows and runs as HTML; what is not there yet is said."""
    runs = list_runs(course)[::-1]
    curves = [(run.name, f"runs/{quote(run.name)}/loss.png") for run in runs if (run.adapter / "loss.png").is_file()]
    outcomes = list_outcomes(course)
    return draw("course", tabulate_sources(course), describe_rows(course), outcomes, tabulate_runs(runs), curves)


def draw_upload(course: Course) -> str:
    """What adds files to the course; where it was handed out without its own, why there is nothing."""
    return draw("upload", course, ",".join(READERS), MAX_UPLOAD // 10**6)


def list_outcomes(course: Course) -> Table | list[str]:
    """The learning outcomes that the course states, with rows and questions on each; else that there are none."""
    try:
        documents = read_documents(course)
    except CorpusError as err:
        return [str(err)]
    paths = [course.dataset / f"{split}.jsonl" for split in SPLITS]
    found = find_outcomes(documents, [row for path in paths if path.is_file() for row in read_jsonl(path)])
    return replace(tabulate_outcomes(found), title=describe_outcomes(found)) if found else [describe_outcomes(found)]


def tabulate_sources(course: Course) -> Table | list[str]:
    """The sources, with what was read of each; those that changed since are marked. Without any, why."""
    try:
        documents = {document.source: document for document in read_documents(course)}
    except CorpusError as err:
        return [str(err)]
    entries = {entry["source"]: entry for entry in _read_entries(course)}
    changed, untrained = find_changes(course), _find_untrained(course, documents)
    rows = []
    for source in sorted({*entries, *documents, *changed}):
        entry = entries.get(source)
        state = "read; the model was not trained on it" if source in untrained else "read"
        state = (entry or {}).get("reason") or ("changed: extract again" if source in changed else state)
        words, sections = (entry["words"], entry["sections"]) if entry else (0, 0)
        name = (
            source
            if entry is None
            else draw("link", link_source(source, None) if entry["reason"] else link_document(source), source)
        )
        rows.append((name, f"{words:,}", f"{sections:,}", state))
    return Table(("source", "words", "sections", "state"), rows)


def _find_untrained(course: Course, sources: Iterable[str]) -> set[str]:
    """The sources of which there is no row, where something was trained: files that came later, or are held out."""
    path = course.dataset / "manifest.json"
    if not path.is_file() or not list_runs(course):
        return set()
    return set(sources) - set(read_json(path)["rows"]["sources"])


def _read_entries(course: Course) -> list[dict[str, Any]]:
    path = course.dataset / "documents.json"
    entries: list[dict[str, Any]] = read_json(path)["sources"] if path.is_file() else []
    return entries


def describe_rows(course: Course) -> list[str]:
    """How many rows there are, and how much of the course they are about."""
    paths = [course.dataset / f"{split}.jsonl" for split in SPLITS]
    if not all(path.is_file() for path in paths):
        return ["None yet. Build them with: mlx-tutor build"]
    rows = {split: read_jsonl(path) for split, path in zip(SPLITS, paths, strict=True)}
    counts = ", ".join(f"{len(rows[split]):,} {split}" for split in SPLITS)
    asked = {(row["origin"]["source"], row["origin"]["section"]) for split in SPLITS for row in rows[split]}
    covered, sections = count_covered(read_documents(course), asked)
    coverage = f"{covered:,} of {sections:,} sections have a row ({covered / max(1, sections):.0%})"
    late = [f"The sources changed since. To train on them as they are now: mlx-tutor run -c {course.name}"]
    return [f"{counts}.", f"Coverage: {coverage}.", *(late if _is_late(course) else [])]


def _is_late(course: Course) -> bool:
    """Whether the sources were read anew since rows were made of them."""
    path = course.dataset / "manifest.json"
    if course.lacks_sources or not path.is_file():
        return False
    return bool(read_json(path)["inputs"].get("documents") != hash_file(course.dataset / "documents.jsonl"))


def count_covered(documents: list[Document], asked: set[tuple[str, int]]) -> tuple[int, int]:
    """How many sections are asked about, and how many there are."""
    sections = {(document.source, number) for document in documents for number in range(len(document.sections))}
    return len(sections & asked), len(sections)


def tabulate_runs(runs: list[Run]) -> Table | list[str]:
    """The runs with their losses; without any, what to do."""
    if not runs:
        return ["None yet. Train one with: mlx-tutor train"]
    headings = ("run", "validation loss", "iterations", "ended", "fused", "finished (UTC)")
    return Table(headings, [describe_run(run) for run in runs])


def describe_run(run: Run) -> tuple[str, ...]:
    """One line of the table of runs."""
    record = run.read()
    result = record["result"]
    fused = read_json(run.fused / "fuse.json")["result"] if run.is_fused else None
    bits = describe_bits(fused["bits"]) if fused else "-"
    return (
        run.name,
        f"{result['base_loss']:.3f} to {result['best_loss']:.3f}",
        f"{result['iterations']:,}",
        str(result["stopped"]),
        bits,
        str(record["finished"])[:16].replace("T", " "),
    )
