"""Markdown of a lecture, from its title to its tables."""

from pathlib import Path

import pytest

from mlx_tutor.extract.markdown import add_markdown, read_markdown
from mlx_tutor.extract.sections import SectionBuilder

LECTURE = """---
title: "Lecture 3"
---
# Regression
:label:`sec_reg`

Some *emphasis*, a [link](http://x.y) and a **bold
term** with $a_1 * b_1 * c$ stay <b>readable</b>. ![plot](p.png)

## Steps

1. Fit.
2. Look at `r2`.
   - inner

$$
y = Xb
$$

```{.python .input}
#@tab all
x = 1
```

```{note}
A boxed remark.
```

::: {exercise-start}
:label: first-exercise
:class: dropdown
:::

:warning: Ask.

+++

| a | b |
|---|---|
| 1 | 2 |

<!-- hidden -->
"""


def test_markdown(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(LECTURE)
    title, sections = read_markdown(path)
    assert title == "Lecture 3"
    assert [section.heading for section in sections] == [("Regression",), ("Regression", "Steps")]
    assert sections[0].text == "Some emphasis, a link and a **bold term** with $a_1 * b_1 * c$ stay **readable**."
    blocks = [(block.kind, block.text) for block in sections[1].blocks]
    assert blocks == [
        ("text", "1. Fit.\n2. Look at `r2`.\n  - inner"),
        ("text", "$$ y = Xb $$"),
        ("code", "x = 1"),
        ("text", "A boxed remark."),
        ("text", ":warning: Ask."),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("see :numref:`fig_x`.", "see."),
        ("the {term}`odds ratio <odds>` here", "the odds ratio here"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("costs $5 or $6", "costs $5 or $6"),
        ("__strong__ and _weak_", "**strong** and weak"),
        ("a \\* b", "a * b"),
    ],
)
def test_inline_markup(text: str, clean: str) -> None:
    builder = SectionBuilder()
    add_markdown(builder, text)
    assert [block.text for block in builder.blocks] == [clean]
