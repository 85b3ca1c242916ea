"""Several models, several prompts: one loaded base, the same answers as alone, and the reports."""

import gc
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from mlx_tutor.errors import ModelError, TutorError
from mlx_tutor.evaluation.compare import (
    Comparison,
    compare_models,
    compare_prompts,
    describe_sharing,
    record_comparison,
)
from mlx_tutor.evaluation.compare_report import check_report, list_badges, mark_differences, write_report
from mlx_tutor.evaluation.prompts import Prompt, make_prompt
from mlx_tutor.generate import generate_answer
from mlx_tutor.models import lend_adapter, load_model
from mlx_tutor.records import ModelSpec
from mlx_tutor.settings import GenerateSettings
from tests.model_factory import make_model
from tests.training.runs import SETTINGS, train

TOKENS = mx.array([[1, *range(40, 100, 3)]])
LIMITS = GenerateSettings(max_tokens=5)
PROMPTS = [make_prompt("What is term 1?", "Tutor.", "a", "define"), make_prompt("And <b>term</b> 2?", "", "b")]


def get_logits(model: Any) -> mx.array:
    logits: mx.array = model(TOKENS).astype(mx.float32)
    mx.eval(logits)
    return logits


@pytest.fixture(scope="module", params=["lora", "dora"])
def adapted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base, and the folder of an adapter that was trained on it."""
    folder = tmp_path_factory.mktemp(request.param)
    base = make_model(folder / "model")
    run, _ = train(folder, base, replace(SETTINGS, fine_tune_type=request.param, learning_rate=1e-2, iters=10))
    return base, run.adapter


def test_a_lent_adapter_is_the_adapter_and_leaves_no_trace(adapted: tuple[Path, Path]) -> None:
    base, adapter = adapted
    plain, tuned = get_logits(load_model(base).model), get_logits(load_model(base, adapter).model)
    assert float(mx.abs(plain - tuned).max()) > 1e-2
    loaded = load_model(base)
    for _ in range(2):
        with lend_adapter(loaded, adapter):
            assert mx.array_equal(get_logits(loaded.model), tuned)
        assert mx.array_equal(get_logits(loaded.model), plain)


def test_an_adapter_that_does_not_fit_leaves_the_base_as_it_was(adapted: tuple[Path, Path], tmp_path: Path) -> None:
    _, adapter = adapted
    loaded = load_model(make_model(tmp_path / "wide", width=128))
    before = get_logits(loaded.model)
    with pytest.raises(ModelError, match="cannot be loaded"), lend_adapter(loaded, adapter):
        pass
    assert mx.array_equal(get_logits(loaded.model), before)


def test_answers_are_those_of_each_model_alone(adapted: tuple[Path, Path], tmp_path: Path) -> None:
    base, adapter = adapted
    other = make_model(tmp_path / "other", seed=5)
    # In this order, the base is asked again after another model: it is loaded once all the same.
    models = [ModelSpec("base", base), ModelSpec("other", other), ModelSpec("adapter", base, adapter)]
    seen: list[tuple[str, int]] = []
    prompts = [prompt.messages for prompt in PROMPTS]
    found = compare_prompts(models, prompts, LIMITS, on_answer=lambda label, done: seen.append((label, done)))
    assert [[item.label for item in answers] for answers in found] == [["base", "other", "adapter"]] * 2
    assert seen == [("base", 1), ("base", 2), ("adapter", 3), ("adapter", 4), ("other", 5), ("other", 6)]
    for model in models:
        alone = load_model(model.path, model.adapter)
        for answers, messages in zip(found, prompts, strict=True):
            mine = next(item for item in answers if item.label == model.label)
            assert mine.answer.text == generate_answer(alone, messages, LIMITS).text


def test_one_model_is_in_memory_at_a_time(tmp_path: Path) -> None:
    models = [ModelSpec(str(seed), make_model(tmp_path / str(seed), seed=seed, width=512)) for seed in range(3)]
    gc.collect()
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    peaks: list[int] = []

    def look() -> bool:
        # Asked when a model has been loaded, and after each token.
        peaks.append(mx.get_peak_memory() - before)
        return False

    compare_models(models, PROMPTS[0].messages, replace(LIMITS, max_tokens=1), is_stopped=look)
    assert len(peaks) >= 6 and max(peaks) < 1.2 * peaks[0]


def test_stopping_returns_what_is_there(tiny_model: Path) -> None:
    models = [ModelSpec("base", tiny_model), ModelSpec("fused", tiny_model)]
    heard: list[str] = []
    found = compare_models(
        models, PROMPTS[0].messages, LIMITS, lambda label, piece: heard.append(label), lambda: len(heard) >= 2
    )
    assert [item.label for item in found] == ["base"] and found[0].answer.finish_reason == "stopped"
    assert compare_prompts(models, [], LIMITS) == []


def test_who_shares_what(adapted: tuple[Path, Path], tiny_model: Path) -> None:
    base, adapter = adapted
    models = [ModelSpec("base", base), ModelSpec("adapter", base, adapter), ModelSpec("fused", tiny_model)]
    found = compare_models(models, PROMPTS[0].messages, LIMITS)
    text = describe_sharing(models, found)
    assert text.startswith("base and adapter share one loaded base of ") and "(adapter adds 0." in text
    assert found[1].weights_gb > found[0].weights_gb
    assert describe_sharing(models[::2], found[::2]) == ""


@pytest.fixture(scope="module")
def record(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    other = make_model(tmp_path_factory.mktemp("second"), seed=3)
    models = [ModelSpec("base", tiny_model), ModelSpec("<i>", other)]
    prompts = [PROMPTS[0], Prompt("b", "", PROMPTS[1].messages, "It is <u>two</u>.")]
    found = compare_prompts(models, [prompt.messages for prompt in prompts], LIMITS)
    written = ("# Steps\n- first & foremost | one\n- then", "# Steps\n- last & foremost | one\n- then")
    shown = [[write(item, text) for item, text in zip(answers, written, strict=True)] for answers in found]
    return record_comparison(models, prompts, shown, LIMITS)


def write(item: Comparison, text: str) -> Comparison:
    return replace(item, answer=replace(item.answer, text=text))


def test_the_record_is_json_with_means(record: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "a.json", record)
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(json.dumps(record))
    assert [model["label"] for model in record["models"]] == ["base", "<i>"]
    assert record["models"][0]["tokens"] <= 5 and record["models"][0]["style"]["structure"]["steps"] == 1.0
    assert record["prompts"][1]["answers"][1]["labels"]["structure"] == "steps"


def test_the_page_stands_alone_and_escapes_what_was_written(record: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", record)
    page = (tmp_path / "a.html").read_text()
    assert "And &lt;b&gt;term&lt;/b&gt; 2?" in page and "It is &lt;u&gt;two&lt;/u&gt;." in page
    assert "<b>term" not in page and "<i>" not in page and "<h4>&lt;i&gt;</h4>" in page
    assert "- <mark>last</mark> &amp; foremost | one" in page
    assert '<span class="badge">steps</span>' in page and "--columns: 2" in page
    assert not any(word in page for word in ("http:", "https:", "<script", "<link", "src="))


def test_markdown_quotes_what_was_written(record: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "a.md", record)
    text = (tmp_path / "a.md").read_text()
    assert "> # Steps\n> - first & foremost | one" in text
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# base and <i>, compared",
        "## a: define",
        "## b",
        "## Settings",
    ]
    assert "| weights in memory |" in text and "> It is <u>two</u>." in text


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("the mean of all values", "the mean of the values", ["the"]),
        ("the mean", "the mean", []),
        ("one two three four", "one two  new words three four", ["new words"]),
        ("one two three four", "one four", []),
        ("nothing alike here", "quite other words", []),
        ("", "anything", []),
        ("a b c", "", []),
    ],
)
def test_words_that_differ_are_marked(before: str, after: str, marked: Sequence[str]) -> None:
    pieces = mark_differences(before, after)
    assert "".join(text for text, _ in pieces) == after
    assert [text for text, new in pieces if new] == list(marked)


def test_badges_say_what_is_there() -> None:
    labels = {"response style": "neither", "mathematics": "LaTeX", "structure": "steps", "related concepts": "none"}
    assert list_badges(labels) == ["LaTeX mathematics", "steps"]


def test_where_no_report_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("mine")
    for name, message in (("a.txt", "ends in .html, .md or .json"), ("no/a.md", "no folder"), ("there.md", "not over")):
        with pytest.raises(TutorError, match=message):
            check_report(tmp_path / name)
    check_report(tmp_path / "new.html")
