"""Training through mlx-lm's trainer: what is learned, what is kept, how it stops."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from mlx_tutor.errors import DatasetError, RecipeError, TrainingError
from mlx_tutor.models import hash_model, load_model, load_tokenizer
from mlx_tutor.recipe import Recipe
from mlx_tutor.training.loss import measure_loss
from mlx_tutor.training.monitor import Metric
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.training.train import TRAINER, hash_inputs, is_run_current
from mlx_tutor.workspace import Run
from tests.model_factory import make_model
from tests.training.runs import SETTINGS, make_rows, train


def test_loss_falls_and_the_best_adapter_is_what_is_kept(tmp_path: Path, tiny_model: Path) -> None:
    events: list[Metric] = []
    run, report = train(tmp_path, tiny_model, on_event=events.append)
    assert report.best_loss < 0.7 * report.base_loss
    assert report.iterations == 30
    assert [m["iteration"] for m in events if m["kind"] == "valid"] == [0, 10, 20, 30]
    tuned = load_model(tiny_model, run.adapter)
    valid = tokenize_rows(make_rows(3, start=22), tuned.tokenizer, 256)
    assert measure_loss(tuned.model, valid.rows, 4) == pytest.approx(report.best_loss, abs=1e-4)
    assert (run.adapter / "loss.png").read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in (run.adapter / "metrics.jsonl").read_text().splitlines()]
    assert lines == [m for m in events if m["kind"] != "progress"]
    assert run.read()["result"]["best_loss"] == report.best_loss


def test_same_seed_gives_the_same_adapter(tmp_path: Path, tiny_model: Path) -> None:
    settings = replace(SETTINGS, iters=6, dropout=0.1)
    first, _ = train(tmp_path, tiny_model, settings, name="first")
    second, _ = train(tmp_path, tiny_model, settings, name="second")
    name = "adapters.safetensors"
    assert (first.adapter / name).read_bytes() == (second.adapter / name).read_bytes()


def test_patience_ends_training_and_keeps_the_best(tmp_path: Path, tiny_model: Path) -> None:
    # The validation rows say the opposite of the training rows, so they only get worse.
    valid = [
        {"messages": [*row["messages"][:2], {"role": "assistant", "content": "zzzz qqqq xxxx"}]} for row in make_rows(3)
    ]
    settings = replace(SETTINGS, iters=200, steps_per_eval=5, patience=2, learning_rate=1e-2)
    _, report = train(tmp_path, tiny_model, settings, valid=valid)
    assert report.stopped == "no improvement"
    assert report.iterations < 200
    assert report.iterations == report.best_iteration + 10
    assert "validation loss did not fall for 2 checks" in report.note


def test_over_fitting_is_said_in_words_when_it_begins_and_at_the_end(tmp_path: Path, tiny_model: Path) -> None:
    valid = [
        {"messages": [*row["messages"][:2], {"role": "assistant", "content": "zzzz qqqq xxxx"}]} for row in make_rows(3)
    ]
    settings = replace(SETTINGS, iters=200, steps_per_eval=2, patience=6, learning_rate=1e-2)
    events: list[Metric] = []
    _, report = train(tmp_path, tiny_model, settings, valid=valid, on_event=events.append)
    notes = [metric["note"] for metric in events if "note" in metric]
    assert notes and notes[0].startswith("validation loss rose for 3 checks: kept step ")
    assert f"checks: kept step {report.best_iteration or '0, the base'}" in report.note


def test_rows_learned_by_heart_are_said_once_and_at_the_end(tmp_path: Path, tiny_model: Path) -> None:
    events: list[Metric] = []
    valid = [{"messages": [*row["messages"][:2], {"role": "assistant", "content": "wordy"}]} for row in make_rows(3)]
    settings = replace(SETTINGS, iters=100, steps_per_report=10, steps_per_eval=25, patience=100, learning_rate=2e-2)
    _, report = train(tmp_path, tiny_model, settings, train=make_rows(8), valid=valid, on_event=events.append)
    assert report.train_loss is not None and report.train_loss < 0.5 * report.best_loss
    notes = [metric["note"] for metric in events if "learned by heart" in metric.get("note", "")]
    assert len(notes) == 1
    assert "learned by heart" in report.note
    _, one_pass = train(tmp_path, tiny_model, replace(settings, iters=5), name="short")
    assert "learned by heart" not in one_pass.note


def test_a_gain_below_min_gain_does_not_prolong_training(tmp_path: Path, tiny_model: Path) -> None:
    settings = replace(SETTINGS, iters=60, steps_per_eval=5, patience=2, min_gain=50.0)
    _, report = train(tmp_path, tiny_model, settings)
    # The loss fell, so the best is kept, but never by so much.
    assert (report.stopped, report.iterations, report.best_iteration) == ("no improvement", 10, 10)
    assert report.best_loss < report.base_loss


def test_batches_of_one_update_count_by_their_tokens(tmp_path: Path, tiny_model: Path) -> None:
    rows = make_rows(8)
    one = replace(SETTINGS, iters=3, batch_size=8, warmup=0, learning_rate=1e-2, steps_per_report=1)
    _, whole = train(tmp_path, tiny_model, one, name="whole", train=rows)
    split = replace(one, iters=12, batch_size=2, grad_accumulation_steps=4, steps_per_eval=100, steps_per_report=4)
    _, parts = train(tmp_path, tiny_model, split, name="split", train=rows)
    # Sums in another order differ in their last digits, and three steps of a large rate spread that.
    assert parts.best_loss == pytest.approx(whole.best_loss, rel=1e-4)
    assert parts.train_loss == pytest.approx(whole.train_loss, rel=1e-4)


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_and_keeps_what_was_learned(
    tmp_path: Path, tiny_model: Path, name: signal.Signals
) -> None:
    def interrupt(metric: Metric) -> None:
        if metric["kind"] == "train" and metric["iteration"] == 15:
            os.kill(os.getpid(), name)

    run, report = train(tmp_path, tiny_model, replace(SETTINGS, iters=2000), on_event=interrupt)
    assert report.stopped == "interrupted"
    assert report.iterations == 15
    assert report.best_loss < report.base_loss
    assert run.is_complete
    assert not is_run_current(run, run.read()["inputs"])
    assert signal.getsignal(name) in (signal.default_int_handler, signal.SIG_DFL)


def test_divergence_is_named_and_the_best_is_kept(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(TrainingError, match=r"NaN at iteration \d+.*learning_rate"):
        train(tmp_path, tiny_model, replace(SETTINGS, learning_rate=1.0, scale=1e20, warmup=0))


def test_nan_names_the_row(tmp_path: Path) -> None:
    base = make_model(tmp_path / "model", bits=None, tie=False)
    poison = load_tokenizer(base).encode("@", add_special_tokens=False)[0]
    weights: Any = mx.load(str(base / "model.safetensors"))
    mx.eval(weights)
    weights["model.embed_tokens.weight"][poison] = float("nan")
    mx.save_safetensors(str(base / "model.safetensors"), weights)
    rows = make_rows(22)
    rows[4]["messages"][1]["content"] += " @"
    with pytest.raises(TrainingError, match=r"NaN at iteration \d+ on line 5 of train.jsonl"):
        train(tmp_path, base, train=rows)


def test_a_broken_base_is_named_as_such(tmp_path: Path) -> None:
    base = make_model(tmp_path / "model", bits=None)
    weights: Any = mx.load(str(base / "model.safetensors"))
    mx.eval(weights)
    weights["model.norm.weight"][0] = float("nan")
    mx.save_safetensors(str(base / "model.safetensors"), weights)
    with pytest.raises(TrainingError, match="base model's own loss"):
        train(tmp_path, base)


def test_validation_rests_on_the_same_rows_each_time_and_says_how_many(tmp_path: Path, tiny_model: Path) -> None:
    events: list[Metric] = []
    valid = make_rows(23, start=22)
    settings = replace(SETTINGS, iters=20, steps_per_eval=10, val_batches=2)
    run, report = train(tmp_path, tiny_model, settings, on_event=events.append, valid=valid)
    assert (report.valid_rows, report.valid_total) == (8, 23)
    lines = list(map(json.loads, (run.adapter / "metrics.jsonl").read_text().splitlines()))
    assert {m["kind"] for m in lines} == {"train", "valid"}
    assert {(m["rows"], m["total"]) for m in lines if m["kind"] == "valid"} == {(8, 23)}
    # The best loss is that of the kept adapter on every third row.
    tuned = load_model(tiny_model, run.adapter)
    rows = tokenize_rows(valid, tuned.tokenizer, settings.max_seq_length)
    spread = [rows.rows[i] for i in (0, 2, 5, 8, 11, 14, 17, 20)]
    assert measure_loss(tuned.model, spread, 4) == pytest.approx(report.best_loss, abs=1e-5)
    # A sign of life before the first loss is known.
    first = events[0]
    assert (first["kind"], first["doing"], first["rows"], first["total"]) == ("progress", "validating", 0, 8)
    assert [m["rows"] for m in events if m["kind"] == "progress" and m["doing"] == "training"] == list(range(1, 21))
    assert train(tmp_path, tiny_model, replace(settings, val_batches=-1), valid=valid, name="all")[1].valid_rows == 23


def test_too_few_rows_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(DatasetError, match=r"3 training rows are left.*at least 8"):
        train(tmp_path, tiny_model, train=make_rows(3))
    with pytest.raises(DatasetError, match="validation"):
        train(tmp_path, tiny_model, valid=[])
    with pytest.raises(DatasetError, match="longer than 32 tokens"):
        train(tmp_path, tiny_model, replace(SETTINGS, max_seq_length=32))
    assert not (tmp_path / "adapters").exists()


def test_unknown_keys_are_refused_with_the_known_ones(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(RecipeError, match=r"no self_attn.query_proj.*self_attn.q_proj"):
        train(tmp_path, tiny_model, replace(SETTINGS, keys=("self_attn.query_proj",)))


def test_keys_and_num_layers_limit_what_is_trained(tmp_path: Path, tiny_model: Path) -> None:
    run, _ = train(tmp_path, tiny_model, replace(SETTINGS, iters=2, keys=("self_attn.q_proj",), num_layers=1))
    weights: Any = mx.load(str(run.adapter / "adapters.safetensors"))
    assert sorted(weights) == ["model.layers.1.self_attn.q_proj.lora_a", "model.layers.1.self_attn.q_proj.lora_b"]


def test_grad_checkpoint_leaves_the_layer_class_as_it_was(tmp_path: Path, tiny_model: Path) -> None:
    from mlx_lm.models.qwen2 import TransformerBlock

    before = TransformerBlock.__call__
    _, plain = train(tmp_path, tiny_model, replace(SETTINGS, iters=4), name="plain")
    _, checkpointed = train(tmp_path, tiny_model, replace(SETTINGS, iters=4, grad_checkpoint=True), name="checkpointed")
    assert TransformerBlock.__call__ is before
    assert checkpointed.best_loss == pytest.approx(plain.best_loss, abs=1e-4)


def test_a_run_is_current_until_an_input_changes(tmp_path: Path, tiny_model: Path) -> None:
    run, _ = train(tmp_path, tiny_model, replace(SETTINGS, iters=2))
    inputs = run.read()["inputs"]
    assert inputs["base"] == hash_model(tiny_model)
    assert is_run_current(run, inputs)
    assert not is_run_current(run, {**inputs, "rows": "other"})
    assert not is_run_current(Run(tmp_path, "missing"), inputs)


def test_another_trainer_makes_a_run_stale(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(SETTINGS, iters=2)
    run, _ = train(tmp_path, tiny_model, settings)
    assert is_run_current(run, hash_inputs(Recipe(train=settings), tiny_model, "rows"))
    monkeypatch.setattr("mlx_tutor.training.train.TRAINER", TRAINER + 1)
    assert not is_run_current(run, hash_inputs(Recipe(train=settings), tiny_model, "rows"))


def test_nothing_reaches_stdout(tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, tiny_model, replace(SETTINGS, iters=2))
    assert capfd.readouterr().out == ""
    assert "mlx_lm" in sys.modules
