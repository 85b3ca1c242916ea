"""What the page shows: text that can neither run nor fetch."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlx_tutor.generate import Answer
from mlx_tutor.study.chat.ask import CitedAnswer
from mlx_tutor.study.chat.markdown import escape_html, split_code
from mlx_tutor.study.chat.support import Source, find_support
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.study.web.markup import (
    MAX_SHOWN,
    draw,
    draw_sources,
    escape_text,
    link_source,
    write_cited_markdown,
    write_plain_markdown,
    write_safe_markdown,
)
from mlx_tutor.tables import Table

READER = MarkdownIt("commonmark", {"html": True}).enable("table")
TEXTS = st.text(alphabet="<>/!?abc`\\ \n[]():*_#&;@.w$~\x1b'\"", max_size=60)


def list_tokens(markdown: str) -> set[str]:
    """The kinds of all parts of a text as a Markdown reader sees them."""
    return {token.type for block in READER.parse(markdown) for token in (block, *(block.children or ()))}


@given(TEXTS)
def test_nothing_runs_fetches_or_leads_anywhere(text: str) -> None:
    for write in (write_safe_markdown, write_plain_markdown):
        shown = write(text)
        assert not list_tokens(shown) & {"html_block", "html_inline", "image", "link_open"}, shown
        assert not re.search(r"[a-z]+://|\bwww\.", "".join(split_code(shown)[::2]))
        assert "\x1b" not in shown


@given(st.text(alphabet="abc *_#`~>[]!|&;.", max_size=40))
def test_what_was_typed_is_shown_as_it_is(text: str) -> None:
    # Four blanks at the beginning of a line, and numbers, are Markdown too, and harmless.
    shown = READER.render(write_plain_markdown("x" + text.replace("```", "")))
    assert "<strong>" not in shown and "<em>" not in shown and "<h1>" not in shown and "<code>" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It is $x^2$.", r"It is \(x^2\)."),
        ("$5 and $6", "$5 and $6"),
        ("from $5 to $10", "from $5 to $10"),
        ("US$5, 5$", "US$5, 5$"),
        ("$$x$$", "$$x$$"),
        ("`$x$`", "`$x$`"),
        ("```\n$x$\n```", "```\n$x$\n```"),
        (r"\$x\$", r"\$x\$"),
        ("$a$ and $b_1$", r"\(a\) and \(b_1\)"),
    ],
)
def test_dollars_are_mathematics_or_money(text: str, shown: str) -> None:
    assert write_safe_markdown(text) == shown


def test_mathematics_in_a_question_keeps_its_marks() -> None:
    assert write_plain_markdown("Why $a_1 * b & c$ and *this*?") == r"Why \(a_1 * b & c\) and \*this\*?"


def test_long_text_is_cut_on_the_page() -> None:
    assert write_plain_markdown("x" * (MAX_SHOWN + 5)).endswith("… (5 characters more)")


def test_html_and_templates_are_text_in_html() -> None:
    assert escape_text("<b>${x} {{y}}\x07'") == "&lt;b&gt;&#36;&#123;x} &#123;&#123;y}}&#39;"
    drawn = draw("table", Table(("<script>",), [("${<script>}",)]))
    assert "<script" not in drawn and "$" not in drawn and "{" not in drawn


def test_a_source_leads_to_its_file_and_page() -> None:
    assert link_source("week 1/a&b#.pdf", 3) == "sources/week%201/a%26b%23.pdf#page=3"
    assert link_source("notes.md", None) == "sources/notes.md"
    assert link_source('x"onclick="y', None) == "sources/x%22onclick%3D%22y"


def make_cited(sources: tuple[Source, ...], passages: tuple[Passage, ...], supported: bool | None) -> CitedAnswer:
    answer = Answer("It is.", 1, 1, 1.0, 0.0, "stop", 0.0)
    return CitedAnswer("What?", answer, passages, sources, supported, 1, 0.0, 0.0, 0.0)


def test_quotes_are_marked_in_their_passages() -> None:
    passage = Passage("a.pdf", 0, ("<i>",), "One. The **mode** is it. Two.", ((0, 4, None),))
    other = Passage("b.md", 1, ("Else",), "Something else.", ((0, None, None),))
    source = Source("a.pdf", 0, ("<i>",), 4, None, "The **mode** is it.", "x")
    drawn = draw_sources(make_cited((source,), (passage, other), True))
    assert "One. <mark>The </mark><strong><mark>mode</mark></strong><mark> is it.</mark> Two." in drawn
    assert "<b>[1] a.pdf, page 4, &lt;i&gt;</b>" in drawn
    target = "read/a.pdf?page=4&amp;section=0&amp;passage=The%20%2A%2Amode%2A%2A%20is%20it.#cited"
    assert f'href="{target}"' in drawn
    assert drawn.index("a.pdf") < drawn.index("Read on the question") < drawn.index("b.md")


def test_what_is_not_supported_is_said() -> None:
    assert "Not found in your course" in draw_sources(make_cited((), (), False))
    assert "was not searched" in draw_sources(make_cited((), (), None))


COURSE = [Passage("a b.ipynb", 1, ("Heaps",), "A heap keeps its $n$ smallest keys at the root.", ((0, None, 2),))]


def cite(text: str) -> CitedAnswer:
    sources, spans = find_support(text, "Tell me.", COURSE)
    answer = Answer(text, 1, 1, 1.0, 0.0, "stop", 0.0)
    return CitedAnswer("Tell me.", answer, (), sources, bool(sources), len(spans), 0.0, 0.0, 0.0, spans)


def test_numbers_lead_to_the_passage_and_the_rest_is_marked() -> None:
    shown = write_cited_markdown(
        cite("A heap keeps its $n$ smallest keys at the root. Penguins <b>sort</b> heaps.\n\n`a[1]`")
    )
    number, rest = shown.split("</a> ")
    assert number.startswith(
        r'A heap keeps its \(n\) smallest keys at the root.<a class="cited" href="read/a%20b.ipynb?cell=2'
    )
    assert number.endswith('title="Source 1: a b.ipynb, cell 2, Heaps">[1]')
    assert rest == '<span class="unsupported">Penguins < b>sort< /b> heaps.</span>\n\n`a[1]`'


@given(st.text(alphabet="<>/!?abc`\\ \n[]():*_#&;@.w$~\x1b'\"\ufdd0\ufdd1\ufdd2\ufdd3|1", max_size=60))
def test_an_answer_has_no_tags_but_ours(text: str) -> None:
    shown = write_cited_markdown(
        cite(f"A heap keeps its $n$ smallest keys at the root. {text} Penguins sort all heaps.")
    )
    prose = "".join(split_code(shown)[::2])
    bare = re.sub(r'<span class="unsupported">|</span>|<a class="cited" [^<>]*>|</a>', "", prose)
    assert not list_tokens(bare) & {"html_block", "html_inline", "image", "link_open"}, shown
    assert not re.search("[\ufdd0-\ufdd3]", shown)


CODE_TOKENS = ("fence", "code_block", "code_inline")
CODES = [
    "`[a-z][0-9](x)`",
    "``a ` b[c](d)``",
    "```c\n#include <stdio.h>\nint x = a[1](2);\n```",
    "~~~html\n<b>![x](y)</b> www.a.b user@host $x$\n~~~",
    "    a[i](j) <- <T>b\n",
    '1. Do\n   ```python\n   x: list[int](3) = f"<{y}>"\n   ```',
    "> ```\n> <p>[q](r)</p>\n> ```",
    "| `a[0](b)` | `x<y>z` |\n|---|---|\n| `vector<int>` | 1 |",
    "A span `over[a](b)\nlines <i>` ends.",
]


@pytest.mark.parametrize("code", CODES)
def test_code_is_what_the_model_wrote(code: str) -> None:
    text = f"See [here](http://a.b):\n\n{code}\n\nThen <i>x</i>."
    for shown in (write_safe_markdown(text), escape_html(text)):
        assert split_code(shown)[1::2] == split_code(text)[1::2] != []
        assert "< i>x< /i>" in shown
    assert "[here] (http&#58;//a.b)" in write_safe_markdown(text)
    # And a reader that knows HTML and links finds the same code in it.
    before, after = (
        [t.content for b in READER.parse(part) for t in (b, *(b.children or ())) if t.type in CODE_TOKENS]
        for part in (code, write_safe_markdown(code))
    )
    assert after == before != []


@given(TEXTS)
def test_text_and_code_are_all_of_the_text(text: str) -> None:
    assert "".join(split_code(text)) == text


def test_what_was_typed_keeps_its_code() -> None:
    shown = READER.render(write_plain_markdown("Why `a[0](x)` and #include <stdio.h>\n```\nint x;\n```?"))
    assert "`a[0](x)` and #include &lt;stdio.h&gt;" in shown and "<code>" not in shown and "<a " not in shown
