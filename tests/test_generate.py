"""Generation: repeatable, streamed, within the context."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.errors import ModelError
from mlx_tutor.evaluation.compare import compare_models
from mlx_tutor.evaluation.style import count_style, measure_repetition
from mlx_tutor.generate import RepetitionDetector, generate_answer
from mlx_tutor.models import load_model
from mlx_tutor.records import Message, ModelSpec
from mlx_tutor.settings import GenerateSettings

QUESTION: list[Message] = [{"role": "user", "content": "Hello?"}]
SETTINGS = GenerateSettings(max_tokens=24)


@pytest.mark.parametrize("temp", [0.0, 1.0])
def test_the_same_seed_gives_the_same_text(tiny_model: Path, temp: float) -> None:
    loaded = load_model(tiny_model)
    settings = replace(SETTINGS, temp=temp, seed=3)
    pieces: list[str] = []
    first = generate_answer(loaded, QUESTION, settings, pieces.append)
    second = generate_answer(loaded, QUESTION, settings)
    assert first.text == second.text
    assert "".join(pieces).strip() == first.text
    assert first.finish_reason == "length"
    assert first.tokens == 24
    if temp:
        assert generate_answer(loaded, QUESTION, replace(settings, seed=4)).text != first.text


def test_a_prompt_longer_than_the_context_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"\d+ tokens long, and the model's context holds 1024"):
        generate_answer(load_model(tiny_model), [{"role": "user", "content": "x" * 1100}], SETTINGS)


def test_an_answer_ends_where_the_context_does(tiny_model: Path) -> None:
    answer = generate_answer(
        load_model(tiny_model), [{"role": "user", "content": "x" * 940}], replace(SETTINGS, max_tokens=500)
    )
    assert answer.prompt_tokens + answer.tokens == 1024
    assert answer.finish_reason == "length"


def test_compare_asks_each_model_in_order(tiny_model: Path) -> None:
    heard: list[str] = []
    models = [ModelSpec("base", tiny_model), ModelSpec("fused", tiny_model)]
    base, fused = compare_models(models, QUESTION, SETTINGS, lambda label, piece: heard.append(label))
    assert (base.label, fused.label) == ("base", "fused")
    assert base.answer.text == fused.answer.text
    assert heard == sorted(heard)


def test_style_counts_what_it_names() -> None:
    text = (
        "Step by step:\n1. Take $x^2$.\n2. Add \\(y\\).\n- A bullet for $5 and 10 dollars.\n\n```python\nx = 1\n```\n\n"
        "Answer: $$a\n= b$$\n\nRelated concepts:\n- mean\n- variance\n"
    )
    style = count_style(text)
    assert (style.latex_formulas, style.steps, style.code_blocks, style.related_concepts) == (3, 3, 1, 2)
    plain = count_style("It costs $5 or $6. Plain prose, no steps. Related concepts are many.")
    assert (plain.latex_formulas, plain.steps, plain.code_blocks, plain.related_concepts) == (0, 0, 0, 0)


def test_repetition_is_the_share_of_runs_seen_before() -> None:
    assert measure_repetition("one two three") == 0.0
    assert measure_repetition("a b c d e f g h") == 0.0
    assert measure_repetition("a b c d a b c d") == pytest.approx(1 / 5)


def hear(tokens: list[int]) -> tuple[int | None, int]:
    """After how many tokens a loop is noticed, and how many stand before its repeats."""
    detector = RepetitionDetector()
    noticed = next((count for count, token in enumerate(tokens, 1) if detector.feed(token)), None)
    return noticed, detector.count_before()


OPENING, LOOP = list(range(100, 140)), [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


def test_a_loop_is_noticed_and_its_first_round_kept() -> None:
    noticed, before = hear(OPENING + LOOP * 20)
    assert noticed is not None and noticed < 140
    assert before == len(OPENING + LOOP)
    # One token said again and again.
    noticed, before = hear(OPENING + [5] * 200)
    assert noticed is not None and noticed < 120 and before <= len(OPENING) + 4


def test_a_list_that_only_counts_up_is_a_loop() -> None:
    noticed, before = hear(OPENING + [token for n in range(40) for token in (200 + n, 1, *LOOP, 2)])
    assert noticed is not None and before < len(OPENING) + 2 * (len(LOOP) + 3)


@pytest.mark.parametrize(
    "tokens",
    [
        # Said in steps, and again as the answer.
        OPENING + LOOP * 3 + OPENING,
        # A small matrix of zeros.
        OPENING + [3, 4] * 16 + list(range(200, 300)),
        # A table: each row has words of its own.
        OPENING + [token for n in range(40) for token in (1, 200 + 3 * n, 1, 201 + 3 * n, 1, 202 + 3 * n, 1, 2)],
    ],
)
def test_what_is_said_twice_is_no_loop(tokens: list[int]) -> None:
    assert hear(tokens)[0] is None


def test_an_answer_that_runs_in_a_loop_is_ended_and_says_so(tiny_model: Path) -> None:
    loaded = load_model(tiny_model)
    # Without a penalty, random weights fall into a loop soon.
    settings = replace(SETTINGS, max_tokens=700, repetition_penalty=1.0)
    endless = generate_answer(loaded, QUESTION, replace(settings, stop_repetition=False))
    answer = generate_answer(loaded, QUESTION, settings)
    assert endless.finish_reason == "length" and endless.problem == ""
    assert answer.finish_reason == "repetition" and answer.tokens < 700
    assert endless.text.startswith(answer.text) and len(answer.text) < len(endless.text)
    assert "repeat itself" in answer.problem
