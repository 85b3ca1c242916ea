"""Batches for mlx-lm's trainer: rows of similar length, equally many supervised tokens, none cut or left out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice, pairwise
from typing import Any

import mlx.core as mx
import numpy as np

# Every new shape is traced and compiled again, so widths and counts are rounded up to few values, eight an octave:
# padding is at most an eighth, and a sixteenth on average.
WIDTH_STEP = 16
POSITION_STEP = 32
STEPS_AN_OCTAVE = 8
# Rows are sorted inside pools of this many batches, so that neighbours change from pass to pass: of real rows 6 % is
# padding so, of 16 batches a pool 9 %, of all rows in one 5 %.
POOL_BATCHES = 64

# Rows of a training batch, at most so many times `batch_size`.
MOST_ROWS = 4

Batch = tuple[mx.array, mx.array, mx.array, mx.array]
# Row indices, rows and width of a batch -> what the layers below the adapter make of them.
ReadHidden = Callable[[Sequence[int], int, int], mx.array]
# Row indices and their batch -> the batch with targets and weights (count, n).
Extend = Callable[[Sequence[int], Batch], Batch]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row ready to train on: tokens from `offset` on are supervised.

    `context` is the prompt with the passage that holds the answer, for distillation; empty where there is none.
    """

    tokens: tuple[int, ...]
    offset: int
    context: tuple[int, ...] = ()

    @property
    def supervised(self) -> int:
        """How many tokens are predicted; the first token of a row never is."""
        return len(self.tokens) - max(self.offset, 1)


# What a rank computes on where a batch has fewer rows than there are ranks: nothing of it is supervised.
NO_ROW = TokenRow((0, 0), 2)


def plan_batches(rows: Sequence[TokenRow], batch_size: int, rng: np.random.Generator | None) -> list[list[int]]:
    """Indices of the rows of each batch of one pass; every row once, in as many batches as `batch_size` rows make.

    Args:
        batch_size: Rows a batch, in the mean where `rng` is given: see `_balance`.
        rng: Shuffles rows and batches; None keeps plain order of length, for evaluation.
    """
    order = np.arange(len(rows)) if rng is None else rng.permutation(len(rows))
    pool = len(rows) if rng is None else batch_size * POOL_BATCHES
    widest = pad_width(rows) if rows else 0
    batches: list[list[int]] = []
    for start in range(0, len(order), max(pool, 1)):
        # Rows of one width are in random order, so that no two passes have the same batches.
        indices = sorted(order[start : start + pool].tolist(), key=lambda index: pad_width([rows[index]]))
        if rng is None:
            ends = list(range(batch_size, len(indices) + batch_size, batch_size))
        else:
            ends = _balance([rows[i] for i in indices], batch_size, widest)
        batches += [indices[begin:end] for begin, end in pairwise([0, *ends])]
    return batches if rng is None else [batches[i] for i in rng.permutation(len(batches))]


