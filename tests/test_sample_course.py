"""The sample course is whole, and its made files are what their sources give."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlx_tutor.extract.extract import read_source
from mlx_tutor.extract.sources import list_sources
from mlx_tutor.workspace import Course

ROOT = Path(__file__).parent.parent
# The six domains of the course and the file that introduces each.
DOMAINS = {
    "machine-learning.md": "Machine learning",
    "big-data-systems.md": "Big data systems",
    "business-statistics.pdf": "Business statistics",
    "data-visualization.pdf": "Data visualization",
    "business-analytics.md": "Business analytics",
    "prescriptive-analytics.pdf": "Prescriptive analytics: from a forecast to a decision",
}


@pytest.mark.parametrize("program", ["make_pdfs.py", "make_notebooks.py"])
def test_made_files_are_what_their_sources_give(program: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "corpora" / "sample" / program), "--check"], check=True)


def test_the_course_has_all_formats_and_enough_to_read() -> None:
    sources = list_sources(Course(ROOT, "sample")).known.values()
    entries = [read_source(path, path.name)[0] for path in sources]
    assert [entry["reason"] for entry in entries] == [None] * len(entries)
    suffixes = [path.suffix for path in sources]
    assert all(suffixes.count(suffix) >= least for suffix, least in ((".pdf", 3), (".ipynb", 3), (".md", 4)))
    assert sum(entry["words"] for entry in entries) >= 11_000


def test_the_course_covers_six_domains_in_many_sections() -> None:
    sources = list_sources(Course(ROOT, "sample")).known.values()
    documents = {path.name: read_source(path, path.name)[1] for path in sources}
    titles = {name: document.title for name, document in documents.items() if document and name in DOMAINS}
    assert titles == DOMAINS
    headings = [section.heading for document in documents.values() if document for section in document.sections]
    assert len(set(headings)) >= 90


def test_the_handout_breaks_words_and_extraction_mends_them() -> None:
    path = ROOT / "corpora" / "sample" / "sources" / "prescriptive-analytics.pdf"
    from pypdf import PdfReader

    raw = "\n".join(page.extract_text() for page in PdfReader(path).pages)
    assert "objec-\ntive" in raw
    document = read_source(path, path.name)[1]
    assert document is not None
    text = "\n".join(section.text for section in document.sections)
    assert "objective" in text and "objec-" not in text
