"""Rows of a course for tests of quiz and cards."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlx_tutor.files import write_jsonl
from mlx_tutor.workspace import Course

METRIC = "A metric tree is a formula that writes an indicator as a product or sum of simpler ones."
COUNT = "What does this code print?\n\n```python\nprint(3)\nprint('a, b')\n```"


def make_row(question: str, answer: str, kind: str = "concept", **changes: Any) -> dict[str, Any]:
    """A row as build writes it."""
    qa = {"question": question, "answer": answer, "type": kind, "related_concepts": changes.pop("related", [])}
    origin = {"source": "a.md", "section": 0, "page": 3, "cell": None, "heading": ["Week 1"], "method": "definition"}
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "qa_pair": qa | {"context": changes.pop("context", "")},
        "origin": origin | {"evidence": answer} | changes,
    }


def write_rows(folder: Path, rows: Iterable[dict[str, Any]]) -> Course:
    """A course with these rows in its training split."""
    course = Course(folder, "c")
    for split, found in (("train", list(rows)), ("valid", []), ("test", [])):
        write_jsonl(course.dataset / f"{split}.jsonl", found)
    return course
