"""The balance of rows: one answer to a question from memory, few wordings of a fact, and few tasks about sentences."""

import pytest

from mlx_tutor.dataset.balance import Mined, gives_answer_away, settle_answers
from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.mining.concepts import collect_concepts
from mlx_tutor.dataset.quotas import apply_quotas, holds_code, leave_code_out
from mlx_tutor.records import Block, Chunk, Example, Message, Origin, QaPair
from mlx_tutor.settings import CourseSettings, DatasetSettings
from tests.dataset.rows import make_rows

DRIFT = """# Currents

## Slow water

A **gyre** is a ring of currents that turns around the middle of an ocean basin. It carries warm water along one coast
and cold water along the other. Ships used to plan whole voyages around it, since sailing against it cost weeks.

## Plastic at sea

A **gyre** is a trap in which floating waste gathers and stays for many years. Nets and bottles end up there
together. Most of what is found was thrown away on land, and rivers brought it down to the coast.
"""


def make(number: int, method: str, question: str, answer: str, context: str = "", place: str = "") -> Example:
    origin = Origin("sea.md", number, None, None, ("Sea",), method, answer)
    user = f"<passage 1: {place}>\n{context}\n</passage 1>\n\nQuestion: {question}" if context else question
    messages: tuple[Message, ...] = ({"role": "system", "content": ""}, {"role": "user", "content": user})
    return Example(messages, origin, QaPair(question, (), answer, method, (), context), {})


def curate(examples: list[Example]) -> tuple[list[Example], list[str]]:
    kept, dropped = curate_examples(examples, lambda messages: 1, 100)
    return kept, [reason for _, reason in dropped]


def test_a_question_from_memory_has_one_answer_and_the_others_quote_their_passage() -> None:
    rows = [row.qa_pair for row in make_rows(DRIFT) if row.qa_pair.type == "concept"]
    assert {"ring" in qa.answer for qa in rows} == {True, False}
    assert all(("Ships used" if "ring" in qa.answer else "Nets and bottles") in qa.context for qa in rows)
    places = [Chunk("sea.md", 0, ("Sea",), (Block("text", text),)) for text in DRIFT.split("\n\n")[2::2]]
    mined = [
        Mined(chunk, QaPair("What is a gyre?", (), chunk.text.split(".")[0], "concept", ()), "told", chunk.text[:20])
        for chunk in places
    ]
    first, second = settle_answers(mined, collect_concepts([], {}))
    assert not first.qa.context and "Nets and bottles" in second.qa.context


def test_without_a_passage_the_second_answer_to_a_question_goes() -> None:
    question = "Why do gyres turn?"
    first = make(0, "reason", question, "The wind and the spin of the Earth drive them together.")
    second = make(1, "reason", "Why do gyres turn ?", "Warm water rises on one side and sinks on the other one.")
    quoted = make(
        2, "reason", question, "Salt makes some water heavier than the rest of it.", "Salt makes ...", "sea.md"
    )
    kept, reasons = curate([first, second, quoted])
    assert kept == [first, quoted]
    assert reasons == ["asked from memory with another answer"]


def test_a_fact_is_asked_in_four_wordings_none_of_them_near_another() -> None:
    answer = "A spring tide is a tide of full range, when sun and moon pull along one line."
    asked = [
        "What is a spring tide?",
        "What is a spring tide, then?",
        "Define the term used for tides of full range.",
        "How would you tell a friend about spring tides?",
        "When do sun and moon pull together, and what comes of it?",
        "Name the tide that comes at new moon.",
    ]
    kept, reasons = curate([make(0, "concept", question, answer) for question in asked])
    assert [row.qa_pair.question for row in kept] == [asked[0], *asked[2:5]]
    assert reasons == ["near duplicate of another wording", "more than 4 wordings of one fact"]


