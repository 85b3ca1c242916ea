"""How often the quiz grades an answer as it should.

With MLX_TUTOR_BENCH_DATA/books: the terms that the three OpenStax books define, each answered with the definition of
the glossary, which is worded apart from the text (`right`), and with another term's (`wrong`); a glossary definition
that stands in the book word for word is left out. Without the data: the definitions of the sample course, which have
no second wording, answered with another term's. Shares of the grades.

    python -m tests.benchmarks.bench_quiz
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.mining.defining import find_definitions
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.recipe import Recipe
from mlx_tutor.study.quiz.grade import grade_answer
from mlx_tutor.study.quiz.questions import Reference, StudyQuestion
from mlx_tutor.workspace import Course
from tests.benchmarks.bench_search import make_books, make_sample, read_rows
from tests.benchmarks.data import find_data

# How far the answer of a term is moved on to be another term's.
SHIFT = 7


def list_definitions(course: Course) -> dict[str, StudyQuestion]:
    """A question for each term that the course defines, by its lower-case name."""
    found: dict[str, list[Reference]] = {}
    for document in read_documents(course):
        for chunk in split_document(document, Recipe().dataset.chunk_tokens):
            for definition in find_definitions(chunk):
                place = (document.source, None, None, None, chunk.heading)
                found.setdefault(definition.term.lower(), []).append(
                    Reference(definition.text, *place, definition.evidence)
                )
    return {
        term: StudyQuestion(term, "concept", f"What is {term}?", tuple(references), ())
        for term, references in found.items()
    }


def normalize(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def measure(questions: Mapping[str, StudyQuestion], answers: Mapping[str, str]) -> dict[str, float]:
    """The share of each grade."""
    grades = Counter(grade_answer(questions[term], answer).verdict for term, answer in answers.items())
    return {verdict: round(grades[verdict] / len(answers), 4) for verdict in ("right", "partly", "wrong")}


def main() -> None:
    folder = find_data("books")
    with tempfile.TemporaryDirectory() as workspace:
        course = Course(Path(workspace), "bench")
        if folder is None:
            make_sample(course)
        else:
            make_books(folder, course)
        questions = list_definitions(course)
    if folder is None:
        answers = {term: question.references[0].answer for term, question in questions.items()}
    else:
        glossary = {row["term"].lower(): row["definition"] for row in read_rows(folder / "openstax-glossary.jsonl.xz")}
        answers = {
            term: text
            for term, text in glossary.items()
            if term in questions
            and not any(normalize(text) in normalize(other.answer) for other in questions[term].references)
        }
    texts = list(answers.values())
    others = dict(zip(answers, texts[SHIFT:] + texts[:SHIFT], strict=True))
    result = {"benchmark": "quiz", "terms": len(answers), "wrong": measure(questions, others)}
    if folder is not None:
        result["right"] = measure(questions, answers)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
