"""Files that are written whole or not at all, and broken ones that are named."""

import json
import tracemalloc
from pathlib import Path

import pytest

from mlx_tutor.errors import TutorError
from mlx_tutor.files import check_new_file, hash_sample, read_json, read_jsonl, write_file, write_json, write_jsonl


def fail_halfway(path: Path) -> None:
    path.write_text('{"half": ')
    raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"loss": 1.5})
    with pytest.raises(KeyboardInterrupt):
        write_file(path, fail_halfway)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    assert read_json(path) == {"loss": 1.5}
    assert list(tmp_path.iterdir()) == [path]


def test_a_broken_line_is_named_and_line_separators_inside_of_strings_end_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "one\u2028two\x85three"}, {"text": "four"}]
    write_jsonl(path, rows)
    assert read_jsonl(path) == rows
    path.write_text(f"{json.dumps(rows[0])}\n\n{{'text': 1}}\n")
    with pytest.raises(TutorError, match=r"rows\.jsonl, line 3 is not valid JSON"):
        read_jsonl(path)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}"])
def test_broken_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuse.json"
    path.write_bytes(content)
    with pytest.raises(TutorError, match=r"fuse\.json is not valid JSON .* run the stage that writes it again"):
        read_json(path)


def test_a_file_that_a_user_names_is_new(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("mine")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    check_new_file(tmp_path / "new.md")
    for name, reason in (("mine.md", "not overwritten"), ("gone.md", "not overwritten"), ("no/a.md", "no folder")):
        with pytest.raises(TutorError, match=reason):
            check_new_file(tmp_path / name)
    with pytest.raises(TutorError, match="is a folder"):
        check_new_file(tmp_path)


def test_large_files_are_told_apart_by_size_beginning_and_end(tmp_path: Path) -> None:
    path, seen = tmp_path / "weights", set()
    content = bytearray(3 << 20)
    for place, value in ((0, 0), (5, 1), (len(content) - 5, 1)):
        content[place] = value
        path.write_bytes(content)
        seen.add(hash_sample(path))
    path.write_bytes(content + b"\0")
    assert len(seen | {hash_sample(path)}) == 4


def test_rows_are_written_one_by_one(tmp_path: Path) -> None:
    rows = ({"text": f"row {number} " * 20} for number in range(20_000))
    tracemalloc.start()
    write_jsonl(tmp_path / "a.jsonl", rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "a.jsonl").stat().st_size > 4_000_000
    assert peak < 1_000_000


def test_rows_that_fail_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [{"n": 1}])
    with pytest.raises(ValueError, match="JSON"):
        write_jsonl(path, [{"n": 2}, {"n": float("nan")}])
    assert read_jsonl(path) == [{"n": 1}]
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]
