"""Progress by topic, and what the tuned model of the newest run knows."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.errors import TutorError
from mlx_tutor.records import Document, Section
from mlx_tutor.study.quiz.progress import check_learned, measure_topics, read_learned
from mlx_tutor.study.quiz.questions import list_questions
from mlx_tutor.workspace import Course
from tests.study.quiz.rows import LEARNED, make_row, write_rows

SECTIONS = tuple(Section(("Kites", name), ()) for name in ("Frame", "Lines", "Wind"))
DOCUMENTS = [Document("a.md", "", "Kites", SECTIONS)]


def write_run(course: Course, name: str, finished: str, learned: dict[str, Any] | None) -> None:
    folder = course.workspace / "adapters" / name
    folder.mkdir(parents=True)
    record = {"course": course.name, "finished": finished, "result": {"best_loss": 1.0}}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "evaluation.json").write_text(json.dumps({"learned": learned} if learned else {"losses": {}}))


def test_the_newest_run_that_was_asked_counts(tmp_path: Path) -> None:
    course = write_rows(tmp_path, [make_row("What is a spar?", "A spar is a rod.")])
    assert read_learned(course) is None
    with pytest.raises(TutorError, match="mlx-tutor evaluate -c c --learned"):
        check_learned(read_learned(course), course)
    write_run(course, "c", "2026-03-01", LEARNED)
    write_run(course, "c-2", "2026-03-02", None)
    learned = check_learned(read_learned(course), course)
    assert (learned.run, learned.available) == ("c", 9)
    assert {fact.question: fact.level for fact in learned.facts} == {
        "What is a spar?": "known",
        "What is a reel?": "recited only",
        "What is wind?": "not yet",
        "What is a gaff?": "recited only",
        "Of a section that is gone?": "known",
    }
    assert read_learned(course, "c-2") is None


def test_each_topic_has_its_questions_and_facts(tmp_path: Path) -> None:
    rows = [make_row("What is a spar?", "A spar is a rod that stretches the sail.", heading=["Kites", "Frame"])]
    course = write_rows(tmp_path, rows)
    write_run(course, "c", "2026-03-01", LEARNED)
    found = measure_topics(course, DOCUMENTS, list_questions(course), read_learned(course))
    assert [(entry.topic.name, entry.count.questions, entry.known) for entry in found] == [
        ("Frame", 1, (1, 1)),
        ("Lines", 0, (0, 3)),
        ("Wind", 0, None),
    ]
