"""Files that are added to a course from its page: what is taken, and what every wrong one says."""

import re
import resource
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pypdf import PdfWriter

from mlx_tutor.extract.extract import find_changes, read_documents
from mlx_tutor.study.web import connections, uploads
from mlx_tutor.study.web.overview import draw_upload
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.uploads import check_file_name
from tests.extract.pdf_factory import draw_pdf, scan_page, stack
from tests.study.web.serving import Serving, make_site, serve_site

SEEDS = b"# Botany\n\n## Seed\n\nA seed is a young plant in a hard coat, with food for its first days.\n"


@pytest.fixture
def serving(tmp_path: Path, tiny_model: Path) -> Iterator[Serving]:
    with serve_site(replace(make_site(tmp_path, tiny_model), takes_files=True)) as running:
        yield running


def put(serving: Serving, name: str, content: bytes, query: str = "", **headers: str) -> tuple[int, str]:
    kind = {"Content-Type": "application/octet-stream"} | headers
    reply = httpx.put(
        f"{serving.address}/files/add?name={quote(name)}{query}", content=content, headers=kind, timeout=60
    )
    return reply.status_code, reply.text.strip()


def renew(serving: Serving) -> httpx.Response:
    return httpx.post(f"{serving.address}/files/read", json={}, timeout=60)


def list_files(site: Site) -> list[str]:
    """All that lies among the sources, hidden files too."""
    return sorted(path.relative_to(site.course.sources).as_posix() for path in site.course.sources.rglob("*"))


def search(site: Site, question: str) -> list[str]:
    with site.open_index() as index:
        return [passage.source for passage in index.search(question, 3)]


def test_a_file_is_read_found_and_cited(serving: Serving) -> None:
    assert search(serving.site, "young plant") == []
    status, said = put(serving, "Samen & Blüte 1.md", SEEDS)
    assert status == 201 and said == "Samen & Blüte 1.md is added: 16 words in 1 section."
    reply = renew(serving)
    assert reply.status_code == 200 and "2 documents" in reply.text and "mlx-tutor run -c demo" in reply.text
    assert search(serving.site, "young plant") == ["Samen & Blüte 1.md"]
    assert find_changes(serving.site.course) == ()
    assert "hard coat" in httpx.get(f"{serving.address}/read/{quote('Samen & Blüte 1.md')}").text
    assert list_files(serving.site) == ["Samen & Blüte 1.md", "notes.md"]


