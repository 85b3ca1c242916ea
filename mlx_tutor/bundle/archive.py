"""Reading a bundle that anybody may have made or changed: nothing of it is used before all of it fits its manifest."""

import hashlib
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlx_tutor.bundle.manifest import (
    MANIFEST,
    SIGNATURE,
    Entry,
    Manifest,
    list_faults,
    list_missing,
    read_manifest,
    show_name,
)
from mlx_tutor.bundle.signing import verify
from mlx_tutor.errors import TutorError

OnProgress = Callable[[str, float, float], None]
PIECE = 1 << 20
MOST_FILES = 20_000
MOST_MANIFEST_BYTES = 1 << 24
ENCRYPTED = 1
# Bytes of a file's header in a ZIP file, without its name.
HEADER = 30
# What it has more for a file of four gigabytes.
HEADER_64 = 20
# The last record of a ZIP file, here without a comment.
END, END_BYTES = b"PK\x05\x06", 22
NAMED = 3
BROKEN = (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, UnicodeError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Bundle:
    """An open bundle whose names, sizes and signature are in order; `signed_by` is None where it has no signature."""

    path: Path
    manifest: Manifest
    signed_by: str | None
    archive: zipfile.ZipFile

    def extract(self, choose: Callable[[str], Path], on_progress: OnProgress) -> None:
        """Write each file where `choose` puts it, and compare its content.

        Raises:
            TutorError: what was changed, once all files were read.
        """
        changed, done = [], 0
        for entry in self.manifest.files:
            on_progress(f"checking {show_name(entry.name)}", done, self.manifest.size)
            target = choose(entry.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not self._copy(entry, target):
                changed.append(f"{show_name(entry.name)} changed")
            done += entry.size
        if changed:
            raise refuse(self.path, changed)

    def _copy(self, entry: Entry, target: Path) -> bool:
        """Write one file; returns whether it is what was packed."""
        digest = hashlib.sha256()
        try:
            with self.archive.open(entry.name) as file, target.open("xb") as out:
                while piece := file.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
        except BROKEN:
            return False
        return digest.hexdigest() == entry.sha256


def refuse(path: Path, problems: Sequence[str]) -> TutorError:
    """The error for a bundle that is not as it was packed."""
    more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
    named = f"{'; '.join(problems[:NAMED])}{more}"
    return TutorError(f"{path} is not as it was packed: {named}. Nothing was opened; get the file again.")


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """A bundle for as long as the block lasts, checked but for the content of its files.

    Raises:
        TutorError: no bundle, cut off, or with files that were added, are missing or cannot be in one.
    """
    try:
        with path.open("rb") as file:
            start = file.read(HEADER + len(MANIFEST))
            file.seek(max(0, path.stat().st_size - END_BYTES))
            end = file.read()
    except OSError as err:
        raise TutorError(f"{path} cannot be read: {err.strerror}. Name the file that `mlx-tutor pack` wrote.") from err
    if start[:4] != b"PK\x03\x04" or start[HEADER:] != MANIFEST.encode():
        raise TutorError(f"{path} is no bundle of a course. Name the file that `mlx-tutor pack` wrote.")
    broken = refuse(path, ["it is cut off, or something was added at its end"])
    if not end.startswith(END) or not end.endswith(b"\0\0"):
        raise broken
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as err:
        raise broken from err
    with archive:
        manifest, signed_by = _check(path, archive)
        yield Bundle(path, manifest, signed_by, archive)


def _check(path: Path, archive: zipfile.ZipFile) -> tuple[Manifest, str | None]:
    found = archive.infolist()
    if problems := list(_list_problems(found, archive.start_dir)):
        raise refuse(path, problems)
    infos = {info.filename: info for info in found}
    try:
        data = archive.read(MANIFEST)
        signature = archive.read(SIGNATURE) if SIGNATURE in infos else None
    except (KeyError, *BROKEN) as err:
        raise refuse(path, [f"{MANIFEST} or {SIGNATURE} changed"]) from err
    try:
        manifest = read_manifest(data)
        signed_by = None if signature is None else verify(data, signature)
    except TutorError as err:
        raise refuse(path, [str(err)]) from err
    listed = [entry.name for entry in manifest.files]
    problems = [*list_faults(listed), *(f"{name} missing" for name in list_missing(manifest))]
    for entry in manifest.files:
        info = infos.pop(entry.name, None)
        if info is None:
            problems.append(f"{show_name(entry.name)} missing")
        elif info.file_size != entry.size:
            problems.append(f"{show_name(entry.name)} changed")
    problems += [f"{show_name(name)} added" for name in infos if name not in (MANIFEST, SIGNATURE)]
    if problems:
        raise refuse(path, list(dict.fromkeys(problems)))
    return manifest, signed_by


def _list_problems(infos: Sequence[zipfile.ZipInfo], listing: int) -> Iterator[str]:
    """What no bundle has, whatever its manifest says: seen before a byte of its files is read.

    `listing` is where the list of files begins, right behind the last of them.
    """
    if len(infos) > MOST_FILES:
        yield f"{len(infos):,} files, of which a bundle has {MOST_FILES:,} at most"
        return
    yield from list_faults(info.filename for info in infos if info.filename not in (MANIFEST, SIGNATURE))
    for name in (MANIFEST, SIGNATURE):
        if sum(info.filename == name for info in infos) > 1:
            yield f"{name}: a name that is there twice"
    # Files neither lie on the same bytes, which would take up more than the bundle does, nor have some between them.
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name, kind = show_name(info.filename), stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            yield f"{name}: not a plain file, but a link, a folder or a device"
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            yield f"{name}: compressed, which no file of a bundle is"
        if info.flag_bits & ENCRYPTED:
            yield f"{name}: encrypted"
        if info.filename in (MANIFEST, SIGNATURE) and info.file_size > MOST_MANIFEST_BYTES:
            yield f"{name}: too large"
        if info.header_offset - end not in (0, HEADER_64):
            yield f"{name}: not right behind the file before it"
        end = info.header_offset + HEADER + len(info.filename.encode("utf-8", "surrogatepass")) + info.file_size
    if listing - end not in (0, HEADER_64):
        yield "its list of files is not right behind them"
