"""What a training will take, and what fits where it takes too much."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.errors import TrainingError
from mlx_tutor.recipe import Recipe
from mlx_tutor.training.plan import (
    Measured,
    Plan,
    estimate_seconds,
    hint_fitting,
    list_smaller,
    measure_steps,
    plan_training,
)
from tests.training.runs import SETTINGS, make_rows


def test_smaller_settings_keep_the_rows_of_an_update() -> None:
    tried = list(list_smaller(replace(SETTINGS, iters=30, batch_size=4, max_seq_length=600)))
    assert tried[0] == {"grad_checkpoint": True}
    assert tried[2] == {"grad_checkpoint": True, "batch_size": 1, "grad_accumulation_steps": 4, "iters": 120}
    assert [changes.get("max_seq_length") for changes in tried] == [None, None, None, 300, 150]


def test_frozen_layers_take_time_in_the_first_pass_only(tiny_model: Path) -> None:
    settings = replace(SETTINGS, iters=30, steps_per_eval=30, num_layers=1)
    measured = Measured(1.0, 2.0, 0.25, 0.0, 0.0, iterations=30, batches=10)
    assert estimate_seconds(measured, settings) == 10 * 2.0 + 20 * 1.5
    kept, none = (
        measure_steps(tiny_model, Recipe(train=replace(settings, cache_gb=gb)), make_rows(22), make_rows(3, start=22))
        for gb in (4.0, 0.0)
    )
    assert 0 < kept.lower_share < 1
    assert none.lower_share == 0


def test_settings_that_fit_are_found_where_these_do_not(tmp_path: Path, tiny_model: Path) -> None:
    recipe = Recipe(train=replace(SETTINGS, batch_size=4, max_seq_length=200, grad_checkpoint=True))
    rows = make_rows(22), make_rows(3, start=22)
    said: list[str] = []
    plan = plan_training(tiny_model, recipe, *rows, said.append)
    assert plan.fitting == {} and hint_fitting(plan) == "" and not said
    assert plan.peak_memory_gb is not None and plan.passes == 5.0
    small = plan_training(tiny_model, recipe, *rows, said.append, usable_memory_gb=0.8 * plan.peak_memory_gb)
    assert small.fitting is not None and small.fitting["batch_size"] < 4
    assert "--set train.batch_size=" in hint_fitting(small) and len(said) >= 1


def test_nothing_that_fits_names_a_smaller_base() -> None:
    plan = Plan(600, 2.3, 250, None, 5.0, 8.0, None, None)
    assert "Nothing smaller fitted either; use a smaller base" in hint_fitting(plan)
    assert plan.describe() == "takes more than the 8 GB that there are"
    plan = replace(plan, peak_memory_gb=5.1, seconds=840.0, fitting={})
    assert plan.describe() == (
        "peak 5.1 GB of 8 GB, about 14 minutes, 2.3 passes, stops at step 600 at the latest, "
        "at step 250 when validation never gets better"
    )


def test_what_training_would_refuse_the_plan_refuses(tiny_model: Path) -> None:
    with pytest.raises(TrainingError, match="3 training rows are left"):
        plan_training(tiny_model, Recipe(train=SETTINGS), make_rows(3), make_rows(3), lambda text: None)
