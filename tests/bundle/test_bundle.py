"""Bundles: what is in one, what is not, and that nothing that was changed is opened."""

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mlx_tutor.bundle.archive import open_bundle
from mlx_tutor.bundle.manifest import MANIFEST, SIGNATURE, name_base
from mlx_tutor.bundle.signing import name_key, sign
from mlx_tutor.errors import CorpusError, RecipeError, TutorError
from mlx_tutor.extract.extract import extract_course, find_changes, read_documents
from mlx_tutor.recipe import load_recipe
from mlx_tutor.study.search.index import is_index_current, open_index
from mlx_tutor.workspace import Course, Run, list_courses, list_runs
from tests.bundle.packing import TEXTS, make_lecturer, pack, rewrite, unpack

Files = dict[str, bytes]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Course, Run]:
    """What a lecturer has."""
    return make_lecturer(tmp_path / "lecturer")


@pytest.fixture
def packed(made: tuple[Course, Run], tmp_path: Path) -> Path:
    """The bundle of it."""
    pack(*made, tmp_path / "coast.tutor")
    return tmp_path / "coast.tutor"


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_course_comes_out_as_it_went_in(made: tuple[Course, Run], packed: Path, tmp_path: Path) -> None:
    student = tmp_path / "student"
    student.mkdir()
    course = unpack(packed, student)
    run = Run(student, "coast-2")
    assert [found.name for found in list_courses(student)] == ["coast"]
    assert [found.name for found in list_runs(course)] == ["coast-2"]
    assert (run.adapter / "adapters.safetensors").read_bytes() == (
        made[1].adapter / "adapters.safetensors"
    ).read_bytes()
    assert (run.fused / "model.safetensors").read_bytes() == b"weights" * 4000
    assert is_index_current(course)
    with open_index(course) as index:
        assert index.search("What is a seiche?")[0].text == TEXTS["waves.md"]
    assert find_changes(course) == () and not course.sources.exists()
    recipe = load_recipe(course.recipe)
    assert (recipe.course.subject, recipe.model.base, recipe.dataset.seed) == ("the sea", "sea-base", 4)


def test_nothing_private_is_in_it(made: tuple[Course, Run], packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    everything = b"\n".join((name.encode() + b" " + data) for name, data in files.items())
    for secret in (
        str(tmp_path),
        "oral exam",
        "neap",
        "Ada",
        "rated",
        "lab.example",
        "cards.csv",
        "import os",
        "mtime",
    ):
        if secret != "mtime":
            assert secret.encode() not in everything, secret
    assert not {name for name in files if "journal" in name or name.endswith(".py") or "evaluation" in name}
    assert files["course/dataset/test.jsonl"] == b"" and files["course/dataset/train.jsonl"].count(b"\n") == 1
    times = {entry["mtime_ns"] for entry in json.loads(files["course/dataset/documents.json"])["sources"]}
    assert times == {315_532_800 * 10**9}
    assert json.loads(files["fused/config.json"]) == {"hidden_size": 8}
    again = pack(*made, tmp_path / "again.tutor")
    assert (tmp_path / "again.tutor").read_bytes() == packed.read_bytes()
    assert (again.documents, again.documents_left_out, again.rows, again.rows_left_out) == (2, 1, 2, 4)
    assert again.lines_with_paths == 0


def test_a_path_of_this_machine_is_found(made: tuple[Course, Run], tmp_path: Path) -> None:
    course, run = made
    with (course.dataset / "train.jsonl").open("a") as file:
        file.write(json.dumps({"messages": [{"content": f"open('{tmp_path}/lecturer/data.csv')"}]}) + "\n")
    assert pack(course, run, tmp_path / "one.tutor").lines_with_paths == 1
    (run.fused / "generation_config.json").write_text(json.dumps({"from": f"{tmp_path}/lecturer/models"}))
    with pytest.raises(TutorError, match=r"generation_config\.json would tell"):
        pack(course, run, tmp_path / "two.tutor")
    assert not (tmp_path / "two.tutor").exists()


def test_sources_only_when_asked_for(made: tuple[Course, Run], packed: Path, tmp_path: Path) -> None:
    course = unpack(packed, tmp_path / "without")
    (course.sources).mkdir()
    (course.sources / "mine.md").write_text("My own notes on the sea.")
    before = (course.dataset / "documents.jsonl").read_bytes()
    with pytest.raises(CorpusError, match="mlx-tutor init"):
        extract_course(course)
    assert (course.dataset / "documents.jsonl").read_bytes() == before
    pack(*made, tmp_path / "whole.tutor", sources=True)
    course = unpack(tmp_path / "whole.tutor", tmp_path / "with")
    assert list_files(course.sources) == {"tides.md", "waves.md"}
    assert {document.source for document in read_documents(course)} == {"tides.md", "waves.md"}


def cut(files: Files) -> None:
    files["fused/model.safetensors"] = files["fused/model.safetensors"][:-1]


def flip(files: Files) -> None:
    data = files["course/dataset/documents.jsonl"]
    files["course/dataset/documents.jsonl"] = data.replace(b"largest", b"LARGEST")


def move(files: Files, name: str) -> None:
    files[name] = files["fused/README.md"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut, "fused/model.safetensors changed"),
        (flip, "course/dataset/documents.jsonl changed"),
        (lambda files: files.pop("course/index.sqlite"), "course/index.sqlite missing"),
        (lambda files: files.pop(MANIFEST), "no bundle of a course"),
        (lambda files: files.update({MANIFEST: b"{}"}), "manifest.json is broken"),
        (lambda files: move(files, "fused/extra.json"), "fused/extra.json added"),
        (lambda files: move(files, "course/sources/../../../evil.md"), "a name that leads elsewhere"),
        (lambda files: move(files, "/etc/cron.d/evil.md"), "a name that leads elsewhere"),
        (lambda files: move(files, "course\\..\\evil.md"), "a name that leads elsewhere"),
        (lambda files: move(files, "fused/README.MD"), "a name that is there twice"),
        (lambda files: move(files, "fused/modeling.py"), "does not belong"),
        (lambda files: move(files, "course/journal.sqlite"), "does not belong"),
        (lambda files: move(files, "course/sources/.hidden/a.md"), "does not belong"),
        (lambda files: move(files, f"course/sources/{'a' * 300}.md"), "too long"),
    ],
)
def test_what_was_changed_is_named_and_nothing_opened(
    packed: Path, tmp_path: Path, change: Callable[[Files], object], said: str
) -> None:
    student = tmp_path / "student"
    with pytest.raises(TutorError) as found:
        unpack(rewrite(packed, change), student)
    assert said in str(found.value) and "\n" not in str(found.value)
    assert list_files(student) == set()


