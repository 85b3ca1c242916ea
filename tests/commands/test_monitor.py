"""monitor: what serve counted, in words and as JSON."""

import json
from pathlib import Path

from mlx_tutor.study.chat.thumbs import write_thumb
from mlx_tutor.study.monitor.counts import Count, store_count
from mlx_tutor.workspace import Course
from tests.commands.conftest import Invoke, expect_problem

OLD, NEW = "2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"


def test_before_anything_is_served(invoke: Invoke, workspace: Path) -> None:
    assert "Nothing is counted yet. Begin with: mlx-tutor serve -c demo" in expect_problem(invoke, "monitor")


def test_counts_of_all_time_and_of_the_last_days(invoke: Invoke, workspace: Path) -> None:
    course, waiting = Course(workspace, "demo"), list[Count]()
    store_count(course, waiting, Count(OLD, "page", "demo", 9.0, 5, 10.0, supported=True))
    for seconds in range(1, 20):
        store_count(
            course, waiting, Count(NEW, "page", "demo", float(seconds), 5, 10.0, supported=False, question="Why?")
        )
    store_count(course, waiting, Count(NEW, "API", "demo", error="ModelError"))
    write_thumb(course, "demo", "Why?", "So.", True)
    found = json.loads(invoke("monitor", "--json").stdout)
    assert (found["questions"], found["not_found"], found["errors"]) == (20, 19, {"ModelError": 1})
    assert found["thumbs"] == {"demo": {"up": 1, "down": 0}}
    assert "log" not in found
    recent = json.loads(invoke("monitor", "--json", "--days", "3", "--questions").stdout)
    assert (recent["questions"], recent["first_token_seconds"]["median"], recent["first_token_seconds"]["p95"]) == (
        19,
        10.0,
        19.0,
    )
    assert [entry["question"] for entry in recent["log"]] == ["Why?"] * 19
    shown = invoke("monitor", "--questions").stdout
    assert "19 of 20 (95%)" in shown and "1 ModelError" in shown and "Why?" in shown


def test_no_question_was_kept(invoke: Invoke, workspace: Path) -> None:
    store_count(Course(workspace, "demo"), [], Count(NEW, "page", "demo"))
    assert "log_questions = true" in invoke("monitor", "--questions").stdout
