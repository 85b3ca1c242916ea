"""Notebooks: text, code, and what the code printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.notebook import cut_output, read_notebook


def make_notebook(cells: list[dict[str, Any]], version: int = 4) -> str:
    return json.dumps({"nbformat": version, "nbformat_minor": 2, "metadata": {}, "cells": cells})


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": source, "outputs": list(outputs)}


def test_notebook(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    stream = {"output_type": "stream", "name": "stdout", "text": ["3\n", "4\n"]}
    noise = {"output_type": "stream", "name": "stderr", "text": "warning"}
    picture = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": "xx", "text/plain": "<Figure size 1x1>"},
    }
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["\x1b[31mlong"]}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Sums\n\nText."},
        code("print(1 + 2)", stream, noise, picture),
        code("fail()", error),
    ]
    path.write_text(make_notebook(cells))
    title, (section,) = read_notebook(path)
    assert title == "Sums"
    assert [(block.kind, block.text, block.cell) for block in section.blocks] == [
        ("text", "Text.", 1),
        ("code", "print(1 + 2)", 2),
        ("output", "3\n4", 2),
        ("code", "fail()", 3),
        ("output", "ValueError: no", 3),
    ]


def test_a_notebook_of_version_3(tmp_path: Path) -> None:
    sheet = {"cells": [{"cell_type": "code", "language": "python", "input": ["x = 1"], "outputs": [], "metadata": {}}]}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [sheet]}))
    _, (section,) = read_notebook(path)
    assert section.blocks[0].text == "x = 1"


def test_long_output_is_cut_with_a_count() -> None:
    text = "\n".join(str(i) for i in range(1000))
    cut = cut_output(text)
    assert len(cut) < 2100
    kept = cut.split("\n")[:-1]
    assert cut.endswith(f"[... {1000 - len(kept)} more lines]")


@pytest.mark.parametrize(
    ("text", "reason"), [("", "empty"), ("{", "not a notebook"), ("[1]", "not a valid"), (make_notebook([]), "empty")]
)
def test_broken_notebooks_have_a_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(CorpusError, match=f"^{reason}"):
        read_notebook(path)


def read_cells(tmp_path: Path, *cells: dict[str, Any], **metadata: Any) -> list[tuple[str, str, str | None]]:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": metadata, "cells": list(cells)}))
    return [(block.kind, block.text, block.language) for section in read_notebook(path)[1] for block in section.blocks]


def result(**data: str) -> dict[str, Any]:
    names = {"markdown": "text/markdown", "latex": "text/latex", "html": "text/html", "plain": "text/plain"}
    content = {names.get(kind, kind): text for kind, text in data.items()}
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": content}


def test_output_is_what_a_terminal_shows(tmp_path: Path) -> None:
    pieces = ["\x1b[1;31m10%\x1b[0m\r", "20% x\r", "done\n", "ab\b\bc\n\x1b]0;title\x07end\r\n"]
    streams = [{"output_type": "stream", "name": "stdout", "text": piece} for piece in pieces]
    noise = {"output_type": "stream", "name": "stderr", "text": "warning"}
    found = read_cells(tmp_path, code("run()", streams[0], noise, *streams[1:]))
    assert found[1:] == [("output", "donex\ncb\nend", None)]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"plain": "<Figure size 640x480 with 1 Axes>"}, []),
        ({"plain": "[<matplotlib.lines.Line2D at 0x7f01a2b3c4d5>]"}, []),
        ({"plain": "Text(0.5, 1.0, 'Speed')"}, []),
        ({"plain": "(array([1., 2.]), array([0., 1.]), <BarContainer object of 2 artists>)"}, []),
        ({"plain": "Slider(value=1)", "application/vnd.jupyter.widget-view+json": "{}"}, []),
        ({"plain": "[1, 2] < [3]"}, [("output", "[1, 2] < [3]", None)]),
        ({"plain": "x**2", "latex": r"$\displaystyle x^{2}$"}, [("text", r"$\displaystyle x^{2}$", None)]),
        ({"plain": "<IPython.core.display.Markdown object>", "markdown": "*Hot* `x`"}, [("text", "Hot `x`", None)]),
        (
            {"plain": "<IPython.core.display.HTML object>", "html": "<table><tr><td>a<td>b</table>"},
            [("table", "| a | b |\n|---|---|", None)],
        ),
    ],
)
def test_results_are_kept_and_objects_are_not(tmp_path: Path, data: dict[str, str], shown: list[Any]) -> None:
    assert read_cells(tmp_path, code("x", result(**data)))[1:] == shown


def test_cells_are_of_the_language_of_their_kernel(tmp_path: Path) -> None:
    raw = {"cell_type": "raw", "metadata": {}, "source": "---\ntitle: Rates\n---\nA raw *note*."}
    found = read_cells(tmp_path, raw, code("x <- 1"), code("%%bash\nls"), kernelspec={"name": "ir", "language": "R"})
    assert found == [("text", "A raw note.", None), ("code", "x <- 1", "r"), ("code", "ls", "bash")]
    assert read_notebook(tmp_path / "a.ipynb")[0] == "Rates"
    assert read_cells(tmp_path, code("x = 1"), language_info={"name": "julia"})[0][2] == "julia"
    assert read_cells(tmp_path, code("x = 1"))[0][2] == "python"


def read_blocks(tmp_path: Path, *cells: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    (tmp_path / "n.ipynb").write_text(make_notebook(list(cells)))
    _, sections = read_notebook(tmp_path / "n.ipynb")
    return [(block.kind, block.text, block.language) for section in sections for block in section.blocks]


def test_a_cell_may_be_in_another_language_or_none(tmp_path: Path) -> None:
    csharp = code("var a = 1;") | {"metadata": {"dotnet_interactive": {"language": "csharp"}}}
    found = read_blocks(
        tmp_path,
        code("%%writefile src/ice.c\nint t;"),
        code("%%bigquery df\nSELECT 1"),
        code("%sql\nSELECT 2"),
        code("%md\n# Ice\n**Ice** melts."),
        code("%%markdown\nIt is $x_1$."),
        code("%%time\nmelt()"),
        csharp,
        code("%sql SELECT 3"),
    )
    assert found == [
        ("code", "int t;", "c"),
        ("code", "SELECT 1", "sql"),
        ("code", "SELECT 2", "sql"),
        ("text", "**Ice** melts.", None),
        ("text", "It is $x_1$.", None),
        ("code", "%%time\nmelt()", "python"),
        ("code", "var a = 1;", "csharp"),
        ("code", "%sql SELECT 3", "python"),
    ]


def test_what_a_page_of_jupyter_book_does_not_show_is_not_read(tmp_path: Path) -> None:
    printed = {"output_type": "stream", "name": "stdout", "text": "7"}
    cells = [
        code(f"{name}()", printed) | {"metadata": {"tags": [tag]}}
        for name, tag in (("a", "remove-cell"), ("b", "remove_input"), ("c", "remove-output"), ("d", "hide-cell"))
    ]
    hidden = code("e()") | {"metadata": {"nbsphinx": "hidden"}}
    assert [text for _, text, _ in read_blocks(tmp_path, *cells, hidden)] == ["7", "c()", "d()", "7"]


def test_a_list_of_labels_of_a_plot_is_no_result(tmp_path: Path) -> None:
    result = {"output_type": "execute_result", "metadata": {}, "execution_count": 1}
    plain = {"data": {"text/plain": "[Text(0, 0, 'ice'),\n Text(1, 0, 'tin')]"}}
    assert read_blocks(tmp_path, code("ax.set_xticklabels(x)", result | plain)) == [
        ("code", "ax.set_xticklabels(x)", "python")
    ]
