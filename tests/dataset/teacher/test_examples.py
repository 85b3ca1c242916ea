"""What is kept of a teacher's replies: only what can be read, and stands in the source."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.build import make_examples
from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.mining.gaps import find_thin
from mlx_tutor.dataset.quotas import apply_quotas
from mlx_tutor.dataset.teacher.evidence import find_evidence
from mlx_tutor.dataset.teacher.examples import check_reply, judge_items, pick_chunks, write_pairs, write_request
from mlx_tutor.dataset.teacher.parsing import read_items, read_object
from mlx_tutor.dataset.teacher.replies import Reply
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Block, Chunk, Document, Example, Origin, QaPair, Section
from mlx_tutor.settings import TEACHER_KINDS, DatasetSettings, TeacherSettings

TEXT = Block(
    "text",
    "The **variance** is the mean squared distance from the mean. It isn’t robust – one outlier can double it. "
    "A value with p < 0.05 is rare.",
    page=3,
)
CODE = Block("code", "total = sum(values)\nmean = total / len(values)", cell=2, language="julia")
CHUNK = Chunk("week1.pdf", 4, ("Spread", "Variance"), (TEXT, CODE))
SETTINGS = TeacherSettings(model="m")
GOOD = {
    "type": "explain",
    "questions": ["What is the variance?", "How is the variance defined?"],
    "thought_process": ["1. Take the distances.", "2. Square them."],
    "answer": "The mean squared distance from the mean, $\\sigma^2$.",
    "related_concepts": ["mean", "outlier"],
    "evidence": "the variance is the mean squared distance from the mean",
}


def write(*items: dict[str, Any]) -> str:
    return json.dumps({"items": items})


def find_reasons(text: str, **settings: Any) -> list[str]:
    return [item.reason for item in check_reply(Reply(text), CHUNK, replace(SETTINGS, **settings))[1]]


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("the variance is the mean squared distance", "The **variance** is the mean squared distance"),
        ("It isn't robust - one outlier can double it", "It isn’t robust – one outlier can double it."),
        ("“… one outlier\n can  double it.”", "one outlier can double it."),
        ("A value with p < 0.05 is rare.", "A value with p < 0.05 is rare."),
        ("mean = total / len(values)", "mean = total / len(values)"),
    ],
)
def test_evidence_is_found_as_it_stands_in_the_source(quote: str, found: str) -> None:
    evidence = find_evidence(quote, CHUNK.blocks)
    assert evidence is not None
    assert evidence[0] == found
    assert found in evidence[1].text


def test_accents_ligatures_and_soft_hyphens_are_no_difference() -> None:
    text = "Beno\u0302it de\ufb01nes the coef\xad\ufb01cient of cafe\u0301s."
    assert find_evidence("Benôit defines the coefficient of cafés", [Block("text", text)]) == (
        text,
        Block("text", text),
    )


@pytest.mark.parametrize(
    "quote",
    [
        "the variance is the mean distance from the mean",
        "A value with p > 0.05 is rare.",
        "the mean",
        "...",
        "",
        "can double it. A value with p < 0.05 is rare. total = sum(values)",
        "he variance is the mean squared distanc",
    ],
)
def test_what_does_not_stand_there_word_for_word_is_no_evidence(quote: str) -> None:
    assert find_evidence(quote, CHUNK.blocks) is None


@pytest.mark.parametrize(
    "text",
    [
        write(GOOD),
        f"<think>Let me see: {{}}</think>\n{write(GOOD)}",
        f"a thought whose tag the template opened</think>{write(GOOD)}",
        f"Here are the [3] items:\n```json\n{json.dumps({'items': [GOOD]}, indent=1)}\n```\nThat is all.",
        json.dumps([GOOD]),
        json.dumps({"items": [{"qa_pair": {k: GOOD[k] for k in list(GOOD)[:-1]}, "evidence": GOOD["evidence"]}]}),
        write(GOOD).replace('"related', "\n// names\n'related").replace('related_concepts"', "related_concepts'"),
        write(GOOD)[:-2] + ",]",
        write(GOOD)[:-2],
    ],
)
def test_replies_are_read_however_they_are_wrapped(text: str) -> None:
    items, rejected = read_items(text, TEACHER_KINDS, 5)
    assert rejected == []
    assert [(item.questions, item.answer) for item in items] == [(tuple(GOOD["questions"]), GOOD["answer"])]
    assert items[0].thought_process == ("Take the distances.", "Square them.")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r'{"a": "$\frac{1}{2} \beta \theta \nu \sum \rho$"}', r"$\frac{1}{2} \beta \theta \nu \sum \rho$"),
        (r'{"a": "$\underline{x} \ne \text{one}$"}', r"$\underline{x} \ne \text{one}$"),
        (r'{"a": "$\\frac{1}{2}$ and\nnew \"line\"\tend é"}', '$\\frac{1}{2}$ and\nnew "line"\tend é'),
    ],
)  # fmt: skip
def test_formulas_survive_a_model_that_forgets_to_double_their_backslashes(written: str, meant: str) -> None:
    assert read_object(written) == {"a": meant}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "poem"}, "a kind that was not asked for"),
        ({"questions": []}, "no question"),
        ({"answer": None}, "no answer"),
        ({"evidence": 5}, "no evidence"),
        ({"questions": ["What does the passage say?"]}, "the question is about a text that the student does not see"),
        (
            {"questions": ["What is it?", "What is in the excerpt?"]},
            "the question is about a text that the student does not see",
        ),
        ({"thought_process": []}, "an explanation without steps"),
        ({"type": "relation", "related_concepts": ["mean"]}, "a relation without its two concepts"),
        ({"evidence": "the variance is never negative at all"}, "evidence is not in the source"),
        ({"type": "code"}, "evidence of a code row is not in the code"),
    ],
)
def test_an_item_that_is_not_used_has_a_reason(change: dict[str, Any], reason: str) -> None:
    assert find_reasons(write({**GOOD, **change}, GOOD)) == [reason]


@pytest.mark.parametrize(
    ("text", "cut", "reason"),
    [
        ("", False, "empty reply"),
        ("<think>and so on", False, "no JSON in the reply"),
        ("I cannot do that.", False, "no JSON in the reply"),
        ('{"a":' * 20000, False, "no JSON in the reply"),
        ("<think>and so on", True, "reply cut at teacher.max_tokens"),
        (write(GOOD)[:200], True, "reply cut at teacher.max_tokens"),
    ],
)
def test_a_reply_that_cannot_be_read_has_a_reason(text: str, cut: bool, reason: str) -> None:
    assert [item.reason for item in read_items(text, TEACHER_KINDS, 5, cut=cut)[1]] == [reason]


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 40), st.text('{}[]",:\\nux`é', max_size=8)), max_size=6))
def test_no_reply_breaks_the_reader(changes: list[tuple[int, int, str]]) -> None:
    text = write(GOOD, GOOD)
    for place, removed, added in changes:
        text = text[:place] + added + text[place + removed :]
    items, _ = check_reply(Reply(text), CHUNK, SETTINGS)
    assert all(item.evidence in CHUNK.text and item.answer.encode() for item in items)


def test_each_wording_is_a_row_and_code_stands_below_its_question() -> None:
    code = {**GOOD, "type": "code", "evidence": "mean = total / len(values)"}
    items, _ = check_reply(Reply(write(GOOD, code)), CHUNK, SETTINGS)
    rows = [pair for item in items for pair in write_pairs(item)]
    assert [method for _, method, _ in rows] == ["teacher explain"] * 2 + ["teacher code"] * 2
    assert all(evidence in CHUNK.text for _, _, evidence in rows)
    assert rows[2][0].question == f"What is the variance?\n\n```julia\n{CODE.text}\n```"
    assert find_reasons(write(GOOD, code), wordings=1) == []


@pytest.mark.parametrize("question", ["What is the source of the error?", "How is the text split into words?"])
def test_a_question_about_texts_is_no_question_about_this_one(question: str) -> None:
    assert find_reasons(write({**GOOD, "questions": [question]})) == []


def test_a_request_asks_only_for_what_the_chunk_can_give() -> None:
    prose = replace(CHUNK, blocks=(TEXT,))
    assert "- code:" in write_request(CHUNK, SETTINGS).messages[1]["content"]
    assert "- code:" not in write_request(prose, SETTINGS).messages[1]["content"]
    schema = write_request(prose, replace(SETTINGS, kinds=("apply",))).schema
    assert schema["properties"]["items"]["items"]["properties"]["type"]["enum"] == ["apply"]
    assert pick_chunks([CHUNK, CHUNK, replace(CHUNK, blocks=(CODE,))]) == [CHUNK]


def test_the_judge_drops_what_it_rates_low_or_not_at_all() -> None:
    items, _ = check_reply(Reply(write(GOOD, GOOD, GOOD)), CHUNK, SETTINGS)
    reply = Reply('{"scores": [{"item": 1, "score": 7}, {"item": 2, "score": 6}, {"item": 9, "score": 1}, 3]}')
    kept, rejected = judge_items(items, reply, 7)
    assert len(kept) == 1
    assert [item.reason for item in rejected] == ["rated below 7 of 10", "not rated by the judge"]
    assert judge_items(items, None, 7)[0] == []


def test_wordings_that_hardly_differ_are_one_row() -> None:
    def make(question: str, answer: str, section: int = 1) -> Example:
        origin = Origin("a.md", section, None, None, ("A",), "teacher explain", "evidence")
        return Example((), origin, QaPair(question, (), answer, "explain", ()), {})

    mean = "The mean is the sum of all values divided by how many there are."
    rows = [
        make("What is the variance?", mean),
        make("What's the variance?", mean.replace("The mean", "A mean")),
        make("What's the variance?", "It is another thing altogether."),
        make("How would you explain the variance to a friend?", mean),
        make("What is a type I error in testing?", "A true hypothesis is rejected."),
        make("What is a type II error in testing?", "A false hypothesis is kept."),
    ]
    kept, dropped = curate_examples(rows, lambda messages: 1, 10)
    assert [(row.qa_pair.question, reason) for row, reason in dropped] == [
        ("What's the variance?", "near duplicate of another wording")
    ]
    assert len(kept) == 5


def make_row(number: int, section: int, method: str, page: int | None = None, row: int | None = None) -> Example:
    origin = Origin("a.pdf", section, page, None, ("A",), method, "evidence", row)
    return Example((), origin, QaPair(f"Question {number}?", (), "Answer.", "fact", ()), {})


def test_quotas_cut_what_drowns_the_rest_and_spread_the_loss() -> None:
    sections = [0] * 240 + [1 + i % 20 for i in range(160)]
    rows = [make_row(i, section, "ab"[i % 2]) for i, section in enumerate(sections)]
    kept, dropped = apply_quotas(rows, DatasetSettings(section_share=0.25, method_share=1.0))
    first = [row for row in kept if row.origin.section == 0]
    assert len(first) == 100 and len(kept) == 260
    assert sum(row.origin.method == "a" for row in first) == 50
    assert {reason for _, reason in dropped} == {"above dataset.section_share"}
    assert sorted([row.qa_pair.question for row in kept] + [row.qa_pair.question for row, _ in dropped]) == sorted(
        row.qa_pair.question for row in rows
    )


def test_quotas_leave_small_courses_and_tables_alone() -> None:
    few = [make_row(i, i % 3 // 2, "ab"[i < 5], page=1 + i // 90) for i in range(100)]
    table = [make_row(i, i, "template", row=i + 1) for i in range(500)]
    kept, dropped = apply_quotas([*few, *table], DatasetSettings())
    assert len(kept) == 600 and dropped == []


@pytest.mark.parametrize(("name", "method", "page"), [("method_share", "b", None), ("page_share", "a", 7)])
def test_quotas_hold_for_methods_and_pages(name: str, method: str, page: int | None) -> None:
    rows = [make_row(i, i, "abcdefgh"[i % 8], page=100 + i % 40) for i in range(80)]
    rows += [make_row(i, 100 + i, method if page is None else "abcdefgh"[i % 8], page or 200 + i) for i in range(320)]
    _, dropped = apply_quotas(rows, DatasetSettings(section_share=1.0, page_share=0.3, method_share=0.3))
    assert {reason for _, reason in dropped} == {f"above dataset.{name}"}
    assert len(dropped) == (200 if page else 210)


def test_thin_sections_get_plain_rows_without_a_teacher() -> None:
    plain = Block(
        "text", "Here it begins. The transport problem ships goods at the lowest cost. Plants have goods to send. So:"
    )
    sections = Section(("A", "Transport problem"), (plain,)), Section(("A",), (plain,))
    document = Document("a.md", "0", "A", sections, "en")
    thin = find_thin([document], [make_row(i, 0, "a") for i in range(2)], 3)
    assert thin == {("a.md", 0), ("a.md", 1)}
    assert find_thin([document], [make_row(i, 0, "a") for i in range(2)], 0) == frozenset()
    rows = [row for row in make_examples([document], Recipe(), None, thin) if row.origin.method == "about"]
    assert {row.qa_pair.question for row in rows} == {
        "What does the course say about the transport problem?",
        "What should I know about the transport problem?",
        "Tell me about the transport problem.",
    }
    answer = "The transport problem ships goods at the lowest cost. Plants have goods to send."
    assert {row.qa_pair.answer for row in rows} == {answer}
    assert all(row.origin.evidence in plain.text for row in rows)
