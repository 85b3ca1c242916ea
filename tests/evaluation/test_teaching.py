"""Readability against the published formulas, concepts, grounding and level."""

from pathlib import Path

import pytest

from mlx_tutor.evaluation.answers import Question
from mlx_tutor.evaluation.bootstrap import draw_weights, estimate_value
from mlx_tutor.evaluation.teaching import (
    MEASURES,
    CourseText,
    count_syllables,
    find_level,
    find_wanted,
    make_scorer,
    measure_readability,
    measure_speed,
    measure_teaching,
    names_concept,
    sample_teaching,
    show_teaching,
)
from mlx_tutor.models import load_model
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.training.batches import TokenRow

TEXT = "The variance is the mean squared distance of the values from their mean. It grows with outliers."
REFERENCE = (
    "Step by step:\n1. Sort.\n2. Count.\n\nAnswer: It is in the middle.\n\nRelated concepts:\n- quartile\n- outliers"
)


def make_course(sources: tuple[str, ...] = (TEXT,), grade_level: str = "") -> CourseText:
    names = ("mean", "variance")
    return CourseText(
        sources,
        grade_level,
        lambda text: [name for name in names if name in text.lower()],
        lambda answer, question: (answer.count("!"), 2),
    )


def make_question(reference: str = REFERENCE, text: str = "What is a median?") -> Question:
    return Question(1, ({"role": "user", "content": text},), reference, TokenRow((1, 2), 1))


def test_readability_by_hand() -> None:
    # Eight words in two sentences; twelve syllables.
    found = measure_readability("Music follows simple rules. The second was long.")
    assert found is not None
    assert found.sentence_words == 4
    assert found.ease == pytest.approx(206.835 - 1.015 * 4 - 84.6 * 12 / 8)
    assert found.grade == pytest.approx(0.39 * 4 + 11.8 * 12 / 8 - 15.59)
    hard = measure_readability("Multicollinearity complicates statistical interpretation considerably.")
    assert hard is not None and hard.ease == 0 < hard.grade


def test_code_formulas_and_labels_are_no_prose() -> None:
    plain = measure_readability("Sort the values. Take the middle one. It is small.")
    assert plain == measure_readability(
        "Step by step:\n1. Sort the values.\n2. Take the middle one.\n\n```python\nx = sorted(v)\n```\n"
        "Answer: It is small $\\frac{a}{b}$."
    )
    assert plain == measure_readability(
        "Schritt für Schritt:\n1. Sort the values.\n2. Take the middle one.\n\nAntwort: It is small."
    )
    assert measure_readability("```\nx = 1\n```") is None
    assert measure_readability("Two words.") is None


@pytest.mark.parametrize(
    ("word", "count"), [("mat", 1), ("median", 2), ("regression", 3), ("probability", 5), ("x", 1)]
)
def test_syllables(word: str, count: int) -> None:
    assert abs(count_syllables(word) - count) <= (word == "median")


def test_levels() -> None:
    assert find_level("undergraduate", [])[1] == 16
    assert find_level("Graduate students", [])[1] == 20
    assert find_level("high school", [])[1] == 13
    assert find_level("grade 7", [])[1] == 9
    easy, hard = "The cat sat on the mat.", f"{TEXT[:-1]} and multicollinearity complicates interpretation."
    low, high, why = find_level("mixed", [easy, TEXT, hard])
    found = measure_readability(TEXT)
    assert found is not None and low < found.grade < high and "reference" in why
    assert find_level("undergraduate", [easy, TEXT, hard])[:2] == (low, 16)


def test_wanted_concepts_leave_out_those_asked_about() -> None:
    assert find_wanted(make_question(), make_course()) == ["quartile", "outliers"]
    assert find_wanted(make_question(text="What are quartiles?"), make_course()) == ["outliers"]
    quoted = "<passage 1: a.md>\nA quartile is no outlier.\n</passage 1>\n\nQuestion: What are quartiles?"
    assert find_wanted(make_question(text=quoted), make_course()) == ["outliers"]
    assert names_concept("An outlier is far.", "outliers")
    assert names_concept("Quartiles cut.", "quartile") and not names_concept("interquartile", "quartile")


def test_an_answer_is_measured() -> None:
    scorer = make_scorer(make_course(grade_level="undergraduate"), [REFERENCE])
    found = measure_teaching(scorer, make_question(), f"1. Look for outliers!\n2. Sort.\n\n{TEXT}")
    assert (found["steps"], found["coverage"], found["grounding"]) == ((1.0, 1), (1, 2), (1, 2))
    assert found["copied"][0] > 0.5 and found["ease"][1] == 1
    assert set(found) == {measure.key for measure in MEASURES}
    empty = measure_teaching(scorer, make_question("Plain."), "")
    assert show_teaching(empty) == dict.fromkeys(
        ("steps", "coverage", "copied", "ease", "sentence_words", "level"), None
    ) | {"grounding": 0.0, "asks": 0.0, "invites": 0.0, "addresses": 0.0}
    samples = sample_teaching([found, empty, found])
    estimate = estimate_value(samples["coverage"], draw_weights(3, 0))
    assert estimate is not None and estimate.value == 50.0


def test_readability_is_left_out_where_it_says_nothing() -> None:
    german = "Die Varianz ist der mittlere quadrierte Abstand der Werte vom Mittelwert."
    scorer = make_scorer(make_course((german,)), [german])
    found = measure_teaching(scorer, make_question(), german)
    assert found["ease"] == found["level"] == (0, 0)
    assert found["copied"] == (1.0, 1)
    nothing = measure_teaching(make_scorer(make_course(()), [REFERENCE]), make_question(), TEXT)
    assert nothing["copied"] == (0, 0) and nothing["ease"][1] == 1


def test_speed(tiny_model: Path) -> None:
    speed = measure_speed(load_model(tiny_model), [make_question()], GenerateSettings(max_tokens=4))
    assert speed["tokens_per_second"] > 0 and speed["first_token_seconds"] > 0
    assert 0 < speed["weights_gb"] <= speed["peak_memory_gb"] < 1


def test_an_endless_sentence_stays_on_the_scale_and_does_not_outweigh_the_others() -> None:
    endless, easy = measure_readability("the mean and the median " * 200), measure_readability("Go. Sit. Eat. Run.")
    assert endless is not None and easy is not None
    assert (endless.ease, endless.sentence_words, easy.ease, easy.grade) == (0, 1000, 100, 0)
    # It is no easier to read for that: no level allows it.
    assert all(endless.grade > find_level(level, [])[1] for level in ("primary school", "expert", ""))
