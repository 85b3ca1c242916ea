"""How the rows of a course are balanced: kinds, languages, sentence tasks, near twins, formulas and tables used.

A near twin of a question is another question with nearly the same letters (TWIN) and nearly the same answer; `alike`
counts the questions that have one with nearly the same letters, whatever its answer. `closed_book` counts questions
without a passage that have several answers, `over` the facts that are asked in more than four wordings. `formulas` and
`tables` are the displayed formulas and the tables of the course, and how many of them stand in a row.

With MLX_TUTOR_BENCH_DATA/books: the OpenStax books are one course. Without the data: the sample course.

    python -m tests.benchmarks.bench_balance
"""

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.dataset.balance import fold_question, normalize
from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.curate import MOST_WORDINGS
from mlx_tutor.dataset.quotas import SENTENCE_TASKS
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Document
from mlx_tutor.workspace import Course
from tests.benchmarks import bench_search
from tests.benchmarks.bench_rows import count_tokens
from tests.benchmarks.data import find_data

# Percent of letters that two questions, or two answers, share.
TWIN = 85.0
# Answers of fewer words are given to many questions.
LEAST_WORDS = 5
FORMULA = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)

Row = Mapping[str, Any]


def measure_twins(rows: Sequence[Row]) -> dict[str, float]:
    """Shares of the distinct questions that have another one alike, and a near twin."""
    from rapidfuzz import fuzz, process

    answers: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        answers[fold_question(row["qa_pair"]["question"])].add(normalize(row["qa_pair"]["answer"]))
    questions = list(answers)
    alike = twins = 0
    for number, question in enumerate(questions):
        near = process.extract(question, questions, scorer=fuzz.ratio, score_cutoff=TWIN, limit=None)
        others = [questions[other] for _, _, other in near if other != number]
        pairs = ((mine, theirs) for other in others for theirs in answers[other] for mine in answers[question])
        alike += bool(others)
        twins += any(fuzz.ratio(*pair) >= TWIN for pair in pairs)
    total = max(1, len(questions))
    return {"questions": len(questions), "alike": round(alike / total, 4), "twins": round(twins / total, 4)}


def count_used(documents: Sequence[Document], rows: Sequence[Row]) -> dict[str, list[int]]:
    """How many displayed formulas and tables there are; how many of them stand in an answer or give one."""
    blocks = [block for document in documents for section in document.sections for block in section.blocks]
    formulas = {"".join(found.split()) for b in blocks for found in FORMULA.findall(b.text) if b.kind == "text"}
    tables = [block.text for block in blocks if block.kind == "table"]
    said = "".join("".join(row["qa_pair"]["answer"].split()) for row in rows)
    evidence = {row["origin"]["evidence"] for row in rows if row["qa_pair"]["type"] == "table"}
    used = sum(any(piece in table for piece in evidence) for table in tables)
    return {"formulas": [len(formulas), sum(f in said for f in formulas)], "tables": [len(tables), used]}


def measure_balance(documents: Sequence[Document], rows: Sequence[Row]) -> dict[str, Any]:
    """All figures of one course."""
    languages = {document.source: next(split_document(document, 320)).language for document in documents}
    words = sum(len(section.text.split()) for document in documents for section in document.sections)
    mined = [row for row in rows if "row" not in row["origin"]]
    asked: dict[str, set[str]] = defaultdict(set)
    wordings: Counter[str] = Counter()
    for row in mined:
        answer = normalize(row["qa_pair"]["answer"])
        wordings[answer] += len(answer.split()) >= LEAST_WORDS
        if not row["qa_pair"]["context"]:
            asked[fold_question(row["qa_pair"]["question"])].add(answer)
    return {
        "rows": len(rows),
        "rows_per_1000_words": round(1000 * len(rows) / max(1, words), 2),
        "kinds": dict(Counter(row["origin"]["method"] for row in rows).most_common()),
        "languages": dict(Counter(languages.get(row["origin"]["source"], "") for row in rows)),
        "sentence_tasks": round(
            sum(row["origin"]["method"] in SENTENCE_TASKS for row in mined) / max(1, len(mined)), 4
        ),
        "closed_book": sum(len(answers) > 1 for answers in asked.values()),
        "over": sum(count > MOST_WORDINGS for count in wordings.values()),
        **measure_twins(rows),
        **count_used(documents, rows),
    }


def main() -> None:
    folder = find_data("books")
    with tempfile.TemporaryDirectory() as workspace:
        course = Course(Path(workspace), "bench")
        if folder is None:
            bench_search.make_sample(course)
        else:
            bench_search.make_books(folder, course)
        report = build_dataset(course, Recipe(), count_tokens, "")
        rows = [row for split in SPLITS for row in read_rows(course, split)]
        result = measure_balance(read_documents(course), rows)
    print(json.dumps({"benchmark": "balance", **result, "sparse": len(report.sparse)}, indent=2))


if __name__ == "__main__":
    main()
