"""Run the notebooks of the sample course from notebook_sources/*.py: python corpora/sample/make_notebooks.py [--check]

Sources are in percent format. Each cell is really run; what it prints and the value of its last line are its outputs.
"""

import ast
import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

HERE = Path(__file__).parent


def run_cell(code: str, name: str, names: dict[str, Any], count: int) -> list[Any]:
    """What Jupyter would show below the cell: the printed text, then the value of a last expression."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value = None
    with redirect_stdout(printed):
        exec(compile(tree, name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)
    outputs = [new_output("stream", name="stdout", text=printed.getvalue())] if printed.getvalue() else []
    if value is not None:
        outputs.append(new_output("execute_result", data={"text/plain": repr(value)}, execution_count=count))
    return outputs


def make_notebook(source: Path) -> str:
    """The notebook as JSON; the same text every time."""
    cells = []
    names: dict[str, Any] = {}
    count = 0
    for number, part in enumerate(re.split(r"^# %%", source.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]):
        kind, _, body = part.partition("\n")
        if "markdown" in kind:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().split("\n"))
            cells.append(new_markdown_cell(text, id=f"cell-{number}"))
            continue
        count += 1
        outputs = run_cell(body, source.name, names, count)
        cells.append(new_code_cell(body.strip(), outputs=outputs, execution_count=count, id=f"cell-{number}"))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return str(nbformat.writes(new_notebook(cells=cells, metadata=kernel))) + "\n"


def main() -> None:
    for source in sorted((HERE / "notebook_sources").glob("*.py")):
        target = HERE / "sources" / f"{source.stem}.ipynb"
        text = make_notebook(source)
        if "--check" not in sys.argv:
            target.write_text(text, encoding="utf-8")
        elif target.read_text(encoding="utf-8") != text:
            sys.exit(f"{target.name} is not what {source.name} gives; run make_notebooks.py")


if __name__ == "__main__":
    main()
