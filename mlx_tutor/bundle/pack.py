"""Writing a bundle: the same course gives the same bytes."""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlx_tutor import __version__
from mlx_tutor.bundle.contents import Contents, gather_contents
from mlx_tutor.bundle.manifest import MANIFEST, SIGNATURE, Entry, Manifest, list_faults, name_base
from mlx_tutor.bundle.signing import name_key, sign
from mlx_tutor.errors import TutorError
from mlx_tutor.files import check_new_file, disk_errors, hash_file, write_file
from mlx_tutor.provenance import PACKAGES, find_version
from mlx_tutor.recipe import Recipe
from mlx_tutor.workspace import Course, Run

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OnProgress = Callable[[str, float, float], None]
PIECE = 1 << 20
# The earliest that a ZIP file can have.
DATE = (1980, 1, 1, 0, 0, 0)
# A file that all may read, as ZIP has it.
MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class PackReport:
    """A bundle that was written. `bytes` is its size; `parts` are the bytes of each part of it."""

    path: str
    course: str
    run: str
    fused: bool
    base: str
    sources: bool
    signed_by: str | None
    bytes: int
    parts: dict[str, int]
    files: int
    documents: int
    documents_left_out: int
    rows: int
    rows_left_out: int
    lines_with_paths: int


def pack_course(
    course: Course,
    run: Run,
    recipe: Recipe,
    target: Path,
    *,
    fused: bool,
    sources: bool,
    key: "Ed25519PrivateKey | None",
    replace: bool,
    on_progress: OnProgress,
) -> PackReport:
    """Write a run with its course as one file, in one step.

    Args:
        course: The course, extracted.
        recipe: As it stands in the file, with overrides; not settled.
        fused: With the fused model, so that no base is needed.
        sources: With the files that were read.

    Raises:
        TutorError: `target` is there or cannot be written, a name that not every machine can have, or no room.
        CorpusError: not extracted yet.
    """
    if not (replace and target.is_file()):
        check_new_file(target)
    with tempfile.TemporaryDirectory(prefix="mlx-tutor-") as folder:
        contents = gather_contents(course, run, recipe, Path(folder), fused=fused, sources=sources)
        if faults := list(list_faults(contents.files)):
            raise TutorError(f"Cannot be packed: {'; '.join(faults[:3])}. Rename it, and extract again.")
        total = sum(path.stat().st_size for path in contents.files.values())
        check_room(target.parent, total)
        manifest = make_manifest(course, run, contents, total, fused, sources, on_progress)
        write_file(target, lambda temporary: _write(temporary, manifest, contents, key, on_progress))
    counts = ("documents", "documents_left_out", "rows", "rows_left_out", "lines_with_paths")
    return PackReport(
        path=str(target),
        course=course.name,
        run=run.name,
        fused=fused,
        base=manifest.base,
        sources=sources,
        signed_by=None if key is None else name_key(key.public_key()),
        bytes=target.stat().st_size,
        parts=count_parts(manifest),
        files=len(manifest.files),
        **{name: getattr(contents, name) for name in counts},
    )


def count_parts(manifest: Manifest) -> dict[str, int]:
    """The bytes of each part: its folder, or the sources."""
    parts: dict[str, int] = {}
    for entry in manifest.files:
        part = entry.name.split("/")[0] if not entry.name.startswith("course/sources/") else "sources"
        parts[part] = parts.get(part, 0) + entry.size
    return parts


def make_manifest(
    course: Course, run: Run, contents: Contents, total: int, fused: bool, sources: bool, on_progress: OnProgress
) -> Manifest:
    """Hash every file; what is written later has to be the same."""
    record: dict[str, Any] = run.read()
    entries: list[Entry] = []
    done = 0
    for name, path in sorted(contents.files.items()):
        on_progress(f"hashing {name}", done, 2 * total)
        entries.append(Entry(name, path.stat().st_size, hash_file(path)))
        done += entries[-1].size
    return Manifest(
        course=course.name,
        run=run.name,
        base=name_base(record["base"]),
        base_sha256=record["inputs"]["base"],
        fused=fused,
        sources=sources,
        versions={"mlx_tutor": __version__, **{name: find_version(name) for name in PACKAGES}},
        files=tuple(entries),
    )


def _write(
    path: Path, manifest: Manifest, contents: Contents, key: "Ed25519PrivateKey | None", on_progress: OnProgress
) -> None:
    data, done = manifest.to_bytes(), manifest.size
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, MANIFEST, len(data), [data])
        if key is not None:
            signature = sign(data, key)
            _add(archive, SIGNATURE, len(signature), [signature])
        for entry in manifest.files:
            on_progress(f"writing {entry.name}", done, 2 * manifest.size)
            source = contents.files[entry.name]
            with source.open("rb") as file:
                written = _add(archive, entry.name, entry.size, iter(lambda: file.read(PIECE), b""))
            if written != entry.sha256:
                raise TutorError(f"{source} changed while it was packed. Wait for what writes it, and pack again.")
            done += entry.size


def _add(archive: zipfile.ZipFile, name: str, size: int, pieces: Iterable[bytes]) -> str:
    """Add a file without a time and an owner; returns the SHA-256 of what was written."""
    info = zipfile.ZipInfo(name, DATE)
    # The same on every system; the size decides whether ZIP64 is needed.
    info.create_system, info.external_attr, info.file_size = 3, MODE, size
    digest = hashlib.sha256()
    with archive.open(info, "w") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def check_room(folder: Path, size: int) -> None:
    """Raise TutorError where `size` bytes do not fit into a folder that is there."""
    with disk_errors(folder):
        free = shutil.disk_usage(folder).free
    if size > free:
        raise TutorError(
            f"No room in {folder}: {size / 1e6:,.0f} MB are needed, and {free / 1e6:,.0f} MB are free. Free some space."
        )
