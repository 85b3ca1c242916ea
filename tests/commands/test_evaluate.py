"""evaluate --generate: answers measured, kept, and shown in a report."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.dataset.messages import has_format
from mlx_tutor.evaluation.measure import measure_answers
from mlx_tutor.recipe import load_recipe
from mlx_tutor.workspace import find_course, find_run
from tests.commands.conftest import Invoke
from tests.commands.reports import MARKUP, read_page, read_source


def evaluate(invoke: Invoke, *arguments: str) -> Any:
    result = invoke("evaluate", "--generate", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["answers"]


def test_answers_are_measured_and_shown(invoke: Invoke, finished: Path) -> None:
    result = invoke("evaluate", "--generate")
    assert result.exit_code == 0, result.output
    for word in ("ROUGE-L", "chrF", "base to fused", "response style", "bleu: nrefs:1", "report.html"):
        assert word in result.output
    record = json.loads((finished / "adapters" / "demo" / "evaluation.json").read_text())
    answers = record["answers"]
    assert answers["models"] == ["base", "adapter", "fused"]
    assert answers["questions"] == answers["available"] == record["result"]["rows"]
    losses = {model["label"]: model["loss"] for model in record["result"]["models"]}
    measure = answers["measures"][0]
    assert {label: value["value"] for label, value in measure["values"].items()} == pytest.approx(losses, abs=1e-4)
    assert [(d["from"], d["to"]) for d in measure["differences"]] == [
        ("base", "adapter"),
        ("base", "fused"),
        ("adapter", "fused"),
    ]
    assert [row["aspect"] for row in answers["style"]][3] == "token count"
    assert len(answers["style"]) == 7
    kept = finished / "adapters" / "demo" / "answers.jsonl"
    assert len(kept.read_text().splitlines()) == 3 * answers["questions"]
    # The losses of `run` stay valid, and the answers are not made twice.
    stamp = kept.stat().st_mtime_ns
    assert evaluate(invoke) == answers
    assert json.loads(invoke("run", "--json").stdout)["stages"][-1]["up_to_date"]
    assert "answers" in json.loads((finished / "adapters" / "demo" / "evaluation.json").read_text())
    assert kept.stat().st_mtime_ns == stamp


def test_a_limit_is_a_choice_by_the_seed(invoke: Invoke, finished: Path) -> None:
    answers = evaluate(invoke, "--limit", "3")
    assert answers["questions"] == 3
    assert {d["verdict"] for m in answers["measures"] for d in m["differences"]} == {"too few rows"}
    chosen = [shown["line"] for shown in answers["shown"]]
    other = evaluate(invoke, "--limit", "3", "--seed", "1")
    assert [shown["line"] for shown in other["shown"]] != chosen
    again = evaluate(invoke, "--limit", "3")
    measured = dict.fromkeys(("seconds", "peak_memory_gb", "speed"))
    assert again | measured == answers | measured


def test_interrupted_and_resumed_is_as_in_one_go(finished: Path) -> None:
    course = find_course(finished)
    run, recipe = find_run(course), load_recipe(course.recipe)
    rows = [json.loads(line) for line in (course.dataset / "test.jsonl").read_text().splitlines()]
    base = Path(recipe.model.base)
    seen: list[tuple[str, int, int]] = []

    def stop(label: str, done: int, total: int) -> None:
        seen.append((label, done, total))
        if done == len(rows) + 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_answers(run, base, recipe, rows, has_format, stop)
    assert seen[-1] == ("adapter", len(rows) + 2, 3 * len(rows))
    assert "answers" not in json.loads((run.adapter / "evaluation.json").read_text())
    kept = run.adapter / "answers.jsonl"
    begun = kept.read_text()
    resumed = measure_answers(run, base, recipe, rows, has_format, lambda *progress: None)
    assert kept.read_text().startswith(begun)
    assert len(kept.read_text().splitlines()) == 3 * len(rows)
    kept.unlink()
    whole = measure_answers(run, base, recipe, rows, has_format, lambda *progress: None)
    for key in ("measures", "style", "shown"):
        assert resumed[key] == whole[key]


def test_losses_are_measured_again_when_fewer_rows_fit_or_the_template_changes(
    invoke: Invoke, finished: Path, tiny_model: Path
) -> None:
    def measure(*arguments: str) -> Any:
        result = invoke("evaluate", "--json", *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    whole = measure()
    assert whole["up_to_date"]
    rows = (finished / "corpora" / "demo" / "dataset" / "test.jsonl").read_text().splitlines()
    # A token a byte, and the tokens of the template come to it: the longest row does not fit.
    longest = max(sum(len(turn["content"]) for turn in json.loads(row)["messages"]) for row in rows)
    less = ("--set", f"train.max_seq_length={longest}")
    shorter = measure(*less)
    assert not shorter["up_to_date"] and 0 < shorter["result"]["rows"] < whole["result"]["rows"]
    assert measure(*less)["up_to_date"]
    base = Path(shutil.copytree(tiny_model, finished / "base"))
    assert measure("--set", f"model.base={base}")["result"]["rows"] == whole["result"]["rows"]
    config = json.loads((base / "tokenizer_config.json").read_text())
    config["chat_template"] = config["chat_template"].replace("You are a helpful assistant.", "Be brief.")
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    assert not measure("--set", f"model.base={base}")["up_to_date"]


def test_without_a_fused_model_base_and_adapter_are_measured(invoke: Invoke, finished: Path) -> None:
    shutil.rmtree(finished / "fused_models" / "demo")
    result = invoke("evaluate", "--generate", "--limit", "2")
    assert result.exit_code == 0, result.output
    assert "is not fused" in result.stderr and "mlx-tutor fuse --run demo" in result.stderr
    assert "base to adapter" in result.stdout
    assert "Fused model" not in read_page(finished).text


def test_without_test_rows_validation_is_measured_and_it_is_said(invoke: Invoke, finished: Path) -> None:
    dataset = finished / "corpora" / "demo" / "dataset"
    result = invoke("run", "--set", "dataset.test=0")
    assert result.exit_code == 0, result.output
    assert (dataset / "test.jsonl").read_text() == ""
    rows = len((dataset / "valid.jsonl").read_text().splitlines())
    assert "without test rows, validation loss base" in result.output
    record = json.loads((finished / "adapters" / "demo-2" / "evaluation.json").read_text())["result"]
    assert (record["split"], record["rows"]) == ("valid", rows)
    assert invoke("evaluate", "--generate", "--limit", "2").exit_code == 0
    page = read_page(finished, "demo-2").text
    assert "validation rows that training never saw, though the best adapter was chosen on them" in page
    assert "of the validation split" in page
    compared = invoke("compare", "--from-test", "1", "--json")
    assert compared.exit_code == 0 and json.loads(compared.stdout)["prompts"][0]["id"].startswith("valid-")


def test_a_missing_split_says_what_to_do(invoke: Invoke, finished: Path) -> None:
    (finished / "corpora" / "demo" / "dataset" / "test.jsonl").unlink()
    result = invoke("evaluate", "--generate")
    assert result.exit_code == 1
    assert "mlx-tutor build" in result.stderr


def test_a_limit_without_generate_is_wrong_usage(invoke: Invoke, finished: Path) -> None:
    assert invoke("evaluate", "--limit", "3").exit_code == 2
    assert invoke("evaluate", "--generate", "--limit", "0").exit_code == 2


def test_the_report_of_losses_alone(invoke: Invoke, finished: Path) -> None:
    assert invoke("evaluate").exit_code == 0
    page = read_page(finished)
    assert "No answers were generated yet" in page.text
    assert "Is it real?" not in page.text


def test_the_report_says_which_rows_each_width_was_measured_on(invoke: Invoke, finished: Path) -> None:
    path = finished / "fused_models" / "demo" / "fuse.json"
    record = json.loads(path.read_text())
    kept = record["result"]["tried"][-1]
    record["result"]["tried"] = [{**kept, "rows": 777, "bits": 2, "loss": 9.125}, kept]
    path.write_text(json.dumps(record))
    assert invoke("evaluate").exit_code == 0
    cells = re.findall(r"<td[^>]*>(\w+)</td>(?=\s*<td[^>]*>([\d.]+)</td>)", read_source(finished))
    assert ("777", "9.125") in cells and (str(kept["rows"]), f"{kept['loss']:.3f}") in cells
    assert kept["rows"] == record["result"]["rows"]


def test_a_question_stands_apart_from_its_passages(invoke: Invoke, finished: Path) -> None:
    evaluate(invoke)
    path = finished / "adapters" / "demo" / "evaluation.json"
    record = json.loads(path.read_text())
    record["answers"]["shown"][0]["question"] = "<passage 1: a.md>\nThe mode.\n</passage 1>\n\nQuestion: What is it?"
    path.write_text(json.dumps(record))
    assert invoke("evaluate").exit_code == 0
    assert "<h3>What is it?</h3>" in read_source(finished)
    assert "<passage 1: a.md>\nThe mode." in read_page(finished).text


def test_the_report_is_one_file_and_escapes_what_it_shows(invoke: Invoke, finished: Path) -> None:
    evaluate(invoke)
    path = finished / "adapters" / "demo" / "evaluation.json"
    record = json.loads(path.read_text())
    shown = record["answers"]["shown"][0]
    shown["question"] = shown["reference"] = shown["answers"]["base"]["text"] = MARKUP
    path.write_text(json.dumps(record))
    run = finished / "adapters" / "demo" / "run.json"
    settings = json.loads(run.read_text())
    settings["recipe"]["course"]["system_prompt"] = MARKUP
    run.write_text(json.dumps(settings))
    assert invoke("evaluate").exit_code == 0
    page = read_page(finished)
    assert page.text.count(MARKUP) == 4
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    assert all(name not in ("href", "onerror") for _, attributes in page.tags for name in attributes)
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert len(sources) == 1 and str(sources[0]).startswith("data:image/png;base64,iVBOR")
    for title in ("Training", "Loss on the test rows", "Answers, measured", "Is it real?", "Style", "Fused model"):
        assert title in page.text
    assert "url(" not in page.text and "@import" not in page.text
