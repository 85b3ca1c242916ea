"""A GGUF file's model folder in the user's cache folder: made once, and again when the file changes."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from mlx_tutor.errors import ModelError
from mlx_tutor.files import hash_file, hash_text, read_json, write_json

# Raised when the same file is converted into other bytes than before.
VERSION = 1
RECORD = "conversion.json"
# What a conversion needs at most, as a share of its file: Q6_K becomes 8 bits with scales of float32.
ROOM = 1.7


def find_cache() -> Path:
    """Where converted models lie."""
    return user_cache_path("mlx-tutor") / "gguf"


def convert_gguf(path: Path) -> Path:
    """The MLX model folder of a GGUF file; converted unless it is there already.

    A folder is named after the file's name and content, and comes into its place by renaming: two processes at once, or
    one that is killed, leave no half folder. `conversion.json` in it says what became of the weights.

    Raises:
        ModelError: the file cannot be used, or the cache folder not be written.
    """
    path = path.resolve()
    cache = find_cache()
    try:
        digest = _hash_once(path, cache)
        folder = cache / f"{path.stem}-{digest[:12]}"
        if folder.is_dir():
            return folder
        with _lock(cache / f".{folder.name}.lock"):
            # Another process may have converted it meanwhile.
            if not folder.is_dir():
                _make_folder(path, digest, folder)
    except OSError as err:
        raise _explain_cache(cache, path, err.strerror or str(err)) from err
    return folder


def read_conversion(folder: Path) -> dict[str, Any] | None:
    """What converting came to, or None for a folder that was no GGUF file."""
    record: dict[str, Any] | None = read_json(folder / RECORD) if (folder / RECORD).is_file() else None
    return record


def _explain_cache(cache: Path, path: Path, reason: str) -> ModelError:
    return ModelError(
        f"The cache folder {cache} cannot take the model of {path} ({reason}). "
        "Free it, or name another with XDG_CACHE_HOME=FOLDER."
    )


def _hash_once(path: Path, cache: Path) -> str:
    """SHA-256 of a file and the converter; of one that was hashed before only its size and time are looked at."""
    stat = path.stat()
    seen = {"path": str(path), "bytes": stat.st_size, "modified": stat.st_mtime_ns, "version": VERSION}
    note = cache / "files" / f"{hash_text(str(path))[:16]}.json"
    if note.is_file() and (known := read_json(note)) == seen | {"digest": known.get("digest")}:
        return str(known["digest"])
    digest = hash_text(f"{VERSION} {hash_file(path)}")
    write_json(note, seen | {"digest": digest})
    return digest


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_folder(path: Path, digest: str, folder: Path) -> None:
    need, free = int(path.stat().st_size * ROOM), shutil.disk_usage(folder.parent).free
    if free < need:
        raise _explain_cache(folder.parent, path, f"{need / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free")
    partial = folder.with_name(f".{folder.name}.partial")
    # Left by a process that was killed.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        _fill_folder(path, digest, partial)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill_folder(path: Path, digest: str, folder: Path) -> None:

    from mlx_tutor.gguf.config import CLASSES, make_config
    from mlx_tutor.gguf.read import open_gguf
    from mlx_tutor.gguf.tokenizer import write_tokenizer
    from mlx_tutor.gguf.weights import GROUP_SIZE, Weights

    file = open_gguf(path, tuple(CLASSES))
    config = make_config(file)
    ends = write_tokenizer(file, folder, config["max_position_embeddings"])
    weights = Weights(file, config)
    config |= {"eos_token_id": ends if len(ends) > 1 else ends[0], "torch_dtype": str(weights.dtype).split(".")[-1]}
    if (bos := file.get("tokenizer.ggml.bos_token_id")) is not None:
        config["bos_token_id"] = bos
    if weights.quantization:
        config["quantization"] = weights.quantization
    write_json(folder / "config.json", config)
    _save_weights(folder / "model.safetensors", weights.arrays)
    record = {
        "file": path.name,
        "name": file.get("general.name", path.stem),
        "digest": digest,
        "group_size": GROUP_SIZE,
        "types": [asdict(rounding) for rounding in weights.roundings],
    }
    write_json(folder / RECORD, record)


def _save_weights(path: Path, arrays: dict[str, Any]) -> None:
    import mlx.core as mx

    try:
        mx.save_safetensors(str(path), dict(sorted(arrays.items())), {"format": "mlx"})
    except RuntimeError as err:
        # So mlx says that a disk is full.
        raise OSError(str(err)) from err
