"""Reading, hashing and atomic writing of files."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlx_tutor.errors import TutorError

SAMPLE_BYTES = 1 << 20


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Map a full disk or a missing permission while `path` is written to a TutorError."""
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TutorError(f"The disk is full: cannot write {path}. Free some space and run again.") from err
        if isinstance(err, PermissionError):
            raise TutorError(f"No permission to write {path}. Change its owner or pick another folder.") from err
        raise
    except RuntimeError as err:
        # mlx reports a short write as a RuntimeError.
        if "Unable to write" in str(err):
            raise TutorError(f"The disk is full: cannot write {path}. Free some space and run again.") from err
        raise


def check_new_file(path: Path) -> None:
    """Raise TutorError where a file that a user names cannot be written, or exists: what users made is kept."""
    if not path.parent.is_dir():
        raise TutorError(f"There is no folder {path.parent}. Make it, or write elsewhere.")
    if path.is_dir():
        raise TutorError(f"{path} is a folder. Name a file in it.")
    if path.exists() or path.is_symlink():
        raise TutorError(f"{path} exists and is not overwritten. Give another name.")


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there in one step.

    The temporary name keeps the suffix, which mlx looks at. On any failure `path` stays as it was.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN is an error, since no JSON reader takes it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, atomically; `rows` is never held as a whole, which may be larger than memory."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)

    write_file(path, write)


def read_json(path: Path) -> Any:
    """Read one JSON value; raises TutorError that names the file when it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as err:
        raise TutorError(
            f"{path} is not valid JSON ({err}). Delete it and run the stage that writes it again."
        ) from err


def read_jsonl(path: Path) -> list[Any]:
    """Read one JSON value a line; raises TutorError that names the line when one is broken."""
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as err:
        raise TutorError(
            f"{path} is not UTF-8 text ({err}). Delete it and run the stage that writes it again."
        ) from err
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as err:
            raise TutorError(f"{path}, line {number} is not valid JSON ({err}). Correct or delete the line.") from err
    return rows


def mend_surrogates(text: str) -> str:
    """Surrogate pairs, as JSON may hold them, become their character; a lone surrogate becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def replace_surrogates(value: Any) -> Any:
    """A JSON value with lone surrogates replaced by U+FFFD: UTF-8 cannot encode them."""
    if isinstance(value, str):
        return mend_surrogates(value)
    if isinstance(value, list):
        return [replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): replace_surrogates(item) for key, item in value.items()}
    return value


def hash_text(text: str) -> str:
    """SHA-256 of UTF-8 text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def hash_value(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`."""
    return hash_text(json.dumps(value, sort_keys=True, ensure_ascii=False))


def hash_file(path: Path) -> str:
    """SHA-256 of a whole file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_sample(path: Path) -> str:
    """SHA-256 of a file's size, first and last mebibyte: enough to tell multi-gigabyte weights apart quickly."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(SAMPLE_BYTES))
        file.seek(max(0, size - SAMPLE_BYTES))
        digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