def test_different_questions_on_one_line_of_a_table_are_no_twins() -> None:
    line = "Neap tides reach 1.2 metres in spring and 1.4 metres in autumn"
    rows = [
        make(0, "table", f"How far do neap tides reach in {season}?", answer)
        for season, answer in (("spring", "1.2 metres"), ("autumn", "1.4 metres"))
    ]
    rows = [Example(r.messages, Origin("t.md", 0, None, None, (), "table", line), r.qa_pair, {}) for r in rows]
    assert curate(rows) == (rows, [])


@pytest.mark.parametrize(
    ("kind", "question", "answer", "place", "given"),
    [
        ("title", "Which heading fits?", "Tidal power", "week2/tidal-power.pdf, page 3", True),
        ("title", "Which heading fits?", "Tidal power", "week2.pdf, page 3", False),
        ("concept", "What is a tide gauge station?", "A tide gauge station is a station with a tide gauge.", "", True),
        ("concept", "What is a tide gauge?", "A tide gauge records the height of the sea over time.", "", False),
        ("formula", "What is the speed v?", "The speed is $v = s / t$.", "", False),
        ("choice", "Which follows, that ice floats or that ice sinks?", "That ice floats follows.", "", False),
    ],
)
def test_a_question_that_holds_its_answer_is_found(
    kind: str, question: str, answer: str, place: str, given: bool
) -> None:
    row = make(0, kind, question, answer, "A passage." if place else "", place)
    assert gives_answer_away(row.qa_pair, row.messages) == given


@pytest.mark.parametrize(("others", "left"), [(200, 38), (10, 30), (0, 40)])
def test_sentence_tasks_are_a_sixth_at_most_but_where_there_is_nothing_else(others: int, left: int) -> None:
    rows = [make(i, "concept", f"What is thing {i}?", f"Answer {i}") for i in range(others)]
    rows += [make(i, "completion", f"Complete sentence {i}", f"End {i}") for i in range(60)]
    kept, dropped = apply_quotas(rows, DatasetSettings(method_share=1.0))
    assert sum(row.origin.method == "completion" for row in kept) == left
    assert {reason for _, reason in dropped} == {"above dataset.sentence_share"}


@pytest.mark.parametrize(("share", "left"), [(1.0, 60), (0.2, 22), (0.0, 0)])
def test_code_has_its_share_of_what_is_left_after_the_other_limits(share: float, left: int) -> None:
    rows = [make(i, "concept", f"What is thing {i}?", f"Answer {i}") for i in range(80)]
    rows += [make(i, "completion", f"Complete sentence {i}", f"End {i}") for i in range(60)]
    rows += [make(i, "code purpose", f"What is this for?\n\n```\nx = {i}\n```", f"It sets {i}.") for i in range(60)]
    kept, dropped = apply_quotas(rows, DatasetSettings(method_share=1.0, sentence_share=0.1, code_share=share))
    coded = sum(map(holds_code, kept))
    assert coded == left and coded <= share * len(kept)
    assert sum(row.origin.method == "completion" for row in kept) <= 0.1 * len(kept)
    assert sum(reason == "above dataset.code_share" for _, reason in dropped) == 60 - left


def test_imported_rows_have_no_share_of_code_but_none_passes_where_the_course_allows_none() -> None:
    code = make(0, "completion", "Write a loop.", "Here:\n\n```python\nfor x in y:\n    print(x)\n```")
    answer: Message = {"role": "assistant", "content": code.qa_pair.answer}
    table = Example((*code.messages, answer), Origin("t.csv", 0, None, None, (), "table", "x", 1), code.qa_pair, {})
    assert apply_quotas([table], DatasetSettings(code_share=0.0)) == ([table], [])
    plain = make(1, "concept", "What is a loop?", "A loop repeats what stands in it.")
    kept, dropped = leave_code_out([table, plain], CourseSettings(allow_code=False))
    assert kept == [plain] and [reason for _, reason in dropped] == ["holds code, and course.allow_code is false"]
    assert leave_code_out([table, plain], CourseSettings()) == ([table, plain], [])
