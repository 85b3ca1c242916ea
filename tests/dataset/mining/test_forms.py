"""Forms in which a textbook defines a term in bold type, and those that only look like one."""

import pytest

from mlx_tutor.dataset.mining.forms import find_named
from mlx_tutor.dataset.mining.pairs import list_bold
from mlx_tutor.records import Block
from tests.dataset.rows import make_rows, pick_rows


def find(sentence: str, before: str = "") -> dict[str, str]:
    paragraph = f"{before} {sentence}".strip()
    known = list_bold([Block("text", paragraph)])
    return {named.term: named.text for named in find_named(sentence, before, paragraph, known)}


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


@pytest.mark.parametrize(
    ("sentence", "term", "text"),
    [
        ("The **tide rule** of a harbour, in simple terms, holds that late ships wait for the next flood.", "tide rule",
         "The tide rule of a harbour"),
        ("A pilot's **reach** (also called range) is the number of miles that a ship can go.", "reach",
         "A pilot's reach"),
        ("**Rope walks** are long narrow sheds, where rope is laid.", "Rope walks", "Rope walks are long narrow sheds"),
        ("A **night market** does not open its doors by day but sells until the morning.", "night market",
         "A night market does not"),
        ("The purpose of a **tide table** is to tell when the water is high enough.", "tide table", "The purpose of a"),
        ("A harbour has a **safe berth** when a ship can lie in it in any storm.", "safe berth", "A harbour has a"),
        ("When a ship comes in much later than was planned, harbours use the term **long delay**.",
         "long delay", "When a ship comes"),
        ("Many harbours use **guide lights** to lead ships through the narrow water by night.", "guide lights",
         "Many harbours use guide lights to lead"),
        ("Building a **sea wall** involves piling stones along the whole shore.", "sea wall", "Building a sea wall"),
        ("While a quay lies along the shore, a **pier** is a walk that stands out in the water.", "pier",
         "A pier is a walk that stands out in the water."),
        ("Unlike ropes, **chains** do not stretch but break without any warning.", "Chains", "Chains do not stretch"),
        ("We calculate **dead weight** by taking the full weight and leaving out the ship.", "dead weight",
         "We calculate dead weight by taking"),
        ("Those who put money in a ship become its owners, or **shipholders**.", "shipholders", "Those who put money"),
        ("Pilots steer with **slow care**: they look at the water and change their course bit by bit.", "slow care",
         "Pilots steer with slow care: they look"),
    ],
)  # fmt: skip
def test_a_sentence_is_about_the_term(sentence: str, term: str, text: str) -> None:
    assert find(sentence)[term].startswith(text)


@pytest.mark.parametrize(
    ("sentence", "term", "text"),
    [
        ("**Towing**, an act in which one ship pulls another, can take many days.", "Towing",
         "Towing is an act in which one ship pulls another."),
        ("A small boat that carries people to the shore, a **tender** can hang at the side.", "tender",
         "A tender is a small boat that carries people to the shore."),
        ("The great fear is **sea loss**: the chance that a ship never comes home.", "sea loss",
         "Sea loss is the chance that a ship never comes home."),
        ("The first way is **ferrying**, or carrying people over the water for pay.", "ferrying",
         "Ferrying is carrying people over the water for pay."),
        ("The crew needs **sea days**, which are the days that were spent on a ship.", "sea days",
         "Sea days are the days that were spent on a ship."),
        ("Owners ask for a **slow voyage**, which means that the ship saves its coal.", "slow voyage", None),
        ("The choice is a **slow voyage**, which means that the ship saves its coal.", "slow voyage",
         "A slow voyage means that the ship saves its coal."),
        ("A port may set a **toll lock**, where each ship pays before the gate opens.", "toll lock",
         "A toll lock is where each ship pays before the gate opens."),
        ("The firm has **silent owners**, whose part in the losses has a limit.", "silent owners",
         "Silent owners are those whose part in the losses has a limit."),
        ("Most ports developed **storm plans** that say which ship leaves at what time.", "storm plans",
         "Storm plans say which ship leaves at what time."),
        ("The word is “**ballast**,” the weight that keeps a ship upright.", "ballast",
         "Ballast is the weight that keeps a ship upright."),
        ("- ***Deck work***, which is based on the hours of the day (such as watches).", "Deck work",
         "Deck work is based on the hours of the day (such as watches)."),
    ],
)  # fmt: skip
def test_what_is_said_beside_the_term_becomes_a_sentence(sentence: str, term: str, text: str | None) -> None:
    assert find(sentence).get(term) == text


