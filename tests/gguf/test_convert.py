"""The folder in the cache: whole or not there, made again when the file changes, and one line for what cannot be."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType

from mlx_tutor.errors import ModelError
from mlx_tutor.gguf import convert
from mlx_tutor.gguf.convert import convert_gguf, name_conversion
from mlx_tutor.models import hash_model, hash_tokenizer, load_tokenizer, resolve_model
from tests.gguf.factory import TOKENS, make_gguf, make_tensors, write_gguf

PROGRAM = """
import sys
from pathlib import Path
from mlx_tutor.gguf.convert import convert_gguf
print(convert_gguf(Path(sys.argv[1])))
"""


def read_bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def refuse(path: Path) -> str:
    """The one line that says why a file cannot be used; it leaves nothing in the cache."""
    with pytest.raises(ModelError) as caught:
        convert_gguf(path)
    line = str(caught.value)
    assert "\n" not in line and str(path) in line
    left = [entry.name for entry in convert.find_cache().glob("*") if entry.name not in ("files",)]
    assert all(name.endswith(".lock") for name in left)
    return line


def test_twice_the_same_bytes(tmp_path: Path, cache: Path) -> None:
    path = make_gguf(tmp_path / "model.gguf", kind="Q6_K")
    folder = convert_gguf(path)
    first, hashes = read_bytes(folder), (hash_model(folder), hash_tokenizer(folder))
    shutil.rmtree(cache)
    # In another process, where nothing is as it was but the file.
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True)
    again = Path(done.stdout.strip())
    assert again == folder and read_bytes(again) == first
    assert (hash_model(again), hash_tokenizer(again)) == hashes


def test_the_folder_is_kept_and_made_again_when_the_file_changes(tmp_path: Path) -> None:
    path = make_gguf(tmp_path / "model.gguf")
    told: list[str] = []
    folder = convert_gguf(path, told.append)
    assert told[0] == "converting model.gguf, once" and "kept exactly" in told[1]
    assert convert_gguf(path, told.append) == folder and len(told) == 2
    os.utime(path, (1, 1))
    assert convert_gguf(path) == folder
    # One weight in the middle, behind all that a sample of the file would see.
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    changed = convert_gguf(path)
    assert changed != folder and hash_model(changed) != hash_model(folder)


def test_two_processes_at_once_make_one_folder(tmp_path: Path, cache: Path) -> None:
    path = make_gguf(tmp_path / "model.gguf")
    command = [sys.executable, "-c", PROGRAM, str(path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    [folder] = found
    assert sorted(read_bytes(Path(folder))) == [
        *("config.json", "conversion.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    ]
    assert not list(cache.glob("*.partial"))


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, cache: Path) -> None:
    path = make_gguf(tmp_path / "model.gguf")
    folder = convert_gguf(path)
    partial = folder.with_name(f".{folder.name}.partial")
    folder.rename(partial)
    (partial / "model.safetensors").write_bytes(b"half")
    assert convert_gguf(path) == folder and not partial.exists()
    assert (folder / "model.safetensors").stat().st_size > 4


def test_a_name_stands_for_the_file_and_outlives_it(tmp_path: Path) -> None:
    path = make_gguf(tmp_path / "model.gguf")
    name_conversion("mine", path)
    folder = resolve_model("mine")
    assert folder == resolve_model(str(path))
    make_gguf(path, kind="Q8_0")
    changed = resolve_model("mine")
    assert changed != folder
    path.unlink()
    assert resolve_model("mine") == folder
    for name in ("a/b", ".hidden", "", "model.gguf"):
        with pytest.raises(ModelError, match="cannot name a model"):
            name_conversion(name, path)


def test_the_chat_template_and_the_ends_come_along(tmp_path: Path) -> None:
    folder = convert_gguf(make_gguf(tmp_path / "model.gguf", tokenizer__ggml__eos_token_id=0))
    tokenizer = load_tokenizer(folder)
    # The file names the end of documents; the template ends its turns otherwise.
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.eos_token_ids == {2, 0}
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] == [2, 0]


def cut(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


BROKEN = {
    "1 kB of one": (cut(1000), "is cut off"),
    "without its end": (lambda path: os.truncate(path, path.stat().st_size - 100), "is cut off"),
    "4 bytes": (cut(4), "is cut off"),
    "empty": (cut(0), "is not a GGUF file"),
    "1 kB of text": (lambda path: path.write_text("version https://git-lfs\n" * 40), "is not a GGUF file"),
    "of version 1": (lambda path: path.write_bytes(b"GGUF\x01\0\0\0" + bytes(100)), "version 1"),
    "of nonsense": (lambda path: path.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 1000), "is (cut off|damaged)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line(tmp_path: Path, name: str) -> None:
    damage, reason = BROKEN[name]
    path = make_gguf(tmp_path / "model.gguf")
    damage(path)
    assert re.search(reason, refuse(path))


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "architecture": ({"general__architecture": "mamba"}, "'mamba'.*llama, qwen2, qwen3"),
    "part": ({"split__count": 3}, "3 parts.*--merge"),
    "no chat template": ({"tokenizer__chat_template": None}, "no chat template.*Instruct"),
    "fewer tokens": ({"tokenizer__ggml__tokens": TOKENS[:-1]}, "263 tokens in its vocabulary, but weights for 264"),
    "more tokens": ({"tokenizer__ggml__tokens": [*TOKENS, "x"]}, "265 tokens in its vocabulary, but weights for 264"),
    "kinds": ({"tokenizer__ggml__token_type": [1, 1]}, "264 tokens, and kinds for 2"),
    "token twice": ({"tokenizer__ggml__tokens": [*TOKENS[:-2], "the", TOKENS[-1]]}, "token twice"),
    "merges": ({"tokenizer__ggml__merges": ["q z"]}, "q and z"),
    "unknown cut": ({"tokenizer__ggml__pre": "tekken"}, "'tekken'.*qwen2"),
    "another cut than Qwen's": ({"tokenizer__ggml__pre": "gpt-2"}, "'gpt-2'.*Known here: qwen2"),
    "no cut": ({"tokenizer__ggml__pre": None}, "tokenizer.ggml.pre"),
    "tokenizer": ({"tokenizer__ggml__model": "t5"}, "'t5'"),
    "no vocabulary": ({"tokenizer__ggml__tokens": None}, "has no tokenizer.ggml.tokens"),
    "end": ({"tokenizer__ggml__eos_token_id": 9999}, "9999"),
    "shape": ({"qwen2__feed_forward_length": 128}, "ffn_gate.weight of shape"),
    "layers": ({"qwen2__block_count": 3}, "lacks blk.2"),
    "more layers": ({"qwen2__block_count": 1}, "has blk.1.*no plain qwen2"),
    "no width": ({"qwen2__embedding_length": None}, "has no qwen2.embedding_length"),
    "no heads": ({"qwen2__attention__head_count": 0}, "has 0 for qwen2.attention.head_count"),
    "heads by layer": ({"qwen2__attention__head_count_kv": [2, 1]}, r"has \[2, 1\]"),
    "rotated in part": ({"qwen2__rope__dimension_count": 32}, "rope.dimension_count = 32 with heads of 64"),
    "longrope": ({"qwen2__rope__scaling__type": "longrope"}, "'longrope'"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_file_that_cannot_be_converted_is_one_line(tmp_path: Path, name: str) -> None:
    fields, reason = FIELDS[name]
    assert re.search(reason, refuse(make_gguf(tmp_path / "model.gguf", **fields)))


def test_one_part_of_several_is_known_by_its_name(tmp_path: Path) -> None:
    path = make_gguf(tmp_path / "model-00002-of-00003.gguf")
    assert "3 parts" in refuse(path)


def test_other_factors_than_those_of_llama_3_are_refused(tmp_path: Path) -> None:
    tensors = make_tensors("llama", "Q8_0")
    tensors["rope_freqs.weight"] = np.linspace(1, 3, 32, dtype=np.float32), GGMLQuantizationType.F32
    assert "another way than Llama 3" in refuse(write_gguf(tmp_path / "model.gguf", "llama", tensors))


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    tensors = make_tensors("qwen2", "F32")
    tensors["blk.1.ffn_up.weight"][0][3, 5] = np.nan
    assert "blk.1.ffn_up.weight" in refuse(write_gguf(tmp_path / "model.gguf", "qwen2", tensors))


def test_a_cache_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_gguf(tmp_path / "model.gguf")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "Not a directory" in (line := refuse(path)) and "XDG_CACHE_HOME" in line


def test_a_disk_that_is_too_full_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_gguf(tmp_path / "model.gguf")
    monkeypatch.setattr(convert, "ROOM", 1e12)
    line = refuse(path)
    assert re.search(r"[\d,]{9,} MB needed, [\d,]+ MB free", line) and "XDG_CACHE_HOME" in line


def test_a_disk_that_fills_up_leaves_no_half_model(tmp_path: Path) -> None:
    path = make_gguf(tmp_path / "model.gguf")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The tokenizer still fits, the weights do not.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        line = refuse(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "XDG_CACHE_HOME" in line
    assert (convert_gguf(path) / "model.safetensors").is_file()


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No GGUF file .*gone\.gguf"):
        resolve_model(str(tmp_path / "gone.gguf"))
