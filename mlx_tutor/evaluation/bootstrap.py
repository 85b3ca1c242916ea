"""Confidence intervals by percentile bootstrap over rows (Efron and Tibshirani, 1993).

A measure is a score of sums over rows, so that a resample is a product of two matrices. Two models are compared on
the same resamples of the same rows, as Koehn (2004) does for translations: what the rows have in common drops out.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
# (n, k) sums of statistics to (n,) values; NaN where a value cannot be.
Score = Callable[[Array], Array]
Verdict = Literal["better", "worse", "more", "less", "unclear", "too few rows"]

RESAMPLES = 2000
# With fewer rows, resamples differ too little for an interval.
MIN_ROWS = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """Statistics of one measure of one model, (rows, k), and what their sums come to."""

    statistics: Array
    score: Score


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value over all rows and its 95 % interval."""

    value: float
    low: float
    high: float


def draw_weights(rows: int, seed: int, resamples: int = RESAMPLES) -> Array:
    """How often each row is in each resample, (resamples, rows)."""
    weights: Array = (
        np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), resamples).astype(np.float64)
    )
    return weights


def estimate_value(sample: Sample, weights: Array) -> Estimate | None:
    """Value and interval of one measure; None where no row says anything about it."""
    return _estimate(sample.score(sample.statistics.sum(axis=0)[None]), sample.score(weights @ sample.statistics))


def estimate_difference(before: Sample, after: Sample, weights: Array) -> Estimate | None:
    """The same of `after` minus `before`, on the same rows and resamples."""
    values = [
        (sample.score(sample.statistics.sum(axis=0)[None]), sample.score(weights @ sample.statistics))
        for sample in (before, after)
    ]
    return _estimate(values[1][0] - values[0][0], values[1][1] - values[0][1])


def _estimate(value: Array, resampled: Array) -> Estimate | None:
    resampled = resampled[np.isfinite(resampled)]
    if not np.isfinite(value[0]) or not resampled.size:
        return None
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(float(value[0]), float(low), float(high))


def judge(difference: Estimate, better: int, rows: int) -> Verdict:
    """The verdict on a difference, where more is better (1), worse (-1) or neither (0): "unclear" if 0 is possible."""
    if rows < MIN_ROWS:
        return "too few rows"
    if difference.low <= 0 <= difference.high:
        return "unclear"
    rises = difference.low > 0
    if better == 0:
        return "more" if rises else "less"
    return "better" if rises == (better > 0) else "worse"


def compare_pair(before: Sample, after: Sample, weights: Array, better: int) -> dict[str, Any]:
    """Values of two samples of the same rows, their difference and the verdict on it, as JSON; None where unknown."""
    values = [estimate_value(sample, weights) for sample in (before, after)]
    difference = estimate_difference(before, after, weights)
    return {
        "values": [value and asdict(value) for value in values],
        "difference": difference and asdict(difference),
        "verdict": None if difference is None else judge(difference, better, len(before.statistics)),
    }


def score_ratio(sums: Array) -> Array:
    """The first sum divided by the second."""
    ratio: Array = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)
    return ratio


def score_perplexity(sums: Array) -> Array:
    """e to the power of nats a token; the power is held below what a float can be."""
    return np.asarray(np.exp(np.minimum(score_ratio(sums), 700.0)))


def score_percent(sums: Array) -> Array:
    """The ratio in hundredths."""
    return 100 * score_ratio(sums)


def compute_p_value(wins: int, losses: int) -> float:
    """Two-sided p-value of the exact sign test (Dixon and Mood, 1946); ties are left out. 1.0 without any."""
    total = wins + losses
    tail, orders = 0, 1
    for k in range(min(wins, losses) + 1):
        tail += orders
        orders = orders * (total - k) // (k + 1)
    return min(1.0, math.ldexp(2 * tail, -total))
