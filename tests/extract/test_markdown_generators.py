"""Markdown for the programs that make pages and books of it: Quarto, bookdown, mdBook, Hugo, Docusaurus, Pandoc."""

import time
from pathlib import Path

import pytest

from mlx_tutor.extract import READERS
from mlx_tutor.records import Block


def read(tmp_path: Path, text: str, name: str = "a.md") -> list[Block]:
    path = tmp_path / name
    path.write_text(text)
    return [block for section in READERS[path.suffix](path)[1] for block in section.blocks]


def texts(tmp_path: Path, text: str, name: str = "a.md") -> list[str]:
    return [block.text for block in read(tmp_path, text, name)]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (r"A lever\index{lever|see{\texttt{bar}}} has \index{arm!of a lever} two arms.", "A lever has two arms."),
        (
            r"It is \textbf{stiff} and \emph{light}, \href{http://a.b}{they say}.",
            "It is **stiff** and light, they say.",
        ),
        (r"Type \texttt{make} or \verb|run| in \LaTeX.", "Type `make` or `run` in LaTeX."),
        ("\\begin{center}\nA level beam rests.\n\\end{center}", "A level beam rests."),
        ("\\begin{itemize}\n\\item one arm\n\\item two arms\n\\end{itemize}", "- one arm\n- two arms"),
        ("\\newcommand{\\R}{\\mathbb{R}}\n\nThe line $\\R$.", r"The line $\R$."),
        ("$$\n\\newcommand{\\E}[1]{\\mathbb{E}[#1]}\n$$\n\nThe mean $\\E{x}$.", r"The mean $\E{x}$."),
        (r"In `\index{a}` and $\text{b}\index{c}$ all stays.", r"In `\index{a}` and $\text{b}\index{c}$ all stays."),
        ("$$\nk = 1 (\\#eq:k)\n$$", "$$ k = 1 $$"),
        # Mistyped, with one dollar for two.
        ("Let $$p(x)$ be and $$x \\in \\{a,b\\}$$ too.", "Let $p(x)$ be and $$x \\in \\{a,b\\}$$ too."),
    ],
)
def test_commands_of_tex(tmp_path: Path, text: str, right: str) -> None:
    assert texts(tmp_path, text) == [right]


TABLES = [
    (
        "  Gear     Teeth\n------  ---------\n   one         12\n two           30\n\n"
        "Table: Gears of a clock. {#tbl-gears}",
        ["| Gear | Teeth |\n|---|---|\n| one | 12 |\n| two | 30 |", "Gears of a clock."],
    ),
    ("-----  ----\nsteel   8.0\nwood    0.7\n-----  ----", ["| steel | 8.0 |\n|---|---|\n| wood | 0.7 |"]),
    (
        "-----------------------\n Name     What it\n          does\n------ ----------------\n"
        " wheel    turns and\n          turns\n\n"
        " belt     pulls\n-----------------------",
        ["| Name | What it does |\n|---|---|\n| wheel | turns and turns |\n| belt | pulls |"],
    ),
    (
        "+------+--------+\n| Gear | Cost   |\n+======+========+\n"
        "| one  | 2 EUR  |\n|      | apiece |\n+------+--------+\n| two  | 3      |\n+------+--------+",
        ["| Gear | Cost |\n|---|---|\n| one | 2 EUR apiece |\n| two | 3 |"],
    ),
    ("+----+----+\n| 齿轮 | 12 |\n+----+----+", ["| 齿轮 | 12 |\n|---|---|"]),
    ("| a | b |\n|---|---|\n| 1 | 2 |\n\n: Two numbers {#tbl-two}", ["| a | b |\n|---|---|\n| 1 | 2 |", "Two numbers"]),
    ("Head\n---- ----\n\nA rule and no table.", None),
]


@pytest.mark.parametrize(("text", "right"), TABLES)
def test_tables_that_pandoc_draws(tmp_path: Path, text: str, right: list[str] | None) -> None:
    assert texts(tmp_path, text) == right if right else "A rule and no table." in texts(tmp_path, text)


def test_what_quarto_shows_on_its_page(tmp_path: Path) -> None:
    text = (
        '# Heat\n\n::: {.content-visible when-format="pdf"}\nOn paper.\n:::\n\n'
        '::: {.content-hidden unless-format="html"}\nOn the page.\n:::\n\n'
        "::: {.callout-tip}\n## Measure it\nUse two sensors.\n:::\n\nIt flows. {.lead}\n"
    )
    [section] = READERS[".qmd"](_write(tmp_path, text, "a.qmd"))[1]
    assert section.heading == ("Heat",)
    assert [block.text for block in section.blocks] == ["On the page.", "Measure it", "Use two sensors.", "It flows."]


