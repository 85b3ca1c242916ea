"""Formulas of web pages: what stands above, below or under a root is still there when the page is text."""

from pathlib import Path

import pytest

from mlx_tutor.extract.webpage import read_html


@pytest.mark.parametrize(
    ("math", "latex"),
    [
        ("<mi>x</mi><mo>=</mo><mfrac><mn>38</mn><mn>130</mn></mfrac>", r"x = \frac{38}{130}"),
        ("<msup><mi>e</mi><mrow><mo>-</mo><mi>x</mi></mrow></msup>", "e^{- x}"),
        ("<msub><mi>H</mi><mn>0</mn></msub><mo>:</mo><mi>p</mi>", "H_0 : p"),
        ("<mn>2</mn><mo>.</mo><mn>37</mn><mi>N</mi>", "2.37 N"),
        ("<mn>4</mn><mtext>.</mtext><mtext>25ºC</mtext>", r"4.25\text{ºC}"),
        ("<msqrt><mi>a</mi><mo>+</mo><mi>b</mi></msqrt>", r"\sqrt{a + b}"),
        ("<mroot><mi>a</mi><mn>3</mn></mroot>", r"\sqrt[3]{a}"),
        ("<mover><mi>X</mi><mo>¯</mo></mover>", r"\bar{X}"),
        ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>", "∑_{i = 1}^n"),
        (
            "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr></mtable>",
            r"\begin{matrix} 1 & 2 \end{matrix}",
        ),
        ("<mfenced><mi>a</mi><mi>b</mi></mfenced><mtext>cost</mtext>", r"(a, b) \text{cost}"),
        ("<semantics><mi>y</mi><annotation encoding='StarMath 5.0'>size 12{y}</annotation></semantics>", "y"),
        ("<semantics><mi>y</mi><annotation encoding='application/x-tex'>\\vec y</annotation></semantics>", r"\vec y"),
    ],
)
def test_mathml_becomes_latex(math: str, latex: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<h1>Sums</h1><p>So <math>{math}</math> holds.</p>")
    _, [section] = read_html(tmp_path / "page.html")
    assert section.blocks[0].text == f"So ${latex}$ holds."


def test_a_displayed_formula_is_set_off(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        "<h1>Sums</h1><p>The sum is</p><div data-type='equation'><math><mi>s</mi><mo>=</mo><mi>a</mi></math></div>"
        "<p><math display='block'><mi>t</mi></math></p>"
    )
    _, [section] = read_html(tmp_path / "page.html")
    assert [block.text for block in section.blocks] == ["The sum is", "$$s = a$$", "$$t$$"]
