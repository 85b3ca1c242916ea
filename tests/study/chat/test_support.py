"""Support stands up to swapped subjects, opposites, negation, and changed or repeated words."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mlx_tutor.study.chat import support
from mlx_tutor.study.chat.support import find_support
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.study.search.words import list_stem_runs

PAIRS = Path(__file__).with_name("support_pairs.txt")


def is_supported(sentence: str, course: str) -> bool:
    passage = Passage("a.md", 0, (), course, ((0, None, None),))
    return bool(find_support(sentence, "Tell me about it.", [passage])[0])


def test_what_is_claimed_is_nearly_always_there() -> None:
    lines = [line.split(" | ") for line in PAIRS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    right = sum(is_supported(true, course) for course, true, _ in lines)
    wrong = sum(is_supported(false, course) for course, _, false in lines)
    assert len(lines) == 50
    # Half of what is said in other words is found.
    assert wrong == 0 and right >= 25, (right, wrong)


def test_a_word_said_fifty_times_is_not_support() -> None:
    course = "The mean is the sum of all values divided by their count."
    assert is_supported(course, course)
    assert not is_supported(f"The mean is the sum {'mean ' * 50}.", course)
    assert not is_supported("mean sum values " * 20, course)


def test_the_same_sentence_in_another_alphabet() -> None:
    course = "Медиана делит упорядоченный ряд значений на две равные части."
    assert is_supported(course, course)
    assert not is_supported("Ряд значений делит медиана на равные упорядоченный части две.", course)


def test_a_leading_no_answers_the_question_and_negates_nothing() -> None:
    course = "A stack gives back the newest element first."
    assert is_supported("No, a stack gives back the newest element first.", course)
    assert not is_supported("No, a stack does not give back the newest element first.", course)
    assert not is_supported("No stack gives back the newest element first.", course)


def test_stems_are_asked_for_twice_however_many_sentences_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def count(texts: Sequence[str], language: str, *, negated: bool = False) -> list[list[str]]:
        calls.append(len(texts))
        return list_stem_runs(texts, language, negated=negated)

    monkeypatch.setattr(support, "list_stem_runs", count)
    said = [f"A queue of kind {i} gives back its oldest element first." for i in range(20)]
    passages = [Passage("q.md", i, (), sentence, ((0, None, None),)) for i, sentence in enumerate(said)]
    sources, checked = find_support("\n".join(said), "Tell me about it.", passages)
    assert (len(sources), len(checked), len(calls)) == (20, 20, 2)
