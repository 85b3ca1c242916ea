"""Accuracy and speed of reading PDFs.

Each `NAME.pdf` below MLX_TUTOR_BENCH_DATA/pdf has beside it a `NAME.txt` with the text that a perfect reader would
give, one paragraph a line. Words are compared as multisets after NFKC, hyphens taken out; boundaries are
the words after which a paragraph ends, aligned by difflib. Without the data, only speed on the sample course.

    python -m tests.benchmarks.bench_extract

Where MLX_TUTOR_BENCH_MARKITDOWN names the Python of an environment that has markitdown, it reads the same files in the
same run. Pages are counted for each second of processor time, so that other programs do not matter.
"""

import json
import os
import re
import subprocess
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
        same = [a == b for a, b in zip(open_path, section.heading, strict=False)]
        paragraphs += section.heading[[*same, False].index(False) :]
        open_path = section.heading
        for block in section.blocks:
            lines = block.text.split("\n")
            # The reference has the cells of a table as paragraphs.
            if block.kind == "table":
                lines = [cell for row in (lines[0], *lines[2:]) for cell in re.split(r"(?<!\\)\|", row) if cell.strip()]
            paragraphs += [line for line in lines if line.strip()]
    return paragraphs


# What markitdown needs for the files named, without its start.
MARKITDOWN = """
import sys, time
from markitdown import MarkItDown
reader = MarkItDown()
reader.convert(sys.argv[1])
begun = time.process_time()
for name in sys.argv[1:]:
    reader.convert(name)
print(time.process_time() - begun)
"""


def time_markitdown(paths: list[Path]) -> float | None:
    """Seconds that markitdown takes; None where it is not installed."""
    python = os.environ.get("MLX_TUTOR_BENCH_MARKITDOWN")
    if not python:
        return None
    done = subprocess.run([python, "-c", MARKITDOWN, *map(str, paths)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    from pypdf import PdfReader

    folder = find_data("pdf")
    paths = sorted((folder or ROOT / "corpora" / "sample" / "sources").glob("*.pdf"))
    results: dict[str, Any] = {}
    pages = sum(len(PdfReader(path).pages) for path in paths)
    read_paragraphs(paths[0])
    begun = time.process_time()
    found = [read_paragraphs(path) for path in paths]
    speed = pages / (time.process_time() - begun)
    if folder is not None:
        for path, paragraphs in zip(paths, found, strict=True):
            text = path.with_suffix(".txt").read_text(encoding="utf-8")
            results[path.name] = score(paragraphs, [p for p in text.splitlines() if p.strip()])
    other = time_markitdown(paths)
    result = {
        "benchmark": "extract",
        "pages": pages,
        "pages_per_cpu_second": speed,
        "markitdown_pages_per_cpu_second": pages / other if other else None,
        "files": results,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
