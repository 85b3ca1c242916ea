"""Accuracy and speed of reading PDFs.

Each `NAME.pdf` below MLX_TUTOR_BENCH_DATA/pdf has beside it a `NAME.txt` with the text that a perfect reader would
give, one paragraph a line. Words are compared as multisets after NFKC, hyphens taken out; boundaries are
the words after which a paragraph ends, aligned by difflib. Without the data, only speed on the sample course.

    python -m tests.benchmarks.bench_extract
"""

import json
import re
import time
import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from mlx_tutor.extract import READERS
from tests.benchmarks.data import ROOT, find_data


def split_words(paragraph: str) -> list[str]:
    """Words of one paragraph as they are compared."""
    text = unicodedata.normalize("NFKC", paragraph).replace("-", "").replace("\u2010", "").replace("\u00ad", "")
    return re.sub(r"(?m)^\s*(?:[•*]|\d+\.)\s+", "", text).split()


def score(paragraphs: list[str], reference: list[str]) -> dict[str, float]:
    """Word recall and precision, and F1 of the paragraph boundaries."""
    found, wanted = [split_words(p) for p in paragraphs], [split_words(p) for p in reference]
    words, expected = [w for p in found for w in p], [w for p in wanted for w in p]
    common = (Counter(words) & Counter(expected)).total()
    blocks = SequenceMatcher(None, words, expected, autojunk=False).get_matching_blocks()
    place = {b.a + i: b.b + i for b in blocks for i in range(b.size)}
    ends, expected_ends = ({sum(map(len, p[:i])) - 1 for i in range(1, len(p) + 1)} for p in (found, wanted))
    hits = sum(1 for end in ends if place.get(end) in expected_ends)
    return {
        "recall": common / len(expected),
        "precision": common / len(words),
        "boundary_f1": 2 * hits / (len(ends) + len(expected_ends)),
    }


def read_paragraphs(path: Path) -> list[str]:
    """Headings and blocks in reading order."""
    _, sections = READERS[".pdf"](path)
    paragraphs: list[str] = []
    open_path: tuple[str, ...] = ()
    for section in sections:
        paragraphs += [title for title in section.heading if title not in open_path]
        open_path = section.heading
        paragraphs += [line for block in section.blocks for line in block.text.split("\n")]
    return paragraphs


def main() -> None:
    folder = find_data("pdf")
    paths = sorted((folder or ROOT / "corpora" / "sample" / "sources").glob("*.pdf"))
    results: dict[str, Any] = {}
    pages = 0
    begun = time.perf_counter()
    for path in paths:
        from pypdf import PdfReader

        pages += len(PdfReader(path).pages)
        paragraphs = read_paragraphs(path)
        if folder is not None:
            text = path.with_suffix(".txt").read_text(encoding="utf-8")
            reference = [p for p in text.splitlines() if p.strip()]
            results[path.name] = score(paragraphs, reference)
    seconds = time.perf_counter() - begun
    print(json.dumps({"benchmark": "extract", "pages_per_second": pages / seconds, "files": results}, indent=2))


if __name__ == "__main__":
    main()
