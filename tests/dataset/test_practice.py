"""Rows for facts that a trained model does not know: what they ask, and what stays for the evaluation to ask."""

import re

import pytest

from mlx_tutor.dataset.balance import normalize
from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.practice import PracticeReport, Weak, pick_practice
from mlx_tutor.evaluation.kinds import list_probes
from mlx_tutor.evaluation.learned import list_facts
from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import GAP, REVERSE, TRUE_FALSE, Block, Document, Example, Origin, QaPair, Section
from mlx_tutor.settings import CourseSettings, DatasetSettings

HARBOUR = {
    "a fathom": "A fathom is a length of six feet by which sailors measure the depth of water.",
    "a knot": "A knot is a speed of one nautical mile in an hour, by which sailors measure their way.",
    "a keel": "A keel is the long beam along the bottom of a hull that keeps a boat upright.",
    "a rudder": "A rudder is the blade behind a hull that steers a boat when the helm is turned.",
    "ballast": "Ballast is heavy material low in a hull that keeps an empty boat upright.",
    "the draught": "The draught is the depth of water that a loaded boat needs in order to float.",
}


def make_example(question: str, answer: str, section: int = 0, kind: str = "concept", context: str = "") -> Example:
    qa = QaPair(question, (), answer, kind, ("boats",), context)
    origin = Origin("harbour.md", section, None, None, ("Boats",), "definition", answer)
    return Example(write_messages(qa, CourseSettings(system_prompt="Tutor.")), origin, qa, {}, "en")


def make_splits() -> dict[str, list[Example]]:
    rows = [make_example(f"What is {term}?", text, number) for number, (term, text) in enumerate(HARBOUR.items())]
    return {"train": rows[:5], "valid": [], "test": rows[5:]}


def practise(kind: str, *terms: str, recipe: Recipe | None = None, documents: tuple[Document, ...] = ()) -> tuple[
    list[Example], list[tuple[Example, str]], PracticeReport
]:  # fmt: skip
    weak = [Weak(normalize(HARBOUR[term]), kind) for term in terms]
    return pick_practice(weak, recipe or Recipe(), documents, make_splits(), lambda messages: 1)


def list_turns(rows: list[Example]) -> list[tuple[str, str]]:
    """Question and answer of those that are no further wording."""
    return [(row.qa_pair.question, row.qa_pair.answer) for row in rows if not row.origin.method.endswith("wording")]


def test_a_fact_is_asked_in_further_words_with_the_same_answer() -> None:
    kept, _, report = practise("", "a keel")
    assert report == PracticeReport(1, 1, 0, len(kept)) and len(kept) >= 3
    assert all("a keel" in row.qa_pair.question and row.qa_pair.answer == HARBOUR["a keel"] for row in kept)
    assert len({row.qa_pair.question for row in kept}) == len(kept)
    assert all(row.origin.evidence == HARBOUR["a keel"] and row.origin.section == 2 for row in kept)


def test_a_description_asks_for_its_term() -> None:
    asked = list_turns(practise(REVERSE, "a knot")[0])
    assert asked and all(answer == "A knot" for _, answer in asked)
    assert all("one nautical mile" in question and "knot" not in question.lower() for question, _ in asked)


def test_a_near_miss_is_called_wrong_and_the_definition_right() -> None:
    turns = dict(list_turns(practise(TRUE_FALSE, "a fathom")[0]))
    (right,) = [question for question, answer in turns.items() if answer == "Yes."]
    (wrong,) = [question for question, answer in turns.items() if answer == f"No. {HARBOUR['a fathom']}"]
    # The nearest: sailors measure with both.
    assert "six feet" in right and "nautical mile" in wrong
    assert all("a fathom" in question and "A fathom is" not in question for question in turns)


def test_a_rare_word_is_left_out_of_its_sentence() -> None:
    asked = list_turns(practise(GAP, "a rudder")[0])
    assert asked
    for question, word in asked:
        sentence = question.split(": ", 1)[-1].split("? ", 1)[-1]
        assert sentence.replace("____", word) == HARBOUR["a rudder"] and word not in sentence
        assert word.lower() not in ("rudder", "that", "when")


