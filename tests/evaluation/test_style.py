"""The style table: each label on texts that plainly have it."""

import pytest

from mlx_tutor.evaluation.style import ASPECTS, label_style, list_related, summarize_style

REFERENCE = "Answer: It is the middle.\n\nRelated concepts:\n- mean\n- Standard deviation"
LECTURE = (
    "The median is defined as the value m for which one half of the probability mass lies below. Thus, we denote the "
    "estimator by $\\hat{m}$, and hence it follows that the proof rests on the equation $F(m) = 1/2$, which can be "
    "shown by substituting the distribution function and solving it. Moreover, the standard deviation yields a bound, "
    "whereas the asymptotic variance is given by $1 / (4 n f(m)^2)$, respectively."
)
LESSON = (
    "Imagine you line up your friends by height.\n\n1. First, sort the values.\n2. Next, take the middle one.\n\n"
    "For example, of 3, 5 and 9 it is 5. In other words, half lie below. Do you see why?\n\n"
    "Related concepts:\n- mean\n- quartile"
)


def test_a_lecture_and_a_lesson() -> None:
    assert label_style(LECTURE, REFERENCE) == {
        "response style": "academic",
        "mathematics": "LaTeX",
        "structure": "paragraphs",
        "focus": "derivation",
        "answer pattern": "lecture",
        "related concepts": "embedded",
    }
    assert label_style(LESSON, REFERENCE) == {
        "response style": "teaching",
        "mathematics": "none",
        "structure": "steps",
        "focus": "intuition",
        "answer pattern": "chunks",
        "related concepts": "listed",
    }


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The sum is 3 + 4 = 7.", "plain"),
        ("Take x^2 of it.", "plain"),
        ("Of 3, 5 and 9 it is 5.", "none"),
        ("A p-value of 2-3 words.", "none"),
        ("It costs $5 and $6.", "none"),
        (r"So \(a = b\) holds.", "LaTeX"),
        ("Run this:\n```python\nx = 3\n```\nThat is all.", "none"),
    ],
)
def test_mathematics(text: str, label: str) -> None:
    assert label_style(text, "")["mathematics"] == label


def test_nothing_is_said_of_nothing() -> None:
    labels = label_style("", REFERENCE)
    assert labels["response style"] == labels["focus"] == "neither"
    assert labels["mathematics"] == labels["related concepts"] == "none"


def test_related_concepts_of_a_text() -> None:
    assert list_related(REFERENCE) == ["mean", "Standard deviation"]
    assert list_related("none") == []
    assert label_style("It has a meaning.", REFERENCE)["related concepts"] == "none"


def test_shares_sum_to_one() -> None:
    shares = summarize_style([LECTURE, LESSON, LESSON, ""], [REFERENCE] * 4)
    assert set(shares) == {aspect.name for aspect in ASPECTS}
    assert all(sum(of_labels.values()) == pytest.approx(1.0) for of_labels in shares.values())
    assert shares["structure"] == {"steps": 0.5, "paragraphs": 0.5}
