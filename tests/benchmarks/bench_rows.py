"""What `build` mines without a teacher: how many rows, how fast, and how many terms of a glossary get a definition.

With MLX_TUTOR_BENCH_DATA/books: the three OpenStax books are one course. Of each glossary, `terms` is the share of its
terms that a definition row asks for, by exactly this term, from memory or with a passage (`in_passage`: so alone);
`agree` is the share of the terms found for which an answer has at least AGREES of the content-word stems of the
glossary's definition, which is worded apart from the text. `patterns` gives for each row of the table of definitions
how many definitions it finds, how many of them are of terms of the glossary, and how many of these agree. `readers`
counts the rows of a course of the files that lie in the data, of each format that is read, and its definitions by
language. Without the data: rows of the sample course, and the share of its bold terms that get a definition.

    python -m tests.benchmarks.bench_rows
"""

import json
import re
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.mining.defining import collect_definitions
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.languages.defining import find_asked
from mlx_tutor.recipe import Recipe
from mlx_tutor.study.search.words import list_stems
from mlx_tutor.workspace import Course
from tests.benchmarks import bench_search
from tests.benchmarks.data import find_data

AGREES = 0.6
# Characters to a token: the real tokenizer would be most of the time.
CHARACTERS = 4
READ = ("pdf", "cheatsheets", "notebooks", "markdown", "courses/cs228", "courses/german", "courses/pynb")
SUFFIXES = (".pdf", ".ipynb", ".md")

# The answers of definition rows by term: from memory, and with a passage.
Answers = dict[str, dict[bool, list[str]]]


def normalize(term: str) -> str:
    """A term as it is compared: without abbreviation, article and plural."""
    plain = re.sub(r"^(?:an?|the) ", "", re.sub(r"\(.*?\)", "", term).strip().lower())
    words = (re.sub(r"(?<=[a-z]{2})ies$", "y", word) for word in re.findall(r"\w+", plain))
    return " ".join(re.sub(r"(?<=x|s)es$|(?<=[a-z]{2}[a-rt-z])s$", "", word) for word in words)


def count_tokens(messages: Iterable[Any]) -> int:
    return sum(len(message["content"]) for message in messages) // CHARACTERS


def build_course(course: Course) -> tuple[dict[str, Any], Answers]:
    """Counts of the rows that a course gives, and the answers of its definition rows."""
    begun = time.perf_counter()
    report = build_dataset(course, Recipe(), count_tokens, "")
    seconds = time.perf_counter() - begun
    words = sum(len(section.text.split()) for document in read_documents(course) for section in document.sections)
    answers: Answers = defaultdict(lambda: {False: [], True: []})
    for row in (row for split in SPLITS for row in read_rows(course, split)):
        qa = row["qa_pair"]
        asked = find_asked(qa["question"]) if row["origin"]["method"].startswith("definition") else None
        if asked is not None:
            answers[normalize(asked[1])][bool(qa["context"])].append(qa["answer"])
    thousand = words / 1000
    formats: Counter[str] = Counter()
    for source, count in report.sources.items():
        formats[Path(source).suffix or "book"] += count
    result = {
        "words": words,
        "build_seconds": round(seconds, 2),
        "rows": sum(report.methods.values()),
        "rows_per_1000_words": round(sum(report.methods.values()) / thousand, 2),
        "by_method": {method: round(count / thousand, 3) for method, count in report.methods.items()},
        "by_format": formats,
        "dropped": report.dropped,
    }
    return result, answers


def agree_any(definition: str, answers: Iterable[str]) -> bool:
    """Whether an answer says what the glossary says."""
    reference, *mined = list_stems([definition, *answers])
    return any(len(reference & stems) >= AGREES * len(reference) for stems in mined)


def measure_terms(glossary: list[dict[str, str]], answers: Answers) -> dict[str, Any]:
    """How many terms have an answer, and how many of these answers say what the glossary says."""
    found = [row for row in glossary if normalize(row["term"]) in answers]
    said = [answers[normalize(row["term"])] for row in found]
    agree = sum(
        agree_any(row["definition"], chain.from_iterable(by.values())) for row, by in zip(found, said, strict=True)
    )
    return {
        "glossary": len(glossary),
        "terms": round(len(found) / len(glossary), 4),
        "in_passage": round(sum(not by[False] for by in said) / len(glossary), 4),
        "agree": round(agree / max(1, len(found)), 4),
    }


def measure_patterns(course: Course, glossary: list[dict[str, str]]) -> dict[str, Any]:
    """By language and row of its table: definitions found, those of terms of the glossary, those that agree."""
    terms = defaultdict(list)
    for row in glossary:
        terms[normalize(row["term"])].append(row["definition"])
    documents = read_documents(course)
    chunks = [c for document in documents for c in split_document(document, Recipe().dataset.chunk_tokens)]
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for language in sorted({chunk.language for chunk in chunks}):
        found = collect_definitions(chunk for chunk in chunks if chunk.language == language)
        for definition in chain.from_iterable(found.values()):
            count = counts[language][definition.pattern]
            known = terms.get(normalize(definition.term), ())
            agree = any(agree_any(text, [definition.text]) for text in known)
            counts[language][definition.pattern] = [count[0] + 1, count[1] + bool(known), count[2] + agree]
    return {language: dict(sorted(rows.items(), key=lambda row: -row[1][0])) for language, rows in counts.items()}


def gather_files(data: Path, course: Course) -> None:
    """A course of all the files that the readers are measured on."""
    for path in (path for name in READ for path in sorted((data / name).glob("*")) if path.suffix in SUFFIXES):
        (course.sources / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, course.sources / path.parent.name)
    extract_course(course)


def main() -> None:
    folder = find_data("books")
    with tempfile.TemporaryDirectory() as workspace:
        course = Course(Path(workspace), "bench")
        if folder is None:
            wanted = bench_search.make_sample(course)
            result, answers = build_course(course)
            result["terms"] = round(sum(normalize(term) in answers for term, _ in wanted) / len(wanted), 4)
        else:
            bench_search.make_books(folder, course)
            result, answers = build_course(course)
            glossary = bench_search.read_rows(folder / "openstax-glossary.jsonl.xz")
            for book in sorted({row["source"].split("/")[0] for row in glossary}):
                result[book] = measure_terms([row for row in glossary if row["source"].startswith(book)], answers)
            result["patterns"] = measure_patterns(course, glossary)
            files = Course(Path(workspace), "files")
            gather_files(folder.parent, files)
            result["readers"] = build_course(files)[0] | {"patterns": measure_patterns(files, [])}
    print(json.dumps({"benchmark": "rows", **result}, indent=2))


if __name__ == "__main__":
    main()