@pytest.mark.parametrize(
    ("before", "sentence", "term", "text"),
    [
        ("Each ship has a **sail rate**.", "This is the share of days that it spends at sea.", "sail rate",
         "A sail rate is the share of days that it spends at sea."),
        ("There is also a port tax on **late ships**.", "They are ships that come after the gates have closed.",
         "Late ships", "Late ships are ships that come after the gates have closed."),
        ("Sailors like the **calm argument**.", "This argument holds that no storm lasts for more than two nights.",
         "calm argument", "The calm argument holds that no storm lasts for more than two nights."),
        ("Another way to fill a ship is **part lading**.",
         "With this method, the owner takes in goods of many firms and towns.", "part lading",
         "With part lading, the owner takes in goods of many firms and towns."),
        ("Ports count the **open berth index (OBI)**.", "The OBI combines the free places of all the piers in a town.",
         "open berth index", "The open berth index (OBI) combines the free places of all the piers in a town."),
        ("Owners look at the **mean load**.", "We calculate it by sharing all the goods among the voyages of a year.",
         "mean load", "We calculate the mean load by sharing all the goods among the voyages of a year."),
        ("Another cover of ship bottoms is **copper sheet**.", "Copper keeps worms and weeds away from the wood below.",
         "copper sheet", "One cover of ship bottoms is copper sheet. Copper keeps worms and weeds away"),
        ("Ships gain speed as the wind grows.", "Sailors call this bond the **law of wind**.", "law of wind",
         "Ships gain speed as the wind grows. Sailors call this bond the law of wind."),
        ("Some pilots work on their own.", "Called **free pilots**, they wait for ships at the mouth of a river.",
         "free pilots", "Some pilots work on their own. Called free pilots, they wait"),
        ("The owner must choose whether to buy or build a ship.", "This is the **ship choice**.", "ship choice",
         "The owner must choose whether to buy or build a ship. This is the ship choice."),
    ],
)  # fmt: skip
def test_a_term_is_defined_over_two_sentences(before: str, sentence: str, term: str, text: str) -> None:
    assert find(sentence, before)[term].startswith(text)


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("Each ship has a **sail rate**.", "This is the reason why owners count the days at sea."),
        ("Each ship has a **sail rate**.", "This is important for all who own a part of it."),
        ("The **sail rate** of ships fell when coal was cheap.", "This means that owners turned to steam in the end."),
        ("Do owners watch the **sail rate**?", "It is the share of days that a ship spends at sea."),
        ("Both **sail rate** and **mean load** matter.", "This is the share of days that a ship spends at sea."),
        ("Ports need **late ships**.", "It is the port that earns from them in the end."),
        ("The biggest harbour of all is **Deepwater**.", "Deepwater uses many cranes to load the ships that come in."),
        ("A good example is **part lading**.", "Lading of this kind takes a week in most of the harbours."),
    ],
)
def test_a_sentence_that_goes_on_need_not_define(before: str, sentence: str) -> None:
    assert find(sentence, before) == {}


def test_what_is_called_this_was_told_before() -> None:
    before, sentence = "Some firms lower a price until all others leave.", "This is called **chasing out**."
    assert find(sentence, before) == {"chasing out": f"{before} This is called chasing out."}
    assert find(sentence) == {}
    assert find(sentence, "For example, some firms lower a price.") == {}


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
        "**Acme Doors** provides a rest to all of those who have worked there.",
        "**Acme Doors** is a leading maker of doors for houses in cold towns.",
        "The fifth step is called the **rule of thumb**.",
        "Ships carry two kinds of **goods**: bulk goods and piece goods.",
        "We met the owner of **Salt Quay**, where ships wait for the tide.",
        "**Late ships** managers wrote a letter to the owner of the port.",
        "A **rope walk** then appears in the picture of the old harbour.",
        "Many owners have **long ropes** that they buy from a firm in the town.",
        "The **sail rate** of a ship is similar to that of others.",
    ],
)
def test_what_only_names_a_bold_term_defines_nothing(sentence: str) -> None:
    assert find(sentence) == {}


def test_the_evidence_is_a_piece_of_the_paragraph() -> None:
    sentence = "Finally, the **hard peg** sets the rate of a coin for all time."
    [named] = find_named(sentence, "", sentence)
    assert named.evidence == sentence
    assert (named.text, named.article) == ("The hard peg sets the rate of a coin for all time.", "the ")


def test_a_short_definition_takes_what_goes_on_about_it() -> None:
    text = "# Harbour\n\nA **pier** is a walk over the water. It stands on poles of wood. Ships lie along it."
    answers = {row.qa_pair.answer: row.origin.evidence for row in make_rows(text) if row.origin.method == "definition"}
    assert answers == {
        "A pier is a walk over the water. It stands on poles of wood.": (
            "A **pier** is a walk over the water. It stands on poles of wood."
        )
    }


def test_the_wording_that_says_most_is_kept() -> None:
    text = "# Harbour\n\nA **pier** is a simple thing to build. A **pier** means a walk that stands over water."
    assert {answer for _, answer in pick_rows(make_rows(text), "definition")} == {
        "A pier means a walk that stands over water."
    }


@pytest.mark.parametrize(
    "sentence",
    [
        "A pier is a difficult issue for all who own a ship.",
        "A pier is the most popular place of the whole town by far.",
        "Acme is a large firm that builds piers in many of the harbours.",
        "Grace Bell is the engineer of the first crane on the pier.",
    ],
)
def test_praise_is_no_definition(sentence: str) -> None:
    assert pick_rows(make_rows(f"# Harbour\n\n{sentence}"), "definition") == []


def test_what_only_definitions_say_needs_no_bold_type() -> None:
    text = "# Harbour\n\nShips pay for a place. Port dues are the amount that a ship pays for each day of its stay."
    assert {answer for _, answer in pick_rows(make_rows(text), "definition")} == {
        "Port dues are the amount that a ship pays for each day of its stay."
    }
