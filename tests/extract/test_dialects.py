"""Markdown as courses write it: formulas, code, boxes, links, HTML, and what is above the text."""

import time
from pathlib import Path

import pytest

from mlx_tutor.extract import READERS
from mlx_tutor.extract.markdown import read_markdown
from mlx_tutor.records import ENTRY, Block


def read(tmp_path: Path, text: str) -> list[Block]:
    path = tmp_path / "a.md"
    path.write_text(text)
    return [block for section in read_markdown(path)[1] for block in section.blocks]


def texts(tmp_path: Path, text: str) -> list[str]:
    return [block.text for block in read(tmp_path, text)]


FORMULAS = [
    ("$$\nE = m\n+ p\n* 2\n# 3\n$$", "$$ E = m + p * 2 # 3 $$"),
    ("$$\nA\n===\n1. B\n$$", "$$ A === 1. B $$"),
    ("> $$\n> u\n> - v\n> $$", "$$ u - v $$"),
    ("- first\n\n  $$\n  s\n  - t\n  $$", "- first\n  $$ s - t $$"),
    (r"Let \(a_1 * b_1 * c\) and \(f\) be given.", "Let $a_1 * b_1 * c$ and $f$ be given."),
    ("\\[\nP = \\frac{F}{A} % pressure\n- q\n\\]", r"$$ P = \frac{F}{A} - q $$"),
    (
        "\\begin{align*}\na &= b \\\\\n- c &= _d_ \\tag{1}\n\\end{align*}",
        r"\begin{align*} a &= b \\ - c &= _d_ \tag{1} \end{align*}",
    ),
    ("A $x*y$ and a $z*w$ stay, $ p_1 _q_ $ too.", "A $x*y$ and a $z*w$ stay, $p_1 _q_$ too."),
    ("Pay $7 now, and let $v_1$ and $w_1$ be.", "Pay $7 now, and let $v_1$ and $w_1$ be."),
    ("With $n = 1, \\ldots, $ and $ F_{1},\nG_2 $ given.", r"With $n = 1, \ldots,$ and $F_{1}, G_2$ given."),
    ("From $3 to $4, or \\$5.", "From $3 to $4, or $5."),
    (r"An \[optional\] part, a \(remark in brackets\).", "An [optional] part, a (remark in brackets)."),
    ("{% math %}\nk_1\n- k_2\n{% endmath %}", "$$k_1 - k_2$$"),
    ("with {% math %}|E|{% endmath %} steps", "with $|E|$ steps"),
    ("```{math}\n:label: eq-k\nk = 1\n+ 2\n```", "$$ k = 1 + 2 $$"),
    ("The role {math}`h_i` is $h_i$.", "The role $h_i$ is $h_i$."),
]


@pytest.mark.parametrize(("text", "right"), FORMULAS)
def test_a_formula_stays_what_it_is(tmp_path: Path, text: str, right: str) -> None:
    assert [" ".join(part.split()) for part in texts(tmp_path, text)] == [" ".join(right.split())]


def test_a_formula_with_bars_stays_in_its_cell(tmp_path: Path) -> None:
    assert texts(tmp_path, "| size | $|v|$ |\n|---|---|\n| one | `a` |") == [
        "| size | $|v|$ |\n|---|---|\n| one | `a` |"
    ]


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("```julia\nx = 1\n```", "julia", "x = 1"),
        ("```C++\nint x;\n```", "c++", "int x;"),
        ("```{r fit, echo=FALSE}\n#| label: fit\nlm(y ~ x)\n```", "r", "lm(y ~ x)"),
        ("```{python}\n#| echo: false\n# Mean of a list\nsum(x)\n```", "python", "# Mean of a list\nsum(x)"),
        ("```{code-cell} ipython3\n:tags: [hide]\n\nprint(1)\n```", "python", "print(1)"),
        ("```{code-block} sql\nSELECT 1;\n```", "sql", "SELECT 1;"),
        ("``` {.java .numberLines}\nint i;\n```", "java", "int i;"),
        ("~~~bash title=run.sh\nls $HOME $PATH\n~~~", "bash", "ls $HOME $PATH"),
        ("- a step\n\n  ```rust\n  let x = 1;\n  ```", "rust", "let x = 1;"),
        ("!!! tip\n    ```go\n    x := 1\n    ```", "go", "x := 1"),
        (":::{note}\n```lua\nx = 1\n```\n:::", "lua", "x = 1"),
        ("````{tip}\n```scala\nval x = 1\n```\n````", "scala", "val x = 1"),
        ("> [!warning]- Care\n>\n> ```sh\n> rm x\n> ```", "sh", "rm x"),
        ("{% highlight ruby %}\nx = '$a$'\n{% endhighlight %}", "ruby", "x = '$a$'"),
        ('<pre><code class="language-php">$x = 1 &lt; 2;</code></pre>', "php", "$x = 1 < 2;"),
        ("    indented = 1", None, "indented = 1"),
    ],
)
def test_code_keeps_its_language(tmp_path: Path, text: str, language: str | None, code: str) -> None:
    found = [(block.language, block.text) for block in read(tmp_path, text) if block.kind == "code"]
    assert found == [(language, code)]


