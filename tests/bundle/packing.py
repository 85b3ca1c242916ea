"""A course and a run of a few bytes to pack, and ways to change what was packed."""

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlx_tutor.bundle.archive import open_bundle
from mlx_tutor.bundle.manifest import MANIFEST, SIGNATURE, Entry, read_manifest
from mlx_tutor.bundle.pack import DATE, PackReport, pack_course
from mlx_tutor.bundle.place import Target, place_bundle
from mlx_tutor.files import hash_file, write_json, write_jsonl
from mlx_tutor.recipe import load_recipe
from mlx_tutor.records import Block, Document, Section
from mlx_tutor.workspace import Course, Run

TEXTS = {
    "tides.md": "The spring tide is the tide with the largest range.",
    "oral exam.md": "Explain why the neap tide comes a week later.",
    "waves.md": "A seiche is a standing wave in a closed basin.",
}


def make_lecturer(workspace: Path) -> tuple[Course, Run]:
    """A course of three files, the exam among them held out, with a fused run and with everything private."""
    course, run = Course(workspace, "coast"), Run(workspace, "coast-2")
    course.sources.mkdir(parents=True)
    documents, entries = [], []
    for name, text in TEXTS.items():
        path = course.sources / name
        path.write_text(text)
        sha256 = hash_file(path)
        documents.append(Document(name, sha256, name, (Section(("Sea", name), (Block("text", text),)),), "en"))
        stat = {"sha256": sha256, "size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
        lost: dict[str, Any] = {"recognized": [], "scanned": [], "unreadable": [], "broken": [], "ocr": ""}
        read = {"words": 9, "sections": 1, "language": "en", "reason": None, "trace": f"File {workspace}/x.py"}
        entries.append({"source": name, **stat, **read, **lost})
    rows = course.dataset / "documents.jsonl"
    write_jsonl(rows, (document.to_row() for document in documents))
    manifest = {"extractor": 1, "documents": hash_file(rows), "sources": entries}
    write_json(course.dataset / "documents.json", manifest)
    for split, name in (("train", "tides.md"), ("valid", "waves.md"), ("test", "oral exam.md")):
        origins = [{"source": name, "method": "definition"}, {"source": name, "method": "rated"}]
        write_jsonl(course.dataset / f"{split}.jsonl", ({"messages": [], "origin": origin} for origin in origins))
    for private in ("journal.sqlite", ".chat_history", "dataset/dropped.jsonl", "dataset/manifest.json"):
        (course.root / private).write_text("what Ada asked")
    course.recipe.write_text(
        f'[course]\nsubject = "the sea"\n[model]\nbase = "{workspace}/models/sea-base"\n'
        '[dataset]\nholdout = ["oral exam.md"]\nseed = 4\n[[dataset.import]]\npath = "cards.csv"\n'
        '[teacher]\nmodel = "big"\nbase_url = "http://lab.example"\n'
    )
    recipe = load_recipe(course.recipe).to_dict()
    run.adapter.mkdir(parents=True)
    (run.adapter / "adapters.safetensors").write_bytes(bytes(range(256)) * 9000)
    record = {
        "run": run.name,
        "course": course.name,
        "base": f"{workspace}/models/sea-base",
        "inputs": {"base": "f00d"},
    }
    write_json(run.adapter / "run.json", record | {"recipe": recipe})
    write_json(run.adapter / "adapter_config.json", {"model": f"{workspace}/models/sea-base", "num_layers": 2})
    (run.adapter / "evaluation.json").write_text("{}")
    run.fused.mkdir(parents=True)
    write_json(run.fused / "config.json", {"_name_or_path": f"{workspace}/models/sea-base", "hidden_size": 8})
    write_json(run.fused / "fuse.json", {"base": f"{workspace}/models/sea-base", "inputs": {}})
    (run.fused / "tokenizer.json").write_text("{}")
    (run.fused / "model.safetensors").write_bytes(b"weights" * 4000)
    (run.fused / "README.md").write_text(f"base_model: {workspace}/models/sea-base\n")
    (run.fused / "modeling.py").write_text("import os\n")
    return course, run


def pack(course: Course, run: Run, target: Path, **options: Any) -> PackReport:
    usual: dict[str, Any] = {"fused": True, "sources": False, "key": None, "replace": False}
    recipe = load_recipe(course.recipe)
    return pack_course(course, run, recipe, target, on_progress=lambda *_: None, **usual | options)


def unpack(path: Path, workspace: Path, name: str = "coast", run: str = "coast-2", **options: bool) -> Course:
    """Open a bundle in a workspace."""
    course = Course(workspace, name)
    with open_bundle(path) as bundle:
        usual = {"replace": False, "is_trusted": False}
        place_bundle(bundle, Target(course, Run(workspace, run)), lambda *_: None, **usual | options)
    return course


def rewrite(path: Path, change: Callable[[dict[str, bytes]], object], *, refit: bool = False) -> Path:
    """The bundle with other content; with `refit` its manifest fits that again, as somebody who means harm would do."""
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    change(files)
    if refit:
        manifest = read_manifest(files[MANIFEST])
        entries = [
            Entry(name, len(data), hashlib.sha256(data).hexdigest())
            for name, data in files.items()
            if name not in (MANIFEST, SIGNATURE)
        ]
        files[MANIFEST] = replace(manifest, files=tuple(entries)).to_bytes()
    target = path.with_name("changed.tutor")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data)
    return target
