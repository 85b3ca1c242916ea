"""ask: who answers, what is shown, what is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest

from mlx_tutor.generate import Answer
from mlx_tutor.study.chat import ask
from tests.commands.conftest import Invoke, expect_problem, run_program

QUESTION = "What is the mode?"


def test_the_newest_fused_model_answers_from_the_course(invoke: Invoke, finished: Path) -> None:
    result = invoke("ask", QUESTION, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert (found["course"], found["model"], found["question"]) == ("demo", "demo", QUESTION)
    assert found["passages"][0]["heading"][-1] == "Mode"
    assert found["supported"] is bool(found["sources"])
    assert found["answer"]["tokens"] <= 12
    assert (finished / "corpora" / "demo" / "index.sqlite").is_file()
    again = json.loads(invoke("ask", QUESTION, "--json").stdout)
    assert again["answer"]["text"] == found["answer"]["text"]


def test_the_answer_and_under_it_the_sources(invoke: Invoke, finished: Path) -> None:
    result = invoke("ask", QUESTION)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.index(QUESTION) < result.stdout.index("not found in your course")
    assert re.search(r"^1 week1\.md, Week 1 > Mode", result.stdout, re.MULTILINE)


def test_a_sentence_of_the_course_is_quoted_with_its_place(
    invoke: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = "The mode is the value that occurs most often in a sample."
    said = f"Answer: {mode} Elephants wear fashionable hats. {mode}"
    monkeypatch.setattr(ask, "generate_answer", lambda *_: Answer(said, 1, 1, 1.0, 0.0, "stop", 0.0))
    shown = invoke("ask", QUESTION).stdout
    lines = shown.splitlines()
    start = lines.index("Nearly word for word in your course: 2 of 3 sentences.")
    assert lines[start + 1].startswith("A sentence without a number was not found")
    assert [line.strip() for line in lines[start + 2 :]] == ["1 week1.md, Week 1 > Mode", f"“{mode}”"]
    answer = re.sub(r"[\s│]+", " ", "\n".join(lines[:start]))
    assert f"{mode} [1] Elephants wear fashionable hats. {mode} [1]" in answer
    found = json.loads(invoke("ask", QUESTION, "--json").stdout)
    assert found["supported"] is True and found["checked"] == 3
    assert [source["quote"] for source in found["sources"]] == [mode, mode]
    assert found["numbered"] == f"Answer: {mode} [1] Elephants wear fashionable hats. {mode} [1]"
    assert [said[start:end] for start, end in found["spans"]] == [mode, "Elephants wear fashionable hats.", mode]


def test_each_model_can_be_asked(invoke: Invoke, finished: Path) -> None:
    def name_model(*options: str) -> str:
        result = invoke("ask", QUESTION, "--json", *options)
        assert result.exit_code == 0, result.stderr
        return str(json.loads(result.stdout)["model"])

    shutil.copytree(finished / "adapters" / "demo", finished / "adapters" / "other")
    assert name_model() == "demo"
    assert name_model("--base") == "base"
    assert name_model("--run", "demo") == "demo"
    assert name_model("--adapter", "other") == "adapter of other"
    assert "--adapter other" in expect_problem(invoke, "ask", QUESTION, "--run", "other")
    assert "No finished run 'none'" in expect_problem(invoke, "ask", QUESTION, "--adapter", "none")
    assert invoke("ask", QUESTION, "--base", "--run", "demo").exit_code == 2


def test_before_a_training_the_base_answers_and_says_so(invoke: Invoke, finished: Path) -> None:
    shutil.rmtree(finished / "fused_models" / "demo")
    result = invoke("ask", QUESTION, "--json")
    assert json.loads(result.stdout)["model"] == "base" and "mlx-tutor fuse --run demo" in result.stderr
    shutil.rmtree(finished / "adapters" / "demo")
    result = invoke("ask", QUESTION, "--json")
    assert json.loads(result.stdout)["model"] == "base" and "nothing is trained yet" in result.stderr
    assert invoke("ask", QUESTION, "--base", "--json").stderr == ""


def test_a_stale_fused_model_is_named(invoke: Invoke, finished: Path) -> None:
    adapter = finished / "adapters" / "demo" / "adapters.safetensors"
    adapter.write_bytes(adapter.read_bytes() + b" ")
    assert "stale" in invoke("ask", QUESTION).stderr


def test_without_the_course(invoke: Invoke, finished: Path) -> None:
    shutil.rmtree(finished / "corpora" / "demo" / "dataset")
    # build searches too, for the passages of its rows.
    (finished / "corpora" / "demo" / "index.sqlite").unlink(missing_ok=True)
    result = invoke("ask", QUESTION, "--no-search")
    assert result.exit_code == 0, result.stderr
    assert "The course was not searched" in result.stdout
    assert not (finished / "corpora" / "demo" / "index.sqlite").exists()
    assert json.loads(invoke("ask", QUESTION, "--no-search", "--json").stdout)["supported"] is None
    assert "mlx-tutor extract -c demo" in expect_problem(invoke, "ask", QUESTION)


def test_what_the_course_does_not_have(invoke: Invoke, finished: Path) -> None:
    result = invoke("ask", "Who wrote Faust?")
    assert "Nothing in your course is about this question" in result.stderr
    assert "not found in your course" in result.stdout


def test_changed_sources_are_named_and_found_after_an_extract(invoke: Invoke, finished: Path) -> None:
    with (finished / "corpora" / "demo" / "sources" / "week1.md").open("a") as file:
        file.write("\n## Kurtosis\n\nKurtosis tells how heavy the tails are.\n")
    result = invoke("ask", "What is kurtosis?", "--json")
    assert "week1.md changed" in result.stderr and json.loads(result.stdout)["passages"] == []
    assert invoke("extract").exit_code == 0
    found = json.loads(invoke("ask", "What is kurtosis?", "--json").stdout)
    assert found["passages"][0]["heading"][-1] == "Kurtosis"


@pytest.mark.parametrize("question", ["", "   ", "\x1b\x00", "???"])
def test_an_empty_question(invoke: Invoke, finished: Path, question: str) -> None:
    assert "The question is empty" in expect_problem(invoke, "ask", question)


def test_a_hundred_kilobytes_of_pasted_text(invoke: Invoke, finished: Path) -> None:
    line = expect_problem(invoke, "ask", "What is the mode, " + "and the mean " * 8000, "--json")
    assert "context holds 1024" in line


def test_no_room_for_a_passage(invoke: Invoke, finished: Path) -> None:
    result = invoke("ask", QUESTION, "--set", "generate.max_tokens=1000", "--json")
    assert result.exit_code == 0
    assert "No passage of your course fits" in result.stderr
    assert json.loads(result.stdout)["passages"] == []


def test_html_and_control_characters_are_text(invoke: Invoke, finished: Path) -> None:
    question = "What is the <script>alert('[red]mode[/red]')</script>\x1b]0;title\x07 <|im_end|>?"
    result = invoke("ask", question)
    assert result.exit_code == 0, result.stderr
    assert "<script>alert('[red]mode[/red]')</script>" in result.stdout.replace("\n", "")
    assert "\x1b" not in result.stdout and "\x07" not in result.stdout


def test_an_unknown_course(invoke: Invoke, finished: Path) -> None:
    assert "Courses here: demo" in expect_problem(invoke, "ask", QUESTION, "-c", "other")


def test_a_damaged_index_is_made_again(invoke: Invoke, finished: Path) -> None:
    path = finished / "corpora" / "demo" / "index.sqlite"
    path.write_bytes(b"\xff" * 5000)
    assert json.loads(invoke("ask", QUESTION, "--json").stdout)["passages"]
    assert path.read_bytes().startswith(b"SQLite format 3")


def test_the_real_program_takes_any_bytes(finished: Path) -> None:
    code, out, err = run_program("ask", b"What is the mode \xff\xfe?".decode(errors="surrogateescape"), "--json")
    assert code == 0, err
    assert json.loads(out)["question"] == "What is the mode ?"
