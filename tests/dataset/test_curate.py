"""Which examples stay: the quick search for near duplicates finds what comparing all with all finds."""

from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.curate import NEAR, SHINGLE, NearDuplicates
from mlx_tutor.records import Example, Origin, QaPair

WORDS = st.lists(st.sampled_from("the mean of a sample is its sum over count and more".split()), max_size=14)


def make_example(number: int, section: int, answer: str) -> Example:
    question = f"What is {'abcdefghijklmnopqrstuvwxyz'[number % 26] * (number + 3)}?"
    origin = Origin("notes.md", section, None, None, (), "definition", answer)
    return Example((), origin, QaPair(question, (), answer, "concept", ()), {})


def cut(answer: str) -> set[str]:
    words = answer.split()
    return {" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}


@given(st.lists(st.tuples(st.integers(0, 3), WORDS), max_size=12))
def test_near_duplicates_of_other_sections_are_those_of_all_pairs(drawn: list[tuple[int, list[str]]]) -> None:
    examples = [make_example(n, section, " ".join(words)) for n, (section, words) in enumerate(drawn)]
    expected: list[Example] = []
    for example in examples:
        mine = cut(example.qa_pair.answer)
        others = [cut(o.qa_pair.answer) for o in expected if o.origin.section != example.origin.section]
        if not any(len(mine & theirs) / len(mine | theirs) >= NEAR for theirs in others):
            expected.append(example)
    near, kept = NearDuplicates(examples), []
    for number, example in enumerate(examples):
        place = (example.origin.source, example.origin.section)
        if not near.is_known(number, place):
            near.add(number, place)
            kept.append(example)
    assert kept == expected


def test_what_a_template_writes_into_every_row_is_not_looked_up() -> None:
    answers = [
        f"The force of case {i} is {i} units as the table of all known cases in this book says." for i in range(500)
    ]
    examples = [make_example(i, i, answer) for i, answer in enumerate(answers)]
    near = NearDuplicates(examples)
    for number, example in enumerate(examples):
        assert not near.is_known(number, ("notes.md", example.origin.section))
        near.add(number, ("notes.md", example.origin.section))
    # Linear: each run of words that is looked up stands in few rows.
    assert all(isinstance(holders, int) or len(holders) < 5 for holders in near.holders.values())
