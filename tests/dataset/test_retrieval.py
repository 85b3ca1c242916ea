"""Rows that quote passages as `ask` does: the right one among near misses, or none that answers."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.retrieval import Found, quote_found
from mlx_tutor.extract.extract import extract_course, read_documents
from mlx_tutor.languages.table import read_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Example, Message, Origin, QaPair
from mlx_tutor.settings import CourseSettings
from mlx_tutor.study.chat.ask import quote_passage, write_question
from mlx_tutor.study.search.index import open_index
from mlx_tutor.study.search.passages import list_passages
from mlx_tutor.text import strip_bold
from mlx_tutor.workspace import Course

SAILS = (
    "jib", "spinnaker", "mainsail", "genoa", "trysail", "gennaker", "mizzen", "topsail", "lugsail", "spritsail",
    "staysail", "royal", "moonraker", "skysail", "driver", "foresail", "lateen", "gaff", "bonnet", "drifter",
)  # fmt: skip
RECIPE = Recipe(course=CourseSettings(system_prompt="Tutor.", language="en"))


def count_words(messages: Sequence[Message]) -> int:
    return sum(len(message["content"].split()) for message in messages)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = Course(tmp_path_factory.mktemp("sailing"), "sailing")
    course.sources.mkdir(parents=True)
    parts = []
    for n, name in enumerate(SAILS):
        # Names of places and goods that no other section has.
        first, second, third, fourth = (f"{start}{name[:3]}{start}" for start in ("ar", "be", "co", "du"))
        parts.append(
            f"# {name.title()}\n\nA **{name}** is a sail that {first} and {second} hoist for {third} against {fourth}."
            f"\n\nSailors of harbour {n} fold the sail after each voyage, dry it on the long wall by the church, and "
            "mend it in winter when nobody leaves, so that it lasts for many years of hard work."
        )
    (course.sources / "sails.md").write_text("\n\n".join(parts))
    extract_course(course)
    return course


def build(course: Course, recipe: Recipe) -> dict[str, list[dict[str, Any]]]:
    with open_index(course) as index:

        def search(question: str) -> list[Found]:
            found = index.search(question, 8)
            return [Found(p.source, p.section, p.heading[-1], *quote_passage(p)) for p in found]

        build_dataset(course, recipe, count_words, "tokenizer", search=search)
    return {split: read_rows(course, split) for split in ("train", "valid", "test")}


def list_quoted(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Place and text of the passages of a row."""
    return re.findall(r"<passage \d+: ([^\n]*)>\n(.*?)\n</passage", row["messages"][1]["content"], re.DOTALL)


def test_the_right_passage_stands_among_near_misses_at_places_that_vary(course: Course) -> None:
    rows = [row for split in build(course, RECIPE).values() for row in split]
    several = [row for row in rows if row["origin"]["method"].endswith(" in passages")]
    assert len(several) > 20
    places: Counter[int] = Counter()
    for row in several:
        texts = [text for _, text in list_quoted(row)]
        assert 2 <= len(texts) <= RECIPE.dataset.passages and len(set(texts)) == len(texts)
        right = [i for i, text in enumerate(texts) if strip_bold(row["origin"]["evidence"]) in text]
        assert len(right) == 1 and texts[right[0]] == row["qa_pair"]["context"]
        places[right[0]] += 1
    assert len(places) == RECIPE.dataset.passages and max(places.values()) < 0.6 * len(several)
    assert build(course, RECIPE)["train"] == [r for r in rows if r in build(course, RECIPE)["train"]]


def test_rows_are_asked_in_the_form_of_ask(course: Course) -> None:
    row = next(row for row in build(course, RECIPE)["test"] if row["origin"]["method"].endswith(" in passages"))
    by_text = {quote_passage(passage): passage for passage in list_passages(read_documents(course))}
    asked = write_question(row["qa_pair"]["question"], [by_text[quoted] for quoted in list_quoted(row)], "en")
    assert row["messages"][1]["content"] == asked


def test_held_out_sections_stand_in_no_row_of_train(course: Course) -> None:
    splits = build(course, RECIPE)
    sections = {d.source: d.sections for d in read_documents(course)}
    held = [
        strip_bold(sections[row["origin"]["source"]][row["origin"]["section"]].blocks[-1].text)
        for split in ("valid", "test") for row in splits[split]
    ]  # fmt: skip
    assert held and not any(text in row["messages"][1]["content"] for row in splits["train"] for text in held)


