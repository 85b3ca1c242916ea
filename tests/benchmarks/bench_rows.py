"""What `build` mines without a teacher: how many rows, how fast, and how many terms of a glossary get a definition.

With MLX_TUTOR_BENCH_DATA/books: the three OpenStax books are one course. `terms` is the share of the glossary's terms
that a definition row asks for, `agree` the share of the terms found for which an answer has at least AGREES of the
content-word stems of the glossary's definition, which is worded apart from the text. `readers` counts the rows of a
course of the files that lie in the data, of each format that is read. Without the data: rows of the sample course, and
the share of its bold terms that get a definition.

    python -m tests.benchmarks.bench_rows
"""

import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.mining.definitions import WORDINGS
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.recipe import Recipe
from mlx_tutor.study.search.words import list_stems
from mlx_tutor.workspace import Course
from tests.benchmarks import bench_search
from tests.benchmarks.data import find_data

AGREES = 0.6
# Characters to a token: the real tokenizer would be most of the time.
CHARACTERS = 4
READ, SUFFIXES = ("pdf", "cheatsheets", "notebooks", "markdown"), (".pdf", ".ipynb", ".md")
ASKED = [re.compile(re.sub(r"\\{.*?\\}", "(.+)", re.escape(wording)), re.IGNORECASE) for wording in WORDINGS]


def normalize(term: str) -> str:
    """A term as it is compared: without abbreviation, article and plural."""
    plain = re.sub(r"^(?:an?|the) ", "", re.sub(r"\(.*?\)", "", term).strip().lower())
    words = (re.sub(r"(?<=[a-z]{2})ies$", "y", word) for word in re.findall(r"\w+", plain))
    return " ".join(re.sub(r"(?<=x|s)es$|(?<=[a-z]{2}[a-rt-z])s$", "", word) for word in words)


def list_terms(question: str) -> set[str]:
    """What a definition's question may ask for, by each wording that fits it."""
    return {normalize(match.groups()[-1]) for pattern in ASKED if (match := pattern.fullmatch(question))}


def count_tokens(messages: Iterable[Any]) -> int:
    return sum(len(message["content"]) for message in messages) // CHARACTERS


def build_course(course: Course) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Counts of the rows that a course gives, and the answers of its definition rows by term."""
    begun = time.perf_counter()
    report = build_dataset(course, Recipe(), count_tokens, "")
    seconds = time.perf_counter() - begun
    words = sum(len(section.text.split()) for document in read_documents(course) for section in document.sections)
    answers: dict[str, list[str]] = defaultdict(list)
    for row in (row for split in SPLITS for row in read_rows(course, split)):
        if row["origin"]["method"] == "definition":
            for term in list_terms(row["qa_pair"]["question"]):
                answers[term].append(row["qa_pair"]["answer"])
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


def measure_terms(glossary: list[dict[str, str]], answers: dict[str, list[str]]) -> dict[str, Any]:
    """How many terms have an answer, and how many of these answers say what the glossary says."""
    found = [row for row in glossary if normalize(row["term"]) in answers]
    agree = 0
    for row in found:
        reference, *mined = list_stems([row["definition"], *answers[normalize(row["term"])]])
        agree += any(len(reference & stems) >= AGREES * len(reference) for stems in mined)
    share = round(len(found) / len(glossary), 4)
    return {"glossary": len(glossary), "terms": share, "agree": round(agree / max(1, len(found)), 4)}


def gather_files(data: Path, course: Course) -> None:
    """A course of all the files that the readers are measured on."""
    for path in (path for name in READ for path in sorted((data / name).glob("*")) if path.suffix in SUFFIXES):
        (course.sources / path.parent.name).mkdir(parents=True, exist_ok=True)
        (course.sources / path.parent.name / path.name).symlink_to(path)
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
            result |= measure_terms(bench_search.read_rows(folder / "openstax-glossary.jsonl.xz"), answers)
            files = Course(Path(workspace), "files")
            gather_files(folder.parent, files)
            result["readers"] = build_course(files)[0]
    print(json.dumps({"benchmark": "rows", **result}, indent=2))


if __name__ == "__main__":
    main()