def test_what_is_held_out_stays_untrained() -> None:
    kept, _, report = practise(REVERSE, "the draught", "a keel")
    assert {row.origin.section for row in kept} == {2} and report.held_out == 1 and report.practised == 1
    assert not any("loaded boat" in message["content"] for row in kept for message in row.messages)


def test_what_repeats_an_exam_is_not_practised() -> None:
    exam = Document("exam.md", "", "Exam", (Section(("Part",), (Block("text", HARBOUR["a keel"]),)),))
    recipe = Recipe(dataset=DatasetSettings(holdout=("exam.md",)))
    kept, dropped, _ = practise("", "a keel", "a knot", recipe=recipe, documents=(exam,))
    assert {row.qa_pair.answer for row in kept} == {HARBOUR["a knot"]}
    assert {reason for _, reason in dropped} >= {"practice, but repeats the holdout"}


def test_reasons_of_a_term_are_asked_without_their_passage() -> None:
    splits = make_splits()
    why = "Why is it that a keel keeps a narrow boat upright?"
    splits["train"].append(make_example(why, "Because its weight lies low.", 4, "reason", "A passage about keels."))
    other = "Why is it that tides follow the moon?"
    splits["train"].append(make_example(other, "Because the moon pulls the sea.", 4, "reason", "A passage on tides."))
    weak = [Weak(normalize(HARBOUR["a keel"]), "")]
    kept, _, _ = pick_practice(weak, Recipe(), [], splits, lambda messages: 1)
    found = [row for row in kept if row.qa_pair.question in (why, other)]
    assert [row.qa_pair.question for row in found] == [why] and not found[0].qa_pair.context
    assert found[0].messages[1]["content"] == why


def test_practice_changes_nothing_that_is_asked_to_see_what_is_known() -> None:
    splits = make_splits()
    before = {split: [row.to_row() for row in rows] for split, rows in splits.items()}
    facts = list_facts(before)
    weak = [Weak(normalize(fact.answer), fact.left_out) for fact in facts]
    kept, _, _ = pick_practice(weak, Recipe(), [], splits, lambda messages: 1)
    after = {**before, "train": [*before["train"], *(row.to_row() for row in kept)]}
    everything = range(len(facts))
    assert list_facts(after) == facts
    probes = list_probes(facts, everything, before["train"], "en")
    assert list_probes(list_facts(after), everything, after["train"], "en") == probes
    left_out = {(i, fact.left_out) for i, fact in enumerate(facts)}
    assert len(probes) > len(facts) and not left_out & {(probe.fact, probe.kind) for probe in probes}


@pytest.mark.parametrize("language", list_languages())
def test_no_wording_of_the_evaluation_is_trained(language: str) -> None:
    table = read_language(language)
    assert table is not None
    keys = [key for key in table.questions if key.startswith("practice_")]
    assert len(keys) == 7

    def fold(text: str) -> str:
        return " ".join(re.findall(r"\w+", re.sub(r"\{\w*\}", "X", text).lower()))

    asked = {fold(text) for key, texts in table.questions.items() if key.startswith("probe_") for text in texts}
    asked |= {fold(text) for key in ("definition_exam", "rephrased") for text in table.questions[key]}
    trained = {fold(text) for key in keys for text in table.questions[key]}
    assert not asked & trained and all(len(table.questions[key]) == 2 for key in ("practice_true", "practice_gap"))


@pytest.mark.parametrize("language", list_languages())
def test_every_language_practises_each_kind(language: str) -> None:
    table = read_language(language)
    assert table is not None
    ask = table.questions["definition"][0]
    rows = [make_example(ask.format(term=term, the_term=term, be="is"), text) for term, text in HARBOUR.items()]
    splits: dict[str, list[Example]] = {"train": rows, "valid": [], "test": []}
    for kind in (REVERSE, TRUE_FALSE, GAP):
        kept, _, _ = pick_practice([Weak(normalize(HARBOUR["a knot"]), kind)], Recipe(), [], splits, lambda messages: 1)
        made = [row for row in kept if row.origin.method == f"practice, {kind}"]
        # Of two wordings around one long text, one may be left.
        assert len(made) in ((1, 2) if kind == REVERSE else (2,)) and len(kept) - len(made) >= 2
        assert not any(re.search(r"\{\w*\}", row.messages[1]["content"]) for row in kept)