def test_a_cell_without_a_language_is_of_the_kernel(tmp_path: Path) -> None:
    text = "---\nkernelspec:\n  name: ir\n  language: R\n---\n```{code-cell}\nx <- 1\n```"
    assert read(tmp_path, text) == [Block("code", "x <- 1", language="r")]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A [[Force#Unit|unit of force]] and [[Energy]].", ["A unit of force and Energy."]),
        ("x[[1]] and [[1, 2], [3, 4]] are lists.", ["x[[1]] and [[1, 2], [3, 4]] are lists."]),
        ("![[plot.png]] A ==bright== idea %%secret%% stays. ^abc-1", ["A bright idea stays."]),
        ("%%\nhidden\n\nlines\n%%\n\nShown.", ["Shown."]),
        ("Said.[^n] Again^[in short].\n\n[^n]: In a book.", ["Said. Again (in short).", "In a book."]),
        ("> [!NOTE]\n> Mind this.", ["Mind this."]),
        ('??? question "Why?"\n    Because.\n\n    It is so.', ["Why?", "Because.", "It is so."]),
        ("::: {.callout-tip title=\"Hint\"}\nLook up.\n:::", ["Hint", "Look up."]),
        ("::: notes\n- one\n:::\n- two\n\n\\bigskip\n\nA `\\tiny`{=tex} b.", ["- one", "- two", "A b."]),
        ("```{admonition} Remember\n:class: tip\nBreathe.\n```", ["Remember", "Breathe."]),
        ("Term\n: what it means", ["Term: what it means"]),
        ("- [ ] open\n- [x] done", ["- open\n- done"]),
        ("{% include menu.html %}\nText {{ site.url }}.", ["Text."]),
        ("Seen{% note 1 'It was *so* dark.' %} by us.\n\nMore.", ["Seen by us.", "It was so dark.", "More."]),
        ("So [@doe2020, p. 3] says.", ["So (Doe 2020, p. 3) says."]),
        ("2^10^ and H~2~O, a^2 + b^2", ["2^10 and H_2O, a^2 + b^2"]),
        ("a map<int> or if i<n, n>0: set<T> &amp; a<b>c", ["a map<int> or if i<n, n>0: set<T> & a<b>c"]),
        ("<https://a.org/x> a<br/>b 3<sup>2</sup> x<sub>i</sub> 1<sup>st</sup>", ["https://a.org/x a b 3^2 x_i 1st"]),
        ("<style>\n.a { b: c }\n\n.d { e: f }\n</style>\n\n<script>\nx()\n</script>\n\nText.", ["Text."]),
        ("<details><summary>More</summary>\n\nInside *it*.\n\n</details>", ["More", "Inside it."]),
        ("An open <!-- comment\n\nhides nothing.", ["An open <!-- comment", "hides nothing."]),
        ("<!-- a\n\n```\nb\n```\n-->\n\nText.", ["Text."]),
    ],
)  # fmt: skip
def test_text_without_its_markup(tmp_path: Path, text: str, right: list[str]) -> None:
    assert texts(tmp_path, text) == right