def _balance(rows: Sequence[TokenRow], batch_size: int, widest: int) -> list[int]:
    """Where each batch of rows in order of width ends, so that all have about the same number of supervised tokens.

    Adam takes steps of one size, so batches of few tokens would teach as much as large ones, with more noise. As many
    batches as `batch_size` rows make, none larger than `batch_size` of the widest rows: no more memory than those.
    """
    count, number = len(rows), -(-len(rows) // batch_size)
    longest_run, room = min(count, MOST_ROWS * batch_size), pad_count(batch_size) * widest
    sums = np.cumsum([0, *(row.supervised for row in rows)], dtype=float)
    widths = np.array([pad_width([row]) for row in rows])
    # The cost of the run of `length` rows before each end: the sum of squares is least where all are alike.
    costs = np.full((longest_run, count + 1), np.inf)
    for length in range(1, longest_run + 1):
        fits = pad_count(length) * widths[length - 1 :] <= room
        costs[length - 1, length:] = np.where(fits, (sums[length:] - sums[:-length]) ** 2, np.inf)
    best = np.full(count + 1, np.inf)
    best[0] = 0
    chosen = np.zeros((number, count + 1), int)
    for batch in range(number):
        before = [np.pad(best[:-length], (length, 0), constant_values=np.inf) for length in range(1, longest_run + 1)]
        totals = costs + before
        chosen[batch] = totals.argmin(0) + 1
        best = totals.min(0)
    ends = [count]
    for batch in range(number - 1, 0, -1):
        ends.append(ends[-1] - int(chosen[batch, ends[-1]]))
    return ends[::-1]


def make_batch(rows: Sequence[TokenRow], batch_size: int) -> Batch:
    """Arrays of one batch.

    Returns:
        inputs (batch_size, width) of token ids, padded with 0; positions (count,) of the supervised inputs in
        the flattened batch; targets (count,); weights (count,), 1.0 for a supervised position and 0.0 for
        padding. A short batch is filled with rows that have no supervised position.
    """
    width = pad_width(rows)
    inputs = np.zeros((batch_size, width), np.int32)
    positions: list[np.ndarray[Any, Any]] = []
    targets: list[int] = []
    for i, row in enumerate(rows):
        inputs[i, : len(row.tokens) - 1] = row.tokens[:-1]
        first = max(row.offset, 1)
        positions.append(np.arange(first - 1, len(row.tokens) - 1) + i * width)
        targets += row.tokens[first:]
    count = len(targets)
    padded = round_up(count, POSITION_STEP)
    flat = np.zeros(padded, np.int32)
    flat[:count] = np.concatenate(positions)
    weights = np.zeros(padded, np.float32)
    weights[:count] = 1.0
    padded_targets = np.zeros(padded, np.int32)
    padded_targets[:count] = targets
    return mx.array(inputs), mx.array(flat), mx.array(padded_targets), mx.array(weights)


def pad_width(rows: Sequence[TokenRow]) -> int:
    """Inputs a row that a batch of these rows has."""
    return round_up(max(len(row.tokens) for row in rows) - 1, WIDTH_STEP)


def pad_count(rows: int) -> int:
    """Rows that a training batch of so many has."""
    return max(1, round_up(rows, 1))


def round_up(value: int, least: int) -> int:
    """The next of few sizes: multiples of `least`, and eight an octave where those are coarser."""
    step = max(least, (1 << (value - 1).bit_length()) // 2 // STEPS_AN_OCTAVE if value > 1 else 1)
    return max(step, -(-value // step) * step)


def iterate_batches(
    dataset: Sequence[TokenRow],
    batch_size: int,
    max_seq_length: int,
    loop: bool = False,
    seed: int = 0,
    comm_group: Any = None,
    on_batch: Callable[[Sequence[int], float], bool] | None = None,
    start: int = 0,
    read_hidden: ReadHidden | None = None,
    extend: Extend | None = None,
) -> Iterator[Batch | tuple[mx.array, ...]]:
    """mlx-lm's `iterate_batches` seam, on true lengths.

    Without `loop` one pass in order of length; with it, passes without end, each shuffled by (seed, pass), and with
    each batch a fifth array, its weight (`weigh_batch`).

    Args:
        dataset: Rows, none longer than `max_seq_length`: none is cut.
        loop: Train (endless, shuffled) or evaluate (once).
        comm_group: Given by mlx-lm. Each of its ranks gets a share of every batch.
        on_batch: Called before each batch with its row indices and its weight, those of all ranks together, at an
            exact step boundary; False ends the pass.
        start: Batches to pass over: where an earlier training stopped.
        read_hidden: Gives what the layers below the adapter make of the rows, in place of their tokens.
        extend: Gives a batch of rows several targets for each token (`distill.Targets.extend`).
    """
    longest = max((len(row.tokens) for row in dataset), default=0)
    if longest > max_seq_length:
        raise ValueError(f"a row of {longest} tokens is longer than max_seq_length {max_seq_length}")
    planned = plan_passes(dataset, batch_size, seed) if loop else iter(plan_batches(dataset, batch_size, None))
    planned = islice(planned, start, None)
    rank, ranks = (comm_group.rank(), comm_group.size()) if comm_group is not None else (0, 1)
    # Supervised tokens of a batch, in the mean.
    tokens = max(1, sum(row.supervised for row in dataset)) / max(1, -(-len(dataset) // batch_size))
    for indices in planned:
        if on_batch is not None and not on_batch(indices, weigh_batch(dataset, indices, tokens)):
            return
        # Rows of a batch are in order of length: dealt in turn, all ranks have about the same to do.
        share = indices[rank::ranks]
        size = pad_count(len(share)) if loop else -(-batch_size // ranks)
        batch = make_batch([dataset[i] for i in share] or [NO_ROW], size)
        if extend is not None:
            batch = extend(share, batch)
        if read_hidden is not None:
            batch = (read_hidden(share, *batch[0].shape), *batch[1:])
        yield (*batch, mx.array(weigh_batch(dataset, share, tokens / ranks))) if loop else batch


def plan_passes(rows: Sequence[TokenRow], batch_size: int, seed: int) -> Iterator[list[int]]:
    """`plan_batches` of one pass after another without end; pass n depends on (seed, n)."""
    for epoch in count():
        yield from plan_batches(rows, batch_size, np.random.default_rng((seed, epoch)))


def weigh_batch(rows: Sequence[TokenRow], indices: Sequence[int], tokens: float) -> float:
    """The factor on the mean loss of a batch, 1 for one of `tokens` supervised tokens.

    In mlx-lm's mean over a batch a token among few weighs more, and batches of like length would make short rows count
    more than long ones. With these factors all tokens of a pass weigh the same, and updates of several batches too.
    """
    return sum(rows[i].supervised for i in indices) / tokens
