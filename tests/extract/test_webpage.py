"""Pages that were saved from a wiki, a learning platform or a program are read as their text, without the site."""

from pathlib import Path

import pytest

from mlx_tutor.extract.webpage import read_html
from mlx_tutor.records import Section

WIKI = """<title>Osmosis - Somewiki</title><body><div class="vector-header-container">Main menu</div>
<div id="siteSub">From Somewiki</div><h1>Osmosis</h1><a class="mw-jump-link" href="#x">Jump to search</a>
<p>Osmosis<sup class="reference"><a href="#n1">[1]</a></sup> moves
water<sup class="noprint">[<i>citation needed</i>]</sup> by <span><span class="mwe-math-mathml-inline">
<math><semantics><mi>p</mi><annotation
encoding="application/x-tex">{\\displaystyle p=cRT}</annotation></semantics></math>
</span><img class="mwe-math-fallback-image-inline" alt="{\\displaystyle p=cRT}"></span>.</p>
<h2>Cells<span class="mw-editsection">[edit]</span></h2>
<dl><dd><img class="mwe-math-fallback-image-inline" alt="{\\displaystyle c\\geq 0}"></dd></dl>
<div id="catlinks"><ul><li>Biology</li></ul></div></body>"""


def read(tmp_path: Path, html: str) -> tuple[str, list[Section]]:
    (tmp_path / "page.html").write_text(html)
    title, sections = read_html(tmp_path / "page.html")
    return title, list(sections)


def texts(tmp_path: Path, html: str) -> list[str]:
    return [block.text for section in read(tmp_path, html)[1] for block in section.blocks]


def test_a_page_of_a_wiki(tmp_path: Path) -> None:
    title, sections = read(tmp_path, WIKI)
    assert title == "Osmosis"
    assert [(section.heading, [block.text for block in section.blocks]) for section in sections] == [
        (("Osmosis",), ["Osmosis moves water by $p=cRT$."]),
        (("Osmosis", "Cells"), [r"$c\geq 0$"]),
    ]


@pytest.mark.parametrize(
    ("html", "right"),
    [
        # Formulas as MathJax 2, MathJax 3 and KaTeX leave them, and pictures of formulas.
        (
            '<p>Let <span class="MathJax_Preview">x2</span><span class="MathJax"><nobr aria-hidden="true">x2</nobr>'
            '<math><mi>x</mi></math></span><script type="math/tex">x^2</script> be.',
            ["Let $x^2$ be."],
        ),
        (
            '<div class="MathJax_Display"><span class="MathJax">ab</span></div><script type="math/tex; mode=display">'
            "\\frac{a}{b}</script>",
            ["$$\\frac{a}{b}$$"],
        ),
        (
            '<p>Let <mjx-container class="MathJax"><mjx-math aria-hidden="true">y</mjx-math><mjx-assistive-mml><math>'
            "<mi>y</mi></math></mjx-assistive-mml></mjx-container> be.",
            ["Let $y$ be."],
        ),
        (
            '<p>Let <span class="katex"><span class="katex-mathml"><math><semantics><mi>a</mi><annotation encoding='
            '"application/x-tex">a_1</annotation></semantics></math></span><span class="katex-html" aria-hidden="true">'
            "a1</span></span> be.",
            ["Let $a_1$ be."],
        ),
        ('<p>So <img class="texrender" alt="a+b"> holds for <img alt="a cat"> all.', ["So $a+b$ holds for all."]),
        (
            '<table class="ltx_eqn_table"><tr><td></td><td><math alttext="E=mc^{2}" display="block"><mi>E</mi></math>'
            '</td><td class="ltx_eqn_eqno">(1)</td></tr></table>',
            ["$$E=mc^{2}$$"],
        ),
        ("<p>x<sup>n+1</sup>, 10<sup>-3</sup>, SO<sub>4</sub><sup>2-</sup>", ["x^(n+1), 10^-3, SO_4^2-"]),
        # What was deleted, hyphenated, quoted, or is said to screen readers.
        ("<p>Ice is <del>hot</del><ins>cold</ins> and <q>sol&shy;id</q>.<span class=sr-only>Link</span>",
         ["Ice is cold and “solid”."]),
        # Code with the numbers of its lines.
        ('<pre><span class="linenos">1</span>a = 1\n<span class="linenos">2</span>b = 2</pre>', ["a = 1\nb = 2"]),
        ('<table><tr><td class="gutter"><pre>1\n2</pre></td><td><pre>a = 1\nb = 2</pre></td></tr></table>',
         ["a = 1\nb = 2"]),
        ("<pre>a = 1<br>b = 2</pre>", ["a = 1\nb = 2"]),
        # Word and Google Docs.
        ("<h1>Ice<o:p></o:p></h1><p class=MsoListParagraph>·<span>&nbsp; </span>cold<p class=MsoListParagraph>·&nbsp; "
         "hard<p>It melts.", ["- cold\n- hard", "It melts."]),
        ('<p>Ice melts.<sup><a href="#cmnt1">[a]</a></sup></p><div><p><a href="#cmnt_ref1" id="cmnt1">[a]</a> really?'
         "</p></div>", ["Ice melts."]),
        # Slides of reveal.js and remark.
        ("<section data-markdown><textarea data-template>\n## Ice\n- cold $x$\n---\nIt melts.\n</textarea></section>",
         ["- cold $x$", "It melts."]),
        ("<textarea id='source'>class: middle\n# Ice\n---\nIt melts.\n???\nShow it.</textarea>",
         ["It melts.", "Show it."]),
    ],
)  # fmt: skip
def test_a_page_is_its_text(tmp_path: Path, html: str, right: list[str]) -> None:
    assert texts(tmp_path, html) == right


def test_a_notebook_that_was_saved_as_a_page(tmp_path: Path) -> None:
    html = (
        '<div class="jp-InputPrompt">In [1]:</div><div class="highlight hl-ipython3"><pre>x</pre></div>'
        '<div class="jp-OutputArea"><div class="jp-OutputPrompt">Out[1]:</div><div><pre>1</pre></div></div>'
    )
    blocks = [block for section in read(tmp_path, html)[1] for block in section.blocks]
    assert [(block.kind, block.text, block.language) for block in blocks] == [
        ("code", "x", "python"),
        ("output", "1", None),
    ]


def test_answers_to_choose_from_are_no_solution(tmp_path: Path) -> None:
    html = (
        '<div class="que"><div class="info"><h3>Question 1</h3><div class="state">Correct</div><div class="grade">'
        'Mark 1</div></div><p>What melts?</p><div class="answer"><div><input type="radio"><label>a. Ice</label></div>'
        '</div></div><div class="answer"><p>Because it is warm.</p></div>'
    )
    blocks = [block for section in read(tmp_path, html)[1] for block in section.blocks]
    assert [(block.text, block.role) for block in blocks] == [
        ("What melts?", None),
        ("a. Ice", None),
        ("Because it is warm.", "solution 0"),
    ]


def test_links_of_sphinx_are_text(tmp_path: Path) -> None:
    assert texts(tmp_path, '<p>See <a class="reference internal" href="b.html">melting</a> there.') == [
        "See melting there."
    ]
