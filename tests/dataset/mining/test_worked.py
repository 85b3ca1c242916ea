"""Exercises with their solutions: what belongs together, what stands alone, and what the steps are."""

import pytest

from mlx_tutor.dataset.build import make_examples
from mlx_tutor.dataset.mining.worked import find_undefined
from mlx_tutor.extract.markdown import add_markdown
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.records import Document, Example
from tests.dataset.rows import RECIPE, make_rows

PROSE = (
    "Interest is what a bank pays to those who lend it money, and it is counted for each year that it stays there.\n\n"
)


def pair(text: str) -> list[tuple[str, tuple[str, ...], str]]:
    return list_pairs(make_rows(f"# Interest\n\n{PROSE}{text}\n"))


def list_pairs(rows: list[Example]) -> list[tuple[str, tuple[str, ...], str]]:
    worked = [row.qa_pair for row in rows if row.origin.method == "exercise"]
    return [(qa.question, qa.thought_process, qa.answer) for qa in worked]


QUESTION = "Anna puts 200 euros into a bank that pays 3 percent. How much interest does she get in one year?"
ANSWER = "She gets 6 euros in one year."


@pytest.mark.parametrize(
    "text",
    [
        f"### Exercise 1\n\n{QUESTION}\n\n#### Solution\n\n{ANSWER}",
        f"**Exercise 1.2** {QUESTION}\n\n**Solution.** {ANSWER}",
        f"Example 4 (2 points). {QUESTION}\n\nSolution: {ANSWER}",
        f"Problem 7: {QUESTION} Solution: {ANSWER}",
        f"Q: {QUESTION}\n\nA: {ANSWER}",
        f"5. {QUESTION}\n\nAnswer: {ANSWER}",
        f"### {QUESTION}\n\n**Answer:** {ANSWER}",
        f"::: {{.exercise}}\n{QUESTION}\n:::\n\n::: {{.solution}}\n{ANSWER}\n:::",
        f"::: challenge\n\n{QUESTION}\n\n::: solution\n\n## Solution\n\n{ANSWER}\n\n:::\n\n:::",
        f"```{{exercise}}\n:label: bank\n\n{QUESTION}\n```\n\n```{{solution}} bank\n{ANSWER}\n```",
        f"```{{exercise}}\n{QUESTION}\n```\n\n```{{solution-start}} bank\n```\n\n{ANSWER}\n\n```{{solution-end}}\n```",
        f"!!! exercise\n\n    {QUESTION}\n\n    ??? solution\n\n        {ANSWER}",
        f'<div data-type="exercise"><p>{QUESTION}</p><div data-type="solution"><p>{ANSWER}</p></div></div>',
        f"**Exercise 3.** {QUESTION}\n\n<details><summary>Show the solution</summary>\n\n{ANSWER}\n\n</details>",
        f"## Exercises\n\n1. {QUESTION}\n2. Say in one sentence what a bank is.\n\n## Solutions\n\n1. {ANSWER}\n",
        f"## Exercises\n\n**Exercise 2.3** {QUESTION}\n\n## Answers\n\n**Exercise 2.3** {ANSWER}\n",
        f"## Exercises\n\n3.1 {QUESTION}\n\n3.2 Why do banks lend?\n\n## Answers\n\n3.1 {ANSWER}\n",
        f"## Solutions\n\n### Exercise 5\n\n{QUESTION}\n\nSolution:\n\n{ANSWER}\n",
    ],
)
def test_an_exercise_and_its_solution_are_found_in_many_forms(text: str) -> None:
    assert (QUESTION, (), ANSWER) in pair(text)


@pytest.mark.parametrize(
    "text",
    [
        # The solution of another exercise.
        f"### Exercise 1\n\n{QUESTION}\n\n#### Solution to exercise 2\n\n{ANSWER}",
        # Two exercises with the number, and one solution.
        f"## Exercises\n\n1. {QUESTION}\n\n## More exercises\n\n1. Why pay interest?\n\n## Solutions\n\n1. {ANSWER}",
        # What a problem and its solution are in a text about software.
        "**Problem:** The bank has no server for its many users.\n\n**Solution:** It buys a server.",
        # Nothing is solved.
        f"### Exercise 1\n\n{QUESTION}\n\n### Exercise 2\n\nWhy do banks pay interest?",
        f"**Exercise 1.** {QUESTION}\n\n**Solution.** Left to the reader.",
        # What is asked about stands elsewhere.
        "**Exercise 1.** What does figure 3 show about the bank?\n\n**Solution.** It shows that interest grows.",
        "**Exercise 2.** How much would she get for the same money after that?\n\n**Solution.** She would get 9 euros.",
        f"**Exercise 1.** {QUESTION}\n\n**Solution.** See the previous exercise, it is the same.",
        "**Exercise 1.** What is the interest of the bank?\n\n**Solution.** 6 euros.",
        # The solution only repeats the question.
        "**Exercise 1.** What is the chance that 35 of 50 banks pay interest?\n\n**Solution.** *P*(*x* = 35)",
        "**Exercise 1.** Which of them pays interest in euros?\n\n1. bank\n2. shop\n\n**Solution.** a",
    ],
)
def test_what_is_not_certain_or_cannot_stand_alone_is_no_pair(text: str) -> None:
    assert pair(text) == []


