"""What only lays a page or a slide out is no text; what stands in it is."""

from pathlib import Path

import pytest

from mlx_tutor.extract.markdown import read_markdown
from mlx_tutor.records import Block


def read(tmp_path: Path, text: str) -> list[Block]:
    (tmp_path / "a.md").write_text(text)
    return [block for section in read_markdown(tmp_path / "a.md")[1] for block in section.blocks]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        # Contents, abbreviations, authors of quotes, areas of slides, icons.
        ("[TOC]\n\nTin melts early.", ["Tin melts early."]),
        ("* TOC\n{:toc}\n\nTin melts early.", ["Tin melts early."]),
        ("An SVG is a drawing.\n\n*[SVG]: Scalable Vector Graphics", ["An SVG is a drawing."]),
        ("> [name=Eve] It rained.", ["It rained."]),
        ("::left::\n\nTin is soft.\n\n::right::\n\nIron is hard.", ["Tin is soft.", "Iron is hard."]),
        ("Go :material-arrow-left: to the left :octicons-x-16:{ .big }.", ["Go to the left."]),
        # Logseq and Obsidian.
        ("tags:: metal\n\n- Tin is soft.\n  id:: 64f0a111-aaaa\n  collapsed:: true", ["- Tin is soft."]),
        ("std::vector and key:: value stay.", ["std::vector and key:: value stay."]),
        # kramdown.
        ("Tin is soft.\n\n{::comment}\nask Bob\n{:/comment}\n\n{::nomarkdown}x{:/}", ["Tin is soft.", "x"]),
        # PyMdown and CriticMarkup.
        ("/// tip | Melting\nTin melts early.\n///", ["Melting", "Tin melts early."]),
        ("Press ++ctrl+c++ in C++ or ++esc++; ^^new^^ too.", ["Press ctrl+c in C++ or esc; new too."]),
        ("C++11 and C++14 differ.", ["C++11 and C++14 differ."]),
        ("It is {--hot--}{++cold++}, {~~thin~>thick~~} {>>sure?<<}and {==grey==}.", ["It is cold, thick and grey."]),
        # Pictures with attributes, and captions.
        ("![](a.png){width=40%}\n\n: Metals by weight", ["Metals by weight"]),
        ("![Tin melts at $t_m$](a.png){#fig-tin width=40%}", ["Tin melts at $t_m$"]),
        ("![Only for the blind](a.png)\n\nTin.", ["Tin."]),
        # bookdown.
        ("See Figure \\@ref(fig:tin) for tin.\n\n(ref:tin) A *caption*", ["See Figure for tin."]),
        # Quarto's pause, Pandoc's own numbers, verse and examples.
        ("Tin.\n\n. . .\n\nIron.", ["Tin.", "Iron."]),
        ("#. melt\n#. cast", ["1. melt\n2. cast"]),
        ("| Roses are red,\n|   violets blue.", ["Roses are red, violets blue."]),
        ("(@)  Tin melts.\n(@hot)  Iron glows.\n\nAs (@hot) says, at (@here).",
         ["1. Tin melts.\n2. Iron glows.", "As (2) says, at (@here)."]),
        # Citations without the name.
        ("Berg found it [-@berg1999].", ["Berg found it (1999)."]),
    ],
)  # fmt: skip
def test_layout_goes_and_text_stays(tmp_path: Path, text: str, right: list[str]) -> None:
    assert [block.text for block in read(tmp_path, text)] == right


def test_tabs_and_boxes_of_mkdocs_hold_code(tmp_path: Path) -> None:
    text = (
        '=== "Bash"\n\n    ```sh\n    ls\n    ```\n\n=== "Fish"\n\n    Use `ls`.\n\n!!! note inline end\n    Or `dir`.'
    )
    assert [(block.kind, block.text, block.language) for block in read(tmp_path, text)] == [
        ("text", "Bash", None),
        ("code", "ls", "sh"),
        ("text", "Fish", None),
        ("text", "Use `ls`.", None),
        ("text", "Or `dir`.", None),
    ]