def test_tables_in_html_have_cells(tmp_path: Path) -> None:
    table = "<table>\n<tr><th>Unit</th><th colspan=2>Sign</th></tr>\n\n<tr><td>m<td>n</td><td>a|b</td></tr></table>"
    assert texts(tmp_path, table) == ["| Unit | Sign | |\n|---|---|---|\n| m | n | a\\|b |"]


@pytest.mark.parametrize(
    ("text", "title", "right"),
    [
        ("---\ntitle: Heat\n---\nText.", "Heat", ["Text."]),
        ('+++\ntitle = "Light"\n+++\nText.', "Light", ["Text."]),
        ('{"title": "Sound"}\n\nText.', "Sound", ["Text."]),
        ("---\ntitle: Work: a force\n---\nText.", "Work: a force", ["Text."]),
        ("---\nA first part.\n\n---\nA second.", "a", ["A first part.", "A second."]),
        ("---\n\nOnly a rule.", "a", ["Only a rule."]),
        ("{x | x > 0} is a set.", "a", ["{x | x > 0} is a set."]),
    ],
)
def test_what_is_above_the_text(tmp_path: Path, text: str, title: str, right: list[str]) -> None:
    assert texts(tmp_path, text) == right
    assert read_markdown(tmp_path / "a.md")[0] == title


def test_attributes_of_kramdown_and_its_nameless_references(tmp_path: Path) -> None:
    text = (
        'A **stamen**{: data-type="term" .bold} bears pollen ([\\[link\\]](#fig-3)). See *anther*{:.x}, `x`{:.y}.\n\n'
        "![A flower](a.jpg){: #fig-3}\n\nA set {: x} of braces."
    )
    found = texts(tmp_path, text)
    assert found[0] == "A **stamen** bears pollen. See anther, `x`."
    assert found[-1] == "A set {: x} of braces."
    assert not any("fig-3" in part for part in found)


def test_code_that_a_sentence_runs_is_its_name_or_left_out(tmp_path: Path) -> None:
    text = (
        "# Task `r n <- n + 1; n`: Ropes\n\nUse `r ref(\"Winch\", index = TRUE)` or `r pkg::code('haul()')`. "
        "It holds `r round(load, 2)` tons, or `{python} load`. An `r` alone and `rope 3` stay.\n"
    )
    path = tmp_path / "a.md"
    path.write_text(text)
    assert read_markdown(path)[0] == "Task : Ropes"
    assert texts(tmp_path, text) == [
        "Use `Winch` or `haul()`. It holds […] tons, or […]. An `r` alone and `rope 3` stay."
    ]


def test_links_whose_address_is_in_another_file_are_their_text(tmp_path: Path) -> None:
    text = "# Knots[[all-knots]]\n\n"
    text += "See [the bowline][bowline] and [a hitch][here].\n\nIn `a[i][j]` and x[i][j].\n\n[here]: b.md\n"
    assert texts(tmp_path, text) == ["See the bowline and a hitch.", "In `a[i][j]` and x[i][j]."]
    assert read_markdown(tmp_path / "a.md")[0] == "Knots"


def test_a_line_break_of_kramdown_is_no_text(tmp_path: Path) -> None:
    text = 'Balance this:* * *\n{: data-type="newline"}\n\nIron and rust.\n\n* * *\n\nThe end.'
    assert texts(tmp_path, text) == ["Balance this:", "Iron and rust.", "The end."]


def test_markdown_right_behind_a_tag_that_asks_for_it(tmp_path: Path) -> None:
    text = '<div class="solution" markdown="1">\n1\\.50 kHz, that is *much*\n\n- one\n- two\n</div>'
    assert texts(tmp_path, text) == ["1.50 kHz, that is much", "- one\n- two"]


def test_markdown_behind_a_closing_tag_and_brackets_that_hold_html(tmp_path: Path) -> None:
    note = '<div class="note" markdown="1">\n<div class="title">\nAnswer:\n</div>\n151\\.16 amu\n\n</div>'
    assert texts(tmp_path, note)[-1] == "151.16 amu"
    found = texts(tmp_path, "The ion \\[Ag(CN)<sub>2</sub>\\]<sup>-</sup> plates silver.")
    assert found == ["The ion [Ag(CN)_2]^- plates silver."]