def test_steps_are_the_sentences_before_the_conclusion() -> None:
    solution = "One year has one payment of interest. It is 200 * 0.03 = 6. So she gets 200 + 6 = 206 euros."
    [(question, steps, answer)] = pair(f"**Exercise 1.** {QUESTION}\n\n**Solution.** {solution}")
    assert question == QUESTION
    assert steps == ("One year has one payment of interest.", "It is 200 * 0.03 = 6.")
    assert answer == "So she gets 200 + 6 = 206 euros."


def test_the_last_sentence_of_an_argument_in_words_is_not_all_of_the_answer() -> None:
    solution = "Banks lend what others save. Savers want a share. Therefore, she gets 6 euros for her money."
    [(_, steps, answer)] = pair(f"**Exercise 1.** {QUESTION}\n\n**Solution.** {solution}")
    assert steps == () and answer == solution


def test_a_solution_that_ends_with_no_conclusion_is_the_answer_as_a_whole() -> None:
    solution = "She gets 6 euros in one year. Banks count in days. Most people do not know that."
    [(_, steps, answer)] = pair(f"**Exercise 1.** {QUESTION}\n\n**Solution.** {solution}")
    assert steps == () and answer == solution


def test_parts_of_an_answer_are_no_steps_and_titles_are_no_question() -> None:
    asked = "Tom lends 100 euros at 2 percent. (a) What does he get in a year? (b) What does he have then?"
    solved = ("(a) He gets 100 * 0.02 = 2 euros.", "(b) So he has 100 + 2 = 102 euros.")
    box = "<p>{}</p>".format("</p><p>".join(solved))
    answer = f'<div data-type="solution"><p><b>Answer</b></p>{box}</div>'
    text = f'<div data-type="exercise"><p><b>Exercise</b></p><p>{asked}</p>{answer}</div>'
    assert pair(text) == [(asked, (), "\n\n".join(solved))]


def test_text_below_a_solution_without_an_end_is_no_part_of_it() -> None:
    below = "Banks are older than most states of today."
    text = f"## Saving\n\n**Example 1.** {QUESTION}\n\n**Solution.** {ANSWER}\n\n{below}"
    for after in (
        "",
        "\n\n## Loans\n\nA loan is money that a bank lends.",
        "\n\n## Exercises\n\n1. Why do banks lend?",
    ):
        assert [answer for _, _, answer in pair(text + after)] == [ANSWER]


def test_what_several_exercises_share_is_quoted() -> None:
    shared = "Use the following information to answer the next two exercises: Tom has 500 euros in a bank at 2 percent."
    box = '<div data-type="exercise"><p>{}</p><div data-type="solution"><p>{}</p></div></div>'
    one = box.format("How much interest does Tom get in one year?", "Tom gets 10 euros.")
    other = box.format("How much has he after one year?", "He has 510 euros.")
    rows = make_rows(f"# Interest\n\n{PROSE}## Homework\n\n<p>{shared}</p>\n{one}\n{other}\n")
    contexts = [row.qa_pair.context for row in rows if row.origin.method == "exercise"]
    assert contexts == ["Tom has 500 euros in a bank at 2 percent."] * 2


def test_exercises_and_solutions_may_stand_in_two_files() -> None:
    def read(source: str, text: str) -> Document:
        builder = SectionBuilder()
        add_markdown(builder, text)
        return Document(source, source[0] * 64, "Sheet", builder.finish("Sheet"))

    sheet = f"# Sheet\n\n{PROSE}## Problem 1\n\n{QUESTION}\n\n## Problem 2\n\nWhy do banks pay interest to anybody?\n"
    solved = f"# Sheet\n\n{PROSE}## Problem 1\n\n{ANSWER}\n"
    rows = list(make_examples([read("sheet1.md", sheet), read("sheet1-solutions.md", solved)], RECIPE))
    [(question, _, answer)] = list_pairs(rows)
    assert (question, answer) == (QUESTION, ANSWER)
    [origin] = [row.origin for row in rows if row.origin.method == "exercise"]
    assert origin.source == "sheet1-solutions.md" and origin.evidence == ANSWER
    listed = "# Sheet\n\n{}1. {}\n2. {}\n"
    files = [
        read("sheet3.md", listed.format(PROSE, QUESTION, "Why do banks pay interest to anybody?")),
        read("sheet3_solutions.md", listed.format(PROSE, ANSWER, "They lend it on for more.")),
    ]
    assert [answer for _, _, answer in list_pairs(list(make_examples(files, RECIPE)))] == [
        ANSWER,
        "They lend it on for more.",
    ]
    apart = list(make_examples([read("sheet1.md", sheet), read("sheet2-solutions.md", solved)], RECIPE))
    assert list_pairs(apart) == []


