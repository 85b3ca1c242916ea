"""Base and tuned model, closed-book and with search: what counts as right, supported and refused."""

import pytest

from mlx_tutor.evaluation.answers import Reply
from mlx_tutor.evaluation.conditions import Asked, choose_asked, is_right, list_taught, summarize_conditions
from mlx_tutor.evaluation.guards import Guard, is_refused
from mlx_tutor.evaluation.kinds import CHANCE
from mlx_tutor.evaluation.learned import Knowledge, list_facts
from mlx_tutor.evaluation.teaching import CourseText
from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.study.chat.support import is_compatible
from tests.evaluation.rows import RIVERS, make_river_rows, make_row


def agrees(sentence: str, reference: str) -> bool:
    return is_compatible(sentence, reference, "en")


def test_an_answer_is_right_that_names_the_facts_and_contradicts_none() -> None:
    row = make_row("What is a lock chamber?", "A lock chamber is a basin of 40 metres that lifts heavy barges uphill.")
    [fact] = list_facts({"train": [row], "valid": [], "test": []})
    assert is_right("It depends.\n\nA basin, 40 metres long, which lifts barges uphill.", fact, agrees)
    assert not is_right("A basin of 90 metres that lifts heavy barges uphill.", fact, agrees)
    assert not is_right("A lock chamber is not a basin of 40 metres that lifts heavy barges uphill.", fact, agrees)
    assert not is_right("A lock chamber is a lock chamber in the course.", fact, agrees)
    assert not is_right("", fact, agrees)


def test_half_of_what_is_asked_was_held_out() -> None:
    rows = make_river_rows()
    rows["test"] = [rows["train"].pop()]
    facts = list_facts(rows)
    asked = choose_asked(facts, [], ["rivers"], 0)
    assert list(asked.facts) == facts and {guard.kind for guard in asked.guards} == {"out of domain", "unanswerable"}
    many = [make_row(f"What is reach {i}?", f"Reach {i} is a stretch number{i} of water{i}.") for i in range(90)]
    facts = list_facts({"train": many[:60], "valid": [], "test": many[60:]})
    chosen = choose_asked(facts, [], ["rivers"], 0).facts
    assert len(chosen) == 24 and sum(fact.trained for fact in chosen) == 12


def test_the_table_counts_each_condition() -> None:
    facts = tuple(list_facts(make_river_rows()))
    asked = Asked(facts, (Guard("unanswerable", "Who paid for the levee?"),), ())
    count = len(facts) + 1
    right = [Reply(fact.answer, 9, "stop") for fact in facts]
    refusal, vague = Reply("The passages do not answer this question.", 9, "stop"), Reply("Water flows.", 2, "stop")
    replies = {
        "base": [*[vague] * count, *right[:2], *[vague] * (count - 2)],
        "fused": [refusal, *[vague] * (count - 1), *right, refusal],
    }
    good, bad = dict.fromkeys(CHANCE, 1.0), dict.fromkeys(CHANCE, -1.0)
    knowledge = {
        "base": [Knowledge((-1.0,), 0.0, "", good)] * 5,
        "fused": [Knowledge((1.0,), 0.0, "", good)] * 3 + [Knowledge((1.0,), 0.0, "", bad)] * 2,
    }
    text = CourseText([], "", lambda text: (), lambda answer, question: (len(answer) > 20, 1), None, agrees)
    found = summarize_conditions(asked, replies, knowledge, text, [], 0)
    base, searched, tuned, both = found["rows"]
    assert [row["right"] for row in found["rows"]] == [0, 2, 0, 5]
    assert [(row["refused"], row["refused_by_mistake"]) for row in (base, tuned, both)] == [(0, 0), (0, 1), (1, 0)]
    assert (searched["supported"], searched["checked"]) == (2, count)
    assert (base["recited"], base["known"], tuned["recited"], tuned["known"]) == (0, 0, 5, 3)
    assert tuned["known_share"] == pytest.approx((3 / 5 - 1 / 128) / (1 - 1 / 128)) and "recited" not in both
    assert tuned["kinds"]["true or false"] == {"asked": 5, "right": 3, "share": pytest.approx(0.2)}
    change = found["with_search"]["difference"]
    assert change["value"] == pytest.approx(60) and change["low"] <= 60 <= change["high"]


@pytest.mark.parametrize("language", list_languages())
def test_a_refusal_of_the_rows_is_seen_in_every_language(language: str) -> None:
    table = read_language(language)
    assert table is not None
    taught = list_taught([], language)
    for wording in table.questions["passages_lack_term"]:
        assert is_refused(wording.format(term="delta"), "unanswerable", taught)
    assert not is_refused(RIVERS["a levee"], "course", taught)
