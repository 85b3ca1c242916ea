"""`mlx-tutor explore`."""

import json
from pathlib import Path

from mlx_tutor.journal import open_journal
from mlx_tutor.study.chat.thumbs import change_thumb, write_note, write_thumb
from mlx_tutor.study.chat.unfound import SCHEMA
from mlx_tutor.workspace import Course
from tests.commands.conftest import Invoke


def test_tables_and_a_page(built: Path, invoke: Invoke) -> None:
    result = invoke("explore")
    assert result.exit_code == 0, result.output
    for text in (
        "week1.md",
        "definition",
        "Tokens of a row",
        "Coverage: of",
        "Concepts named",
        "Questions with several",
    ):
        assert text in result.stdout
    page = built / "corpora" / "demo" / "dataset" / "explore.html"
    assert str(page) in result.stdout and page.read_text().startswith("<!doctype html>")


def test_json_has_it_all(built: Path, invoke: Invoke) -> None:
    result = invoke("explore", "--json")
    found = json.loads(result.stdout)
    manifest = json.loads((built / "corpora" / "demo" / "dataset" / "manifest.json").read_text())["rows"]
    assert found["splits"] == manifest["splits"] and found["methods"] == manifest["methods"]
    assert {source["source"]: source["rows"] for source in found["sources"]} == manifest["sources"]
    assert sum(section["rows"] for section in found["sections"]) == sum(manifest["splits"].values())
    assert found["lengths"]["limit"] == 1024 and Path(found["page"]).is_file()


def test_before_build_it_shows_the_sources(workspace: Path, invoke: Invoke) -> None:
    failed = invoke("explore")
    assert failed.exit_code == 1 and "mlx-tutor extract" in failed.stderr and failed.stderr.count("\n") == 1
    assert invoke("extract").exit_code == 0
    result = invoke("explore")
    assert result.exit_code == 0 and "week2.md" in result.stdout and "mlx-tutor build -c demo" in result.stdout


def test_without_the_model_lengths_are_left_out(built: Path, invoke: Invoke) -> None:
    result = invoke("explore", "--set", "model.base=nobody/nothing", "--json")
    assert result.exit_code == 0 and "Lengths are left out" in result.stderr
    assert json.loads(result.stdout)["lengths"] is None


def test_changed_sources_are_told(built: Path, invoke: Invoke) -> None:
    (built / "corpora" / "demo" / "sources" / "week1.md").write_text("# New\n\nNothing.")
    assert "Not counted yet: week1.md changed" in invoke("explore").stderr


def test_what_a_terminal_would_obey_is_not_printed(workspace: Path, invoke: Invoke) -> None:
    long = "word after word after word until the very end of it. " * 3
    for name in ("a", "b"):
        text = f"# Bad \x1b[31mred\x1b[0m [bold]\n\n## Part \x1b[2J\n\n{long}\x1b[5m[/bold]\n"
        (workspace / "corpora" / "demo" / "sources" / f"{name}.md").write_text(text)
    assert invoke("extract").exit_code == 0
    result = invoke("explore")
    assert result.exit_code == 0 and "\x1b" not in result.stdout and "several places: 1\n" in result.stdout


def test_questions_that_found_nothing_are_listed_for_the_lecturer(finished: Path, invoke: Invoke) -> None:
    assert "nothing in the course answered" not in invoke("explore").stdout
    with open_journal(Course(finished, "demo"), SCHEMA) as journal:
        for question in ("What is a violin plot?", "what is a violin plot?", "Who drew the first one?"):
            journal.execute(
                "INSERT INTO unfound (day, question, topic) VALUES ('2026-03-01', ?, 'week1.md > Week 1')", (question,)
            )
    shown = invoke("explore").stdout
    assert "Questions on the page that nothing in the course answered" in shown and "violin plot" in shown
    (topic,) = json.loads(invoke("explore", "--json").stdout)["unfound"]
    assert (topic["topic"], topic["times"]) == ("week1.md > Week 1", 3)
    assert topic["questions"][0] == ["What is a violin plot?", 2]


def test_notes_on_bad_answers_are_listed_for_the_lecturer(finished: Path, invoke: Invoke) -> None:
    assert "thumb down" not in invoke("explore").stdout
    course = Course(finished, "demo")
    numbers = [write_thumb(course, "demo", f"What is box {n}?", f"Answer {n}.", n == 1) for n in range(4)]
    write_note(course, numbers[0], "That is \x1bthe range.")
    write_note(course, numbers[1], "Well said.")
    write_note(course, numbers[2], "Taken back later.")
    change_thumb(course, numbers[2], True)
    shown = invoke("explore").stdout
    assert "Answers with a thumb down" in shown and "That is the range." in shown and "\x1b" not in shown
    assert "Well said." not in shown and "Taken back" not in shown
    assert json.loads(invoke("explore", "--json").stdout)["disliked"] == [
        {"question": "What is box 0?", "answer": "Answer 0.", "note": "That is \x1bthe range."},
        {"question": "What is box 3?", "answer": "Answer 3.", "note": ""},
    ]