def test_code_that_needs_earlier_cells_is_no_solution() -> None:
    task = "**Exercise 1.** Write a function that adds two numbers.\n\n**Solution.**\n\n```python\n{}\n```\n"
    whole = "def add(a, b):\n    return a + b"
    assert [answer for _, _, answer in pair(task.format(whole))] == [f"```python\n{whole}\n```"]
    assert pair(task.format("print(total(frame, 2))")) == []
    assert find_undefined("import numpy as np\nz = np.zeros(3)\nprint(z, [i for i in z])") == set()
    assert find_undefined("frame.head()") == {"frame"}


def test_exercises_give_no_other_rows() -> None:
    text = f"::: {{.exercise}}\nA **loan** is money that a bank gives and wants back. {QUESTION}\n:::"
    assert not any("loan" in row.qa_pair.question for row in make_rows(f"# Interest\n\n{PROSE}{text}\n"))


@pytest.mark.parametrize(
    ("prose", "task", "solution"),
    [
        ("Zinsen sind das, was eine Bank denen zahlt, die ihr Geld leihen, und sie werden für jedes Jahr gezählt.",
         "**Aufgabe 1.** Berechne die Zinsen auf 200 Euro bei 3 Prozent in einem Jahr.",
         "**Lösung.** Die Zinsen sind 6 Euro."),
        ("El interés es lo que un banco paga a quienes le prestan dinero, y se cuenta para cada año que pasa.",
         "**Ejercicio 1.** Calcula el interés de 200 euros al 3 por ciento en un año.",
         "**Solución.** El interés es de 6 euros."),
        ("L’intérêt est ce qu’une banque paie à ceux qui lui prêtent de l’argent, et il est compté pour chaque année.",
         "**Exercice 1.** Calculez les intérêts de 200 euros à 3 pour cent en un an.",
         "**Solution.** Les intérêts sont de 6 euros."),
        ("L’interesse è ciò che una banca paga a chi le presta denaro, ed è contato per ogni anno che passa.",
         "**Esercizio 1.** Calcola gli interessi di 200 euro al 3 per cento in un anno.",
         "**Soluzione.** Gli interessi sono 6 euro."),
        ("O juro é o que um banco paga a quem lhe empresta dinheiro, e é contado para cada ano que passa.",
         "**Exercício 1.** Calcule os juros de 200 euros a 3 por cento em um ano.",
         "**Solução.** Os juros são de 6 euros."),
        ("Rente is wat een bank betaalt aan wie haar geld leent, en zij wordt voor elk jaar geteld.",
         "**Opgave 1.** Bereken de rente op 200 euro bij 3 procent in een jaar.",
         "**Oplossing.** De rente is 6 euro."),
    ],
)  # fmt: skip
def test_exercises_of_other_languages_are_found(prose: str, task: str, solution: str) -> None:
    [(question, _, answer)] = list_pairs(make_rows(f"# Banken, bancos, banques\n\n{prose}\n\n{task}\n\n{solution}\n"))
    assert task.endswith(question) and solution.endswith(answer)


def test_every_language_with_exercises_has_all_that_they_need() -> None:
    kinds = "exercise example solution points empty conclusion asks shared refers follows".split()
    for code in list_languages():
        language = read_language(code)
        assert language is not None
        if "worked_solution" in language.patterns:
            assert {f"worked_{kind}" for kind in kinds} <= set(language.patterns)


def test_the_key_of_a_whole_set_is_no_answer() -> None:
    options = "\n\n1. More of it.\n2. Less of it.\n3. None of it.\n"
    asked = f"### Exercise 1\n\nWhat does a bank pay to those who lend it money for a year?{options}"
    assert pair(f"{asked}\n#### Solution\n\n(1:D, 2:A, 3:B, 4:A)") == []


def test_the_last_point_of_several_is_no_conclusion() -> None:
    points = "Banks keep money safe. They lend it to others. Finally, they count the interest of each year."
    [(_, steps, answer)] = pair(
        f"### Exercise 1\n\nWhat are the three tasks of a bank in a town?\n\n#### Solution\n\n{points}"
    )
    assert steps == () and answer == points