def test_every_cut_is_found(packed: Path, tmp_path: Path) -> None:
    data = packed.read_bytes()
    for length in (0, 3, 40, 2000, len(data) // 2, len(data) - 30, len(data) - 1):
        packed.write_bytes(data[:length])
        with pytest.raises(TutorError, match=r"cut off|no bundle"):
            unpack(packed, tmp_path / "student")
    for more in (data + b"x", b"x" + data, data[:-2] + b"\1\0x"):
        packed.write_bytes(more)
        with pytest.raises(TutorError, match=r"added at its end|no bundle"):
            unpack(packed, tmp_path / "student")
    assert list_files(tmp_path / "student") == set()


def test_a_flipped_bit_of_any_file_is_found(packed: Path, tmp_path: Path) -> None:
    data = packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        infos = archive.infolist()
    for info in infos:
        if not info.file_size:
            continue
        spot = info.header_offset + 30 + len(info.filename) + info.file_size // 2
        packed.write_bytes(data[:spot] + bytes([data[spot] ^ 4]) + data[spot + 1 :])
        with pytest.raises(TutorError, match=f"{info.filename}.* changed|is broken"):
            unpack(packed, tmp_path / "student")
    assert list_files(tmp_path / "student") == set()


def test_forms_of_zip_that_no_bundle_has(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        files = [(info, archive.read(info)) for info in archive.infolist()]

    numbers = count()

    def write(name: str, *, mode: int = stat.S_IFREG, compress: int = zipfile.ZIP_STORED, twice: bool = False) -> Path:
        target = tmp_path / f"{next(numbers)}.tutor"
        with pytest.warns(UserWarning) if twice else zipfile.ZipFile(packed), zipfile.ZipFile(target, "w") as archive:
            for info, data in files:
                copy = zipfile.ZipInfo(info.filename)
                here = info.filename == name
                copy.external_attr = (mode if here else stat.S_IFREG) << 16
                copy.compress_type = compress if here else zipfile.ZIP_STORED
                archive.writestr(copy, data)
                if here and twice:
                    archive.writestr(info.filename, b"another")
        return target

    name = "adapter/adapters.safetensors"
    for path, said in (
        (write(name, mode=stat.S_IFLNK), "a link"),
        (write(name, mode=stat.S_IFDIR), "a link"),
        (write(name, compress=zipfile.ZIP_DEFLATED), "compressed"),
        (write(MANIFEST, compress=zipfile.ZIP_DEFLATED), "compressed"),
        (write(name, twice=True), "there twice"),
        (write(MANIFEST, twice=True), "there twice"),
    ):
        with pytest.raises(TutorError, match=said):
            unpack(path, tmp_path / "student")
    # A size that a ZIP file states and does not have.
    data = bytearray(packed.read_bytes())
    spot = data.rindex(name.encode()) - 46
    assert data[spot : spot + 4] == b"PK\x01\x02"
    data[spot + 20 : spot + 28] = (1 << 30).to_bytes(4, "little") * 2
    packed.write_bytes(data)
    with pytest.raises(TutorError, match=r"not right behind"):
        unpack(packed, tmp_path / "student")
    assert list_files(tmp_path / "student") == set()


def set_recipe(text: bytes) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files["course/recipe.toml"] += text

    return change


def test_a_bundle_made_to_do_harm(packed: Path, tmp_path: Path) -> None:
    for text in (b'[teacher]\nmodel = "x"\nbase_url = "http://evil.example"\n', b"[serve]\nlog_questions = true\n"):
        with pytest.raises(TutorError, match="names a teacher"):
            unpack(rewrite(packed, set_recipe(text), refit=True), tmp_path / "student")
    with pytest.raises(RecipeError):
        unpack(rewrite(packed, set_recipe(b"[wat]\n"), refit=True), tmp_path / "student")
    other = rewrite(packed, lambda files: files.update({"adapter/run.json": b'{"course": "coast"}'}), refit=True)
    with pytest.raises(TutorError, match="another course or run"):
        unpack(other, tmp_path / "student")
    assert list_files(tmp_path / "student") == set()


def test_what_the_user_has_is_kept(made: tuple[Course, Run], packed: Path, tmp_path: Path) -> None:
    own = tmp_path / "student"
    for taken in (Course(own, "coast").root, Run(own, "coast-2").adapter, Run(own, "coast-2").fused):
        taken.mkdir(parents=True)
        (taken / "mine.txt").write_text("mine")
        for replace in (False, True):
            with pytest.raises(TutorError, match="--as NAME"):
                unpack(packed, own, replace=replace)
        assert list_files(own) == {(taken / "mine.txt").relative_to(own).as_posix()}
        (taken / "mine.txt").unlink()
        taken.rmdir()
    first = unpack(packed, own)
    with pytest.raises(TutorError, match="--replace"):
        unpack(packed, own)
    (first.root / "journal.sqlite").write_text("conversations")
    (made[1].fused / "model.safetensors").write_bytes(b"renewed")
    pack(*made, packed, replace=True)
    unpack(packed, own, replace=True)
    assert (first.root / "journal.sqlite").read_text() == "conversations"
    assert (Run(own, "coast-2").fused / "model.safetensors").read_bytes() == b"renewed"
    pack(*made, packed, replace=True, fused=False)
    unpack(packed, own, replace=True)
    assert not Run(own, "coast-2").is_fused and Run(own, "coast-2").is_complete
    other = unpack(packed, own, "mine", "mine")
    assert [run.name for run in list_runs(other)] == ["mine"]
    assert not [path for path in own.rglob(".*") if path.is_dir()]


def test_a_move_that_fails_leaves_all_as_it_was(
    made: tuple[Course, Run], packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "student"
    unpack(packed, own)
    before = {name: (own / name).read_bytes() for name in list_files(own)}
    (made[1].fused / "model.safetensors").write_bytes(b"renewed")
    pack(*made, packed, replace=True)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "fused":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(TutorError, match="disk is full"):
        unpack(packed, own, replace=True)
    assert {name: (own / name).read_bytes() for name in list_files(own)} == before
    # Killed half-way, it is completed the next time.
    monkeypatch.undo()
    shutil.rmtree(Run(own, "coast-2").adapter)
    unpack(packed, own, replace=True)
    assert (Run(own, "coast-2").fused / "model.safetensors").read_bytes() == b"renewed"
    assert Run(own, "coast-2").is_complete
    # What is set aside is never deleted before the new is in place.
    aside = own / "corpora" / ".coast.opening" / "before"
    aside.mkdir(parents=True)
    with pytest.raises(TutorError, match="set aside"):
        unpack(packed, own, replace=True)
    assert aside.is_dir()


def test_signatures(made: tuple[Course, Run], packed: Path, tmp_path: Path) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signed = tmp_path / "signed.tutor"
    assert pack(*made, signed, key=key).signed_by == name_key(key.public_key())
    for path, signer in ((signed, name_key(key.public_key())), (packed, None)):
        with open_bundle(path) as bundle:
            assert bundle.signed_by == signer

    def forge(files: Files) -> None:
        signature = json.loads(sign(files[MANIFEST], other))
        signature["key"] = json.loads(files[SIGNATURE])["key"]
        files[SIGNATURE] = json.dumps(signature).encode()

    with pytest.raises(TutorError, match="signature does not fit"):
        unpack(rewrite(signed, forge), tmp_path / "student")
    with pytest.raises(TutorError, match="signature does not fit"):
        unpack(rewrite(signed, lambda files: files.pop("course/index.sqlite"), refit=True), tmp_path / "student")
    with pytest.raises(TutorError, match="signature is broken"):
        unpack(rewrite(signed, lambda files: files.update({SIGNATURE: b"[]"})), tmp_path / "student")
    # A course that was signed is renewed by the same signer, unless the user names the new one.
    unpack(signed, tmp_path / "student")
    with pytest.raises(TutorError, match="is not signed"):
        unpack(packed, tmp_path / "student", replace=True)
    pack(*made, packed, replace=True, key=other)
    with pytest.raises(TutorError, match="was signed by"):
        unpack(packed, tmp_path / "student", replace=True)
    unpack(packed, tmp_path / "student", replace=True, is_trusted=True)


def test_a_base_is_named_without_its_folder() -> None:
    for base in ("smollm2", "owner/name-4bit"):
        assert name_base(base) == base
    for base in ("/home/ada/models/sea", "~/models/sea", "./sea", "../models/sea", "a/b/sea"):
        assert name_base(base) == "sea"
