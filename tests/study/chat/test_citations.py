"""Numbers stand behind the sentences that the course supports, and touch neither code nor formulas nor tables."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.generate import Answer
from mlx_tutor.study.chat.ask import CitedAnswer
from mlx_tutor.study.chat.citations import list_references, mark_answer, replace_own_numbers, write_numbered
from mlx_tutor.study.chat.markdown import find_formal
from mlx_tutor.study.chat.support import find_support
from mlx_tutor.study.search.passages import Passage

HEAP = "A heap keeps its smallest key at the root."
STACK = "A stack gives back the newest element first."
COURSE = [
    Passage("heaps.pdf", 2, ("Trees", "Heaps"), f"{HEAP} It is stored in an array.", ((0, 7, None),)),
    Passage("lists.ipynb", 0, ("Lists",), f"**{STACK}**", ((0, None, 3),)),
]
INVENTED = "Penguins rotate every heap twice on Sundays."


def cite(text: str, *, searched: bool = True) -> CitedAnswer:
    sources, spans = find_support(text, "Tell me.", COURSE) if searched else ((), ())
    answer = Answer(text, 1, 1, 1.0, 0.0, "stop", 0.0)
    supported = bool(sources) if searched else None
    return CitedAnswer("Tell me.", answer, (), sources, supported, len(spans), 0.0, 0.0, 0.0, spans)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{STACK} {INVENTED} {HEAP} {STACK}", f"{STACK} [1] <{INVENTED}> {HEAP} [2] {STACK} [1]"),
        (f"**{HEAP}** {INVENTED}", f"**{HEAP}** [1] <{INVENTED}>"),
        (
            "A **heap** keeps its **smallest key at the root.**",
            "A **heap** keeps its **smallest key at the root.** [1]",
        ),
        (f"1. **First:** {INVENTED}\n2. {HEAP}", f"1. <**First:** {INVENTED}>\n2. {HEAP} [1]"),
        # What is no statement: a heading, a question, too few words.
        (
            f"## {HEAP}\n\nWould penguins rotate such a heap? Hardly.",
            f"## {HEAP}\n\nWould penguins rotate such a heap? Hardly.",
        ),
        (
            "| a | b |\n|---|---|\n| heap | keeps its smallest key at the root |\n| penguins | rotate heaps |",
            "| a | b |\n|---|---|\n| heap | keeps its smallest key at the root [1] |\n| <penguins> | <rotate heaps> |",
        ),
        (f"```\n{HEAP}\n```\n\n    {STACK}\n", f"```\n{HEAP}\n```\n\n    {STACK}\n"),
        (f"$$\n{HEAP}\n$$\n\\[ {STACK} \\]", f"$$\n{HEAP}\n$$\n\\[ {STACK} \\]"),
        # A number that the model wrote is none of ours.
        (
            f"{INVENTED} [1] {HEAP} See `a[0]`, b[0] and $[2]$.",
            f"<{INVENTED}> (1) {HEAP} [1] <See `a[0]`, b[0] and $[2]$.>",
        ),
    ],
)
def test_where_the_numbers_stand(text: str, shown: str) -> None:
    assert mark_answer(cite(text), lambda number: f" [{number}]", lambda sentence: f"<{sentence}>") == shown


def test_each_source_has_one_number_in_the_order_of_the_answer() -> None:
    references = list_references(cite(f"{STACK} {HEAP} Again: {STACK}"))
    assert [(number, source.source, source.page, source.cell) for number, source in references.items()] == [
        (1, "lists.ipynb", None, 3),
        (2, "heaps.pdf", 7, None),
    ]


def test_without_a_search_nothing_is_said_of_the_answer() -> None:
    text = f"{INVENTED} [1]"
    assert mark_answer(cite(text, searched=False), str, str.upper) == text


WORDS = st.sampled_from(
    [HEAP, STACK, INVENTED, "**", "`", "```\n", "\n", "\n\n", "$", "$$", "[1]", "|", "# ", "- ", "\\[", "x"]
)


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_an_answer_loses_nothing_but_its_own_numbers(text: str) -> None:
    cited = cite(text)
    numbered = mark_answer(cited, lambda number: f"\ufdd0{number}\ufdd1")
    bare = re.sub("\ufdd0\\d+\ufdd1", "", numbered)
    # In a table's row the number brings a blank with it.
    assert bare.split() == replace_own_numbers(text).split()
    formal = [text[start:end] for start, end in find_formal(text)]
    assert all(piece in numbered for piece in formal if "|" not in piece)
    assert write_numbered(cited).count("\ufdd0") == 0