def test_slides_of_remark_have_no_headings_of_dashes(tmp_path: Path) -> None:
    text = (
        "class: middle\n\n# Ores\n\n.left[\nAn ore holds .red[metal].\n]\n- mined\n--\n- melted\n---\nname: tin\n"
        "# Tin\n\nTin is soft.\n\n???\nShow the bar.\n"
    )
    (tmp_path / "a.Rmd").write_text(text)
    _, sections = read_markdown(tmp_path / "a.Rmd")
    assert [(section.heading, [block.text for block in section.blocks]) for section in sections] == [
        (("Ores",), ["An ore holds metal.", "- mined", "- melted"]),
        (("Tin",), ["Tin is soft.", "Show the bar."]),
    ]


def test_settings_of_one_slide_are_no_heading(tmp_path: Path) -> None:
    text = "# Tin\n\nTin is soft.\n\n---\nlayout: two-cols\nclass: x\n---\n\n# Iron\n\nIron is hard.\n"
    assert [block.text for block in read(tmp_path, text)] == ["Tin is soft.", "Iron is hard."]


def test_a_tag_of_obsidian_is_no_part_of_a_heading(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Tin #metal/soft #exam\n\nTin is soft.\n\n## Exercise #3\n\nMelt it.")
    _, sections = read_markdown(tmp_path / "a.md")
    assert [section.heading for section in sections] == [("Tin",), ("Tin", "Exercise #3")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```rust\n# fn main() {\n#[derive(Debug)]\nlet a = 1;\n# }\n```", "#[derive(Debug)]\nlet a = 1;"),
        ("```python\nx = 1 # (1)!\ny = 2  # <2>\n```", "x = 1\ny = 2"),
        ("```js\n// highlight-next-line\nlet a = 1;\n```", "let a = 1;"),
        ("```dataview\nLIST FROM #metal\n```\n\n```sql\nSELECT 1\n```", "SELECT 1"),
    ],
)
def test_code_is_what_a_page_shows(tmp_path: Path, text: str, code: str) -> None:
    assert [block.text for block in read(tmp_path, text)] == [code]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Let $`a*b*c`$ be.", "Let $a*b*c$ be."),
        (r"Let \\(a_1 * b_1 * c\\) be.", "Let $a_1 * b_1 * c$ be."),
        ("\\\\[\nu_1\n- v_1\n\\\\]", "$$ u_1 - v_1 $$"),
        ("{{< katex >}}\\(a_1\\){{< /katex >}}", "$a_1$"),
    ],
)
def test_formulas_that_other_sites_write(tmp_path: Path, text: str, right: str) -> None:
    assert [block.text for block in read(tmp_path, text)] == [right]


def test_tables_that_myst_writes_as_lists_or_as_csv(tmp_path: Path) -> None:
    text = (
        "```{list-table} Metals\n:header-rows: 1\n\n* - Name\n  - Melts at\n* - Tin\n  - $232$ °C\n```\n\n"
        '```{csv-table}\n:header: "Name", "Kind"\n\nTin, "soft, grey"\n```'
    )
    assert [(block.kind, block.text) for block in read(tmp_path, text)] == [
        ("text", "Metals"),
        ("table", "| Name | Melts at |\n|---|---|\n| Tin | $232$ °C |"),
        ("table", "| Name | Kind |\n|---|---|\n| Tin | soft, grey |"),
    ]


def test_theorems_have_their_names_and_hints_no_style(tmp_path: Path) -> None:
    text = (
        '::: {.theorem #thm:eu name="Euclid"}\nPrimes never end.\n:::\n\n'
        '```{lemma, a, name="Gauss"}\nIt holds.\n```\n\n{% hint style="info" %}\nTin is soft.\n{% endhint %}'
    )
    assert [block.text for block in read(tmp_path, text)] == [
        "Euclid",
        "Primes never end.",
        "Gauss",
        "It holds.",
        "Tin is soft.",
    ]
