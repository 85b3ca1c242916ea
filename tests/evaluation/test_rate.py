"""Blind rating: the journal, what a rater sees, and how it goes on after an interruption."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mlx_tutor.errors import DatasetError, RecipeError, TutorError
from mlx_tutor.evaluation.prompts import make_prompt
from mlx_tutor.evaluation.rate import (
    BlindPair,
    ModelPair,
    check_criteria,
    has_pairs,
    pick_pair,
    prepare_pairs,
    read_judgements,
    read_pairs,
    restore_skipped,
    step_back,
    store_score,
    store_skip,
)
from mlx_tutor.journal import open_journal
from mlx_tutor.records import ModelSpec
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.workspace import Course
from tests.evaluation.ratings import CRITERIA, PROMPTS
from tests.model_factory import make_model


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, "demo")


@pytest.fixture
def models(tiny_model: Path, other_model: Path) -> ModelPair:
    return ModelPair(
        "demo", ModelSpec("base", tiny_model), ModelSpec("fused", other_model), GenerateSettings(max_tokens=4)
    )


@pytest.fixture
def prepared(course: Course, models: ModelPair) -> Course:
    prepare_pairs(course, models, PROMPTS)
    return course


def fill(course: Course, blind: BlindPair, rater: str, scores: tuple[int, int]) -> None:
    for answer, score in enumerate(scores):
        for criterion in CRITERIA:
            store_score(course, rater, blind.pair, answer, criterion, score)


def ask(course: Course, rater: str = "ada") -> BlindPair:
    blind = pick_pair(course, "demo", rater, CRITERIA)
    assert blind is not None
    return blind


def test_pairs_are_made_once(course: Course, models: ModelPair) -> None:
    seen: list[tuple[str, int, int]] = []
    assert not has_pairs(course, models)
    assert prepare_pairs(course, models, PROMPTS[:2], lambda *progress: seen.append(progress)) == 2
    assert [done for _, done, _ in seen] == [0, 1, 2, 2, 3, 4] and {name for name, _, _ in seen} == {"answers"}
    assert prepare_pairs(course, models, PROMPTS[:3]) == 1
    pairs = read_pairs(course, "demo")
    assert [pair.prompt for pair in pairs] == ["0", "1", "2"]
    assert pairs[0].question == "What is number 0?" and pairs[0].base != pairs[0].tuned
    assert has_pairs(course, models) and not read_pairs(course, "another")


def test_other_models_or_settings_are_another_pair(prepared: Course, models: ModelPair) -> None:
    fill(prepared, ask(prepared), "ada", (3, 4))
    shorter = replace(models, settings=GenerateSettings(max_tokens=2))
    prepare_pairs(prepared, shorter, PROMPTS[:1])
    assert len(read_pairs(prepared, "demo")) == 1 and not read_judgements(prepared, "demo", CRITERIA)
    prepare_pairs(prepared, models, [])
    assert len(read_pairs(prepared, "demo")) == 5 and len(read_judgements(prepared, "demo", CRITERIA)) == 1


def test_a_prompt_that_fills_the_context_is_named(course: Course, models: ModelPair) -> None:
    with pytest.raises(DatasetError, match="Prompt long is "):
        prepare_pairs(course, models, [make_prompt("word " * 1000, "", "long")])
    assert not has_pairs(course, models)


def test_a_pair_does_not_say_whose_answer_is_which(prepared: Course) -> None:
    blind = ask(prepared)
    shown = str(blind)
    assert not any(word in shown for word in ("base", "tuned", "fused", "adapter", "demo"))
    assert (blind.done, blind.total, blind.scores) == (0, 5, {})


def test_the_order_is_random_recorded_and_kept(prepared: Course) -> None:
    pairs = {pair.id: pair for pair in read_pairs(prepared, "demo")}
    first: Counter[str] = Counter()
    for number in range(40):
        blind = ask(prepared, f"rater {number}")
        assert set(blind.answers) == {pairs[blind.pair].base, pairs[blind.pair].tuned}
        assert ask(prepared, f"rater {number}").answers == blind.answers
        first["base" if blind.answers[0] == pairs[blind.pair].base else "tuned"] += 1
    # One chance in 10^11 for each side to be drawn every time.
    assert set(first) == {"base", "tuned"}


def test_scores_reach_the_model_whose_answer_was_shown(prepared: Course) -> None:
    pairs = {pair.id: pair for pair in read_pairs(prepared, "demo")}
    for _ in PROMPTS:
        blind = ask(prepared)
        base_first = blind.answers[0] == pairs[blind.pair].base
        fill(prepared, blind, "ada", (1, 5) if base_first else (5, 1))
    assert pick_pair(prepared, "demo", "ada", CRITERIA) is None
    judgements = read_judgements(prepared, "demo", CRITERIA)
    assert len(judgements) == 5
    assert all(
        j.scores == {"base": dict.fromkeys(CRITERIA, 1), "tuned": dict.fromkeys(CRITERIA, 5)} for j in judgements
    )


def test_it_goes_on_in_the_middle_of_a_pair(prepared: Course) -> None:
    blind = ask(prepared)
    store_score(prepared, "ada", blind.pair, 1, "clarity", 2)
    again = ask(prepared)
    assert again.pair == blind.pair and again.scores == {(1, "clarity"): 2}
    assert not read_judgements(prepared, "demo", CRITERIA)
    fill(prepared, again, "ada", (4, 4))
    after = ask(prepared)
    assert after.pair != blind.pair and after.done == 1
    # A criterion more, and the pair is open again.
    assert len(read_judgements(prepared, "demo", (*CRITERIA, "tone"))) == 0


def test_raters_do_not_see_each_other(prepared: Course) -> None:
    fill(prepared, ask(prepared, "ada"), "ada", (3, 4))
    assert ask(prepared, "bob").done == 0
    assert {j.rater for j in read_judgements(prepared, "demo", CRITERIA)} == {"ada"}


def test_skipped_pairs_come_again_in_the_next_session(prepared: Course) -> None:
    skipped = ask(prepared)
    store_skip(prepared, "ada", skipped.pair)
    seen = []
    while (blind := pick_pair(prepared, "demo", "ada", CRITERIA)) is not None:
        seen.append(blind.pair)
        fill(prepared, blind, "ada", (3, 4))
    assert len(seen) == 4 and skipped.pair not in seen
    assert restore_skipped(prepared, "demo", "ada") == 1
    assert ask(prepared).pair == skipped.pair


def test_back_is_the_pair_seen_before(prepared: Course) -> None:
    assert step_back(prepared, "demo", "ada", CRITERIA, None) is None
    first = ask(prepared)
    fill(prepared, first, "ada", (3, 4))
    second = ask(prepared)
    back = step_back(prepared, "demo", "ada", CRITERIA, second.pair)
    assert back is not None and back.pair == first.pair and back.answers == first.answers
    assert back.scores[0, "help"] == 3 and back.scores[1, "clarity"] == 4
    assert step_back(prepared, "demo", "ada", CRITERIA, first.pair) is None
    store_score(prepared, "ada", first.pair, 0, "help", 5)
    assert step_back(prepared, "demo", "ada", CRITERIA, second.pair).scores[0, "help"] == 5  # type: ignore[union-attr]


def test_what_cannot_be_stored(prepared: Course) -> None:
    blind = ask(prepared)
    for score in (0, 6):
        with pytest.raises(TutorError, match="1 to 5"):
            store_score(prepared, "ada", blind.pair, 0, "help", score)
    with pytest.raises(TutorError, match="never shown"):
        store_score(prepared, "bob", blind.pair, 0, "help", 3)
    with open_journal(prepared, "") as connection:
        assert connection.execute("SELECT count(*) FROM ratings").fetchone()[0] == 0


@pytest.mark.parametrize("criteria", [(), ("help", "help"), ("help", " ")])
def test_criteria_must_be_told_apart(criteria: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match=r"rate\.criteria"):
        check_criteria(criteria)
