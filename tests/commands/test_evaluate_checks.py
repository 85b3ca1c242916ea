"""evaluate --learned, --guards and --gate: asked, kept, shown, and an exit status for CI."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.evaluation.checks import measure_learned
from mlx_tutor.evaluation.teaching import CourseText
from mlx_tutor.recipe import load_recipe
from mlx_tutor.workspace import find_course, find_run
from tests.commands.conftest import TERMS, Invoke
from tests.commands.reports import MARKUP, read_page


def read_evaluation(workspace: Path) -> Any:
    return json.loads((workspace / "adapters" / "demo" / "evaluation.json").read_text(encoding="utf-8"))


def test_what_was_learned_is_listed_with_its_place(invoke: Invoke, finished: Path) -> None:
    result = invoke("evaluate", "--learned")
    assert result.exit_code == 0, result.output
    for word in ("known before", "unlearned", "held out", "facts, asked of base and fused", "exact sign test"):
        assert word in result.stdout
    learned = read_evaluation(finished)["learned"]
    assert learned["asked"] == learned["available"] == sum(learned["counts"].values())
    facts = [fact for found in learned["lists"].values() for fact in found]
    answers = {fact["answer"] for fact in facts}
    assert len(facts) == len(answers) == learned["asked"]
    assert sum(text in answers for text in TERMS.values()) >= 12
    trained = (finished / "corpora" / "demo" / "dataset" / "train.jsonl").read_text(encoding="utf-8")
    for fact in facts:
        assert fact["place"].startswith("week") and fact["source"] in ("week1.md", "week2.md")
        assert len(fact["base"]["margins"]) == len(fact["asked"]) == 2
        assert not any(json.dumps(wording)[1:-1] in trained for wording in fact["asked"])
        assert fact["trained"] == (json.dumps(fact["answer"])[1:-1] in trained)
    check_conditions(learned, result.stdout, read_page(finished).text)
    # Kept, and not asked twice.
    stamp = (finished / "adapters" / "demo" / "answers.jsonl").stat().st_mtime_ns
    again = invoke("evaluate", "--learned", "--json")
    assert json.loads(again.stdout)["learned"] == learned
    assert (finished / "adapters" / "demo" / "answers.jsonl").stat().st_mtime_ns == stamp
    limited = json.loads(invoke("evaluate", "--learned", "--limit", "5", "--json").stdout)["learned"]
    assert (limited["asked"], limited["available"]) == (5, learned["available"])


def check_conditions(learned: Any, shown: str, page: str) -> None:
    """Base and tuned, closed-book and with search, on the same questions; the page leads with them."""
    rows = learned["conditions"]["rows"]
    assert [(row["model"], row["search"]) for row in rows] == [
        ("base", False), ("base", True), ("fused", False), ("fused", True)
    ]  # fmt: skip
    facts = [fact for found in learned["lists"].values() for fact in found]
    for row in rows:
        assert [answer["question"] for answer in row["answers"]] == [a["question"] for a in rows[0]["answers"]]
        assert len(row["answers"]) == row["facts"] + row["unanswerable"] and row["unanswerable"] > 3
        assert row["right"] <= row["facts"] and row["held_out_right"] <= row["held_out"]
        if not row["search"]:
            label = "base" if row["model"] == "base" else "tuned"
            assert row["asked"] == len(facts) and row["known"] <= row["recited"]
            assert row["recited"] == sum(fact[label]["recited"] for fact in facts)
            for kind, found in row["kinds"].items():
                assert found["right"] == sum(fact[label]["kinds"].get(kind, -1) > 0 for fact in facts)
    assert set(rows[0]["kinds"]) == {"term from description", "true or false", "missing word"}
    for word in ("facts recited", "facts known", "unanswerable refused", "fused + search"):
        assert word in shown and word in page
    assert page.index("Does it know the course?") < page.index("Training") < page.index("What did it learn?")


def test_interrupted_and_resumed(finished: Path) -> None:
    course = find_course(finished)
    run, recipe = find_run(course), load_recipe(course.recipe)
    splits = ("train", "valid", "test")
    rows = {
        split: [json.loads(line) for line in (course.dataset / f"{split}.jsonl").read_text().splitlines()]
        for split in splits
    }
    base = Path(recipe.model.base)
    text = CourseText([], "undergraduate", lambda text: (), lambda answer, question: (0, 0))

    def stop(label: str, done: int, total: int) -> None:
        if done > 0.8 * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_learned(run, base, recipe, rows, text, "x", stop, limit=6)
    assert "learned" not in read_evaluation(finished)
    kept = (run.adapter / "answers.jsonl").read_text()
    resumed = measure_learned(run, base, recipe, rows, text, "x", lambda *progress: None, limit=6)
    assert (run.adapter / "answers.jsonl").read_text().startswith(kept)
    (run.adapter / "answers.jsonl").unlink()
    whole = measure_learned(run, base, recipe, rows, text, "x", lambda *progress: None, limit=6)
    assert resumed["lists"] == whole["lists"] and resumed["p_value"] == whole["p_value"]


def test_guards_are_asked_and_shown(invoke: Invoke, finished: Path) -> None:
    result = invoke("evaluate", "--guards", "--limit", "2")
    assert result.exit_code == 0, result.output
    for word in ("general questions", "out of domain, refused", "0 of 2", "longest run", "nothing was taught"):
        assert word in result.stdout
    guards = read_evaluation(finished)["guards"]
    assert guards["models"] == ["base", "fused"] and guards["taught"] == 0
    for label in guards["models"]:
        kinds = guards["words"][label]["kinds"]
        assert set(kinds) == {"out of domain", "unanswerable", "false premise", "extraction", "course"}
        assert len(guards["words"][label]["answers"]) == 10
        assert 0 <= guards["words"][label]["separates"] <= 1
    assert guards["general"]["asked"] == 48
    page = read_page(finished)
    assert "Guards" in page.text and "All 10 questions and answers" in page.text


def test_a_broken_limit_is_an_exit_status(invoke: Invoke, finished: Path) -> None:
    # Losses only, unless a limit needs more.
    result = invoke("evaluate", "--gate", "--set", "gate.loss=-1")
    assert result.exit_code == 0, result.output
    assert "0 limits hold" in result.stderr and "guards" not in read_evaluation(finished)
    limits = ("--set", "gate.loss=1.0", "--set", "gate.copied_words=200", "--set", "gate.refused=0.9", "--limit", "1")
    result = invoke("evaluate", "--gate", *limits)
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if "limit broken" in line]
    assert len(lines) == 2
    assert "gate.loss" in lines[0] and "gate.refused" in lines[1] and "at least 0.9 is wanted" in lines[1]
    result = invoke("evaluate", "--gate", *limits, "--json")
    assert result.exit_code == 1
    gate = json.loads(result.stdout)["gate"]
    assert (len(gate["held"]), len(gate["broken"])) == (1, 2)


def test_limits_are_settings(invoke: Invoke, finished: Path) -> None:
    result = invoke("evaluate", "--gate", "--set", "gate.learned=2", "--set", "gate.lerned=0.5")
    assert result.exit_code == 1
    assert "gate.learned must be between 0 and 1" in result.stderr and "did you mean learned?" in result.stderr


def test_too_few_facts(invoke: Invoke, finished: Path) -> None:
    dataset = finished / "corpora" / "demo" / "dataset"
    for split in ("train", "valid"):
        (dataset / f"{split}.jsonl").write_text("")
    rows = (dataset / "test.jsonl").read_text().splitlines()[:1]
    (dataset / "test.jsonl").write_text(rows[0] + "\n")
    result = invoke("evaluate", "--learned")
    assert result.exit_code == 1
    assert "facts that could be asked" in result.stderr


def test_rows_without_a_course(invoke: Invoke, finished: Path) -> None:
    for name in ("documents.jsonl", "documents.json", "manifest.json"):
        (finished / "corpora" / "demo" / "dataset" / name).unlink()
    result = invoke("evaluate", "--generate", "--learned", "--guards", "--limit", "2", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    grounding = next(measure for measure in found["answers"]["teaching"] if measure["key"] == "grounding")
    assert grounding["values"]["base"] is None
    assert found["guards"]["words"]["fused"]["kinds"]["course"]["longest_run"] >= 0


def test_the_report_escapes_what_the_checks_show(invoke: Invoke, finished: Path) -> None:
    assert invoke("evaluate", "--generate", "--learned", "--guards", "--limit", "4").exit_code == 0
    path = finished / "adapters" / "demo" / "evaluation.json"
    record = json.loads(path.read_text())
    fact = next(fact for found in record["learned"]["lists"].values() for fact in found)
    fact["question"] = fact["answer"] = fact["place"] = MARKUP
    guarded = record["guards"]["words"]["base"]["answers"][0]
    guarded["question"] = guarded["answer"] = record["guards"]["refusal"] = MARKUP
    record["guards"]["general"]["forgotten"] = [MARKUP]
    record["answers"]["level"]["by"] = MARKUP
    path.write_text(json.dumps(record))
    assert invoke("evaluate").exit_code == 0
    page = read_page(finished)
    assert page.text.count(MARKUP) == 7
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    for title in ("How well it teaches", "Speed and memory", "What did it learn?", "Guards"):
        assert title in page.text
