"""The sample course is whole, and its made files are what their sources give."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlx_tutor.extract.extract import list_sources, read_source
from mlx_tutor.workspace import Course

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("program", ["make_pdfs.py", "make_notebooks.py"])
def test_made_files_are_what_their_sources_give(program: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "corpora" / "sample" / program), "--check"], check=True)


def test_the_course_has_all_formats_and_enough_to_read() -> None:
    sources, _ = list_sources(Course(ROOT, "sample"))
    entries = [read_source(path, path.name)[0] for path in sources]
    assert [entry["reason"] for entry in entries] == [None] * len(entries)
    suffixes = [path.suffix for path in sources]
    assert suffixes.count(".pdf") >= 1 and suffixes.count(".ipynb") >= 1 and suffixes.count(".md") >= 2
    assert sum(entry["words"] for entry in entries) >= 3000