def test_a_blank_line_inside_a_table_of_html_ends_nothing(tmp_path: Path) -> None:
    cell = '<td>\n\n      <math display="block">\n\n        <mrow>\n\n          <mi>x</mi></mrow></math></td>'
    table = f"<table>\n  <tr><th>Name</th><th>Sign</th></tr>\n\n  <tr>\n\n    <td>width</td>{cell}</tr>\n</table>"
    found = texts(tmp_path, f"Above.\n\n{table}\n\nBelow *it*.")
    assert found == ["Above.", "| Name | Sign |\n|---|---|\n| width | $$x$$ |", "Below it."]


def test_a_sentence_goes_on_behind_its_formula(tmp_path: Path) -> None:
    x, y = "<math><mi>x</mi></math>", "<math><mi>y</mi></math>"
    text = f"A length {x}\n\n  , a width {y}\n\n and more.\n\nThen {x}\n\nNew."
    assert texts(tmp_path, text) == ["A length $x$, a width $y$ and more.", "Then $x$", "New."]


def test_headings_without_their_attributes(tmp_path: Path) -> None:
    path = tmp_path / "a.qmd"
    path.write_text("# Heat {#sec-heat .unnumbered}\n\n## The $Q$ of `x`\n\nText.")
    assert READERS[".qmd"](path)[1][0].heading == ("Heat", "The $Q$ of `x`")


@pytest.mark.parametrize(
    "text",
    ["<table>\n\n" * 20_000, "<math><ul>\n\n" * 10_000,
     "<!-- x\n" * 20_000, "[" * 30_000, "$$ a\n" * 20_000, "{% x " * 20_000, "%%\n" * 20_001, "[@a" * 20_000,
     "[^a" * 20_000 + "\n\n[^x]: y" * 2_000,
     "<div>" * 5_000, "> " * 5_000, "```{note}\n" * 5_000],
)  # fmt: skip
def test_openers_without_an_end_take_no_time(tmp_path: Path, text: str) -> None:
    read(tmp_path, "Text.")
    begun = time.process_time()
    read(tmp_path, text)
    assert time.process_time() - begun < 2.5


def test_html_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<html><head><title>Rings</title><style>p{}</style></head><body><nav>Menu</nav><h1>Rings</h1><p>A <b>ring</b>"
        " is a set.<ol start=3><li>one<ul><li>two</ul><li>three</ol><div class='highlight-python'><pre>x = 1</pre>"
        "</div></body></html>"
    )
    title, (section,) = READERS[".html"](path)
    assert (title, section.heading) == ("Rings", ("Rings",))
    assert [(block.kind, block.text, block.language) for block in section.blocks] == [
        ("text", "A **ring** is a set.", None),
        ("text", "3. one\n  - two\n4. three", None),
        ("code", "x = 1", "python"),
    ]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Water boils early, after [@berg1999, p. 3].", "Water boils early, after (Berg 1999, p. 3)."),
        ("Water boils early on mountains [@tal02; @berg1999].", "Water boils early on mountains."),
        ("• one\n• two of `a•b`", "- one\n- two of `a•b`"),
        ("It was seen ([see @berg1999; also @tal02, ch. 1]) twice.", "It was seen twice."),
        ("As @berg1999 [p. 3] says, and @Tal_2004a too.", "As Berg (1999) says, and Tal (2004) too."),
        ("See @fig-curve and @tal02 for it.", "See fig-curve and tal02 for it."),
        ("Write to ann@example.org or [@ann](https://a.org); `@cache` and A @ B stay, and @property does.",
         "Write to ann@example.org or @ann; `@cache` and A @ B stay, and @property does."),
        ("$x @ y_1$ and [x@y1] stay.", "$x @ y_1$ and [x@y1] stay."),
        ("% not for readers\nText with 5 % of it.\n% nor this", "Text with 5 % of it."),
        ("A share of 100\n% is all of it.", "A share of 100 % is all of it."),
        ("```\n% TeX\n```", "% TeX"),
    ],
)  # fmt: skip
def test_citations_and_comments(tmp_path: Path, text: str, right: str) -> None:
    assert texts(tmp_path, text) == [right]