def test_a_file_is_read_once(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read when it came is not read again with the course."""
    monkeypatch.setattr("mlx_tutor.extract.extract.read_in_workers", read := Counting())
    assert put(serving, "seeds.md", SEEDS)[0] == 201
    assert renew(serving).status_code == 200
    assert read.sources == [["seeds.md"], []]


class Counting:
    """The real reader, which notes what it is given."""

    def __init__(self) -> None:
        self.sources = list[list[str]]()

    def __call__(self, jobs: Any, **options: Any) -> Any:
        from mlx_tutor.extract.worker import read_in_workers

        self.sources.append([source for _, source in jobs])
        return read_in_workers(jobs, **options)


def test_pages_without_text_are_named(serving: Serving, tmp_path: Path) -> None:
    scan = draw_pdf(tmp_path / "scan.pdf", [stack(["A scanned page."])])
    scan_page(scan)
    text = draw_pdf(tmp_path / "text.pdf", [stack(["A root is the part of a plant below the ground."])])
    writer = PdfWriter()
    for path in (text, scan):
        writer.append(path)
    writer.write(tmp_path / "both.pdf")
    status, said = put(serving, "both.pdf", (tmp_path / "both.pdf").read_bytes())
    assert status == 201 and "on 1 page." in said and said.endswith("Page 2 scanned, without text.")
    status, said = put(serving, "scan.pdf", scan.read_bytes())
    assert status == 400 and "looks scanned" in said and "corpora/demo/sources" in said and "--ocr" in said


def test_a_name_in_use_is_asked_about_first(serving: Serving) -> None:
    before = (serving.site.course.sources / "notes.md").read_bytes()
    assert put(serving, "notes.md", before) == (201, "notes.md is in the course already, with the same content.")
    status, said = put(serving, "notes.md", SEEDS)
    assert status == 409 and "a file of that name" in said
    assert (serving.site.course.sources / "notes.md").read_bytes() == before
    # One that cannot be read takes no good one's place.
    status, said = put(serving, "notes.md", b"\n \n", "&replace=yes")
    assert status == 400 and "empty" in said and (serving.site.course.sources / "notes.md").read_bytes() == before
    status, said = put(serving, "notes.md", SEEDS, "&replace=yes")
    assert status == 201 and said.startswith("notes.md is replaced: ")
    renew(serving)
    (document,) = read_documents(serving.site.course)
    assert "young plant" in document.sections[0].text and search(serving.site, "median") == []


def test_a_name_in_use_is_known_in_both_forms_of_unicode(serving: Serving) -> None:
    apart = unicodedata.normalize("NFD", "Maße ü.md")
    (serving.site.course.sources / apart).write_text("# Maß\n\nEin Maß ist ein Krug.\n")
    assert put(serving, "Maße ü.md", SEEDS)[0] == 409
    assert put(serving, "Maße ü.md", SEEDS, "&replace=yes")[0] == 201
    assert list_files(serving.site) == [apart, "notes.md"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("../recipe.md", SEEDS, "no plain file name"),
        ("", SEEDS, "without a suffix"),
        ("..", SEEDS, "no plain file name"),
        ("a/b.md", SEEDS, "no plain file name"),
        ("a\\b.md", SEEDS, "no plain file name"),
        ("a\nb.md", SEEDS, "no plain file name"),
        (".hidden.md", SEEDS, "hidden"),
        ("~$notes.docx", SEEDS, "hidden"),
        (f"{'ü' * 150}.md", SEEDS, "too long"),
        ("virus.exe", b"MZ", r"\.exe is not read; files of these kinds are: \.pdf"),
        ("table.csv", b"a,b", r"dataset\.import"),
        ("old.doc", b"x", "save it as .docx"),
        ("README", SEEDS, "without a suffix"),
        ("empty.pdf", b"", r"empty \(0 bytes\)"),
        ("blank.md", b"\n\n", "empty"),
        ("broken.pdf", b"%PDF-1.7\nnothing of the kind", "broken PDF"),
        ("photo.pdf", b"\x89PNG\r\n\x1a\n", "PNG picture"),
        ("broken.docx", b"PK\x03\x04 cut off", "broken.docx is not added"),
        ("lab.ipynb", b"{", "lab.ipynb is not added"),
    ],
)
def test_a_wrong_file_is_one_line_and_changes_nothing(serving: Serving, name: str, content: bytes, said: str) -> None:
    status, line = put(serving, name, content)
    assert status == 400 and len(line.splitlines()) == 1
    assert re.search(said, line), line
    assert list_files(serving.site) == ["notes.md"] and find_changes(serving.site.course) == ()


def test_what_another_page_could_send_is_refused(serving: Serving) -> None:
    assert put(serving, "x.md", SEEDS, Origin="http://evil.example")[0] == 403
    assert put(serving, "x.md", SEEDS, Host="evil.example")[0] == 421
    assert put(serving, "x.md", SEEDS, **{"Content-Type": "text/plain"})[0] == 415
    assert httpx.post(f"{serving.address}/files/add?name=x.md", json={}).status_code == 404
    assert httpx.options(f"{serving.address}/files/add?name=x.md").status_code == 404
    assert list_files(serving.site) == ["notes.md"]


def test_a_large_file_is_refused_before_it_comes(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlx_tutor.study.web.middleware.BODIES", {"PUT": (50, "application/octet-stream")})
    assert put(serving, "x.md", SEEDS) == (413, "At most 50 bytes.")
    monkeypatch.undo()
    monkeypatch.setattr(uploads, "MAX_UPLOAD", 50)
    assert put(serving, "x.md", SEEDS)[0] == 400
    assert list_files(serving.site) == ["notes.md"]


def test_a_full_disk_is_one_line_and_leaves_nothing(serving: Serving) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        status, said = put(serving, "big.md", SEEDS + b"Word. " * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 507 and said == "big.md is not added: the disk is full. Free some space and try again."
    assert list_files(serving.site) == ["notes.md"]


def test_a_course_that_cannot_be_written_says_so(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> str:
        raise PermissionError(13, "Permission denied", str(options["dir"]))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    status, said = put(serving, "seeds.md", SEEDS)
    assert status == 507 and "cannot be written" in said and len(said.splitlines()) == 1


def test_an_upload_that_breaks_off_leaves_nothing(serving: Serving) -> None:
    def send() -> Iterator[bytes]:
        yield SEEDS
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        httpx.put(
            f"{serving.address}/files/add?name=seeds.md",
            content=send(),
            headers={"Content-Type": "application/octet-stream", "Content-Length": "900"},
        )
    for _ in range(100):
        if list_files(serving.site) == ["notes.md"]:
            break
        time.sleep(0.05)
    assert list_files(serving.site) == ["notes.md"]
    assert put(serving, "seeds.md", SEEDS)[0] == 201


def test_a_slow_upload_goes_on_and_a_stuck_one_ends(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(connections, "LEAST_BYTES", 100)

    def send(pieces: int, seconds: float) -> Iterator[bytes]:
        yield SEEDS
        for _ in range(pieces):
            time.sleep(seconds)
            yield b"Word. " * 20

    def upload(pieces: int, seconds: float) -> int:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(SEEDS) + pieces * 120)}
        address = f"{serving.address}/files/add?name=slow{pieces}.md"
        return httpx.put(address, content=send(pieces, seconds), headers=headers, timeout=60).status_code

    assert upload(12, 0.1) == 201
    with pytest.raises(httpx.TransportError):
        upload(2, 1.5)


def test_only_a_page_that_takes_files_has_the_route(tmp_path: Path, tiny_model: Path) -> None:
    with serve_site(make_site(tmp_path, tiny_model)) as serving:
        assert put(serving, "seeds.md", SEEDS) == (404, "There is nothing here.")
        assert renew(serving).status_code == 404
        assert "Add to the course" not in httpx.get(f"{serving.address}/config").text
        assert list_files(serving.site) == ["notes.md"]


def test_a_course_without_its_files_takes_none() -> None:
    course: Any = SimpleNamespace(name="demo", lacks_sources=True)
    assert "without its files" in draw_upload(course) and "<input" not in draw_upload(course)


def test_a_name_is_kept_as_sources_are_named() -> None:
    assert check_file_name(unicodedata.normalize("NFD", "Übung.PDF")) == "Übung.PDF"
