"""A GGUF file's model folder in the user's cache folder: made once, and again when the file changes."""

import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from mlx_tutor.errors import ModelError, TutorError
from mlx_tutor.files import hash_file, hash_text, read_json, write_json

# Raise it when a file becomes other weights or tokens than before: then every file is converted again.
VERSION = 1
RECORD = "conversion.json"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
# Most space that a conversion needs, as a multiple of its file: Q2_K becomes 4 bits with float32 scales.
ROOM = 2.4


def find_cache() -> Path:
    """The folder of converted models."""
    return user_cache_path("mlx-tutor") / "gguf"


def convert_gguf(path: Path, on_event: Callable[[str], None] = lambda text: None) -> Path:
    """The MLX model folder of a GGUF file; the file is converted unless that was done before.

    The folder is named after the file's name and content, and moved into place when complete: two processes at once, or
    one that is killed, leave no partial folder. `conversion.json` in it says what the weights became.

    Args:
        on_event: Told what is about to be done and what came of it; not called if the folder exists.

    Raises:
        ModelError: the file cannot be used, or the cache folder cannot be written.
    """
    path = path.resolve()
    cache = find_cache()
    with _cache_errors(cache, path):
        digest = _hash_once(path, cache)
        folder = cache / f"{path.stem}-{digest[:12]}"
        if folder.is_dir():
            return folder
        on_event(f"converting {path.name}, once")
        with _lock(cache / f".{folder.name}.lock"):
            # Another process may have converted it in the meantime.
            if not folder.is_dir():
                _make_folder(path, digest, folder)
    on_event(describe_conversion(folder))
    return folder


def name_conversion(name: str, path: Path) -> None:
    """Let `name` stand for a converted GGUF file; from now on its folder is enough.

    Raises:
        ModelError: not a name, or the cache folder cannot be written.
    """
    if not NAME.fullmatch(name) or name.lower().endswith(".gguf"):
        raise ModelError(f"{name!r} cannot name a model: take letters, digits, dots, hyphens and underscores.")
    path, cache = path.resolve(), find_cache()
    folder = convert_gguf(path)
    with _cache_errors(cache, path):
        write_json(cache / "names" / f"{name}.json", {"file": str(path), "folder": folder.name})


def find_named(name: str, on_event: Callable[[str], None] = lambda text: None) -> Path | None:
    """The folder that a name stands for: of its file as it is now, or as last seen; None for an unknown name."""
    note = find_cache() / "names" / f"{name}.json"
    if not NAME.fullmatch(name) or not note.is_file():
        return None
    known = read_json(note)
    path, folder = Path(known["file"]), find_cache() / str(known["folder"])
    if path.is_file():
        return convert_gguf(path, on_event)
    if not folder.is_dir():
        raise ModelError(
            f"The model {name} is gone from {find_cache()}, and so is its file {path}. Put the file back, or pull "
            f"another one: mlx-tutor pull FILE --name {name}"
        )
    return folder


def describe_conversion(folder: Path) -> str:
    """The types of a file's matrices before and after, on one line; "" for a folder not made from a GGUF file."""
    if not (folder / RECORD).is_file():
        return ""
    record, kept, rounded = read_json(folder / RECORD), [], []
    for item in record["types"]:
        text = f"{item['matrices']} {item['kind']}"
        if item["difference"] == 0:
            kept.append(text)
        else:
            bits = f"{item['bits']} bits" if item["bits"] else "bfloat16"
            rounded.append(f"{text} rounded again to {bits}, {100 * item['difference']:.2g} % off")
    parts = [f"{', '.join(kept)} kept exactly"] * bool(kept) + rounded
    return f"{record['file']}: matrices {'; '.join(parts)}"


@contextmanager
def _cache_errors(cache: Path, path: Path) -> Iterator[None]:
    """Turn whatever keeps the cache folder from being written into a one-line error."""
    try:
        yield
    except ModelError:
        raise
    except (OSError, TutorError) as err:
        cause = err if isinstance(err, OSError) else err.__cause__
        if not isinstance(cause, OSError):
            raise
        raise _explain_cache(cache, path, cause.strerror or str(cause)) from err


def _explain_cache(cache: Path, path: Path, reason: str) -> ModelError:
    return ModelError(
        f"The cache folder {cache} cannot take the model of {path} ({reason}). "
        "Make room, or name another folder: XDG_CACHE_HOME=FOLDER"
    )


def _hash_once(path: Path, cache: Path) -> str:
    """SHA-256 of a file and the converter; of a file hashed before, only size and time are checked."""
    try:
        stat = path.stat()
        seen = {"path": str(path), "bytes": stat.st_size, "modified": stat.st_mtime_ns, "version": VERSION}
        note = cache / "files" / f"{hash_text(str(path))[:16]}.json"
        if note.is_file() and (known := read_json(note)) == seen | {"digest": known.get("digest")}:
            return str(known["digest"])
        digest = hash_text(f"{VERSION} {hash_file(path)}")
    except OSError as err:
        raise ModelError(f"{path} cannot be read ({err.strerror}).") from err
    # This only saves time later: a read-only cache may still hold the model.
    with suppress(TutorError, OSError):
        write_json(note, seen | {"digest": digest})
    return digest


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock, which is released at the latest when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_folder(path: Path, digest: str, folder: Path) -> None:
    need, free = int(path.stat().st_size * ROOM), shutil.disk_usage(folder.parent).free
    if free < need:
        raise _explain_cache(folder.parent, path, f"{need / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free")
    partial = folder.with_name(f".{folder.name}.partial")
    # Left over from a process that was killed.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        fill_folder(path, digest, partial)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def fill_folder(path: Path, digest: str, folder: Path, *, exact: bool = False) -> None:
    """Convert a file into an existing folder; `exact`: 16-bit weights become float32, and nothing is rounded.

    Raises:
        ModelError: the file cannot be converted.
    """
    from mlx_tutor.gguf.config import CLASSES, make_config
    from mlx_tutor.gguf.read import open_gguf
    from mlx_tutor.gguf.tokenizer import write_tokenizer
    from mlx_tutor.gguf.weights import GROUP_SIZE, Weights

    file = open_gguf(path, tuple(CLASSES))
    config = make_config(file)
    ends = write_tokenizer(file, folder, config["max_position_embeddings"])
    weights = Weights(file, config, exact=exact)
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
        # MLX reports a full disk like this.
        raise OSError(str(err)) from err
