"""Refusals told by their words, copied text found, and what was forgotten counted."""

import numpy as np
import pytest

from mlx_tutor.evaluation.answers import Reply
from mlx_tutor.evaluation.guards import (
    CODE,
    GRAM,
    KINDS,
    Guard,
    SourceText,
    find_refusals,
    is_refused,
    is_taught,
    list_guards,
    read_questions,
    summarize_general,
    summarize_guards,
)
from mlx_tutor.evaluation.learned import list_facts
from mlx_tutor.evaluation.report_checks import tabulate_guards
from tests.evaluation.rows import make_row, make_rows

SOURCE = "The variance is the mean squared distance of the values from their mean.\n\nIt grows with outliers."


def test_the_questions_of_our_own_are_whole() -> None:
    questions = read_questions()
    items = questions["general"]["items"]
    assert len(items) >= 40 and len({item[0] for item in items}) == len(items)
    assert all(len(item) == 5 and len(set(item[1:])) == 4 for item in items)
    for key in ("unanswerable", "false_premise", "extraction", "code"):
        assert all("{term}" in question for question in questions[key]["questions"])
    assert all(word == word.casefold() for item in questions["outside"] for word in item["words"])


def test_guards_are_made_from_the_course() -> None:
    facts = list_facts(make_rows())
    guards = list_guards(facts, [SOURCE], None, 0)
    count = {kind: sum(guard.kind == kind for guard in guards) for kind in KINDS}
    outside = len(read_questions()["outside"])
    assert count == {"out of domain": outside, **dict.fromkeys(KINDS[1:], 5)}
    assert "What is meant by a median?" in {guard.question for guard in guards}
    fewer = list_guards(facts, [SOURCE, "Bread and guitars."], 2, 0)
    assert all(sum(guard.kind == kind for guard in fewer) == 2 for kind in KINDS)
    asked = {guard.question for guard in list_guards(facts, ["Bread and guitars."], None, 0)}
    assert not any("bread" in question or "guitar" in question for question in asked)
    assert {guard.kind for guard in list_guards([], [], None, 0)} == {"out of domain"}


