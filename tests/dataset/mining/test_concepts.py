"""Which names a course has for its concepts, in which texts they stand, and which belong together."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.mining.concepts import Concepts, Index, collect_concepts, cut_key
from mlx_tutor.dataset.mining.defining import Definition
from mlx_tutor.extract.markdown import add_markdown
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.records import Document

ENGLISH = """# Machines

## Inclined planes

An inclined plane needs less force. The **torque** of a lever grows with its arm, and a larger torque lifts more. It is
**always** the same: always less force, a **longer** way. The brand **Leverex** sells planes, and Leverex sells levers.

## A story about Ada

**Turning the key too far** breaks it. An inclined plane and a torque meet where a screw turns.

## Exercises

Find the **missing force** of a **missing force**.
"""
GERMAN = """# Maschinen

## Schiefe Ebenen

Auf einer schiefen Ebene braucht man weniger Kraft. Das **Drehmoment** eines Hebels wächst **immer** mit dem Arm, und
das Drehmoment hebt mehr.
Bei schiefen Ebenen gilt das nur **einmal**, immer und einmal. Schiefe Ebenen sind Maschinen,
mit allen **losen Rollen** hebt man mehr als ohne die losen Rollen.
"""


def collect(text: str, language: str, defined: Sequence[str] = ()) -> Concepts:
    builder = SectionBuilder()
    add_markdown(builder, text)
    document = Document("notes.md", "0" * 64, "Notes", builder.finish("Notes"), language)
    definitions = {term: [Definition(term, f"A {term} is a thing.", "", article="a ")] for term in defined}
    return collect_concepts([document], definitions)


def test_concepts_are_names_that_the_text_uses_as_nouns() -> None:
    concepts = collect(ENGLISH, "en", ["lever"])
    assert set(concepts.names.values()) == {"inclined plane", "torque", "lever"} or set(concepts.names.values()) == {
        "inclined planes", "torque", "lever",
    }  # fmt: skip


def test_german_concepts_are_nouns_in_the_nominative() -> None:
    assert set(collect(GERMAN, "de").names.values()) == {"Schiefe Ebenen", "Drehmoment"}


def test_concepts_are_found_in_any_number_and_not_inside_other_words() -> None:
    concepts = collect(ENGLISH, "en", ["lever", "lever arm"])
    assert concepts.find("Levers turn, and lever arms are long.") == ["lever", "lever arm"]
    assert concepts.find_longest("Levers turn, and lever arms are long.") == ["lever arm"]
    assert concepts.find("A non-lever, a lever-arm-like thing and leverage. Lever. Arm.") == ["lever"]
    chinese = collect("# 机械\n\n## 杠杆\n\n杠杆可以传递力。力矩和杠杆有关。\n", "zh")
    assert chinese.find("这根杠杆很长。") == ["杠杆"]
    bold = collect("# 机械\n\n## 杠杆与滑轮\n\n**力矩**使杠杆转动。力臂越长，力矩越大。\n", "zh")
    assert bold.find("杠杆与滑轮有力矩。") == ["力矩"]


def test_related_concepts_meet_elsewhere_too() -> None:
    text = f"{ENGLISH}\n\nWith a torque the lever turns, and nothing else does so.\n"
    concepts = collect(text, "en", ["lever", "screw", "torque"])
    assert concepts.relate("A torque and a screw.", "lever") == ("torque",)
    # A word that the course nowhere defines may be any word.
    assert collect(text, "en", ["lever", "screw"]).relate("A torque and a screw.", "lever") == ()
    assert concepts.relate("A lever and levers.", "lever") == ()
    assert concepts.relate("A torque and a screw.", "cogs") == ()


WORDS = st.lists(st.sampled_from(["gear", "wheel", "gear wheel", "wheels", "of"]), min_size=1, max_size=3).map(" ".join)


@given(
    st.sets(WORDS, min_size=1, max_size=8), st.lists(st.sampled_from("gear wheel wheels of big".split()), max_size=9)
)
def test_an_index_finds_what_a_search_from_the_left_finds(terms: set[str], words: list[str]) -> None:
    keys = {cut_key(term, "en") for term in terms}
    stems = cut_key(" ".join(words), "en")
    expected, i = [], 0
    while i < len(stems):
        key = max((key for key in keys if stems[i : i + len(key)] == key), key=len, default=None)
        expected += [key] if key else []
        i += len(key) if key else 1
    assert [key for key, _, _ in Index(keys, "en").find(" ".join(words))] == expected


@pytest.mark.parametrize(
    ("one", "other"), [("classes", "class"), ("bases", "base"), ("theories", "theory"), ("boxes", "box")]
)
def test_a_plural_has_the_key_of_its_singular(one: str, other: str) -> None:
    assert cut_key(one, "en") == cut_key(other, "en")


def test_means_are_no_mean() -> None:
    assert cut_key("means", "en") != cut_key("mean", "en")


def test_an_abbreviation_keeps_its_capitals_where_code_writes_it_small() -> None:
    text = "# Codes\n\n## ascii\n\nThe **ascii** table has letters. In ascii, a letter is a number.\n"
    concepts = collect(text, "en")
    assert "ascii" in concepts.names.values() and concepts.lower("ASCII") == "ASCII"