def _write(tmp_path: Path, text: str, name: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_labelled_parts_are_a_list(tmp_path: Path) -> None:
    assert texts(tmp_path, "1. Of a cube,\n   a) find the edge,\n   b) find the face.\n") == [
        "1. Of a cube,\n  a) find the edge,\n  b) find the face."
    ]
    assert texts(tmp_path, "- (a) Add\n- (b) Divide\n\n- plain\n") == ["(a) Add\n(b) Divide\n- plain"]
    assert texts(tmp_path, "Plan\na. is good, says\nthe author") == ["Plan a. is good, says the author"]


HUGO = [
    ('{{< highlight go "linenos=table" >}}\nx := 1\n{{< /highlight >}}', [("code", "x := 1")]),
    ("It takes {{< katex >}}O(n){{< /katex >}} steps.", [("text", "It takes $O(n)$ steps.")]),
    ("{{< katex display >}}\na_1\n+ b_2\n{{< /katex >}}", [("text", "$$a_1 + b_2$$")]),
    (
        '{{% notice info "Mind the step" %}}\nIt is high.\n{{% /notice %}}',
        [("text", "Mind the step"), ("text", "It is high.")],
    ),
    ('Read [this]({{< ref "heap.md" >}}) {{< icon "book" >}}now.', [("text", "Read this now.")]),
    ("{{%segment outline}}\n\nA {{ word }} stays out.", [("text", "A stays out.")]),
    ("{% raw %}Write {{ name }} in braces.{% endraw %}", [("text", "Write {{ name }} in braces.")]),
]


@pytest.mark.parametrize(("text", "right"), HUGO)
def test_tags_around_code_formulas_and_boxes(tmp_path: Path, text: str, right: list[tuple[str, str]]) -> None:
    assert [(block.kind, block.text) for block in read(tmp_path, text)] == right


def test_a_solution_that_unfolds(tmp_path: Path) -> None:
    [block] = read(tmp_path, '{{< expand "Solution" >}}\nThree swaps.\n{{< /expand >}}')
    assert block.role is not None and block.role.startswith("solution")


def test_mdx_is_read_without_its_javascript(tmp_path: Path) -> None:
    text = (
        "import Tabs from '@theme/Tabs';\nimport {A, B} from '../c';\n\nexport const Red = ({children}) => (\n"
        "  <b style={{color: 'red'}}>{children}</b>\n);\n\n# Queues\n\n{/* for authors */}\n\n"
        'A <Red deep={1}>queue</Red> and a <Mark>stack</Mark>, in order.\n\n<Tabs>\n<TabItem value="py">\n\n'
        "```python\nimport queue\n```\n\n</TabItem>\n</Tabs>\n\n<Chart data={[1, 2]} onClick={() => go('x')} />\n\n"
        ":::danger[Take care]\nNo index.\n:::\n\nUse `<Chart data={[1]} />` so.\n"
    )
    assert texts(tmp_path, text, "a.mdx") == [
        "A queue and a stack, in order.",
        "import queue",
        "Take care",
        "No index.",
        "Use `<Chart data={[1]} />` so.",
    ]


def test_python_at_the_margin_is_no_javascript(tmp_path: Path) -> None:
    assert texts(tmp_path, "import numpy as np from which all begins") == ["import numpy as np from which all begins"]


def test_files_that_a_program_puts_in_are_no_code(tmp_path: Path) -> None:
    text = (
        "```rust\n{{#include ../main.rs:here}}\n```\n\n{{#rustdoc_include b.rs}}\n\n"
        "```rust\n{{#include a.rs}}\nfn f() {}\n```\n\n"
        '--8<-- "part.md"\n\n@SQL.run(goals)\n'
    )
    assert texts(tmp_path, text) == ["fn f() {}"]


def test_spans_keep_their_text(tmp_path: Path) -> None:
    assert texts(tmp_path, "[Monitoring]{.red}\n\n1. [Who?]{.red}") == ["Monitoring", "1. Who?"]


def test_links_in_titles_and_behind_letters_of_other_scripts(tmp_path: Path) -> None:
    assert texts(tmp_path, "> [!tip] See [[#Set up|the setup]] first\n> It is short.") == [
        "See the setup first",
        "It is short.",
    ]
    assert texts(tmp_path, "من خلال و[[الرسم|عرض]] هنا") == ["من خلال وعرض هنا"]


def test_options_below_the_beginning_of_a_box(tmp_path: Path) -> None:
    assert texts(tmp_path, ":::{code-like}\n:highlight: html\n:width: 3\nSo it looks.\n:::") == ["So it looks."]


@pytest.mark.parametrize(
    "text",
    ["<a " * 20_000, "<a b={" * 10_000, "{{< x " * 10_000, "\\index{" * 10_000, "+--+\n" * 3000, "--- ---\n" * 3000],
)
def test_openers_of_generators_take_no_time(tmp_path: Path, text: str) -> None:
    begun = time.monotonic()
    read(tmp_path, f"Begin {text} end.\n\n{text}\n")
    assert time.monotonic() - begun < 5
