"""Rows from code: only what a function says of itself, and what can be worked out."""

import pytest

from mlx_tutor.languages.table import list_languages, read_language
from mlx_tutor.records import Block
from tests.dataset.rows import make_notebook_rows, make_rows, pick_rows

SUM = "tills = [31, 7, 22]\ntotal = 0\nfor till in tills:\n    total += till\nprint('sum', total, 'of all tills')"


def test_a_function_is_described_by_its_docstring_which_the_question_leaves_out() -> None:
    docstring = '"""Return the road with some metres more on each side.\n\n    metres: how many.\n    """'
    code = f"def widen(road, metres):\n    {docstring}\n    return road + 2 * metres"
    rows = make_notebook_rows(Block("code", code, cell=1, language="python"))
    [(question, answer)] = pick_rows(rows, "code function")
    assert "`widen`" in question and "each side" not in question and "return road" in question
    assert answer == "Return the road with some metres more on each side."


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # What is said of code before it, and what comments say of its parts, is not all that it does.
        ("Now let's count the money in the tills:", SUM),
        ("The following program adds up the money.", f"# Count the tills\n{SUM}\n# Print the total\nprint(total)"),
        # Numbers that the code does not have; a loop that stands elsewhere.
        ("-", 'def widen(road):\n    """Return the road with 7 metres more."""\n    return road + 14'),
        ("-", 'def widen(road):\n    """Return the road after each round of the loop."""\n    return road + 14'),
    ],
)
def test_what_tells_another_thing_than_the_code_is_no_answer(text: str, code: str) -> None:
    rows = make_notebook_rows(Block("text", text, cell=1), Block("code", code, cell=2, language="python"))
    assert [row.origin.method for row in rows if row.qa_pair.type == "code"] == []


def test_a_comment_above_a_function_of_another_language_describes_it() -> None:
    code = "// Computes the area of a round pond.\ndouble area(double r) {\n  return 3.14159 * r * r;\n}"
    [(question, answer)] = pick_rows(make_notebook_rows(Block("code", code, cell=1, language="cpp")), "code function")
    assert question.startswith(("What does `area`", "Describe what `area`")) and "pond" not in question
    assert answer == "Computes the area of a round pond."


def ask(*cells: tuple[str, str]) -> list[tuple[str, str]]:
    blocks = []
    for number, (code, output) in enumerate(cells, 1):
        blocks.append(Block("code", code, cell=number, language="python"))
        blocks += [Block("output", output, cell=number)] if output else []
    return pick_rows(make_notebook_rows(*blocks), "code output")


def test_what_cells_above_print_is_no_output_of_this_one() -> None:
    rows = ask(("rate = 4\nprint('rate', rate, 'of', 9)", "rate 4 of 9"), ("print(rate * 10)", "40"))
    assert rows[1][0].endswith("```python\nrate = 4\nprint(rate * 10)\n```") and "40" in rows[1][1]


@pytest.mark.parametrize(
    "cells",
    [
        # A pond is filled through another name.
        (("class Pond:\n    level = 0", ""), ("a = Pond()\nb = a", ""), ("b.fill(3)", ""), ("print(a.level + 1)", "4")),
        # Dictionaries of old Pythons had no order, and sets have none.
        (("fish = {'carp': 3, 'pike': 5}\nfor name in fish:\n    print(name, fish[name])", "pike 5\ncarp 3"),),
        (("print(set(['carp', 'pike', 'eel']))", "{'eel', 'carp', 'pike'}"),),
        (("from ponds import depth\nprint(depth(2))", "7"),),
        (("print(1 / 3)", "0.3333333333333333"),),
        (("note = 'Closed on Monday'\nprint(note)", "Closed on Monday"),),
    ],
)
def test_what_cannot_be_worked_out_is_not_asked(cells: tuple[tuple[str, str], ...]) -> None:
    asked = ask(*cells)
    assert [question for question, _ in asked if cells[-1][0] in question] == []


def test_the_end_of_a_cell_can_be_known_from_what_is_given() -> None:
    def complete(code: str, output: str) -> list[tuple[str, str]]:
        blocks = Block("code", code, cell=1, language="python"), Block("output", output, cell=1)
        return pick_rows(make_notebook_rows(*blocks), "cell completion")

    [(_, rest)] = complete(SUM, "sum 60 of all tills")
    assert rest.startswith("```python\nfor till in tills:")
    assert complete(SUM.replace("total += till", "total += 2 * till + 77"), "sum 351 of all tills") == []
    assert complete("a = 3\nprint(a)", "3") == []
    assert complete("tills = [31, 7]\nprint(len(tills) * 8)", "16") == []


@pytest.mark.parametrize("code", list_languages())
def test_a_table_with_questions_about_code_has_what_they_need(code: str) -> None:
    table = read_language(code)
    assert table is not None and {"code_output", "code_completion"} <= table.questions.keys()
    if "code_function" in table.questions:
        assert {"code_refers", "code_about"} <= table.patterns.keys() and table.words["code_verbs"]


def test_a_description_that_only_says_the_name_again_is_not_asked_for() -> None:
    code = 'def {name}(load):\n    """{said}"""\n    return load * 2\n'
    for name, said, found in (
        ("compute_load", "Compute the load.", 0),
        ("compute_load", "Compute the load that a crane carries in a storm.", 1),
    ):
        text = f"# Cranes\n\n## Loads\n\nA crane lifts loads.\n\n```python\n{code.format(name=name, said=said)}```\n"
        assert len(pick_rows(make_rows(text), "code function")) == found
