"""Broken PDFs and notebooks: readers give sections or a CorpusError, whatever the bytes are.

MLX_TUTOR_FUZZ=2000 tries so many of each instead of a hundred.
"""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from tests.extract.pdf_factory import draw_pdf, stack

# Where (as a share of the file), how many bytes go, and what comes in their place.
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12) | st.sampled_from(
        [b"0", b"-1", b"99999999999", b"(", b"<<", b"[" * 50, b" R", b"/", b"q " * 9, b" Tj", b" TJ", b"null", b"[]"]
    )),
    min_size=1,
    max_size=12,
)  # fmt: skip
fuzz = settings(
    max_examples=int(os.environ.get("MLX_TUTOR_FUZZ", "100")),
    deadline=timedelta(seconds=30),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def mutate(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for share, length, new in edits:
        at = int(share * len(data))
        data = data[:at] + new + data[at + length :]
    return data


def read(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        _, sections = READERS[path.suffix](path)
    except CorpusError as err:
        assert str(err)
        assert "\n" not in str(err)
    else:
        assert all(block.text.strip() for section in sections for block in section.blocks)


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    pages = [
        [(72, 80, 20, "Regression"), *stack(["A line is fitted to the", "points of a plot."]), (290, 810, 9, "1")],
        [(72, 80, 20, "Residuals"), *stack(["one", "two"]), *stack(["1", "2"], x=200)],
    ]
    folder = tmp_path_factory.mktemp("pdf")
    return [draw_pdf(folder / f"{packed}.pdf", pages, packed=packed).read_bytes() for packed in (True, False)]


@fuzz
@given(which=st.booleans(), edits=EDITS)
def test_mutated_pdfs(tmp_path: Path, pdfs: list[bytes], which: bool, edits: list[tuple[float, int, bytes]]) -> None:
    read(tmp_path / "a.pdf", mutate(pdfs[which], edits))


def make_notebook(version: int) -> bytes:
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": ["3"], "image/png": "xx"}}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Sums\n", "\n", "| a |\n", "|---|\n", "| 1 |"]},
        {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "1 + 2", "outputs": [output]},
    ]  # fmt: skip
    body = {"worksheets": [{"cells": cells}]} if version == 3 else {"cells": cells}
    return json.dumps({"nbformat": version, "nbformat_minor": 0, "metadata": {}, **body}).encode()


@fuzz
@example(version=4, edits=[(0.0156, 0, b" ")])
@given(version=st.sampled_from([3, 4]), edits=EDITS)
def test_mutated_notebooks(tmp_path: Path, version: int, edits: list[tuple[float, int, bytes]]) -> None:
    read(tmp_path / "a.ipynb", mutate(make_notebook(version), edits))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["cells", "cell_type", "source", "outputs", "output_type", "text", "data", "text/plain"]), inner
    ),
    max_leaves=12,
)  # fmt: skip


@fuzz
@example(cells=None, kind="code", source=None, outputs=[{"data": None}])
@given(cells=JSON, kind=st.sampled_from(["code", "markdown", "raw", None, 3]), source=JSON, outputs=JSON)
def test_notebooks_with_anything_inside(
    tmp_path: Path, cells: object, kind: object, source: object, outputs: object
) -> None:
    cell = {"cell_type": kind, "metadata": {}, "source": source, "outputs": outputs}
    for content in (cells, [cell], [cells, cell]):
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": content}
        read(tmp_path / "a.ipynb", json.dumps(notebook).encode())
