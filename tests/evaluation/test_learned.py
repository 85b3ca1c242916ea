"""Facts found in rows, asked in new words against near ones, and sorted into four lists."""

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.optimizers import Adam

from mlx_tutor.errors import DatasetError
from mlx_tutor.evaluation.answers import Reply
from mlx_tutor.evaluation.choice import measure_choices
from mlx_tutor.evaluation.learned import (
    OPTIONS,
    Knowledge,
    choose_facts,
    find_common,
    list_facts,
    measure_knowledge,
    measure_said,
    pick_options,
    sort_facts,
    write_choices,
)
from mlx_tutor.languages.table import read_language
from mlx_tutor.models import load_model
from mlx_tutor.training.batches import make_batch
from mlx_tutor.training.loss import compute_loss
from mlx_tutor.training.rows import tokenize_rows
from tests.commands.conftest import TERMS
from tests.evaluation.rows import DEFINED, make_row, make_rows
from tests.model_factory import make_model

DEFINITION_WORDINGS = read_language("en").questions["definition_exam"]  # type: ignore[union-attr]


def test_a_fact_is_asked_once_and_in_words_that_no_row_trained() -> None:
    rows = make_rows()
    rows["train"] += [make_row("Define the mean.", DEFINED["the mean"])]
    rows["train"] += [make_row(DEFINITION_WORDINGS[0].format(term="the mode").upper(), DEFINED["the mode"])]
    facts = {fact.term: fact for fact in list_facts(rows)}
    assert set(facts) == set(DEFINED)
    assert [facts[term].trained for term in DEFINED] == [True, True, True, True, False]
    assert facts["the mean"].wordings == tuple(wording.format(term="the mean") for wording in DEFINITION_WORDINGS[:2])
    assert facts["the mode"].wordings == tuple(wording.format(term="the mode") for wording in DEFINITION_WORDINGS[1:3])
    assert facts["the mean"].lead == "The mean is"
    fact = facts["variance"]
    assert (fact.before, fact.lead) == ("Answer:", "Variance is")
    assert fact.rest == "the mean squared distance from the mean; a large it means wide values."
    assert fact.place == "week1.pdf, page 2, Week 1"
    assert [turn["role"] for turn in fact.write_messages("What?")] == ["system", "user"]


def test_what_is_no_fact() -> None:
    answer = "Values that are far away."
    others = [
        make_row("Explain outliers.", answer, "explain"),
        make_row("What does this code do?", answer, "code"),
        make_row("What is far?", "- one\n- two"),
        make_row("What is far?", "word " * 80),
        make_row("word " * 200, answer),
        make_row("What is far?", answer, qa={"context": "Far away is far."}),
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b c"}] * 2},
    ]
    assert list_facts({"train": others, "valid": [], "test": []}) == []


def test_rows_that_came_from_elsewhere() -> None:
    turns = [
        {"role": "user", "content": "Who teaches biology?"},
        {"role": "assistant", "content": "Ada Lovelace does."},
    ]
    [fact] = list_facts({"train": [], "valid": [], "test": [{"messages": turns}]})
    assert (fact.place, fact.trained, fact.term, fact.lead) == ("test.jsonl, line 1", False, "", "")
    assert all("Who teaches biology?" in wording for wording in fact.wordings)


def test_facts_in_a_script_without_spaces() -> None:
    row = make_row("什么是中位数？", "中位数是排序后位于中间的值。")
    [fact] = list_facts({"train": [row], "valid": [], "test": []})
    assert fact.rest == "中位数是排序后位于中间的值。" and len(fact.wordings) == 2


def test_a_definition_that_ends_with_its_term_hides_it() -> None:
    row = make_row("What is a residual?", "The distance to the line is called a residual.")
    [fact] = list_facts({"train": [row], "valid": [], "test": []})
    assert (fact.lead, fact.rest) == ("", "The distance to the line is called it.")


def test_options_are_the_right_one_and_near_ones() -> None:
    facts = list_facts(make_rows())
    for i, fact in enumerate(facts):
        options = pick_options(facts, i)
        assert options[0] == fact.rest
        assert len(set(options)) == len(options) == OPTIONS
        assert fact.term not in fact.rest
    twin = make_row("What is an average?", "An average is the sum of all values divided by how many they are.")
    rows = make_rows()
    rows["train"] = [*rows["train"], twin]
    facts = list_facts(rows)
    mean = next(i for i, fact in enumerate(facts) if fact.term == "the mean")
    assert "the sum of all values divided by how many they are." not in pick_options(facts, mean)


