"""Rows from displayed formulas: only those that the text names, each character as it stands there."""

import pytest

from mlx_tutor.languages.table import list_languages, read_language
from tests.dataset.rows import make_rows, pick_rows

LONG = (
    "Values that lie apart from each other have spread, and this is measured in many ways by those who count them. "
    "The spread of the values tells how far they are from what is usual, and it is not the same for all of them. "
)
FORMULA = r"$$\mathrm{Var}(X) = E[(X - \mu)^2]$$"


def ask(sentence: str, below: str = "", heading: str = "Variance") -> list[tuple[str, str]]:
    return pick_rows(make_rows(f"# Notes\n\n## {heading}\n\n{LONG}\n\n{sentence}\n\n{FORMULA}\n\n{below}\n"), "formula")


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("The variance of a random variable $X$ is defined as", "the variance of a random variable $X$"),
        ("We define the variance of $X$ as follows:", "the variance of $X$"),
        ("Formally, the variance of $X$ is given by the formula", "the variance of $X$"),
        ("The formula for the variance of $X$ is:", "the variance of $X$"),
        ("Another measure is called the **variance**:", "the variance"),
    ],
)
def test_the_sentence_above_names_the_formula(sentence: str, name: str) -> None:
    [(question, answer)] = ask(sentence)
    assert question.endswith((f"What is the formula for {name}?", f"State the formula for {name}."))
    assert answer == FORMULA


@pytest.mark.parametrize(
    "sentence",
    [
        "Inserting this, we see that",
        "For the next step we need",
        "Its variance is",
        "The result is then given by",
        "In the example above, the variance of the three numbers is",
        "This is a long sentence about nothing at all.",
    ],
)
def test_formulas_without_a_name_are_not_asked_for(sentence: str) -> None:
    assert ask(sentence) == []


def test_what_the_sentence_below_calls_it_is_a_name_too() -> None:
    [(question, _)] = ask(
        "Spread can be measured in squares, so that large gaps count more:", "This is called the variance of $X$."
    )
    assert "the variance of $X$" in question


@pytest.mark.parametrize("sentence", ["The output is defined as", "The value of the next step is given by"])
def test_what_no_course_speaks_of_by_its_name_is_not_asked_for(sentence: str) -> None:
    assert ask(sentence) == []


def test_symbols_of_one_case_explain_nothing() -> None:
    below = "where $X$ is the sum of the 12 dice on this table."
    text = f"# Notes\n\n## Variance\n\n{LONG}\n\nThe variance of $X$ is defined as\n\n{FORMULA}\n\n{below}\n"
    rows = make_rows(text)
    assert pick_rows(rows, "formula symbols") == [] and all(below not in said for _, said in pick_rows(rows, "formula"))


def test_a_computed_number_is_no_formula() -> None:
    text = "# Notes\n\n## Variance\n\n{}The spread of the values is known. The variance of the sample is\n\n{}\n"
    for formula in ("$$s^2 = a + 4 = 7.5$$", r"$$v = 3\ \text{m} + x$$", r"$$s = \sqrt{12^2 + 35^2 + 64 x}$$"):
        assert pick_rows(make_rows(text.format(LONG, formula)), "formula") == []
    assert pick_rows(make_rows(text.format(LONG, "$$s^2 = a + b$$")), "formula") != []


def test_formulas_of_an_example_hold_for_it_alone() -> None:
    assert ask("The variance of $X$ is defined as", heading="Example problem: Two dice") == []


def test_a_name_that_says_too_little_is_asked_for_with_its_topic() -> None:
    [(question, _)] = ask(
        "A **shrinkage penalty** costs. The shrinkage penalty is",
        "Each shrinkage penalty costs.",
        heading="Ridge values",
    )
    assert question.startswith("On ridge values: ")


def test_symbols_are_explained_in_the_answer_and_asked_for_with_the_formula() -> None:
    below = r"where $\mu$ is the mean of $X$. Nothing else is said here."
    rows = make_rows(f"# Notes\n\n## Variance\n\n{LONG}\n\nThe variance of $X$ is defined as\n\n{FORMULA}\n\n{below}\n")
    [(_, answer)] = pick_rows(rows, "formula")
    assert answer == f"{FORMULA}\n" + r"where $\mu$ is the mean of $X$."
    [(asked, meaning)] = pick_rows(rows, "formula symbols")
    assert FORMULA in asked and r"$\mu$" in asked and meaning == r"$\mu$ is the mean of $X$."


def test_a_condition_stands_in_the_question() -> None:
    [(question, _)] = ask("If $A$ and $B$ are independent, the variance of the sum is given by")
    assert question.startswith("If $A$ and $B$ are independent: ")


def test_a_formula_in_words_names_itself() -> None:
    formula = "$$Total revenue = price × quantity$$"
    rows = make_rows(
        f"# Notes\n\n## Total revenue\n\nA firm earns money when it sells more than it spends.\n\n{formula}\n"
    )
    [(question, answer)] = pick_rows(rows, "formula")
    assert "total revenue" in question and answer == formula


@pytest.mark.parametrize(
    ("prose", "sentence", "below", "asked"),
    [
        ("Die Werte liegen nicht alle an einer Stelle, und das ist auch gut so.",
         "Die Varianz der Zufallsvariablen $X$ ist definiert als", r"Dabei ist $\mu$ der Mittelwert.",
         "die Varianz der Zufallsvariablen $X$"),
        ("Los valores no están todos en el mismo lugar, y eso es lo que nos interesa aquí.",
         "La varianza de $X$ se define como", r"donde $\mu$ es la media.", "la varianza de $X$"),
        ("Les valeurs ne sont pas toutes au même endroit, et c’est ce qui nous intéresse ici.",
         "La variance de $X$ est définie par", r"où $\mu$ est la moyenne.", "la variance de $X$"),
        ("I valori non sono tutti nello stesso posto, ed è questo che ci interessa qui.",
         "La varianza di $X$ è definita come", r"dove $\mu$ è la media.", "la varianza di $X$"),
        ("Os valores não estão todos no mesmo lugar, e é isso que nos interessa aqui.",
         "A variância de $X$ é definida como", r"onde $\mu$ é a média.", "a variância de $X$"),
        ("De waarden liggen niet allemaal op dezelfde plaats, en dat is wat ons hier bezighoudt.",
         "De variantie van $X$ wordt gedefinieerd als", r"waarbij $\mu$ het gemiddelde is.", "de variantie van $X$"),
    ],
)  # fmt: skip
def test_formulas_are_asked_for_in_their_language(prose: str, sentence: str, below: str, asked: str) -> None:
    noun = sentence.split()[1]
    rows = make_rows(f"# Variabilität\n\n## {noun}\n\n{prose} {sentence}\n\n{FORMULA}\n\n{below}\n")
    [(question, answer)] = pick_rows(rows, "formula")
    assert asked in question and "formula for" not in question
    assert answer.startswith(FORMULA) and r"$\mu$" in answer


def test_every_language_that_asks_for_formulas_has_all_that_it_needs() -> None:
    for code in list_languages():
        language = read_language(code)
        assert language is not None
        if "formula" in language.questions:
            assert {"formula_symbols", "formula_of"} <= set(language.questions)
            kinds = ("intro", "opener", "called", "where", "stands_for", "points")
            assert {f"formula_{kind}" for kind in kinds} <= set(language.patterns)
            assert all(language.words[f"formula_{kind}"] for kind in ("vague", "verb", "article", "any", "and"))
