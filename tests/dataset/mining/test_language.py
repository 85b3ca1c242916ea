"""Sentences, headings and names of concepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.mining.concepts import lower_words
from mlx_tutor.dataset.mining.headings import is_topic
from mlx_tutor.dataset.mining.language import could_be_concept, is_step
from mlx_tutor.records import Block
from mlx_tutor.text import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One ends. Two ends! Three?", ["One ends.", "Two ends!", "Three?"]),
        ("It is 3.5 m, e.g. Here it goes on.", ["It is 3.5 m, e.g. Here it goes on."]),
        ("As Dr. Who said in Fig. 3. Then he left.", ["As Dr. Who said in Fig. 3.", "Then he left."]),
        ("We get $a. B$ here. **Next** one.", ["We get $a. B$ here.", "**Next** one."]),
        ("He said “stop.” Then all was still.", ["He said “stop.”", "Then all was still."]),
        (". The", [".", "The"]),
    ],
)  # fmt: skip
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text(alphabet='aB .!?$*"”()e.g'))
def test_sentences_are_pieces_of_the_text_in_order(text: str) -> None:
    position = 0
    for sentence in split_sentences(text):
        position = text.index(sentence, position) + len(sentence)
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("heading", "topic"),
    [
        ("Introduction", False), ("Index fund", True), ("Index", False), ("Examples of bias", True),
        ("Examples", False), ("Further reading and links", False), ("Chapter 3", False),
        ("3.1 Variance", True), ("`np.sum`", False), ("Exercises for week 2", False), ("From model to action", False),
    ],
)  # fmt: skip
def test_headings_that_name_a_topic(heading: str, topic: bool) -> None:
    assert is_topic(heading) is topic


@pytest.mark.parametrize(
    ("term", "concept"),
    [
        ("standard deviation", True), ("p-value", True), ("Type I error", True), ("the mean", False),
        ("example", False), ("lift of 2", False), ("way to go", False),
        ("regression to the mean", True), ("", False), ("a" * 70, False),
        ("one-hot encoding", True), ("saddle point", True), ("key point", False), ("point", False), ("ISO 9000", True),
        ("lecture 3", False),
    ],
)  # fmt: skip
def test_names_of_concepts(term: str, concept: bool) -> None:
    assert could_be_concept(term) is concept


@pytest.mark.parametrize(
    ("term", "inside"),
    [
        ("Standard Deviation", "standard deviation"), ("Gini Impurity", "Gini impurity"), ("ROC Curve", "ROC curve"),
        ("Simpson's Paradox", "Simpson's paradox"), ("Monte Carlo simulation", "Monte Carlo simulation"),
        ("F statistic", "F statistic"), ("The CAP theorem", "the CAP theorem"),
    ],
)  # fmt: skip
def test_names_keep_their_capitals_inside_a_sentence(term: str, inside: str) -> None:
    assert lower_words(term, frozenset({"gini", "carlo"})) == inside


@pytest.mark.parametrize(
    ("sentence", "cell", "complete"),
    [
        ("It grows with the square of the unit.", None, True),
        ("For a cause and its evidence it says", None, False),
        ("The next cell computes both means.", 3, False),
        ("The cell divides when it has grown.", None, True),
        ("The table counts who came back in each month.", None, False),
        ("The events below arrive out of order.", None, False),
        ("It keeps the rate below 5 percent.", None, True),
        ("The share stays above the limit.", None, True),
    ],
)
def test_what_speaks_of_its_page_is_not_complete(sentence: str, cell: int | None, complete: bool) -> None:
    assert is_step(sentence, Block("text", sentence, cell=cell)) is complete
