"""What is explained, argued, listed, reasoned and judged, in several languages, and what is left alone."""

import re

import pytest

from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.records import Example
from tests.dataset.rows import make_rows, pick_rows

KILN = """# Pottery

## Firing

### Biscuit firing

Biscuit firing is a firing that hardens the clay before any glaze is put on it. It drives the water out of the clay
slowly, so that the pots do not burst. The kiln is opened only after it has cooled, since cold air cracks hot clay.
A biscuit pot
stays porous
and takes up the glaze well.

### Cooling

The kiln walls store a great deal of heat. Cold air cracks the hot clay of a pot within seconds. Therefore, the
door of
the kiln stays shut for a whole day after the fire is out. Many potters watch a small cone of clay through a
hole. A cone
bends at a known heat and shows the potter how hot the kiln is inside.

### Two kinds of clay

**Earthenware** is fired at a low heat, whereas **stoneware** is fired at a high heat. Stoneware holds water without a
glaze because its grains melt into each other. Some stoneware is white. The clay of a brick is cheap, and
it comes from the
nearest pit that a brickmaker can find.

### Glazes

A glaze has three parts:

- a glass former such as silica
- a flux that lowers the melting point
- alumina, which keeps the glaze on the pot
"""
GERMAN = """# Töpfern

## Brennen

### Glühbrand

Der Glühbrand ist ein Brand, der den Ton härtet, bevor eine Glasur aufgetragen wird. Er treibt das Wasser
langsam aus dem Ton und macht das
Gefäß fest genug für die weitere Arbeit. Nach dem Glühbrand nimmt das Gefäß die Glasur gut auf.

### Steinzeug

Steinzeug hält Wasser ohne Glasur, weil die Körner des Tons ineinander schmelzen. Irdenware wird bei niedriger Hitze
gebrannt, während Steinzeug bei hoher Hitze gebrannt wird. Heißer Ton reißt in kalter Luft. Die Wände des Ofens
speichern
viel Hitze. Deshalb bleibt die Tür des Ofens einen ganzen Tag geschlossen.
"""


def _replace(old: str, new: str) -> str:
    """The text with a piece of it replaced, wherever its lines end."""
    changed = re.sub(re.escape(old).replace("\\ ", r"\s+"), lambda _: new, KILN)
    assert changed != KILN
    return changed


def pick_types(text: str, kind: str) -> list[Example]:
    return [row for row in make_rows(text) if row.qa_pair.type == kind]


def test_an_explanation_is_a_run_of_the_text_that_begins_with_its_topic() -> None:
    [(asked, said)] = [row for row in pick_rows(make_rows(KILN), "explanation") if "iscuit" in row[0]]
    assert "biscuit firing" in asked
    assert said.startswith("Biscuit firing is a firing") and said.endswith("takes up the glaze well.")
    assert said in " ".join(KILN.split())


@pytest.mark.parametrize(
    "instead",
    [
        # Points at something that is not quoted.
        "As figure 3 shows, it drives the water out of the clay slowly, so that no pot bursts in the heat of the fire.",
        # The next sentence takes it back.
        "It drives out water and makes each pot safe for good. However, as figure 3 shows, this holds for few pots.",
    ],
)
def test_an_explanation_never_goes_on_past_what_it_cannot_quote(instead: str) -> None:
    text = _replace("It drives the water out of the clay slowly, so that the pots do not burst.", instead)
    assert not [row for row in pick_rows(make_rows(text), "explanation") if "iscuit" in row[0]]


def test_no_topic_is_explained_by_a_text_that_begins_with_something_else() -> None:
    text = _replace("### Biscuit firing\n\nBiscuit firing", "### Biscuit firing\n\nThe first fire of biscuit firing")
    assert not [row for row in pick_rows(make_rows(text), "explanation") if "iscuit" in row[0]]


def test_steps_are_those_of_the_text_and_end_in_what_they_prove() -> None:
    rows = [row for row in make_rows(KILN) if row.origin.method.startswith("argument")]
    [qa] = [row.qa_pair for row in rows]
    assert "the door of the kiln stays shut" in qa.question
    assert qa.thought_process == (
        "The kiln walls store a great deal of heat.",
        "Cold air cracks the hot clay of a pot within seconds.",
        "Therefore, the door of the kiln stays shut for a whole day after the fire is out.",
    )
    assert qa.answer == "The door of the kiln stays shut for a whole day after the fire is out."
    # Steps stand in no other row about the text.
    others = [row.qa_pair for row in make_rows(KILN) if row not in rows]
    assert not any(other.thought_process for other in others if other.type in ("explain", "reason", "list"))


def test_a_conclusion_from_nothing_is_no_argument() -> None:
    text = _replace("The kiln walls store a great deal of heat. Cold air", "These walls store heat. It")
    assert not [row for row in make_rows(text) if row.origin.method.startswith("argument")]


def test_a_reason_that_begins_with_a_pronoun_keeps_what_it_is_a_reason_for() -> None:
    [row] = pick_types(KILN, "reason")
    assert row.qa_pair.question.endswith("stoneware holds water without a glaze?")
    assert row.qa_pair.answer == "Stoneware holds water without a glaze because its grains melt into each other."
    [row] = pick_types(_replace("because its grains", "because the grains"), "reason")
    assert row.qa_pair.answer == "Because the grains melt into each other."


