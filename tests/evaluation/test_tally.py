"""What ratings say, against published values and hand-made ones."""

import math
from collections.abc import Mapping, Sequence

import pytest

from mlx_tutor.evaluation.bootstrap import compute_p_value
from mlx_tutor.evaluation.rate import Judgement, Pair, Side
from mlx_tutor.evaluation.tally import list_preferences, measure_agreement, measure_share, plan_more, summarize_ratings

# The example of Krippendorff (2011): four observers, twelve units, 0 for a missing value.
OBSERVERS = ("123321412000", "123322412503", "033323422510", "123324412510")


def test_agreement_is_krippendorffs() -> None:
    units = [[int(score) for score in unit if score != "0"] for unit in zip(*OBSERVERS, strict=True)]
    assert measure_agreement(units) == pytest.approx(0.815, abs=5e-4)
    assert measure_agreement([[1, 1], [5, 5], [3, 3]]) == 1.0
    assert measure_agreement([[1], [5]]) is None
    assert measure_agreement([[4, 4], [4, 4]]) is None
    opposed = measure_agreement([[1, 5], [5, 1]])
    assert opposed is not None and opposed < 0


@pytest.mark.parametrize(("wins", "losses", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (9, 1, 22 / 1024), (4, 4, 1.0)])
def test_the_sign_test_is_exact(wins: int, losses: int, p: float) -> None:
    assert compute_p_value(wins, losses) == pytest.approx(p)
    assert compute_p_value(losses, wins) == compute_p_value(wins, losses)


def test_how_many_more_prompts() -> None:
    assert plan_more(9, 1, 1) == 0
    assert plan_more(5, 0, 0) == 1
    assert plan_more(3, 3, 3) is None and plan_more(0, 0, 0) is None
    assert plan_more(251, 0, 250) is None
    more = plan_more(7, 0, 3)
    assert more is not None and more > 0
    share = (10 + more) / 10
    assert compute_p_value(round(7 * share), round(3 * share)) < 0.05


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Newcombe (1998), method 3: 81 of 263.
    found = measure_share(81, 263)
    assert found is not None
    assert [found["low"], found["high"]] == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert measure_share(0, 0) is None
    whole = measure_share(10, 10)
    assert whole is not None and whole["high"] == pytest.approx(1.0) and 0.6 < whole["low"] < 0.8


def make_pair(number: int) -> Pair:
    messages = [{"role": "user", "content": f"question {number}"}]
    return Pair(number, f"p{number}", "define", messages, "fused", f"base {number}", f"tuned {number}")


def judge(pair: int, base: Sequence[int], tuned: Sequence[int], rater: str = "ada", first: Side = "base") -> Judgement:
    scores: Mapping[str, Mapping[str, int]] = {
        "base": dict(zip(("help", "tone"), base, strict=True)),
        "tuned": dict(zip(("help", "tone"), tuned, strict=True)),
    }
    return Judgement(pair, rater, first, scores)


def test_means_success_and_signs_by_prompt() -> None:
    pairs = [make_pair(i) for i in range(4)]
    found = summarize_ratings(
        pairs,
        [judge(0, (3, 3), (5, 4)), judge(1, (4, 4), (4, 4)), judge(2, (5, 5), (2, 2), first="tuned")],
        ("help", "tone"),
    )
    assert (found["pairs"], found["rated"], found["raters"]) == (4, 3, {"ada": 3})
    base, tuned = found["models"]["base"], found["models"]["tuned"]
    assert (base["label"], tuned["label"]) == ("base", "fused")
    assert (base["mean"]["value"], tuned["mean"]["value"]) == (pytest.approx(4.0), pytest.approx(3.5))
    assert tuned["criteria"]["help"]["value"] == pytest.approx(11 / 3)
    assert (base["success"]["value"], tuned["success"]["value"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert {key: found["signs"][key] for key in ("wins", "ties", "losses")} == {"wins": 1, "ties": 1, "losses": 1}
    assert found["worse"] == ["p2"] and found["agreement"]["alpha"] is None
    assert found["agreement"]["shared"] == 0 and found["agreement"]["preference"] is None
    assert found["first"] == {"won": 0, "decided": 2}
    assert [row["difference"] for row in found["prompts"]] == [1.5, 0.0, -3.0]
    # Three prompts are too few for an interval.
    assert base["mean"]["low"] is None and found["difference"]["value"] == pytest.approx(-0.5)


def test_several_raters_are_one_voice_for_a_prompt() -> None:
    found = summarize_ratings(
        [make_pair(0)], [judge(0, (3, 3), (4, 4)), judge(0, (3, 3), (2, 2), "bob")], ("help", "tone")
    )
    assert found["signs"]["ties"] == 1 and found["prompts"][0]["raters"] == 2
    assert found["agreement"]["shared"] == 1 and found["agreement"]["alpha"] is not None


def test_intervals_from_ten_prompts_on() -> None:
    pairs = [make_pair(i) for i in range(12)]
    found = summarize_ratings(pairs, [judge(i, (3, 2 + i % 3), (5, 4)) for i in range(12)], ("help", "tone"))
    mean, difference = found["models"]["base"]["mean"], found["difference"]
    assert mean["low"] < mean["value"] < mean["high"]
    assert difference["low"] > 0 and found["signs"]["p_value"] < 0.05 and found["signs"]["more"] == 0


def test_nothing_is_rated_yet() -> None:
    found = summarize_ratings([make_pair(0)], [], ("help", "tone"))
    assert found["rated"] == 0 and found["models"]["base"]["mean"] is None and found["signs"]["p_value"] == 1.0
    assert not any(math.isnan(value) for value in found["signs"].values() if value is not None)


def test_preference_pairs_leave_ties_out() -> None:
    pairs = [make_pair(i) for i in range(4)]
    judgements = [judge(0, (3, 3), (5, 4)), judge(1, (4, 4), (4, 4)), judge(2, (5, 5), (2, 2))]
    rows = list_preferences(pairs, judgements, ("help", "tone"))
    assert [(row["id"], row["margin"]) for row in rows] == [("p0", 1.5), ("p2", 3.0)]
    assert rows[0]["prompt"] == [{"role": "user", "content": "question 0"}]
    assert rows[0]["chosen"] == [{"role": "assistant", "content": "tuned 0"}]
    assert (rows[1]["chosen"][0]["content"], rows[1]["rejected"][0]["content"]) == ("base 2", "tuned 2")
