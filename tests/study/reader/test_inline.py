"""Lines and blocks as HTML: nothing is lost, nothing runs, and the marks stand where the passage does."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.records import Block
from mlx_tutor.study.reader.blocks import write_block, write_lines
from mlx_tutor.study.reader.inline import write_inline

TAG = re.compile(r"<[^>]*>")
TEXTS = st.text(alphabet="ab 1*`$\\|<>&\"'\n-.[]{}^_()", max_size=60)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A **bold `x` term** & more", "A <strong>bold <code>x</code> term</strong> &amp; more"),
        ("2**3 is 8", "2**3 is 8"),
        ("It costs $5 and $6.", "It costs $5 and $6."),
        ("`a $b$ <i>`", "<code>a $b$ &lt;i&gt;</code>"),
        ("``a ` b``", "<code>a ` b</code>"),
        (r"$\nosuchcommand{x}$", r'<code class="tex">$\nosuchcommand{x}$</code>'),
    ],
)
def test_what_a_line_becomes(text: str, shown: str) -> None:
    assert write_inline(text) == shown


def test_a_formula_is_mathml_with_its_source() -> None:
    shown = write_inline(r"so $x_1 < \text{<script>}$.")
    assert shown.startswith('so <span class="math"><math>') and "<msub><mi>x</mi><mn>1</mn></msub>" in shown
    assert "<script" not in shown and r"x_1 &lt; \text{&lt;script&gt;}</annotation>" in shown
    for old in (r"$\begin{pmatrix} a \cr b \end{pmatrix}$", r"$\mbox{Pr}(A)$", r"$\{n : \text{all $n$ of them}\}$"):
        assert "<math>" in write_inline(old) and "<code" not in write_inline(old)
    numbered = write_inline(r"\begin{align} a &= b \label{eq:1} \\ c &= d \end{align}")
    assert "<mtable" in numbered and "(1)" not in numbered


@given(TEXTS, st.integers(0, 60), st.integers(0, 60))
def test_nothing_runs_and_the_marks_are_where_they_were_asked_for(text: str, start: int, end: int) -> None:
    for kind in ("text", "table", "code", "output"):
        shown = str(write_block(Block(kind, text, language="python"), [(start, end)]))
        tags = {tag.strip("</>").partition(" ")[0] for tag in TAG.findall(re.sub(r"<math.*?</math>", "", shown))}
        assert tags <= {*"p strong code mark span ol ul li br div table thead tbody tr th td pre".split()}
    plain = text.replace("*", "").replace("`", "").replace("$", "").replace("\\", "")
    marked = "".join(re.findall("<mark>(.*?)</mark>", str(write_inline(plain, [(start, end)])), re.DOTALL))
    assert unescape(marked) == plain[start:end]


def test_what_stands_around_a_mark_keeps_its_form() -> None:
    text = "One **two three** four $x$ five."
    shown = write_inline(text, [(text.index("three"), text.index("five"))])
    assert shown.startswith("One <strong>two <mark>three</mark></strong><mark> four </mark><mark><span")
    assert shown.endswith("</span></mark><mark> </mark>five.")


def test_lists_have_their_numbers_and_levels() -> None:
    shown = write_lines("Before:\n3. three\n  - below\n    goes on\n4. four\nAfter.")
    inner = '<li value="3">three<ul><li>below<br>goes on</li></ul></li><li value="4">four</li>'
    assert shown == f"<p>Before:</p><ol>{inner}</ol><p>After.</p>"
    parts = '<ul class="parts"><li>a) Add.</li><li>(b) Divide.</li></ul>'
    assert write_lines("a) Add.\n(b) Divide.") == parts
    assert write_lines("1. Now\n  a) Add.\n  (b) Divide.") == f'<ol><li value="1">Now{parts}</li></ol>'


def test_a_table_has_its_cells_and_their_marks() -> None:
    text = "| a | b \\| c |\n|---|---|\n| **x** | $5 |"
    shown = write_block(Block("table", text), [(text.index("$5"), len(text))])
    assert "<th>a</th><th>b | c</th>" in shown
    assert "<td><strong>x</strong></td><td><mark>$5</mark></td>" in shown
    assert "<th>" not in write_block(Block("table", "| | |\n|---|---|\n| a | b |"))
