"""CPU time and peak memory of each step at 1, 10 and 100 times the sample course, with the exponent of their growth.

A copy of the sample is its Markdown files, its notebooks and the text of its PDFs, with a beginning of its own for half
of the words of six letters and more ("regression" becomes "valimssion"): other terms, other sentences, the same shapes.
So a large course has as many new terms a page as a small one. `one_pdf` reads one PDF with the pages of all three.
`train` and `evaluate` are one pass of the starter's two upper layers over the training rows and over the test rows;
above TRAINED times the sample neither is run. CPU seconds include those of processes that a step started. An exponent
of 1 is growth in proportion.

    python -m tests.benchmarks.bench_growth [--sizes 1 10 100] [--steps extract index build train evaluate]
"""

import argparse
import hashlib
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.data import ROOT

SOURCES = ROOT / "corpora" / "sample" / "sources"
STEPS = ("extract", "index", "build", "train", "evaluate", "one_pdf")
# A pass over more rows takes hours on a CPU.
TRAINED = 10
WORD = re.compile(r"(?<![\\\w$])[A-Za-z]{6,}(?![\w$(])")
SYLLABLES = [first + second for first in "bdfghklmnprstvz" for second in ("a", "e", "i", "o", "u", "al", "en", "im")]
SETTINGS = {
    "model.base": '"starter"',
    "train.num_layers": "2",
    "train.epochs": "1",
    "train.val_batches": "1",
    "train.test_batches": "-1",
}


def vary_text(text: str, copy: int) -> str:
    """`text` with another beginning for half of its long words, the same for a word throughout a copy."""

    def vary(match: re.Match[str]) -> str:
        word = match.group()
        digest = hashlib.sha256(f"{copy} {word.lower()[:-3]}".encode()).digest()
        if digest[0] % 2:
            return word
        begin = "".join(random.Random(digest).sample(SYLLABLES, max(2, (len(word) - 3) // 3)))
        return (begin.capitalize() if word[0].isupper() else begin) + word[-3:]

    return "\n".join(line if line.startswith(("```", "---")) else WORD.sub(vary, line) for line in text.split("\n"))


def write_course(sources: Path, size: int) -> None:
    """The sample as it is, and `size - 1` varied copies beside it."""
    sources.mkdir(parents=True)
    for path in sorted(SOURCES.iterdir()):
        shutil.copy(path, sources)
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("*.md"))}
    texts |= {path.stem: read_pdf_text(path) for path in sorted(SOURCES.glob("*.pdf"))}
    notebooks = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SOURCES.glob("*.ipynb"))}
    for copy in range(1, size):
        for name, text in texts.items():
            (sources / f"{name}-{copy}.md").write_text(vary_text(text, copy), encoding="utf-8")
        for name, notebook in notebooks.items():
            cells = [vary_cell(cell, copy) for cell in notebook["cells"]]
            (sources / f"{name}-{copy}.ipynb").write_text(json.dumps({**notebook, "cells": cells}), encoding="utf-8")


def vary_cell(cell: dict[str, Any], copy: int) -> dict[str, Any]:
    """Only the text of a notebook is varied: its programs run as they are."""
    if cell["cell_type"] != "markdown":
        return cell
    return {**cell, "source": vary_text("".join(cell["source"]), copy)}


def read_pdf_text(path: Path) -> str:
    """A PDF as Markdown."""
    from mlx_tutor.extract.pdf import read_pdf

    title, sections = read_pdf(path)
    parts = [f"# {title}"]
    for section in sections:
        parts += [f"## {section.heading[-1]}" if section.heading else "", section.text]
    return "\n\n".join(parts)


def write_pdf(path: Path, size: int) -> None:
    """One PDF with the pages of the sample's, `size` times."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    for _ in range(size):
        for source in sorted(SOURCES.glob("*.pdf")):
            for page in PdfReader(source).pages:
                writer.add_page(page)
    path.parent.mkdir(parents=True)
    writer.write(path)


def build_index(course: str) -> None:
    """The search index, with vectors where the encoder is installed."""
    from mlx_tutor.study.search.index import open_index
    from mlx_tutor.workspace import Course

    open_index(Course(Path.cwd(), course)).close()


def measure(command: list[str], folder: Path) -> dict[str, float]:
    """CPU seconds and the peak of the largest process in MB; raises SystemExit where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", *command], cwd=folder, stdout=sys.stderr, env=environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit status {process.returncode}.")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1), "peak_mb": round(usage.ru_maxrss * unit / 1e6)}


def list_commands(step: str) -> list[str]:
    """What a step runs in a workspace whose one course is `grown`, beside one that holds a single PDF."""
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    if step == "index":
        return ["tests.benchmarks.bench_growth", "--index", "grown"]
    if step == "one_pdf":
        return ["mlx_tutor.cli", "extract", "-c", "pdf"]
    run = ["--run", "grown"] if step in ("train", "evaluate") else []
    return ["mlx_tutor.cli", step, "-c", "grown", *run, *settings]


def run_size(size: int, steps: list[str]) -> dict[str, Any]:
    """What each step takes for so many copies, and how much there was to do."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        write_course(workspace / "corpora" / "grown" / "sources", size)
        shutil.copy(ROOT / "corpora" / "sample" / "recipe.toml", workspace / "corpora" / "grown")
        write_pdf(workspace / "corpora" / "pdf" / "sources" / "all.pdf", size)
        found: dict[str, Any] = {}
        for step in steps:
            if size <= TRAINED or step not in ("train", "evaluate"):
                found[step] = measure(list_commands(step), workspace)
                print(size, step, found[step], file=sys.stderr, flush=True)
        dataset = workspace / "corpora" / "grown" / "dataset"
        entries = json.loads((dataset / "documents.json").read_text(encoding="utf-8"))["sources"]
        manifest = dataset / "manifest.json"
        rows = json.loads(manifest.read_text(encoding="utf-8"))["rows"]["splits"] if manifest.is_file() else {}
        return {"words": sum(entry["words"] for entry in entries), "rows": sum(rows.values()), **found}


def find_exponents(small: dict[str, Any], large: dict[str, Any], factor: float) -> dict[str, dict[str, float]]:
    """By which power of the size time and memory grew between two sizes."""
    return {
        step: {key: round(math.log(large[step][key] / small[step][key]) / math.log(factor), 2) for key in small[step]}
        for step in STEPS
        if step in small and step in large
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--index", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.index:
        build_index(args.index)
        return
    found = {size: run_size(size, args.steps) for size in args.sizes}
    exponents = {
        f"{small} to {large}": find_exponents(found[small], found[large], large / small)
        for small, large in zip(args.sizes, args.sizes[1:], strict=False)
    }
    sizes = {str(size): result for size, result in found.items()}
    print(json.dumps({"benchmark": "growth", "sizes": sizes, "exponents": exponents}, indent=2))


if __name__ == "__main__":
    main()