def test_the_title_above_a_text_of_pandoc(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("% Light and shade\n% Ann Bell\n% 2020\n\nShade is the absence of light.\n")
    title, sections = read_markdown(path)
    assert (title, [section.text for section in sections]) == ("Light and shade", ["Shade is the absence of light."])


@pytest.mark.parametrize(
    "text",
    [
        "[Previous](a.md) | [Next](b.md)",
        "« [Lesson 1](1.md) | [Home](index.md) | [Lesson 3](3.md) »",
        "[← Previous: Lists](a.md) · [Next: Trees →](b.md)",
        "Previous | Next",
        "Back to top",
        "[Edit this page on GitHub](https://github.com/a/b)",
        "[Home](/) › [Course](/c) › Lesson 2",
        "[Zurück](a.md) | [Weiter](b.md)",
        "[Up](../index.md)",
        "Last updated: 2024-02-03",
        "[Open in Colab](https://colab.research.google.com/a)",
    ],
)
def test_lines_that_lead_elsewhere_are_no_text(tmp_path: Path, text: str) -> None:
    assert texts(tmp_path, f"A stack grows at its top.\n\n{text}\n\nIt shrinks there too.") == [
        "A stack grows at its top.", "It shrinks there too.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "The top | of a stack",
        "Next: the proof.",
        "Back to the problem of the previous chapter.",
        "[A paper on stacks](https://a.org)",
        "Home > Settings > Privacy",
        "The next element is the previous one of the last.",
        "Edit",
    ],
)
def test_text_that_names_directions_stays(tmp_path: Path, text: str) -> None:
    assert texts(tmp_path, text) == [text.replace("[A paper on stacks](https://a.org)", "A paper on stacks")]


def test_what_goes_on_below_code_in_a_list_begins_at_the_margin(tmp_path: Path) -> None:
    text = "1. Read it:\n\n   ```c\n   int y;\n   ```\n\n   Then go on.\n\n"
    text += "   * Look at it:\n\n     ```c\n     y++;\n     ```\n\n     Once more.\n   * Stop.\n\n2. Close it."
    assert texts(tmp_path, text) == [
        "1. Read it:", "int y;", "Then go on.\n- Look at it:", "y++;", "Once more.\n  - Stop.\n2. Close it.",
    ]  # fmt: skip


def test_the_contents_of_a_page_are_left_out(tmp_path: Path) -> None:
    text = "# Contents\n\n- [One](#one)\n  - [Two](#two)\n- [Three](#three)\n\n# One\n\n- [A paper](b.pdf)\n"
    text += "- [Two](#two) is next"
    assert texts(tmp_path, text) == ["- A paper\n- Two is next"]


@pytest.mark.parametrize(
    "text",
    [
        "```{index} single: Queue; ends\n```",
        "```{r setup, include=FALSE}\nlibrary(ggplot2)\n```",
        "```{python}\n#| label: setup\n#| include: false\nimport os\n```",
        '```{r, out.width="50%"}\nknitr::include_graphics(file.path("a", "b.png"), dpi = 270)\n```',
    ],
)
def test_fences_for_the_program_alone_are_no_text(tmp_path: Path, text: str) -> None:
    assert texts(tmp_path, f"One.\n\n{text}\n\nTwo.") == ["One.", "Two."]


@pytest.mark.parametrize(
    "text",
    [
        "slack water\n: the short time in which\n  a tide turns\n{: #term-1}\n\nneap tide\n: the lowest high tide\n^",
        "```{glossary}\nslack water\n  the short time in which\n  a tide turns\n\n"
        "neap tide\n  the lowest high tide\n```",
        "<dl><dt>slack water</dt><dd>the short time in which a tide turns</dd><dt>neap tide:</dt>"
        "<dd>the lowest high tide</dd></dl>",
    ],
)
def test_an_entry_of_a_definition_list_is_marked_as_one(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"# Terms\n\n{text}\n\nA sentence.") == [
        Block("text", "slack water: the short time in which a tide turns", role=ENTRY),
        Block("text", "neap tide: the lowest high tide", role=ENTRY),
        Block("text", "A sentence."),
    ]


def test_two_names_of_one_entry_of_a_glossary_stay_together(tmp_path: Path) -> None:
    text = "```{glossary}\nquay\nwharf\n  A wall at which ships lie.\n```"
    assert texts(tmp_path, text) == ["quay (wharf): A wall at which ships lie."]
