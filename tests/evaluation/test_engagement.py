"""Engagement by form: asking back, inviting, addressing the question; in several languages."""

import pytest

from mlx_tutor.evaluation.engagement import measure_engagement

QUESTION = "Why does the standard error fall when the sample grows?"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("The standard error falls since errors of a larger sample cancel out.", "addresses"),
        ("What do you think happens to the errors of single values?", "asks invites"),
        ("Errors of a large sample cancel out. Try it with ten dice. You will see.", "invites"),
        ("Why does the standard error fall when the sample grows? Errors cancel out in a sample.", "addresses"),
        ("Try it first. Errors cancel. They do so more and more. That is all.", ""),
        ("```\n# why?\nprint('next?')\n```\nIt is a loop.", ""),
        ("", ""),
    ],
)
def test_definitions(answer: str, found: str) -> None:
    measured = measure_engagement(QUESTION, answer, "en")
    assert {name for name, is_so in measured.items() if is_so} == set(found.split())


@pytest.mark.parametrize(
    ("question", "answer", "language"),
    [
        ("Was ist der Median?", "Der Median steht in der Mitte. Kannst du ihn für 3, 1, 2 bestimmen?", "de"),
        ("Qu’est-ce que la médiane ?", "La médiane est au milieu. Essayez avec 3, 1, 2.", "fr"),
        ("¿Qué es la mediana?", "La mediana está en el medio. Intenta hallarla para 3, 1 y 2.", "es"),
        ("什么是中位数?", "中位数位于正中。试试求出三个数的中位数。", "zh"),
        ("What is 7 * 6?", "It is the same as 6 * 7. Can you say why?", "en"),
    ],
)
def test_other_languages(question: str, answer: str, language: str) -> None:
    measured = measure_engagement(question, answer, language)
    assert measured["invites"] and measured["addresses"]
