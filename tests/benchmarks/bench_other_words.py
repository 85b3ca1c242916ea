"""How often a question in other words finds the right section among five, by words alone and with vectors.

On the sample course: the questions of other_words.txt, written by hand, each with the heading of its section;
`unshared` are those that share no content word with it. With MLX_TUTOR_BENCH_DATA/books too: each definition of the
glossary without its term, in a course of all books; the definitions that one book gives of another book's term, in a
course of the other book; and "What is TERM?", which must not lose. `gain` is vectors minus words, in shares of the
questions, with the 95 % interval of paired shares. Without the package wordllama both sides are the same.

    python -m tests.benchmarks.bench_other_words
"""

import json
import math
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.files import write_json, write_jsonl
from mlx_tutor.records import Document
from mlx_tutor.study.search.index import build_index, find_index, open_index, pick_encoder
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.study.search.vectors import describe_encoder
from mlx_tutor.study.search.words import list_stems
from mlx_tutor.workspace import Course
from tests.benchmarks.bench_search import BOOKS, FIRST, make_books, make_sample, read_rows
from tests.benchmarks.data import find_data

QUESTIONS = Path(__file__).with_name("other_words.txt")

# A question, and the source or heading that is right.
Asked = tuple[str, str]


def is_right(passage: Passage, place: str) -> bool:
    return place in (passage.source, passage.heading[-1] if passage.heading else "")


def find_hits(course: Course, asked: Sequence[Asked], *, semantic: bool) -> tuple[list[bool], list[float]]:
    """Whether each question finds its section, and the milliseconds it takes."""
    hits, times = [], []
    with open_index(course, semantic=semantic) as index:
        for question, place in asked:
            begun = time.perf_counter()
            found = index.search(question, FIRST, distinct=True)
            times.append(1000 * (time.perf_counter() - begun))
            hits.append(any(is_right(passage, place) for passage in found))
    return hits, sorted(times)


def compare(words: Sequence[bool], vectors: Sequence[bool]) -> dict[str, Any]:
    """Shares of both, and their difference with its interval."""
    n = len(words)
    won = sum(b and not a for a, b in zip(words, vectors, strict=True))
    lost = sum(a and not b for a, b in zip(words, vectors, strict=True))
    gain = (won - lost) / n
    error = 1.96 * math.sqrt(max(0.0, won + lost - (won - lost) ** 2 / n)) / n
    return {
        "questions": n,
        "words": round(sum(words) / n, 4),
        "vectors": round(sum(vectors) / n, 4),
        "gain": [round(value, 4) for value in (gain, gain - error, gain + error)],
    }


def measure(course: Course, asked: Sequence[Asked]) -> dict[str, Any]:
    """Both ways over the same questions."""
    words, _ = find_hits(course, asked, semantic=False)
    vectors, times = find_hits(course, asked, semantic=True)
    return {**compare(words, vectors), "ms_median": times[len(times) // 2], "ms_p99": times[int(0.99 * len(times))]}


def measure_sample(workspace: Path) -> dict[str, Any]:
    """The questions written by hand, all and those without a shared word."""
    course = Course(workspace, "sample")
    make_sample(course)
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    asked = [(question, heading) for heading, question in (line.split(": ", 1) for line in lines)]
    held: defaultdict[str, set[str]] = defaultdict(set)
    for line in (course.dataset / "documents.jsonl").read_text(encoding="utf-8").splitlines():
        for section in Document.from_row(json.loads(line)).sections:
            (stems,) = list_stems([f"{section.heading[-1]}\n{section.text}"]) if section.heading else [set()]
            held[section.heading[-1] if section.heading else ""] |= stems
    if unknown := [heading for _, heading in asked if heading not in held]:
        raise ValueError(f"no section has the heading {', '.join(unknown)}")
    unshared = [(question, heading) for question, heading in asked if not list_stems([question])[0] & held[heading]]
    return {"all": measure(course, asked), "unshared": measure(course, unshared)}


def measure_books(folder: Path, workspace: Path) -> dict[str, Any]:
    """Definitions of the glossary without their terms, by book; of another book's terms; and the terms themselves."""
    course = Course(workspace, "books")
    make_books(folder, course)
    tell_language(course)
    glossary = read_rows(folder / "openstax-glossary.jsonl.xz")
    begun = time.perf_counter()
    build_index(course, pick_encoder(course))
    result: dict[str, Any] = {"build_seconds": time.perf_counter() - begun}
    result["index_megabytes"] = find_index(course).stat().st_size / 1e6
    for book in sorted({row["source"].split("/")[0] for row in glossary}):
        rows = [row for row in glossary if row["source"].startswith(book)]
        result[book] = {
            "definition": measure(course, [(hide_term(row["definition"], row["term"]), row["source"]) for row in rows]),
            "what is": measure(course, [(f"What is {row['term']}?", row["source"]) for row in rows]),
            "another's definition": measure_foreign(course, book, glossary),
        }
    return result


def measure_foreign(course: Course, book: str, glossary: list[dict[str, str]]) -> dict[str, Any]:
    """The book alone, asked with what the glossaries of other books say of its terms."""
    alone = Course(course.workspace, book.removeprefix("openstax-"))
    lines = (course.dataset / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [json.loads(line) for line in lines]
    write_jsonl(alone.dataset / "documents.jsonl", [row for row in documents if row["source"].startswith(book)])
    tell_language(alone)
    own = {row["term"].lower(): row["source"] for row in glossary if row["source"].startswith(book)}
    asked = [
        (hide_term(row["definition"], row["term"]), own[row["term"].lower()])
        for row in glossary
        if not row["source"].startswith(book) and row["term"].lower() in own
    ]
    return measure(alone, asked)


def tell_language(course: Course) -> None:
    """What `extract` would write of it."""
    write_json(course.dataset / "documents.json", {"sources": [{"language": "en", "words": 1}]})


def hide_term(definition: str, term: str) -> str:
    return re.sub(rf"\b{re.escape(term)}s?\b", "it", definition, flags=re.IGNORECASE)


def main() -> None:
    folder = find_data("books")
    result: dict[str, Any] = {"benchmark": "other_words", "encoder": describe_encoder(), "books": list(BOOKS)}
    with tempfile.TemporaryDirectory() as workspace:
        result["sample"] = measure_sample(Path(workspace))
        if folder is not None:
            result["glossary"] = measure_books(folder, Path(workspace))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
