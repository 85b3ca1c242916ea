"""Prompt distillation: targets, loss and gradients against a plain reference, and exact resuming."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

from mlx_tutor.errors import TutorError
from mlx_tutor.models import load_model
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.adapter import add_adapter
from mlx_tutor.training.batches import TokenRow, make_batch
from mlx_tutor.training.checkpoint import find_checkpoint
from mlx_tutor.training.distill import TOP, Targets, compute_targets, find_targets, lift_adapter, open_targets
from mlx_tutor.training.loss import compute_loss
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.workspace import Run
from tests.training.runs import RESUMED, make_rows, read_best, read_losses, stop_at, train

ROWS = [
    TokenRow(tuple(range(3, 40)), 20, tuple(range(60, 130))),
    TokenRow(tuple(range(90, 110)), 7),
    TokenRow(tuple(range(200, 215)), 9, tuple(range(5, 12))),
]


def make_adapted(base: Path, kind: str = "lora", dropout: float = 0.0) -> Any:
    """A model with an adapter away from its start."""
    loaded = load_model(base)
    add_adapter(loaded, TrainSettings(rank=2, scale=4.0, fine_tune_type=kind, dropout=dropout))
    mx.random.seed(11)
    weights = tree_flatten(loaded.model.trainable_parameters())
    loaded.model.update(tree_unflatten([(name, 0.05 * mx.random.normal(value.shape)) for name, value in weights]))
    return loaded.model


def list_wanted(base: Any, rows: list[TokenRow], weight: float) -> list[mx.array]:
    """Of each row, the wanted distribution over the whole vocabulary, from the base's own full logits."""
    wanted = []
    for row in rows:
        answer = row.tokens[row.offset :]
        hard = np.zeros((len(answer), 320))
        hard[np.arange(len(answer)), answer] = 1
        if row.context:
            logits = np.array(base(mx.array([[*row.context, *answer[:-1]]]))[0], np.float64)[len(row.context) - 1 :]
            least = np.sort(logits, axis=-1)[:, -TOP, None]
            powers = np.where(logits >= least, np.exp(logits - logits.max(-1, keepdims=True)), 0)
            hard = weight * powers / powers.sum(-1, keepdims=True) + (1 - weight) * hard
        wanted.append(mx.array(hard.astype(np.float32)))
    return wanted


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_loss_and_gradients_equal_those_of_whole_distributions(tiny_model: Path, weight: float) -> None:
    wanted = list_wanted(load_model(tiny_model).model, ROWS, weight)
    model = make_adapted(tiny_model)
    batch = Targets(model, ROWS, weight, None).extend([0, 1, 2], make_batch(ROWS, 4))
    model.train()

    def reference(model: Any) -> mx.array:
        losses = []
        for row, shares in zip(ROWS, wanted, strict=True):
            logits = model(mx.array([row.tokens[:-1]]))[0, row.offset - 1 :].astype(mx.float32)
            losses.append(-(nn.log_softmax(logits, axis=-1) * shares).sum(axis=-1))
        mean: mx.array = mx.concatenate(losses).mean()
        return mean

    [value, _], found = nn.value_and_grad(model, compute_loss)(model, *batch)
    expected, theirs = nn.value_and_grad(model, reference)(model)
    assert value.item() == pytest.approx(expected.item(), abs=1e-4)
    for (name, a), (_, b) in zip(tree_flatten(found), tree_flatten(theirs), strict=True):
        assert mx.allclose(a, b, rtol=0, atol=1e-4).item(), name
    assert batch[3].sum().item() == pytest.approx(sum(row.supervised for row in ROWS), abs=1e-4)


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_the_teacher_is_the_base_whatever_the_adapter_learned(tiny_model: Path, kind: str) -> None:
    base, model = load_model(tiny_model).model, make_adapted(tiny_model, kind, 0.2)
    model.train()
    tokens = mx.array([[5, 9, 17, 30]])
    with lift_adapter(model):
        assert mx.array_equal(model(tokens), base(tokens)).item()
        assert np.array_equal(compute_targets(model, ROWS[0]), compute_targets(base, ROWS[0]))
    assert model.training and not mx.array_equal(model(tokens), base(tokens)).item()


def test_targets_are_computed_once_kept_and_bounded(tiny_model: Path, tmp_path: Path) -> None:
    model = make_adapted(tiny_model)
    batch = make_batch(ROWS, 4)
    with open_targets(model, ROWS, 0.5, tmp_path, 1.0, resumed=False) as targets:
        assert targets is not None
        first = targets.extend([0, 1, 2], batch)
    # What is on disk is taken as it is, also by a process that goes on: the model is not asked again.
    with open_targets(None, ROWS, 0.5, tmp_path, 1.0, resumed=True) as targets:
        assert targets is not None
        assert all(mx.array_equal(a, b).item() for a, b in zip(first, targets.extend([0, 1, 2], batch), strict=True))
    with open_targets(model, ROWS, 0.5, tmp_path, 1e-9, resumed=False) as targets:
        assert targets is not None and targets.file is None
        again = targets.extend([0, 1, 2], batch)
        assert mx.allclose(first[3], again[3], atol=1e-6).item()
    with open_targets(model, ROWS[1:2], 0.5, tmp_path, 1.0, resumed=False) as none:
        assert none is None


def make_taught_rows(count: int) -> list[dict[str, Any]]:
    """Every second row with a passage that its question is asked beside."""
    rows = make_rows(count)
    for number, row in enumerate(rows[::2]):
        system, asked, _ = row["messages"]
        passage = {"role": "user", "content": f"Passage: term {number} is a word.\n{asked['content']}"}
        row["context"] = [system, passage]
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Run:
    """A distillation in one go, which does not learn what a plain training does."""
    folder, rows = tmp_path_factory.mktemp("whole"), make_taught_rows(22)
    run, _ = train(folder, tiny_model, replace(RESUMED, distill=0.7), name="whole", train=rows)
    plain, _ = train(folder, tiny_model, RESUMED, name="plain", train=rows)
    assert read_best(plain) != read_best(run)
    return run


@pytest.mark.parametrize("lost", [False, True], ids=["kept", "lost"])
def test_a_distillation_goes_on_bit_for_bit(tmp_path: Path, tiny_model: Path, whole: Run, lost: bool) -> None:
    rows, settings = make_taught_rows(22), replace(RESUMED, distill=0.7)
    part, report = train(tmp_path, tiny_model, settings, name="part", train=rows, on_event=stop_at(15))
    assert report.stopped == "interrupted" and find_targets(part.adapter).is_file()
    if lost:
        find_targets(part.adapter).unlink()
    train(tmp_path, tiny_model, settings, name="part", train=rows)
    assert read_best(part) == read_best(whole) and read_losses(part) == read_losses(whole)
    assert not find_targets(part.adapter).exists() and not find_checkpoint(part).exists()


def test_a_context_is_rendered_up_to_the_same_answer(tiny_model: Path) -> None:
    tokenizer = load_model(tiny_model).tokenizer
    [row], [plain] = (tokenize_rows([r], tokenizer, 256).rows for r in (make_taught_rows(1)[0], make_rows(1)[0]))
    assert (row.tokens, row.offset) == (plain.tokens, plain.offset) and not plain.context
    assert "Passage: term 0" in tokenizer.decode(list(row.context))
    assert row.context[-3:] == row.tokens[row.offset - 3 : row.offset]


def test_nothing_to_distill_is_said_before_training(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(TutorError, match=r"train\.distill"):
        train(tmp_path, tiny_model, replace(RESUMED, distill=0.5))
