"""What defines no term: praise, news, names, fragments, and what points at something elsewhere."""

import pytest

from mlx_tutor.dataset.mining.defining import collect_definitions, find_definitions
from mlx_tutor.records import Block, Chunk


def find(*texts: str, heading: str = "Harbour", language: str = "en") -> dict[str, str]:
    chunk = Chunk("a.md", 0, (heading,), tuple(Block("text", text) for text in texts), language=language)
    return {found.term: found.text for found in find_definitions(chunk)}


@pytest.mark.parametrize(
    "sentence",
    [
        "A pier is the most popular place of the whole town by far.",
        "A pier is a part of the harbour and belongs to the town.",
        "A pier is an important part of a harbour that lives by large ships.",
        "A pier is one of the places that all of the captains know.",
        "A pier is a difficult issue for all who own a ship of that size.",
        "Piers are the lifeblood of every town that lives by the sea.",
        "Grace Bell is an engineer who built the first crane on the pier.",
        "Acme is a large company that builds piers in many of the harbours.",
        "**Acme** employs a hundred people who build piers in all of the harbours.",
        "This property is a number that tells how deep a ship lies.",
        "The resulting sum is called the toll.",
        "Even more important is the depth of the water that is left at low tide.",
        "Larger ships mean greater depth, which is what the owner of a port pays for.",
        "Indeed draught is a number that each pilot knows.",
        "A pier is a walk over the water that was finished in 1903 by the town.",
        "A pier is a walk over the water, as in Figure 3 of this chapter.",
        "A **deterministic machine** is a tuple of five things, with",
        "We can calculate various tides as the sum of waves that are known.",
        "Since a pier is a walk that stands on poles, storms do it little harm.",
        "- **Fact**: A ship that is full lies deeper in the water.",
        "- **Sea wall**: The sea wall keeps the waves of a storm out of the harbour.",
    ],
)
def test_no_definition(sentence: str) -> None:
    assert find(sentence) == {}


def test_without_bold_type_a_name_with_an_article_needs_a_place_of_its_own() -> None:
    sentence = "The bilge is the lowest space in a ship."
    assert find(sentence) == {}
    assert find(sentence, heading="Bilge") == {"bilge": sentence}
    assert find("Water gathers in the **bilge**.", sentence) == {"bilge": sentence}


def test_a_heading_may_name_the_kind_of_a_term() -> None:
    sentence = "The dry dock is the basin of a yard from which the water is pumped."
    assert find(sentence, heading="Dock") == {"dry dock": sentence}
    assert find("The example dock is the basin of a yard in the north.", heading="Dock") == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "A bilge is a part of the hull that no sailor can see.",
        "A wing is one of the three sheds that close off a basin.",
    ],
)
def test_what_tells_a_part_from_the_others_defines_it(sentence: str) -> None:
    assert list(find(sentence).values()) == [sentence]


def test_a_plural_is_told_by_its_verb() -> None:
    text = (
        "Hawsers are ropes that tie a ship to a quay. Nauplius is a city of ropes. Odds is a word that means a chance."
    )
    chunk = Chunk("a.md", 0, ("-",), (Block("text", text),))
    assert {found.term: found.plural for found in find_definitions(chunk)} == {"Hawsers": True, "Odds": False}


def test_the_two_wordings_trusted_most_are_those_of_the_course() -> None:
    said = [
        "A **pier** takes ships of all sizes along both of its sides.",
        "A **pier** is defined as a walk that stands in the water.",
        "A **pier** refers to a walk that stands in the water.",
    ]
    chunks = [Chunk("a.md", i, ("-",), (Block("text", text),)) for i, text in enumerate(said)]
    assert [found.text for found in collect_definitions(chunks)["pier"]] == [
        text.replace("**", "") for text in said[1:]
    ]


def test_labels_of_exercises_define_nothing() -> None:
    assert find("Exercise 2. A pier is a walk that stands in the water. Why?") == {}
