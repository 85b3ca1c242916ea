"""A run whose fused model is small and has a tokenizer with merges, as all real ones have."""

import json
import shutil
from pathlib import Path
from typing import Any

from mlx_tutor.files import write_json
from mlx_tutor.gguf.convert import fill_folder
from mlx_tutor.workspace import Run
from tests.gguf.factory import make_gguf


def make_fused(workspace: Path, architecture: str = "qwen2", name: str = "demo", **fields: Any) -> Run:
    """A finished, fused run; `fields` of the GGUF file that its model is made from."""
    run = Run(workspace, name)
    shutil.rmtree(run.fused, ignore_errors=True)
    run.fused.mkdir(parents=True)
    source = make_gguf(workspace / f"{name}.source.gguf", architecture, **fields)
    fill_folder(source, "", run.fused)
    source.unlink()
    write_json(run.fused / "fuse.json", {"base": "a/base", "inputs": {"adapter": ""}})
    course = {"system_prompt": 'Be patient.\nSay """so""".'}
    if not run.is_complete:
        write_json(run.adapter / "run.json", {"course": "demo", "base": "a/base", "recipe": {"course": course}})
    return run


def read_modelfile(folder: Path) -> dict[str, list[str]]:
    """The values of a Modelfile by their keys; values in three quotation marks may have several lines."""
    found: dict[str, list[str]] = {}
    rest = (folder / "Modelfile").read_text()
    while rest := rest.lstrip("\n"):
        line, _, after = rest.partition("\n")
        key, _, value = line.partition(" ")
        if key == "PARAMETER":
            key, _, value = value.partition(" ")
        if value.startswith('"""'):
            value, _, after = rest.partition('"""')[2].partition('"""\n')
        elif value.startswith('"'):
            value = json.loads(value)
        found.setdefault(key, []).append(value)
        rest = after
    return found
