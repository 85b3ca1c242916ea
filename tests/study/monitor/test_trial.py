"""Live comparisons: who answers a conversation, what its readers think, and what the test says."""

from collections import Counter
from pathlib import Path

import pytest

from mlx_tutor.study.monitor.trial import (
    Trial,
    describe_trial,
    find_arm,
    judge_conversation,
    read_trials,
    store_mark,
    tabulate_trial,
)
from mlx_tutor.workspace import Course

TRIAL = Trial("mild", "hot")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, "demo")


def test_a_conversation_keeps_its_run_and_each_run_gets_some(course: Course) -> None:
    arms = {number: find_arm(course, TRIAL, f"c{number}") for number in range(40)}
    # One in 2^39 that all are alike.
    assert set(arms.values()) == {"mild", "hot"}
    # After a restart, and with the two named the other way round.
    assert all(find_arm(course, Trial("hot", "mild"), f"c{number}") == arm for number, arm in arms.items())
    (found,) = read_trials(course)
    assert {name: of["conversations"] for name, of in found["runs"].items()} == Counter(arms.values())
    assert found["signs"] == {"first": 0, "undecided": 0, "second": 0, "p_value": 1.0, "more": None}


@pytest.mark.parametrize(
    ("thumbs", "ratings", "verdict"),
    [
        ([], [], 0),
        ([1], [], 1),
        ([1, -1], [], 0),
        ([1, -1, -1], [], -1),
        ([-1, -1], [5], 1),
        ([1], [3], 0),
        ([], [2], -1),
    ],
)
def test_a_rating_comes_before_thumbs(thumbs: list[int], ratings: list[int], verdict: int) -> None:
    assert judge_conversation(thumbs, ratings) == verdict


def judge(course: Course, good: dict[str, int], bad: dict[str, int]) -> None:
    """Judge so many new conversations of each run."""
    left = {1: Counter(good), -1: Counter(bad)}
    number = 0
    while any(count.total() for count in left.values()):
        name, number = f"j{number}", number + 1
        arm = find_arm(course, TRIAL, name)
        for value, count in left.items():
            if count[arm]:
                count[arm] -= 1
                store_mark(course, TRIAL, name, "thumb", 0, value)
                break


def test_bad_ones_of_one_run_are_votes_for_the_other(course: Course) -> None:
    judge(course, good={"hot": 6, "mild": 1}, bad={"mild": 5})
    (found,) = read_trials(course)
    assert found["runs"]["hot"]["good"] == 6 and found["runs"]["mild"]["bad"] == 5 and found["runs"]["mild"]["up"] == 1
    # 11 votes to 1: p = 2 (1 + 12) / 2^12.
    assert (found["signs"]["first"], found["signs"]["second"]) == (11, 1)
    assert found["signs"]["p_value"] == pytest.approx(26 / 4096)
    said = " ".join(describe_trial(found))
    assert "11 for hot, 1 for mild" in said and "hot is judged better" in said
    assert tabulate_trial(found).title == "hot against mild"


def test_too_few_say_nothing(course: Course) -> None:
    judge(course, good={"hot": 3}, bad={"mild": 1})
    said = " ".join(describe_trial(read_trials(course)[0]))
    assert "p = 0.125" in said and "Chance could have made this. Wait for 2 more" in said


def test_what_is_taken_back_does_not_count(course: Course) -> None:
    find_arm(course, TRIAL, "c")
    for value in (5, 2, None):
        store_mark(course, TRIAL, "c", "rating", 0, value)
    store_mark(course, TRIAL, "never begun here", "rating", 0, 5)
    (found,) = read_trials(course)
    assert all(of["ratings"] == [] for of in found["runs"].values())
