"""Sentences, headings and names of concepts."""

import pytest

from mlx_tutor.dataset.mining.concepts import lower_words
from mlx_tutor.dataset.mining.headings import is_topic
from mlx_tutor.dataset.mining.language import could_be_concept, is_step, is_whole_sentence, list_sentences, points_back
from mlx_tutor.records import Block


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


@pytest.mark.parametrize(
    ("language", "alone", "not_alone"),
    [
        ("de", "Ein Hebel überträgt eine Kraft an einen Ort.", "Dadurch wird die Kraft viel kleiner als zuvor."),
        ("es", "¿Qué fuerza ejerce la palanca en la carga?", "Por lo tanto, la fuerza es mucho menor que antes."),
        ("fr", "Un levier transmet une force à un point.", "Cela rend la force bien plus petite qu'avant."),
        ("it", "Una leva trasmette una forza a un punto.", "Questo rende la forza molto più piccola di prima."),
        ("pt", "Uma alavanca transmite uma força de um ponto a outro.", "Isso torna a força bem menor do que antes."),
        ("nl", "Een hefboom brengt een kracht naar een punt.", "Daardoor wordt de kracht veel kleiner dan eerst."),
        ("zh", "杠杆把力从一个点传到另一个点。", "因此，所需要的力比以前小得多。"),
    ],
)  # fmt: skip
def test_sentences_that_can_stand_alone(language: str, alone: str, not_alone: str) -> None:
    assert is_whole_sentence(alone, language)
    assert not is_whole_sentence(not_alone, language)
    assert not is_whole_sentence(alone[:-1], language)


@pytest.mark.parametrize(
    ("language", "pointing", "plain"),
    [
        ("de", "Ein Hebel kann auch hier helfen.", "Ein Hebel hilft beim Heben."),
        ("es", "La fuerza crece en este caso.", "La fuerza crece con la carga."),
        ("fr", "La force croît dans ce cas.", "La force croît avec la charge."),
        ("it", "La forza cresce in questo caso.", "La forza cresce con il carico."),
        ("pt", "A força cresce nesse caso.", "A força cresce com a carga."),
        ("nl", "De kracht groeit in deze situatie.", "De kracht groeit met de last."),
        ("zh", "力在这种情况下会变大。", "力随着负载变大。"),
    ],
)
def test_words_that_point_back(language: str, pointing: str, plain: str) -> None:
    assert points_back(pointing, language)
    assert not points_back(plain, language)


@pytest.mark.parametrize(
    ("language", "terms", "others"),
    [
        ("de", "Drehmoment|einarmiger Hebel|Schwerpunkt", "nur|unerwartet|Beispiel|von Hebeln|Hebel drehen"),
        ("es", "palanca|momento de fuerza|Centro de masa", "sólo|de la palanca|ejemplo|crear una palanca|cuando"),
        ("fr", "levier|moment de force", "seulement|de levier|exemple|nous"),
        ("zh", "杠杆|力矩", "例子|我们|杠杆可以用很小的力把重物抬起来"),
    ],
)  # fmt: skip
def test_names_of_concepts_in_other_languages(language: str, terms: str, others: str) -> None:
    assert [term for term in terms.split("|") if not could_be_concept(term, language)] == []
    assert [term for term in others.split("|") if could_be_concept(term, language)] == []


@pytest.mark.parametrize(
    ("text", "language", "count"),
    [
        ("A lever turns. It lifts.", "en", 2), ("Exercise 4. Show that it lifts.", "en", 0),
        ("**Solution:** The lever lifts.", "en", 0), ("Aufgabe 2: Der Hebel hebt. Warum?", "de", 0),
        ("12. A lever turns. It lifts.", "en", 2), ("计算机是一种自动处理数据的机器。", "zh", 1),
        ("计算下面杠杆的力矩。", "zh", 0),
    ],
)  # fmt: skip
def test_paragraphs_of_tasks_have_no_sentences_of_course_text(text: str, language: str, count: int) -> None:
    assert len(list_sentences(Block("text", text), language)) == count