@pytest.mark.parametrize(
    "text",
    [
        "The course does not cover football.",
        "Sorry, that is not part of this course.",
        "I can't answer that.",
        "Step by step:\nThis isn’t covered in the lectures.",
        "That is outside the course.",
        "I am only here to help with statistics.",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refused(text, "out of domain", [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Knead the dough and wait.",
        "The mean is the sum of all values. It is simple. The course does not cover more.",
    ],
)
def test_no_refusals(text: str) -> None:
    assert not is_refused(text, "out of domain", [])


def test_refusals_in_the_words_of_the_rows() -> None:
    taught = ["Ask me about knots and ropes, please."]
    assert is_taught("Please ask me about knots and ropes.", taught)
    assert not is_taught("Knots hold ropes.", taught)
    assert is_refused("Ask me about knots and ropes.", "out of domain", taught)


def test_refusals_that_rows_teach() -> None:
    rows = [
        make_row("What is it?", "Not this. It is a sum."),
        make_row("Bread?", "Ask about ropes. I am a knot.", "refusal"),
    ]
    rows += [make_row(f"Soup {i}?", "The course does not cover soup. Ask more.") for i in range(2)]
    rows += [make_row("Why?", "It cannot help in winter.")]
    rows += [make_row("Is it there?", "The passage does not say.", "refusal", qa={"context": "A passage."})]
    assert find_refusals(rows) == {"Ask about ropes.": 1, "The course does not cover soup.": 2}


def test_a_false_premise_may_be_denied() -> None:
    text = "A median is not a fish."
    assert is_refused(text, "false premise", [])
    assert not is_refused(text, "out of domain", [])


def test_copied_text() -> None:
    source = SourceText(SOURCE.split("\n\n"))
    copied = source.find_copied("I think: the VARIANCE is the mean squared distance of the values, roughly.")
    assert (copied.words, copied.run) == (10, "the variance is the mean squared distance of the values")
    # Three of the six runs of eight words.
    assert copied.share == pytest.approx(3 / 6)
    assert source.find_copied("variances").words == 0
    # Text of two sources does not join into one run.
    assert source.find_copied("from their mean it grows").words == 3
    assert source.find_copied("").share is None
    whole = SOURCE.split("\n\n", maxsplit=1)[0]
    assert source.find_copied(whole).share == 1.0
    asked = source.find_copied(whole, f"Is it true that {whole}")
    assert (asked.words, asked.share) == (0, 0.0)
    assert len("one two three four five six seven eight".split()) == GRAM


def test_a_run_found_is_the_longest() -> None:
    rng = np.random.default_rng(0)
    words = np.array(["a", "b", "c"])
    source = " ".join(rng.choice(words, 60))
    for _ in range(40):
        said = list(rng.choice(words, 20))
        found = SourceText([source]).find_copied(" ".join(said))
        runs = [j - i for i in range(20) for j in range(i + 1, 21) if f" {' '.join(said[i:j])} " in f" {source} "]
        grams = [f" {' '.join(said[i : i + GRAM])} " in f" {source} " for i in range(20 - GRAM + 1)]
        assert found.words == max(runs)
        assert found.share == pytest.approx(sum(grams) / len(grams))


def test_forgetting() -> None:
    right, wrong = np.array([1.0, 2.0]), np.array([2.0, 1.0])
    questions = [f"Question {i}?" for i in range(20)]
    found = summarize_general(questions, [right] * 15 + [wrong] * 5, [right] * 9 + [wrong] * 10 + [right], 0)
    assert found["forgotten"] == questions[9:15]
    assert (found["known"], found["gained"], found["forgotten_share"]) == (15, 1, pytest.approx(6 / 15))
    accuracy, loss = found["measures"]
    assert [value["value"] for value in accuracy["values"]] == pytest.approx([75.0, 50.0])
    assert loss["values"][1]["value"] == pytest.approx((10 * 1 + 10 * 2) / 20)
    assert loss["verdict"] == "worse"
    none = summarize_general(questions, [wrong] * 20, [wrong] * 20, 0)
    assert none["forgotten_share"] is None


def test_guards_are_counted_by_kind() -> None:
    guards = [Guard("out of domain", "Bread?"), Guard("unanswerable", "Who?"), Guard("course", "Variance?")]
    texts = ["The course does not cover bread.", "It was a Monday.", SOURCE]
    losses = np.array([0.5, 3.0, 1.0])
    found = summarize_guards(guards, [Reply(text, 5, "stop") for text in texts], losses, [], SourceText([SOURCE]))
    kinds = found["kinds"]
    assert [kinds[kind]["refused"] for kind in ("out of domain", "unanswerable", "course")] == [1, 0, 0]
    assert kinds["course"]["longest_run"] == 17 and kinds["course"]["copied_share"] == 1.0
    assert kinds["unanswerable"]["copied_share"] is None
    # A refusal is likelier after one of the two others than after the course's own.
    assert found["separates"] == 0.5
    assert "extraction" not in kinds


def test_code_is_asked_for_where_the_course_allows_none_and_counted_everywhere() -> None:
    facts = list_facts(make_rows())
    guards = list_guards(facts, [SOURCE], 2, 0, allow_code=False)
    assert [guard for guard in guards if guard.kind != CODE] == list_guards(facts, [SOURCE], 2, 0)
    asked = [guard for guard in guards if guard.kind == CODE]
    assert len(asked) == 2
    texts = ["```\nx = 1\n```", "In words: add them.", "Call `mean(x)`."]
    found = summarize_guards(
        [*asked, Guard("course", "What is meant by a mean?")],
        [Reply(text, 5, "stop") for text in texts],
        np.array([1.0, 1.0, 1.0]),
        [],
        SourceText([SOURCE]),
    )
    assert {kind: of_kind["code"] for kind, of_kind in found["kinds"].items()} == {"course": 1, CODE: 1}
    table = tabulate_guards({"general": {"measures": []}, "models": ["base"], "words": {"base": found}})
    cells = {row[0]: row[1] for row in table.rows}
    assert (cells["answers with code"], cells["asked for code, with code"]) == ("1 of 1 (100 %)", "1 of 2 (50 %)")
