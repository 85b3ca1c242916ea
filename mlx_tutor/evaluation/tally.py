"""The results of blind ratings: means, wins with an exact test, agreement, and what to train on next.

The unit is a prompt. What several raters gave to one answer is averaged first, because their scores for the same
answer are not independent of each other.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mlx_tutor.evaluation.bootstrap import (
    MIN_ROWS,
    Sample,
    compute_p_value,
    draw_weights,
    estimate_difference,
    estimate_value,
    score_ratio,
)
from mlx_tutor.evaluation.rate import HIGHEST, LOWEST, SIDES, Judgement, Pair
from mlx_tutor.records import Message

# An answer with this mean or more was a success.
SUCCESS = 4.0
# Significance level of the sign test.
LEVEL = 0.05
# Nobody plans more ratings than this.
MOST = 200
SEED = 0
OUTCOMES = {"wins": "win", "ties": "tie", "losses": "loss"}


def plan_more(wins: int, ties: int, losses: int) -> int | None:
    """How many more prompts make the sign test sure, if they come out in the shares so far.

    0 when it is sure already; None when that would take more than `MOST`, as it does while the two are even. It is a
    plan and no stopping rule: testing after every rating, and stopping at the first p below 0.05, finds differences
    that are not there more often than one time in twenty.
    """
    rated = wins + ties + losses
    if not rated or wins == losses:
        return None
    for extra in range(MOST + 1):
        more_wins, more_losses = (round(count * (rated + extra) / rated) for count in (wins, losses))
        if compute_p_value(more_wins, more_losses) < LEVEL:
            return extra
    return None


def measure_agreement(units: Sequence[Sequence[int]]) -> float | None:
    """Krippendorff's alpha for ordinal scores (Computing Krippendorff's Alpha-Reliability, 2011).

    1 is perfect agreement, 0 what chance gives; None where no unit has two scores or all scores are the same.

    Args:
        units: Of each thing that was rated, the scores that it got; those with fewer than two do not count.
    """
    size = HIGHEST - LOWEST + 1
    coincidences = np.zeros((size, size))
    for unit in units:
        if len(unit) < 2:
            continue
        counts = np.bincount(np.asarray(unit) - LOWEST, minlength=size).astype(float)
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    totals = coincidences.sum(axis=1)
    distances = np.zeros((size, size))
    for low in range(size):
        for high in range(low + 1, size):
            between = totals[low : high + 1].sum() - (totals[low] + totals[high]) / 2
            distances[low, high] = distances[high, low] = between**2
    expected = float((np.outer(totals, totals) * distances).sum())
    if not expected:
        return None
    return float(1 - (totals.sum() - 1) * (coincidences * distances).sum() / expected)


def measure_share(hits: int, total: int) -> dict[str, float] | None:
    """A share with its 95 % interval (Wilson, 1927), valid for few prompts and near 0 and 1; None without any."""
    if not total:
        return None
    z, share = 1.959964, hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return {"value": share, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}


def summarize_ratings(
    pairs: Sequence[Pair], judgements: Sequence[Judgement], criteria: Sequence[str]
) -> dict[str, Any]:
    """All that the ratings of a pair of models say, as JSON.

    An answer's score is the mean over raters and criteria. `models` has base and tuned with "mean", "criteria" and
    "success", the share of prompts whose answer scored 4 or more; each a value with its 95 % interval, which is None
    for means of fewer than ten prompts. "difference" is tuned less base. "signs" are the prompts on which the tuned
    model won, tied and lost, with the p-value of the exact sign test and how many more prompts it takes to be sure.
    "agreement" is Krippendorff's alpha of all scores, of each criterion, and of "preference": which of the two answers
    raters scored higher, or none. "first" says how often the answer that was shown first won a decided pair.
    """
    by_pair: dict[int, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        by_pair[judgement.pair].append(judgement)
    rated = [pair for pair in pairs if pair.id in by_pair]
    scores = np.array(
        [
            [[np.mean([j.scores[side][c] for j in by_pair[pair.id]]) for c in criteria] for side in SIDES]
            for pair in rated
        ]
    ).reshape(len(rated), len(SIDES), len(criteria))
    means = scores.mean(axis=2)
    # Scores are whole numbers: a smaller difference of means is rounding.
    gaps = np.round(means[:, 1] - means[:, 0], 9)
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    ties = len(rated) - wins - losses
    labels = {"base": "base", "tuned": pairs[0].label if pairs else "tuned"}
    return {
        "pairs": len(pairs),
        "rated": len(rated),
        "raters": {rater: sum(j.rater == rater for j in judgements) for rater in sorted({j.rater for j in judgements})},
        "criteria": list(criteria),
        "models": {side: {"label": labels[side], **_describe(scores[:, i], criteria)} for i, side in enumerate(SIDES)},
        "difference": _estimate(means[:, 1], means[:, 0]),
        "signs": {
            **{"wins": wins, "ties": ties, "losses": losses, "p_value": compute_p_value(wins, losses)},
            "more": plan_more(wins, ties, losses),
        },
        "agreement": _describe_agreement(by_pair, criteria),
        "first": _count_first(judgements),
        "prompts": [
            {
                **{"pair": pair.id, "id": pair.prompt, "task": pair.task, "question": pair.question},
                **{"tuned": float(means[i, 1]), "base": float(means[i, 0]), "difference": float(gaps[i])},
                "raters": len(by_pair[pair.id]),
            }
            for i, pair in enumerate(rated)
        ],
        "worse": [pair.prompt for pair, gap in zip(rated, gaps, strict=True) if gap < 0],
    }


def _describe(scores: Any, criteria: Sequence[str]) -> dict[str, Any]:
    """What the answers of one model got; `scores` has a row a prompt and a column a criterion."""
    means = scores.mean(axis=1)
    return {
        "mean": _estimate(means),
        "criteria": {criterion: _estimate(scores[:, k]) for k, criterion in enumerate(criteria)},
        "success": measure_share(int((np.round(means, 9) >= SUCCESS).sum()), len(scores)),
    }


def _describe_agreement(by_pair: dict[int, list[Judgement]], criteria: Sequence[str]) -> dict[str, Any]:
    return {
        "alpha": measure_agreement(_list_units(by_pair, criteria)),
        "shared": sum(len(found) > 1 for found in by_pair.values()),
        "criteria": {criterion: measure_agreement(_list_units(by_pair, [criterion])) for criterion in criteria},
        "preference": measure_agreement([[*map(_prefer, found)] for found in by_pair.values()]),
    }


def _estimate(values: Any, less: Any = None) -> dict[str, Any] | None:
    if not len(values):
        return None
    samples = [Sample(np.stack([v, np.ones(len(v))], axis=1), score_ratio) for v in (values, less) if v is not None]
    weights = draw_weights(len(values), SEED)
    found = (
        estimate_value(samples[0], weights) if less is None else estimate_difference(samples[1], samples[0], weights)
    )
    if found is None:
        return None
    return asdict(found) if len(values) >= MIN_ROWS else {"value": found.value, "low": None, "high": None}


def _list_units(by_pair: dict[int, list[Judgement]], criteria: Sequence[str]) -> list[list[int]]:
    return [
        [judgement.scores[side][criterion] for judgement in found]
        for found in by_pair.values()
        for side in SIDES
        for criterion in criteria
    ]


def _prefer(judgement: Judgement) -> int:
    """1 where a rater gave base more in all, 3 where tuned, 2 where both got the same."""
    base, tuned = (sum(judgement.scores[side].values()) for side in SIDES)
    return 2 + (tuned > base) - (tuned < base)


def _count_first(judgements: Sequence[Judgement]) -> dict[str, int]:
    """How many decided pairs the answer shown first won, and how many were decided."""
    sums = [(j.first, {side: sum(j.scores[side].values()) for side in SIDES}) for j in judgements]
    decided = [(first, found) for first, found in sums if found["base"] != found["tuned"]]
    won = sum(found[first] == max(found.values()) for first, found in decided)
    return {"won": won, "decided": len(decided)}


def list_preferences(
    pairs: Sequence[Pair], judgements: Sequence[Judgement], criteria: Sequence[str]
) -> list[dict[str, Any]]:
    """Pairs with a better answer in the conversational DPO form: prompt, chosen and rejected as lists of messages.

    Pairs that tie are left out. `id` is the prompt's, `margin` the difference of the two mean scores, from 0 to 4.
    """
    gaps = {row["pair"]: row["difference"] for row in summarize_ratings(pairs, judgements, criteria)["prompts"]}
    rows = []
    for pair in pairs:
        gap = gaps.get(pair.id, 0.0)
        if gap:
            best, worst = (pair.tuned, pair.base) if gap > 0 else (pair.base, pair.tuned)
            rows.append(
                {
                    **{"prompt": pair.messages, "chosen": _say(best), "rejected": _say(worst)},
                    **{"id": pair.prompt, "margin": round(abs(gap), 4)},
                }
            )
    return rows


def _say(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def describe_estimate(estimate: Mapping[str, Any] | None) -> str:
    """`3.80 (3.41 to 4.17)`; without the interval where there are too few prompts."""
    if estimate is None:
        return "-"
    value = f"{estimate['value']:.2f}"
    return value if estimate["low"] is None else f"{value} ({estimate['low']:.2f} to {estimate['high']:.2f})"


def describe_share(share: Mapping[str, float] | None) -> str:
    """`70 % (40 to 89)`."""
    if share is None:
        return "-"
    return f"{100 * share['value']:.0f} % ({100 * share['low']:.0f} to {100 * share['high']:.0f})"


def describe_verdict(found: Mapping[str, Any]) -> Iterator[str]:
    """Wins and losses with their test, what to do next, agreement, and whether the first answer had an advantage."""
    signs, label = found["signs"], found["models"]["tuned"]["label"]
    p = "p < 0.001" if signs["p_value"] < 0.001 else f"p = {signs['p_value']:.3f}"
    counts = [f"{signs[name]} {name if signs[name] != 1 else one}" for name, one in OUTCOMES.items()]
    yield f"{label}: {', '.join(counts)}; exact sign test {p}."
    if found["difference"] is not None:
        yield f"{label} less {found['models']['base']['label']}: {describe_estimate(found['difference'])}"
    if signs["more"] == 0:
        better = "better" if signs["wins"] > signs["losses"] else "worse"
        yield f"That is more than chance: {label} is {better} on prompts like these."
    elif signs["more"] is None:
        yield "Chance could have made this, and more ratings like these would not settle it soon."
    else:
        more = signs["more"]
        yield f"Chance could have made this. Rate {more} more to be sure, if they come out alike: --from-test {more}"
    agreement = found["agreement"]
    if agreement["alpha"] is not None:
        yield (
            f"Agreement of raters on {agreement['shared']} shared prompts: Krippendorff's alpha "
            f"{agreement['alpha']:.2f} (1 perfect, 0 chance; below 0.67 do not build on it)."
        )
        parts = {"which answer is better": agreement["preference"]} | agreement["criteria"]
        known = [f"{name} {alpha:.2f}" for name, alpha in parts.items() if alpha is not None]
        if len(agreement["criteria"]) > 1 and known:
            yield f"Agreement by itself: {', '.join(known)}."
    first = found["first"]
    yield f"The answer shown first won {first['won']} of {first['decided']} decided pairs."
