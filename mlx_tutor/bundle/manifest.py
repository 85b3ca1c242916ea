"""What a bundle says of itself in `manifest.json`, and the names that its files may have.

A bundle is a ZIP file whose entries are stored as they are. Compressed ones would save little beside the weights, their
bytes would depend on the version of zlib, and a small file could unfold into a large one.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePath, PurePosixPath
from typing import Any

from mlx_tutor.errors import TutorError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.sources import HIDDEN
from mlx_tutor.text import strip_controls
from mlx_tutor.workspace import NAME_PATTERN

# Raise it when an older mlx-tutor could not open what is written.
FORMAT = 1
# A browser may unpack what ends in .zip.
SUFFIX = ".tutor"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
SPLITS = ("train", "valid", "test")
ROWS = tuple(f"course/dataset/{split}.jsonl" for split in SPLITS)
NEEDED = (
    "course/recipe.toml",
    "course/dataset/documents.json",
    "course/dataset/documents.jsonl",
    "adapter/adapter_config.json",
    "adapter/adapters.safetensors",
    "adapter/run.json",
)
OTHERS = ("course/index.sqlite", "adapter/metrics.jsonl", *ROWS)
NEEDED_FUSED = ("fused/config.json", "fused/tokenizer.json", "fused/fuse.json")
SOURCES, FUSED = "course/sources/", "fused/"
# What a model folder is made of. No Python: some models bring code that computes them.
MODEL_KINDS = (".safetensors", ".json", ".jinja", ".txt", ".md", ".model")
HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
# Of one part of a name, on every file system that matters.
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a bundle: its name there, its size in bytes and the SHA-256 of its content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a bundle. `base` is the model that the run was trained on, `base_sha256` its fingerprint."""

    course: str
    run: str
    base: str
    base_sha256: str
    fused: bool
    sources: bool
    versions: dict[str, str | None]
    files: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def to_json(self) -> dict[str, Any]:
        """As it is written, with the version of the format."""
        return {"format": FORMAT, **asdict(self)}

    def to_bytes(self) -> bytes:
        """The content of `manifest.json`, which is what gets signed."""
        return (json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n").encode()


def name_base(base: str) -> str:
    """A base without the folder that it lies in; names of the Hub and of shipped models as they are."""
    return base if HUB_NAME.fullmatch(base) else PurePath(base).name


def read_manifest(data: bytes) -> Manifest:
    """A manifest from its bytes.

    Raises:
        TutorError: it is none, or of a later format.
    """
    try:
        value = json.loads(data)
        if isinstance(value, dict) and isinstance(value.get("format"), int) and value["format"] > FORMAT:
            raise TutorError("it was packed by a later mlx-tutor; install that one (pip install --upgrade mlx-tutor)")
        files = tuple(Entry(**entry) for entry in value["files"])
        found = Manifest(**{key: item for key, item in value.items() if key not in ("format", "files")}, files=files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as err:
        raise TutorError(f"{MANIFEST} is broken") from err
    named = all(isinstance(name, str) and NAME_PATTERN.fullmatch(name) for name in (found.course, found.run))
    typed = all(
        (type(entry.name), type(entry.size), type(entry.sha256)) == (str, int, str) and entry.size >= 0
        for entry in files
    )
    flags = (type(found.fused), type(found.sources), type(found.base), type(found.base_sha256))
    if not named or not typed or flags != (bool, bool, str, str) or not _is_plain(found.base):
        raise TutorError(f"{MANIFEST} is broken")
    return found


def _is_plain(base: str) -> bool:
    return bool(base) and name_base(base) == base == show_name(base)


def find_fault(name: str) -> str | None:
    """Why a bundle cannot have a file of this name; None where it can."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or strip_controls(name) != name:
        return "a name that leads elsewhere"
    if any(len(part.encode("utf-8", "surrogatepass")) > LONGEST_NAME for part in parts):
        return "a name that is too long"
    suffix = PurePosixPath(name).suffix.lower()
    if name in (*NEEDED, *OTHERS):
        return None
    if name.startswith(FUSED) and len(parts) == 2 and NAME_PATTERN.fullmatch(parts[1]) and suffix in MODEL_KINDS:
        return None
    if name.startswith(SOURCES) and suffix in READERS and not any(part.startswith(HIDDEN) for part in parts):
        return None
    return "a file of a kind that does not belong in a bundle"


def list_faults(names: Iterable[str]) -> Iterator[str]:
    """What is wrong with the names of a bundle's files, alone and together, one phrase each."""
    seen: dict[str, str] = {}
    for name in names:
        if fault := find_fault(name):
            yield f"{show_name(name)}: {fault}"
        # On a Mac these are one file.
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            yield f"{show_name(name)}: a name that is there twice"
        seen[key] = name
    for key, name in seen.items():
        if any(parent.as_posix() in seen for parent in PurePosixPath(key).parents):
            yield f"{show_name(name)}: a file inside another file"


def list_missing(manifest: Manifest) -> list[str]:
    """Files without which a bundle cannot be used."""
    names = {entry.name for entry in manifest.files}
    return [name for name in (*NEEDED, *(NEEDED_FUSED if manifest.fused else ())) if name not in names]


def show_name(name: str) -> str:
    """A name from elsewhere, fit for a terminal."""
    return strip_controls(name)[:120]
