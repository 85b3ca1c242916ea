"""What each maker of rows makes of a text, and what it leaves alone."""

import pytest

from mlx_tutor.dataset.split import split_examples
from mlx_tutor.records import Block
from tests.dataset.rows import make_notebook_rows, make_rows, pick_rows

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXY"
VARIANCE = """# Spread

## Variance

The **variance** is the mean squared distance of the values from their mean. It grows with the square of the unit.
Large distances dominate it because they enter as squares. Squares of
large numbers are far larger than the numbers. Therefore, a large distance can double the variance of a
small sample. The mean stays near the centre, whereas the outlier stands far outside. The standard deviation is the
square root of the variance and has the unit of the values.
"""


@pytest.mark.parametrize(
    ("text", "term", "answer"),
    [
        ("A **residual** is the gap between the value that a model gives and the one observed.",
         "residual", "A residual is the gap between"),
        ("Lasso refers to a regression that drops those features which add little to the fit.",
         "lasso", "Lasso refers to"),
        ("Many trees that are grown on samples and vote together are called a **forest**.",
         "forest", "Many trees that are grown"),
        ("Bias\n: the error that stays on average", "bias", "Bias: the error that stays"),
        ("**Gini impurity** measures how mixed a group of labels is that a tree puts together. "
         "The Gini impurity is zero for pure groups.",
         "Gini impurity", "Gini impurity measures"),
        ("Odds are the ratio of the chance that something happens to the chance that it does not.",
         "odds", "Odds are the ratio"),
        ("Simpson's paradox is the reversal of a relation that all groups show when they are put together.",
         "Simpson's paradox", "Simpson's paradox"),
    ],
)  # fmt: skip
def test_definitions_are_found_in_many_forms(text: str, term: str, answer: str) -> None:
    rows = make_rows(f"# Notes\n\n## Terms and their use\n\n{text}\n")
    found = pick_rows(rows, "definition")
    assert found and all(term in asked for asked, _ in found)
    assert all(said.startswith(answer) for _, said in found)
    assert len({asked for asked, _ in found}) == 3


def test_a_short_sentence_of_a_text_is_no_definition() -> None:
    assert (
        pick_rows(make_rows("# Notes\n\n## Terms and their use\n\nA **residual** is a gap in a fit.\n"), "definition")
        == []
    )


@pytest.mark.parametrize(
    "text",
    [
        "This is a long way to go before anything is said.",
        "The result is a number that nobody expected at all.",
        "It is the rate that matters here and nowhere else.",
        "Is a mean a median, or what else could it be?",
        "The following example is a case in point for all of us.",
        "We have seen that regression is a method of great use.",
    ],
)
def test_sentences_that_define_nothing_give_no_definition(text: str) -> None:
    assert (
        pick_rows(make_rows(f"# Notes\n\n## Terms and their use\n\nFirst comes an opening. {text}\n"), "definition")
        == []
    )


def test_rows_with_a_passage_quote_it_and_answer_from_it() -> None:
    rows = [row for row in make_rows(VARIANCE) if row.qa_pair.context]
    methods = {row.origin.method for row in rows}
    assert methods >= {"definition in passage", "argument in passage", "title"}
    for row in rows:
        user, system = row.messages[1]["content"], row.messages[0]["content"]
        assert row.qa_pair.context in user and user.endswith(f"Question: {row.qa_pair.question}")
        assert system.startswith("Tutor.\n\nAnswer from the passages")
        if row.origin.method not in ("title", "argument in passage"):
            assert row.qa_pair.answer in row.qa_pair.context
    # One wording of the question stays without: the form is learned for plain questions too.
    definitions = [row for row in make_rows(VARIANCE) if row.qa_pair.type == "concept"]
    assert [bool(row.qa_pair.context) for row in definitions] == [False, True, True, True]
    [title] = [row for row in rows if row.origin.method == "title"]
    assert title.qa_pair.answer == "Variance"
    assert title.messages[1]["content"].startswith("<passage 1: notes.md>\n")


def test_from_memory_only_where_the_course_says_one_thing() -> None:
    text = VARIANCE.replace(
        "# Spread", "# Spread\n\n## Opening\n\nThe **variance** is a measure of how far values lie apart."
    )
    rows = [row.qa_pair for row in make_rows(text) if row.qa_pair.type == "concept"]
    known = [qa for qa in rows if "variance" in qa.question]
    assert known and all(qa.context for qa in known) and not any(qa.thought_process for qa in rows)


def test_a_list_of_fragments_is_no_prose_and_a_list_of_sentences_is() -> None:
    fragments = "# A\n\n## Tools\n\n- hammer\n- a saw of any kind\n- nails, long and short\n"
    assert {row.origin.method for row in make_rows(fragments)} <= {"key points"}
    sentences = VARIANCE.replace("The **variance** is", "- The **variance** is").replace("It grows", "\n- It grows")
    assert pick_rows(make_rows(sentences), "definition")


TERMS = "".join(f"- **Gear{letter}**: the name of thing number {letter} in a list of many.\n" for letter in LETTERS)


def test_a_long_glossary_is_quoted_around_each_term() -> None:
    rows = [row.qa_pair for row in make_rows(f"# A\n\n## Glossary\n\n{TERMS}") if row.qa_pair.type == "concept"]
    quoted = [qa for qa in rows if qa.context]
    assert len(rows) == 3 * len(LETTERS) and len(quoted) == 2 * len(LETTERS)
    for qa in quoted:
        assert 35 <= len(qa.context.split()) <= 130
        assert qa.answer.split()[0].lower() in qa.context.lower() and not qa.thought_process


@pytest.mark.parametrize("seed", range(5))
def test_a_glossary_is_not_most_of_validation(seed: int) -> None:
    sections = "".join(VARIANCE.replace("# Spread\n", "").replace("ariance", f"ariance{i}") for i in range(20))
    rows = make_rows(f"# A\n\n{sections}\n\n## Glossary\n\n{TERMS}")
    dealt = split_examples(rows, 0.1, 0.1, seed)
    assert all(0.05 < len(dealt[split]) / len(rows) < 0.15 for split in ("valid", "test"))
    assert not any(row.origin.heading[-1] == "Glossary" for split in ("valid", "test") for row in dealt[split])


def test_code_of_other_languages_stands_in_fences_of_theirs() -> None:
    def ask(code: str, output: str) -> list[str]:
        rows = make_notebook_rows(Block("code", code, cell=1, language="r"), Block("output", output, cell=1))
        return [question.partition("\n\n")[2] for question, _ in pick_rows(rows, "code output")]

    assert ask("x <- c(2, 4)  # two\nmean(x)", "[1] 3") == ["```r\nx <- c(2, 4)  # two\nmean(x)\n```"]
    # Where y comes from is not to be seen.
    assert ask("mean(y)", "[1] 3") == []
