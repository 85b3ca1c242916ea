"""The worked examples of CONTRIBUTING do what it says."""

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from mlx_tutor.commands.options import common_options
from mlx_tutor.commands.reference import ROOT
from mlx_tutor.dataset.build import find_origin
from mlx_tutor.dataset.mining.concepts import Concepts, collect_concepts
from mlx_tutor.dataset.mining.language import list_sentences
from mlx_tutor.evaluation.bootstrap import Sample, score_percent
from mlx_tutor.evaluation.metrics import Measure
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.text import decode_text
from mlx_tutor.records import Block, Chunk, QaPair, Section
from mlx_tutor.stages.job import Options, open_job

# What the modules that the page names have imported.
NAMES: dict[str, Any] = {
    value.__name__: value
    for value in (
        *(Block, Chunk, Concepts, Iterator, Measure, Options, Path, QaPair, Sample, Section, SectionBuilder),
        *(common_options, decode_text, list_sentences, open_job, score_percent),
    )
}


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """Everything that the examples define."""
    page = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    found: dict[str, Any] = NAMES | {"click": click, "np": np}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, found)
    return found


def test_the_reader_reads(examples: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "week.rst").write_text("The mean is a sum divided by a count.\n")
    title, sections = examples["read_rst"](tmp_path / "week.rst")
    assert title == "week" and "divided by a count" in sections[0].text


def test_the_maker_makes_rows_with_evidence(examples: dict[str, Any]) -> None:
    chunk = Chunk("week.md", 0, ("Means",), (Block("text", "The mean is a sum divided by a count. It is fast."),))
    ((qa, method, evidence),) = examples["make_openings"](chunk, collect_concepts([], {}), 0)
    assert "Means" in qa.question and qa.answer == "The mean is a sum divided by a count."
    assert find_origin(chunk, method, evidence).evidence == evidence


def test_the_command_runs(examples: dict[str, Any], workspace: Path) -> None:
    result = CliRunner().invoke(examples["command"], ["-c", "demo"])
    assert result.exit_code == 0 and "demo" in result.output, result.output


def test_the_measure_measures(examples: dict[str, Any]) -> None:
    sample = examples["sample"]
    assert sample.score(sample.statistics.sum(axis=0, keepdims=True))[0] == pytest.approx(50)


def test_the_numbers_are_where_the_page_says() -> None:
    page = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \(`([\w/.]+)`\)", page, re.MULTILINE)
    assert len(named) >= 5
    for name, path in named:
        assert re.search(rf"^{name} = ", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), name


def test_the_page_names_every_layer_in_their_order() -> None:
    page = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("## Who may import whom")[2].partition("##")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    place = {name: row for row, cell in enumerate(rows) for name in re.findall(r"`(\w+)`", cell)}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [re.findall(r"\w+", layer) for layer in reversed(contracts[0]["layers"])]
    assert sorted(place) == sorted(name for layer in layers for name in layer)
    for below, above in pairwise(layers):
        assert max(place[name] for name in below) <= min(place[name] for name in above), (below, above)