def test_what_templates_write_is_not_the_fact() -> None:
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
    rows = [
        make_row(f"When is Seminar {day[0]}{i}?", f"Seminar {day[0]}{i} is taught on {day}.", "")
        for i, day in enumerate(days)
    ]
    facts = list_facts({"train": rows, "valid": [], "test": []})
    assert (facts[0].lead, facts[0].rest) == ("Seminar M0 is", "taught on Monday.")
    assert find_common(facts) == {"semina", "taught"}
    assert measure_said("Seminar M0 is taught on Friday.", facts[0], find_common(facts)) == 0.0
    assert measure_said("It is taught on Monday.", facts[0], find_common(facts)) == 1.0
    [fact] = list_facts(
        {"train": [make_row("What are the prerequisites for Art?", "They are two.", "")], "valid": [], "test": []}
    )
    assert fact.term == "" and "What are the prerequisites for Art?" in fact.wordings[0]


def test_a_choice_by_the_seed() -> None:
    facts = list_facts(make_rows())
    assert choose_facts(facts, None, 0) == choose_facts(facts, 99, 0) == [0, 1, 2, 3, 4]
    assert choose_facts(facts, 3, 0) == choose_facts(facts, 3, 0)
    assert len({tuple(choose_facts(facts, 2, seed)) for seed in range(8)}) > 1
    with pytest.raises(DatasetError, match="3 facts"):
        choose_facts(facts[:3], None, 0)


def test_said() -> None:
    fact = next(fact for fact in list_facts(make_rows()) if fact.term == "a median")
    assert measure_said("Sort them.\n\nAnswer: It is the value in the middle of the sorted values.", fact, set()) > 0.8
    assert measure_said("How does the course define a median?", fact, set()) == 0.0
    assert measure_said("", fact, set()) == 0.0
    assert measure_said("It stands in the middle.", fact, {"middle"}) == 0.0
    assert 0 < measure_said("It stands in the middle of something long that nobody ever heard of.", fact, set()) < 0.5


def test_four_lists() -> None:
    facts = list_facts(make_rows())

    def know(margin: float, said: float = 0.0) -> Knowledge:
        return Knowledge((margin, 1.0), said, "text")

    base = [know(1), know(-1), know(-1), know(1), know(-1)]
    tuned = [know(1), know(1), know(-1), know(-1), know(-1, said=0.9)]
    found = sort_facts(facts, base, tuned)
    assert found["counts"] == {"known before": 1, "learned": 2, "not learned": 1, "unlearned": 1}
    assert [fact["question"] for fact in found["lists"]["learned"]] == [facts[1].question, facts[4].question]
    assert sum(sum(counts.values()) for counts in found["by_training"].values()) == 5
    assert found["by_test"] == {"base": {"preferred": 2, "said": 0}, "tuned": {"preferred": 2, "said": 1}}
    assert found["lists"]["unlearned"][0]["page"] == 2
    # Right in one wording only is not known.
    assert not Knowledge((0.5, -0.1), 0.0, "").is_known


@pytest.mark.slow
def test_a_model_that_learned_its_facts_knows_them(tmp_path: Path) -> None:
    loaded = load_model(make_model(tmp_path / "model", bits=None))
    entries = [(f"the {term.lower()}", text) for term, text in TERMS.items()]
    rows = {
        "train": [
            make_row(wording.format(term), text)
            for term, text in entries[:8]
            for wording in ("What is {}?", "Define {}.", "What is meant by {}?", "Give a short definition of {}.")
        ],
        "valid": [],
        "test": [make_row(f"What is {term}?", text) for term, text in entries[8:]],
    }
    facts = list_facts(rows)
    choices = write_choices(loaded.tokenizer, facts, range(len(facts)))

    def count_known() -> tuple[int, int]:
        replies = [Reply("", 0, "stop")] * len(facts)
        known = measure_knowledge(facts, measure_choices(loaded, choices), replies, set())
        found = [
            [k.is_known for fact, k in zip(facts, known, strict=True) if fact.trained == trained]
            for trained in (True, False)
        ]
        return sum(found[0]), sum(found[1])

    assert count_known()[0] <= 4
    tokens = tokenize_rows(rows["train"], loaded.tokenizer, 512).rows
    optimizer = Adam(learning_rate=2e-3)
    step = nn.value_and_grad(loaded.model, lambda model, *batch: compute_loss(model, *batch)[0])
    rng = np.random.default_rng(0)
    for _ in range(350):
        batch = make_batch([tokens[i] for i in rng.choice(len(tokens), 8, replace=False)], 8)
        _, gradient = step(loaded.model, *batch)
        optimizer.update(loaded.model, gradient)
        mx.eval(loaded.model.parameters(), optimizer.state)
    trained, held_out = count_known()
    assert trained >= 7 and held_out <= 5
