"""Forms in which a textbook defines a term in bold type, and those that only look like one."""

import pytest

from mlx_tutor.dataset.forms import find_named


def find(sentence: str, before: str = "") -> dict[str, str]:
    return {named.term: named.text for named in find_named(sentence, before, f"{before} {sentence}")}


@pytest.mark.parametrize(
    ("sentence", "term", "text"),
    [
        ("A **data hall** combines many stores of a firm into one place.", "data hall", "A data hall combines"),
        ("**Fast leaders** solicit input from all members of a group.", "Fast leaders", "Fast leaders solicit"),
        ("**Equity theory (ET)** is based on what people see around them.", "Equity theory", "Equity theory (ET) is"),
        ("The law also banned **secret trading**, the use of news that nobody else has.", "secret trading",
         "Secret trading is the use of news that nobody else has."),
        ("It lists the **holders**—people who own a part of the firm—by name.", "holders",
         "Holders are people who own a part of the firm."),
        ("Firms that move their goods across many borders are **world firms**.", "world firms", "Firms that move"),
        ("Economists call the time between two jobs, without any pay, a **gap of work**.", "gap of work", "Economists"),
        ("If a state takes in more than it spends in a year, it runs a **surplus**.", "surplus", "If a state takes in"),
        ("**Thrift** is using little, whereas **effect** is the ability to reach what was wanted.", "effect",
         "Effect is the ability to reach what was wanted."),
        ("**Loud wages** or **high wages** refers to pay that is more than usual.", "high wages", "Loud wages or high"),
    ],
)  # fmt: skip
def test_a_bold_term_is_defined(sentence: str, term: str, text: str) -> None:
    assert find(sentence)[term].startswith(text)


def test_what_is_called_this_was_told_before() -> None:
    before, sentence = "Some firms lower a price until all others leave.", "This is called **chasing out**."
    assert find(sentence, before) == {"chasing out": f"{before} This is called chasing out."}
    assert find(sentence) == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "**Price skimming** is not based on what buyers would pay for it.",
        "Is a **market** a place where people meet, or what is it?",
        "In a **market**, the private owners of land decide what grows on it.",
        "**Acme**, the big maker of doors, offers a rest to all who work there.",
        "The most important of all of these shifts is **growth**.",
        "They spoke of **growth**, which has fallen in all of the years since then.",
        "The tool comes from **Acme**, a firm that sells doors in many towns.",
    ],
)
def test_what_only_names_a_bold_term_defines_nothing(sentence: str) -> None:
    assert find(sentence) == {}


def test_the_evidence_is_a_piece_of_the_paragraph() -> None:
    sentence = "Finally, the **hard peg** sets the rate of a coin for all time."
    [named] = find_named(sentence, "", sentence)
    assert named.evidence == sentence
    assert (named.text, named.article) == ("The hard peg sets the rate of a coin for all time.", "the ")
