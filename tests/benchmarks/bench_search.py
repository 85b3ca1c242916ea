"""How often a search finds the right section within the first five, and how long it takes.

With MLX_TUTOR_BENCH_DATA/books: the three OpenStax books are one course, a section of a book is one Markdown file, and
every term of the glossary is asked for as "What is TERM?". Right is a passage of the same source as the glossary
says. `sections` asks for five distinct sections of files, of which a book's section has several; `sources` counts the
first five distinct files. `support` is the share of "TERM is DEFINITION." that the passages found for the question
support: of the glossary's own definitions, which are worded apart from the text, and of another term's.
Without the data: every term that stands in bold in just one section of the sample course.

    python -m tests.benchmarks.bench_search
"""

import json
import lzma
import random
import re
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from mlx_tutor.extract import READERS
from mlx_tutor.extract.extract import extract_course
from mlx_tutor.files import write_jsonl
from mlx_tutor.records import Document
from mlx_tutor.study.chat.ask import SEARCHED
from mlx_tutor.study.chat.support import find_support
from mlx_tutor.study.search.index import BOLD, build_index, find_index, open_index
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.workspace import Course
from tests.benchmarks.data import ROOT, find_data

BOOKS = ("economics", "business", "python")
FIRST = 5

# A term and the place where it is right to find it.
Wanted = tuple[str, str]


def read_rows(path: Path) -> list[dict[str, str]]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def make_books(folder: Path, course: Course) -> list[Wanted]:
    """Write the books as the documents of a course; returns the glossary."""
    documents = []
    for book in BOOKS:
        for row in read_rows(folder / f"openstax-{book}.jsonl.xz"):
            file = course.root / "section.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(row["text"], encoding="utf-8")
            _, sections = READERS[".md"](file)
            documents.append(Document(row["source"], "", row["title"], sections))
    write_jsonl(course.dataset / "documents.jsonl", (document.to_row() for document in documents))
    return [(row["term"], row["source"]) for row in read_rows(folder / "openstax-glossary.jsonl.xz")]


def make_sample(course: Course) -> list[Wanted]:
    """Extract the sample course; returns the terms that one section alone has in bold."""
    course.root.mkdir(parents=True)
    course.sources.symlink_to(ROOT / "corpora" / "sample" / "sources")
    extract_course(course)
    places = defaultdict(set)
    for line in (course.dataset / "documents.jsonl").read_text(encoding="utf-8").splitlines():
        document = Document.from_row(json.loads(line))
        for section in document.sections:
            for term in BOLD.findall(section.text):
                places[re.sub(r"\W+$", "", term)].add(f"{document.source}: {' > '.join(section.heading)}")
    return [(term, where.pop()) for term, where in sorted(places.items()) if term and len(where) == 1]


def is_right(passage: Passage, place: str) -> bool:
    return place in (passage.source, f"{passage.source}: {' > '.join(passage.heading)}")


def measure(course: Course, wanted: list[Wanted]) -> dict[str, Any]:
    """Shares found, by book, and milliseconds a search."""
    hits: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    times = []
    with open_index(course) as index:
        for term, place in wanted:
            begun = time.perf_counter()
            sections = index.search(f"What is {term}?", FIRST, distinct=True)
            times.append(1000 * (time.perf_counter() - begun))
            passages = index.search(f"What is {term}?", FIRST)
            sources = list(dict.fromkeys(p.source for p in index.search(f"What is {term}?", 12 * FIRST)))[:FIRST]
            book = place.split("/")[0] if place.startswith("openstax") else "sample"
            hits[book].append(
                (
                    any(is_right(passage, place) for passage in sections),
                    any(is_right(passage, place) for passage in passages),
                    place.split(": ")[0] in sources,
                )
            )
    hits["all"] = [hit for found in list(hits.values()) for hit in found]
    shares = {
        book: {
            "questions": len(found),
            **{
                name: round(statistics.mean(column), 4)
                for name, column in zip(("sections", "passages", "sources"), zip(*found, strict=True), strict=True)
            },
        }
        for book, found in hits.items()
    }
    times.sort()
    return {
        "found_in_first_5": shares,
        "ms_median": statistics.median(times),
        "ms_p99": times[int(0.99 * len(times))],
        "ms_worst": times[-1],
    }


def measure_support(course: Course, glossary: list[dict[str, str]]) -> dict[str, float]:
    """How often a right and a wrong definition are taken to stand in the course."""
    others = [row["definition"] for row in glossary]
    random.Random(0).shuffle(others)
    right = wrong = 0
    with open_index(course) as index:
        for row, other in zip(glossary, others, strict=True):
            term, question = row["term"].capitalize(), f"What is {row['term']}?"
            passages = index.search(question, SEARCHED)
            right += bool(find_support(f"{term} is {row['definition']}.", question, passages)[0])
            wrong += other != row["definition"] and bool(find_support(f"{term} is {other}.", question, passages)[0])
    return {"right": right / len(glossary), "wrong": wrong / len(glossary)}


def main() -> None:
    folder = find_data("books")
    with tempfile.TemporaryDirectory() as workspace:
        course = Course(Path(workspace), "bench")
        wanted = make_sample(course) if folder is None else make_books(folder, course)
        begun = time.perf_counter()
        build_index(course)
        result = {
            "benchmark": "search",
            "build_seconds": time.perf_counter() - begun,
            "index_megabytes": find_index(course).stat().st_size / 1e6,
            **measure(course, wanted),
        }
        if folder is not None:
            result["support"] = measure_support(course, read_rows(folder / "openstax-glossary.jsonl.xz"))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