@pytest.mark.parametrize(
    "sentence",
    [
        "It holds water without a glaze because the grains melt into each other.",
        "Stoneware does not hold water because the grains melt into each other.",
        "This clay holds water without a glaze because the grains melt into each other.",
        "Stoneware holds water without a glaze because we fired it twice in our kiln.",
        "Stoneware holds 3 litres of water because the 2 grains melt into each other.",
        "In both cases stoneware holds water because the grains melt into each other.",
        "Stoneware holds water because the grains melt into each other, the main thing is the heat.",
    ],
)
def test_what_nobody_could_ask_alone_gives_no_reason(sentence: str) -> None:
    text = _replace("Stoneware holds water without a glaze because its grains melt into each other.", sentence)
    assert not [row for row in pick_types(text, "reason") if "not" not in row.qa_pair.question]


def test_what_was_said_before_is_no_reason() -> None:
    four = "# Four\n\n## Fours\n\nUn **four** garde la chaleur pendant un jour.\n\n"
    for said, found in (("les fours sont en brique", 1), ("il a été évoqué plus tôt", 0)):
        rows = make_rows(f"{four}Comme {said}, les fours sont chauds pendant la nuit.\n", language="fr")
        assert len([row for row in rows if row.qa_pair.type == "reason"]) == found


@pytest.mark.parametrize(
    "begins",
    [
        "Biscuit firing can be done in two ways before any glaze is put on it.",
        "Biscuit firing has been known for long.",
    ],
)
def test_what_does_not_say_what_its_topic_is_explains_nothing(begins: str) -> None:
    text = _replace("Biscuit firing is a firing that hardens the clay before any glaze is put on it.", begins)
    assert not [row for row in pick_rows(make_rows(text), "explanation") if "iscuit" in row[0]]


def test_a_list_is_asked_for_in_the_words_above_it() -> None:
    [row] = pick_types(KILN, "list")
    assert row.qa_pair.question in ("What three parts does a glaze have?", "Name the three parts of a glaze.")
    assert row.qa_pair.answer.count("\n- ") == 3 and row.origin.evidence in row.messages[2]["content"]
    for lead in ("Do these three things now:", "Here you see three parts:", "Which three parts has it?", "Parts:"):
        assert not pick_types(_replace("A glaze has three parts:", lead), "list")


def test_the_points_of_a_summary_are_those_of_what_it_sums_up() -> None:
    points = "- A kiln holds its heat for a day.\n- Stoneware needs no glaze to hold water.\n"
    text = _replace("### Glazes", f"### Summary\n\n{points}\n### Glazes")
    [row] = [row for row in make_rows(text) if row.origin.method == "key points"]
    assert "firing" in row.qa_pair.question and row.qa_pair.answer.strip() == points.strip()
    assert not pick_rows(make_rows(text.replace("- A kiln", "- This kiln")), "key points")
    assert not pick_rows(make_rows(text.replace("### Summary", "### Kilns of the north")), "key points")


def test_questions_steps_and_answers_are_in_the_language_of_the_course() -> None:
    rows = make_rows(GERMAN)
    [(asked, said)] = [row for row in pick_rows(rows, "explanation") if "„Glühbrand“" in row[0]]
    assert asked.startswith(("Erkläre", "Was")) and said.startswith("Der Glühbrand ist ein Brand")
    [reason] = [row.qa_pair for row in rows if row.qa_pair.type == "reason"]
    assert reason.question.startswith("„Steinzeug hält Wasser ohne Glasur.“ W")
    assert reason.answer == "Weil die Körner des Tons ineinander schmelzen."
    [argument] = [row.qa_pair for row in rows if row.origin.method.startswith("argument")]
    assert argument.answer == "Deshalb bleibt die Tür des Ofens einen ganzen Tag geschlossen."
    assert argument.thought_process[-1] == "Die Wände des Ofens speichern viel Hitze."


@pytest.mark.parametrize(
    "words", ["Bauen Sie Steinzeug, hält Steinzeug", "Zusätzlich hält Steinzeug", "Dieses Steinzeug hält"]
)
def test_what_speaks_to_the_reader_or_points_back_gives_no_reason_in_german(words: str) -> None:
    rows = make_rows(GERMAN.replace("\n\nSteinzeug hält", f"\n\n{words}"))
    assert rows and not [row for row in rows if row.qa_pair.type == "reason"]


# What the questions of a kind need beside them: patterns, and sets of words.
NEEDS = {
    "explanation": ({"outside", "goes_on", "objects", "points_back"}, {"verbs", "no_name"}),
    "argument": ({"concludes", "no_effect"}, set()),
    "reason": ({"because", "no_effect", "no_cause", "refers"}, set()),
    "difference": ({"against"}, set()),
    "list": ({"no_lead"}, set()),
    "key points": ({"sums_up"}, set()),
}


@pytest.mark.parametrize("code", list_languages())
def test_a_language_with_the_questions_of_a_kind_has_what_it_needs(code: str) -> None:
    table = read_language(code)
    assert table is not None
    for kind, (patterns, words) in NEEDS.items():
        if kind in table.questions:
            assert patterns <= table.patterns.keys() and words <= table.words.keys()
    assert all(
        f in table.questions for f in table.patterns if f in ("list_are", "list_include", "list_has", "list_there")
    )
