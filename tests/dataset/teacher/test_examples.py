"""What is kept of a teacher's replies: only what can be read, and rests on sentences of the source."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.build import make_examples
from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.mining.gaps import find_thin
from mlx_tutor.dataset.quotas import apply_quotas
from mlx_tutor.dataset.teacher.evidence import assemble_evidence, number_sentences
from mlx_tutor.dataset.teacher.examples import check_reply, judge_items, write_pairs
from mlx_tutor.dataset.teacher.parsing import BLIND, read_items
from mlx_tutor.dataset.teacher.prompts import write_requests
from mlx_tutor.dataset.teacher.replies import Reply
from mlx_tutor.dataset.teacher.subjects import Subject, list_subjects
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Block, Chunk, Document, Example, Origin, QaPair, Section
from mlx_tutor.settings import CONNECT, TEACHER_KINDS, DatasetSettings, TeacherSettings

TEXT = Block(
    "text",
    "The **variance** is the mean squared distance from the mean. It isn’t robust – one outlier can double it. "
    "A value with p < 0.05 is rare.",
    page=3,
)
LIST = Block("text", "- Sort the values first. Then count them.\n- The middle value is the median.\n- Done.")
CODE = Block("code", "total = sum(values)\nmean = total / len(values)\n\nprint(mean, 'is the mean')", language="julia")
# Numbers 1 to 3, 4 to 7, and 8 and 9.
CHUNK = Chunk("week1.pdf", 4, ("Spread", "Variance"), (TEXT, LIST, CODE))
SETTINGS = TeacherSettings(model="m")


def ask_about(chunk: Chunk) -> Subject:
    return Subject(chunk, (chunk,))


SUBJECT = ask_about(CHUNK)
GOOD = """KIND: what
Q: What is the variance?
Q: How is the variance defined?
STEP: 1. Take the distances.
STEP: 2. Square them.
A: The mean squared distance from the mean, $\\sigma^2$.
FROM: 1"""


def change(*pairs: tuple[str, str]) -> str:
    """The good item with some lines in other words."""
    text = GOOD
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def find_reasons(text: str) -> list[str]:
    return [item.reason for item in check_reply(Reply(text), SUBJECT, SETTINGS)[1]]


@pytest.mark.parametrize(
    ("numbers", "evidence"),
    [
        ([1], "The **variance** is the mean squared distance from the mean."),
        ([3, 2], "It isn’t robust – one outlier can double it. A value with p < 0.05 is rare."),
        ([1, 3], "The **variance** is the mean squared distance from the mean."),
        ([1, 5, 6], "The **variance** is the mean squared distance from the mean."),
        ([4, 5], "Sort the values first. Then count them."),
        ([5, 6], "Then count them.\n- The middle value is the median."),
        ([7, 8], "total = sum(values)\nmean = total / len(values)"),
        ([7], None),
    ],
)
def test_evidence_is_a_piece_of_one_block_word_for_word(numbers: list[int], evidence: str | None) -> None:
    found = assemble_evidence(numbers, number_sentences(CHUNK))
    assert (found and found.text) == evidence
    assert found is None or found.text in found.block.text


@pytest.mark.parametrize("cited", ["1", "1, 2, 3", "1-7", "3, 1"])
def test_of_all_that_is_cited_the_evidence_is_what_says_it(cited: str) -> None:
    items, _ = check_reply(Reply(change(("FROM: 1", f"FROM: {cited}"))), SUBJECT, SETTINGS)
    assert [item.evidence for item in items] == ["The **variance** is the mean squared distance from the mean."]


def test_code_rows_rest_on_code() -> None:
    pieces = number_sentences(CHUNK)
    found = assemble_evidence([1, 2, 9], pieces, code=True)
    assert found is not None and found.text == "print(mean, 'is the mean')"
    assert assemble_evidence([1, 2], pieces, code=True) is None


@given(st.lists(st.sampled_from(["a", "b c. ", "D e. ", "\n", "- ", "1. ", "。", "**", "$x. Y$", "  "]), max_size=30))
def test_every_number_is_a_piece_of_its_block(parts: list[str]) -> None:
    for kind in ("text", "code", "table"):
        block = Block(kind, "".join(parts))
        pieces = number_sentences(replace(CHUNK, blocks=(block,)))
        if kind != "text":
            assert "".join("".join(piece.text for piece in pieces).split()) == "".join(block.text.split())
        assert all(piece.text and piece.text == piece.text.strip() for piece in pieces)
        assert all(one.end <= other.start for one, other in pairwise(pieces))


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"<think>Let me see. Q: {{}}</think>\n{GOOD}",
        f"a thought whose tag the template opened</think>{GOOD}",
        f"Here are the blocks:\n\n```\n{GOOD}\n```\nThat is all.",
        GOOD.replace("KIND:", "**Kind:**").replace("Q:", "**Q:**").replace("\nA:", "\n**A**:"),
        GOOD.replace("KIND: what", "### 1. KIND: What").replace("Q: ", "- Question: ").replace("\nA:", "\nAnswer:"),
        GOOD.replace("KIND: what\n", "").replace("FROM: 1", "FROM: sentence [1]."),
        GOOD.replace("distance from the", "distance\nfrom the").replace("Q: How", "Q2: How"),
        GOOD.replace("\n", "\n\n"),
    ],
)
def test_replies_are_read_however_they_are_wrapped(text: str) -> None:
    items, rejected = read_items(text, TEACHER_KINDS, 5)
    assert rejected == []
    (item,) = items
    assert item.questions == ("What is the variance?", "How is the variance defined?")
    assert " ".join(item.answer.split()) == "The mean squared distance from the mean, $\\sigma^2$."
    assert (item.type, item.thought_process, item.cited) == ("what", ("Take the distances.", "Square them."), (1,))


def test_an_answer_keeps_its_lines_of_code() -> None:
    answer = "A: Divide the sum:\n\n```python\nA: int = 1\n\n    mean = total / 2\n```\nFROM: 8"
    items, _ = read_items(f"KIND: code\nQ: How is a mean computed?\n{answer}", TEACHER_KINDS, 5)
    assert "```python\nA: int = 1\n\n    mean = total / 2\n```" in items[0].answer


@pytest.mark.parametrize(
    ("cited", "numbers"),
    [("2,3", (2, 3)), ("[1] and [4]", (1, 4)), ("2-4", (2, 3, 4)), ("1 to 3", (1, 2, 3)), ("none", ())],
)
def test_citations_are_read_in_any_form(cited: str, numbers: tuple[int, ...]) -> None:
    items, rejected = read_items(change(("FROM: 1", f"FROM: {cited}")), TEACHER_KINDS, 5)
    assert [item.cited for item in items] == ([numbers] if numbers else [])
    assert [item.reason for item in rejected] == ([] if numbers else ["it cites nothing"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (change(("what\n", "poem\n")), "a kind that was not asked for"),
        (change(("Q: What is the variance?\nQ: How is the variance defined?\n", "")), "no question"),
        (change(("A: The mean squared distance from the mean, $\\sigma^2$.\n", "")), "no answer"),
        (change(("FROM: 1", "FROM:")), "it cites nothing"),
        (change(("FROM: 1", "FROM: 1, 10")), "it cites a number that is not there"),
        (change(("FROM: 1", "FROM: 0")), "it cites a number that is not there"),
        (change(("FROM: 1", "FROM: 7")), "it cites too few words"),
        (change(("What is the variance", "What does the passage say")), BLIND),
        (change(("What is the variance", "What is in sentence 2")), BLIND),
        (change(("KIND: what", "KIND: relation")), "a relation without its two concepts"),
        (change(("KIND: what", "KIND: code")), "it cites no code"),
        (change(("What is the variance?", "It isn’t robust – one outlier can double it.")),
         "the question is a sentence of the text"),
        (change(("What is the variance?", "The mean squared distance from the mean, $\\sigma^2$.")),
         "the answer repeats the question"),
        (change(("FROM: 1", "FROM: 5, 6")), "the cited sentences do not support the answer"),
        (change(("from the mean,", "from the mean, as every careful banker measures volatility of securities,")),
         "the answer says what the text does not"),
        (change(("from the mean,", "from the mean, about 25 of it,")), "a number of the answer is not in the text"),
        (change(("KIND: what", "KIND: compare"), ("from the mean,", "from the mean: $-15 - 15 = -30$,")),
         "a number of the answer is not in the text"),
    ],
)  # fmt: skip
def test_an_item_that_is_not_used_has_a_reason(text: str, reason: str) -> None:
    other = GOOD.replace("variance", "spread of values")
    assert find_reasons(f"{text}\n\n{other}") == [reason]


def test_an_explanation_needs_steps_and_a_repeat_is_dropped() -> None:
    assert find_reasons(change(("KIND: what", "KIND: explain"))) == []
    bare = change(("KIND: what", "KIND: explain"), ("STEP: 1. Take the distances.\nSTEP: 2. Square them.\n", ""))
    assert find_reasons(bare) == ["an explanation without steps"]
    assert find_reasons(f"{GOOD}\n\n{GOOD}") == ["it says the same as one before"]


@pytest.mark.parametrize(
    ("reply", "reasons", "kept"),
    [
        (Reply(""), ["empty reply"], 0),
        (Reply("<think>and so on"), ["no labelled lines in the reply"], 0),
        (Reply("I cannot do that."), ["no labelled lines in the reply"], 0),
        (Reply("<think>and so on", cut=True), ["reply cut at teacher.max_tokens"], 0),
        (Reply(f"{GOOD}\n\nKIND: why\nQ: Why is it sq", cut=True), ["reply cut at teacher.max_tokens"], 1),
        (Reply(f"{GOOD}\n\nQ: Why is it?\nQ: Why is", looped=True), ["the reply began to repeat itself"], 1),
    ],
)
def test_what_is_not_whole_has_a_reason(reply: Reply, reasons: list[str], kept: int) -> None:
    items, rejected = check_reply(reply, SUBJECT, SETTINGS)
    assert ([item.reason for item in rejected], len(items)) == (reasons, kept)


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 40), st.text("QA:\nFROM1-,`é\ud800 *", max_size=8)), max_size=6
    )
)
def test_no_reply_breaks_the_reader(changes: list[tuple[int, int, str]]) -> None:
    text = f"{GOOD}\n\n{GOOD}"
    for place, removed, added in changes:
        text = text[:place] + added + text[place + removed :]
    items, _ = check_reply(Reply(text), SUBJECT, SETTINGS)
    assert all(item.evidence in CHUNK.text and item.answer.encode() for item in items)


def test_each_wording_is_a_row_and_code_stands_below_its_question() -> None:
    code = change(
        ("KIND: what", "KIND: code"), ("FROM: 1", "FROM: 8"), ("squared distance from", "total of values and")
    )
    items, _ = check_reply(Reply(f"{GOOD}\n\n{code}"), SUBJECT, SETTINGS)
    rows = [pair for item in items for pair in write_pairs(item)]
    assert [method for _, method, _ in rows] == ["teacher what"] * 2 + ["teacher code"] * 2
    assert all(evidence in CHUNK.text for _, _, evidence in rows)
    assert rows[2][0].question == f"What is the variance?\n\n```julia\n{CODE.text}\n```"
    assert len(check_reply(Reply(GOOD), SUBJECT, replace(SETTINGS, wordings=1))[0][0].questions) == 1


@pytest.mark.parametrize(
    "question",
    ["What is the source of the error?", "How is the text split into words?", "What follows from the text of a law?"],
)
def test_a_question_about_texts_is_no_question_about_this_one(question: str) -> None:
    assert find_reasons(change(("What is the variance?", question))) == []


def test_a_request_asks_only_for_what_the_chunk_can_give() -> None:
    prose = replace(CHUNK, blocks=(TEXT,))
    asked = [write_requests(ask_about(chunk), SETTINGS)[0].messages[-1]["content"] for chunk in (CHUNK, prose)]
    assert ["- code:" in text for text in asked] == [True, False]
    assert "[2] It isn’t robust – one outlier can double it.\n[3] A value" in asked[1]
    short = replace(CHUNK, blocks=(Block("text", "Too short to ask about."),))
    assert list_subjects([CHUNK, CHUNK, short]) == [SUBJECT]


def test_a_model_in_this_process_is_asked_for_one_kind_at_a_time() -> None:
    local = replace(SETTINGS, model="mlx:owner/name")
    kinds = [kind for kind in TEACHER_KINDS if kind not in ("code", CONNECT)]
    prose = replace(CHUNK, blocks=(TEXT,))
    requests = write_requests(ask_about(prose), local)
    asked = [request.messages[-1]["content"].partition("Kinds:\n- ")[2] for request in requests]
    assert [text.partition(":")[0] for text in asked] == kinds and not any("\n" in text for text in asked)
    assert len(write_requests(ask_about(prose), SETTINGS)) == 1
    assert len(write_requests(ask_about(prose), replace(SETTINGS, kinds_at_once=4))) == 3
    # Every reply in the conversation has the form that is asked for.
    replies = [turn["content"] for turn in requests[0].messages if turn["role"] == "assistant"]
    assert len(replies) == 3 and all(reply.startswith("KIND: ") and "\n\n" not in reply for reply in replies)


def test_the_example_of_a_request_is_itself_a_reply_that_can_be_used() -> None:
    turns = write_requests(SUBJECT, SETTINGS)[0].messages
    levers = Block(
        "text", "\n".join(line.split("] ", 1)[1] for line in turns[1]["content"].split("\n") if "] " in line)
    )
    items, rejected = check_reply(Reply(turns[2]["content"]), ask_about(replace(CHUNK, blocks=(levers,))), SETTINGS)
    assert len(items) == 3 and rejected == []


def test_the_judge_drops_what_it_rates_low_or_not_at_all() -> None:
    items, _ = check_reply(Reply("\n\n".join(change(("variance", name)) for name in "xyz")), SUBJECT, SETTINGS)
    kept, rejected = judge_items(items, Reply("ITEM 1: 7\n**Item 2:** 6/10\nItem 9: 1\nso much for that"), 7)
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
