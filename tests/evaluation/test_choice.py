"""Options scored by likelihood: the same as reading each whole, whatever the prompts share."""

from pathlib import Path

import numpy as np
import pytest

from mlx_tutor.evaluation.bootstrap import compute_p_value
from mlx_tutor.evaluation.choice import Choice, find_margin, measure_choices, write_choice
from mlx_tutor.evaluation.measure import measure_rows
from mlx_tutor.models import LoadedModel, load_model, render_prompt
from mlx_tutor.training.batches import TokenRow


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


def write(loaded: LoadedModel, question: str, *options: str, lead: str = "") -> Choice:
    messages = [{"role": "system", "content": "Tutor."}, {"role": "user", "content": question}]
    return write_choice(
        loaded.tokenizer, [{"role": m["role"], "content": m["content"]} for m in messages], lead, options
    )


def test_the_loss_of_an_option_is_that_of_the_option_alone(loaded: LoadedModel) -> None:
    choices = [
        write(loaded, "What is a mean?", "the sum of all values", "a chart", "it"),
        write(loaded, "What is a mean?", "the value in the middle", "most", lead="Answer: A mean is"),
        write(loaded, "How?", "so"),
    ]
    seen: list[int] = []
    losses = measure_choices(loaded, choices, seen.append)
    assert seen == [1, 2, 3]
    for choice, found in zip(choices, losses, strict=True):
        rows = measure_rows(
            loaded, [TokenRow((*choice.prompt, *option), len(choice.prompt)) for option in choice.options]
        )
        assert found == pytest.approx(rows[:, 0] / rows[:, 1], abs=1e-4)
    assert measure_choices(loaded, []) == []


def test_a_lead_belongs_to_the_prompt(loaded: LoadedModel) -> None:
    choice = write(loaded, "What is a mean?", "the sum", lead="A mean is")
    prompt = render_prompt(
        loaded.tokenizer, [{"role": "system", "content": "Tutor."}, {"role": "user", "content": "What is a mean?"}]
    )
    assert loaded.tokenizer.decode(list(choice.prompt[len(prompt) :])) == "A mean is"
    assert loaded.tokenizer.decode(list(choice.options[0])) == " the sum"
    with pytest.raises(ValueError, match="without a token"):
        write(loaded, "What?", "")


def test_margin_and_sign_test() -> None:
    assert find_margin(np.array([1.0, 1.5, 3.0])) == pytest.approx(0.5)
    assert find_margin(np.array([2.0, 1.5, 3.0])) == pytest.approx(-0.5)
    # Nine of ten coins on one side: twice (1 + 10) of 1024.
    assert compute_p_value(9, 1) == compute_p_value(1, 9) == pytest.approx(22 / 1024)
    assert compute_p_value(3, 3) == compute_p_value(0, 0) == 1.0