@pytest.mark.parametrize("language", ["en", "de"])
def test_without_the_right_passage_the_answer_says_what_is_missing(course: Course, language: str) -> None:
    recipe = replace(RECIPE, dataset=replace(RECIPE.dataset, unanswerable=0.5))
    recipe = replace(recipe, course=replace(recipe.course, language=language))
    table = read_language(language)
    assert table is not None
    rows = [row for split in build(course, recipe).values() for row in split]
    lacking = [row for row in rows if row["origin"]["method"] == "not in the passages"]
    several = [row for row in rows if row["origin"]["method"].endswith(" in passages")]
    assert 0.3 < len(lacking) / len([*lacking, *several]) < 0.7
    for row in lacking:
        name = next(name for name in SAILS if name in row["qa_pair"]["question"])
        quoted = list_quoted(row)
        assert quoted and not any(f"A {name} is a sail" in text for _, text in quoted)
        answer = row["messages"][2]["content"]
        assert name in answer and answer == row["qa_pair"]["answer"]
        topics = [place.rpartition(", ")[2] for place, _ in quoted]
        assert any(topic in answer for topic in topics) and name.title() not in topics
        assert row["qa_pair"]["type"] == "unanswerable" and not row["origin"]["evidence"]
    none = replace(recipe, dataset=replace(recipe.dataset, unanswerable=0.0))
    methods = {row["origin"]["method"] for split in build(course, none).values() for row in split}
    assert "not in the passages" not in methods


def test_only_a_question_for_a_definition_lacks_a_term() -> None:
    passage = "Crews reef early because gusts tear old canvas."
    qa = QaPair(
        "What is the reason that crews reef early?", (), "Because gusts tear old canvas.", "reason", (), passage
    )
    origin = Origin("sails.md", 0, None, None, ("Reefing",), "reason in passage", passage)
    row = Example(write_messages(qa, RECIPE.course, "sails.md"), origin, qa, {}, "en")
    recipe = replace(RECIPE, dataset=replace(RECIPE.dataset, unanswerable=0.5))
    near = [
        Found("sails.md", 4, "Knots", "sails.md, Knots", "A bowline holds a loop that never slips."),
        # No topic: it says nothing of what the passage is about.
        Found("sails.md", 9, "4. Summary", "sails.md, 4. Summary", "Splices outlast knots and cost more time."),
    ]
    answers = set()
    for seed in range(12):
        seeded = replace(recipe, dataset=replace(recipe.dataset, seed=seed))
        [told] = quote_found({"train": [row], "valid": [], "test": []}, lambda q: near, seeded, count_words)["train"]
        if told.origin.method == "not in the passages":
            answers.add(told.qa_pair.answer)
    assert answers and not any("reason that" in answer for answer in answers)
    assert all(answer.endswith("They are about: Knots.") for answer in answers)


def test_a_term_that_another_passage_explains_too_is_not_called_missing() -> None:
    passage = "A reef is the part of a sail that is rolled up in a gale."
    qa = QaPair("What is a reef?", (), passage, "concept", (), passage)
    origin = Origin("sails.md", 0, None, None, ("Gales",), "definition in passage", passage)
    row = Example(write_messages(qa, RECIPE.course, "sails.md"), origin, qa, {}, "en")
    recipe = replace(RECIPE, dataset=replace(RECIPE.dataset, unanswerable=1.0))
    other = Found("rocks.md", 4, "Rocks", "rocks.md, Rocks", "Ships fear rocks. A reef is a line of rocks under water.")
    headed = Found("rocks.md", 5, "The reef", "rocks.md, The reef", "Pilots know where it lies.")
    mere = Found("rocks.md", 6, "Crews", "rocks.md, Crews", "Crews shorten sail early.")
    lacking = "not in the passages"
    for near, method in ((other, origin.method), (headed, origin.method), (mere, lacking)):
        found = [near]
        splits = quote_found({"train": [row], "valid": [], "test": []}, lambda _: found, recipe, count_words)  # noqa: B023
        assert [told.origin.method for told in splits["train"]] == [method]


def test_rows_stay_within_the_longest_row(course: Course) -> None:
    recipe = replace(RECIPE, train=replace(RECIPE.train, max_seq_length=160))
    rows = [row for split in build(course, recipe).values() for row in split]
    assert all(count_words(row["messages"]) <= 160 for row in rows)
    counts = Counter(len(list_quoted(row)) for row in rows if row["origin"]["method"].endswith(" in passages"))
    assert counts and max(counts) < RECIPE.dataset.passages
    alone = replace(RECIPE, dataset=replace(RECIPE.dataset, passages=1))
    assert all(len(list_quoted(row)) < 2 for split in build(course, alone).values() for row in split)
