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


def make_state(question: str, section: int | None, margins: list[float], said: float, **kinds: float) -> dict[str, Any]:
    place = {"source": "a.md", "section": section, "page": 3, "cell": None, "place": "a.md, page 3"}
    return {"question": question, "answer": "A.", "tuned": {"margins": margins, "said": said, "kinds": kinds}, **place}


# What `evaluate --learned` writes.
LEARNED = {
    "available": 9,
    "finished": "2026-03-01T09:00:00",
    "lists": {
        "known before": [make_state("What is a spar?", 0, [0.4, 0.1], 0.0)],
        # Said, but a near answer is likelier in one of two wordings.
        "learned": [make_state("What is a reel?", 1, [0.4, -0.1], 0.9)],
        "not learned": [
            make_state("What is wind?", 1, [-0.4, 0.1], 0.1, gap=1.0),
            # By heart: not right when it is asked the other way round.
            make_state("What is a gaff?", 1, [0.4, 0.1], 0.9, gap=1.0, back=-0.2),
        ],
        "unlearned": [make_state("Of a section that is gone?", 9, [0.3], 0.0)],
    },
}
