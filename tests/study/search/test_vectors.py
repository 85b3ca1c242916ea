"""The search in other words: real embeddings, renewal, other languages, a broken package."""

import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mlx_tutor.doctor import find_problems
from mlx_tutor.errors import CorpusError
from mlx_tutor.study.search import vectors as vectors_module
from mlx_tutor.study.search.index import find_index, is_index_current, open_index
from mlx_tutor.study.search.vectors import Encoder, describe_encoder, fuse_ranks, load_encoder, rank_nearest
from mlx_tutor.workspace import Course
from tests.study.course import write_course

needs_package = pytest.mark.skipif(find_spec("wordllama") is None, reason="needs the package wordllama")

NOTES = """
# Insurance

## Expected value

The expected value of an uncertain quantity is the sum of its possible values, each multiplied by its probability. A
guarantee that fails with probability 0.03 and then costs 200 euros costs the seller 6 euros.

## Deductible

The deductible is the part of a claim that the policy holder bears. A higher one makes the premium cheaper.

## Reinsurance

Reinsurance is the cover that an insurer buys from another insurer, so that a storm does not ruin it.
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return write_course(tmp_path, NOTES)


@pytest.fixture
def forget() -> None:
    load_encoder.cache_clear()


def find_headings(course: Course, question: str, *, semantic: bool = True) -> list[str]:
    with open_index(course, semantic=semantic) as index:
        return [passage.heading[-1] for passage in index.search(question)]


def read_encoder(course: Course) -> tuple[str, int]:
    """The encoder's name in the index, and the bytes of its vectors."""
    with closing(sqlite3.connect(find_index(course))) as connection:
        (name,) = connection.execute("SELECT encoder FROM meta").fetchone()
        row = connection.execute("SELECT length(float16) FROM vectors").fetchone()
    return name, row[0] if row else 0


@needs_package
def test_a_question_in_other_words_finds_the_section(course: Course) -> None:
    question = "random outcomes: average you should get"
    assert find_headings(course, question, semantic=False) == []
    assert find_headings(course, question)[0] == "Expected value"


@pytest.mark.parametrize("question", ["What is reinsurance?", "premium of a policy", "What is the deductibel?"])
def test_words_that_stand_in_the_text_decide_alone(course: Course, question: str) -> None:
    with open_index(course, semantic=False) as index:
        by_words = index.search(question)
    with open_index(course) as index:
        assert index.search(question) == by_words != []


@pytest.mark.parametrize("question", ["Who painted the Mona Lisa?", "光合成", "xqzzq", "", "🙂"])
def test_what_has_nothing_to_do_with_the_course_finds_nothing(course: Course, question: str) -> None:
    assert find_headings(course, question) == []


@needs_package
def test_a_course_in_another_language_is_searched_by_words(tmp_path: Path) -> None:
    text = (
        "# Versicherung\n\nDie Prämie ist der Preis, den man für den Schutz durch die Versicherung jedes Jahr bezahlt."
    )
    course = write_course(tmp_path, text)
    assert find_headings(course, "Was ist die Prämie?") == ["Versicherung"]
    assert read_encoder(course) == ("", 0)


@needs_package
def test_vectors_of_another_encoder_are_made_again(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder()
    assert encoder is not None
    find_headings(course, "premium")
    assert read_encoder(course) == (encoder.name, 3 * 2 * encoder.width)
    halved = Encoder("wordllama 99", encoder.table[:, :64], encoder.tokenizer)
    monkeypatch.setattr("mlx_tutor.study.search.index.find_encoder", lambda: halved)
    assert not is_index_current(course) and is_index_current(course, semantic=False)
    find_headings(course, "premium")
    assert read_encoder(course) == ("wordllama 99", 3 * 2 * 64)


@needs_package
def test_an_index_without_vectors_gets_them(course: Course) -> None:
    find_headings(course, "premium", semantic=False)
    assert read_encoder(course) == ("", 0) and not is_index_current(course)
    find_headings(course, "premium")
    assert read_encoder(course)[1] and is_index_current(course) and is_index_current(course, semantic=False)


@needs_package
def test_cut_vectors_are_made_again(course: Course) -> None:
    question = "random outcomes: average you should get"
    find_headings(course, question)
    with closing(sqlite3.connect(find_index(course))) as connection:
        connection.execute("UPDATE vectors SET float16 = substr(float16, 1, 100)")
        connection.commit()
    assert find_headings(course, question)[0] == "Expected value"
    assert read_encoder(course)[1] > 100


@pytest.mark.usefixtures("forget")
def test_without_the_package_words_are_enough(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "PACKAGE", "no_such_package_here")
    assert load_encoder() is None and "mlx-tutor[semantic]" in describe_encoder()
    assert find_headings(course, "What is reinsurance?") == ["Reinsurance"]
    # What another machine left is no reason to make the index again.
    assert is_index_current(course)
    load_encoder.cache_clear()


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize("broken", ["absent", "text"])
def test_a_broken_package_leaves_the_search_by_words(
    course: Course, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str
) -> None:
    package = tmp_path / "brokenllama"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    if broken == "text":
        (package / vectors_module.WEIGHTS).write_text("no weights", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(vectors_module, "PACKAGE", "brokenllama")
    with pytest.raises(CorpusError, match="Install it again"):
        load_encoder()
    assert find_headings(course, "What is reinsurance?") == ["Reinsurance"]
    assert "brokenllama" in find_problems({}, "Metal", "", None, 64)[0]
    assert describe_encoder().startswith("off")
    load_encoder.cache_clear()


def test_ranks_are_fused() -> None:
    fused = fuse_ranks(["words", "both"], ["both", "meaning"])
    assert [item for item, _ in fused] == ["both", "meaning", "words"]
    assert fuse_ranks([], []) == []


def test_the_nearest_are_those_above_the_least_cosine() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    assert rank_nearest(np.array([0, 1], dtype=np.float32), vectors, 3, 0.5) == [1, 2]
    assert rank_nearest(np.array([0, 1], dtype=np.float32), vectors, 1, 0.5) == [1]
