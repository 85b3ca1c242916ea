"""The reader over HTTP: what it shows, what it refuses, and how it stands with files that changed."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest

from mlx_tutor.extract.extract import read_documents
from mlx_tutor.files import write_json, write_jsonl
from mlx_tutor.models import load_model
from mlx_tutor.study.exam.mode import Exam
from mlx_tutor.study.web.model_worker import ModelWorker
from mlx_tutor.study.web.site import Site
from mlx_tutor.workspace import Course
from tests.study.reader.lessons import BULB, NAME, WIRE, make_picture, write_lab, write_lessons
from tests.study.web.serving import RECIPE, Serving, serve_site


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Serving]:
    course = write_lessons(tmp_path_factory.mktemp("reader"))
    (course.root / "secret.md").write_text("secret")
    (course.sources / "outside.md").symlink_to(course.root / "secret.md")
    (course.sources / "late.md").write_text("# Late\n\nIt came after the course was read.\n")
    (course.sources / "data.csv").write_text("a,b\n")
    site = Site(course, RECIPE, "demo", ModelWorker(lambda: load_model(tiny_model)), lambda: ())
    with serve_site(site) as running:
        yield running


def read(serving: Serving, name: str, **query: object) -> httpx.Response:
    # Drawing a page takes seconds where others are at work.
    values = {key: str(value) for key, value in query.items()}
    return httpx.get(f"{serving.address}/read/{quote(name)}", params=values, timeout=60)


def test_a_lesson_with_formulas_tables_code_and_lists(serving: Serving) -> None:
    reply = read(serving, "springs.md")
    assert reply.status_code == 200
    page = reply.text
    assert '<h1 dir="auto">Springs</h1>' in page and "Hooke&#39;s law</h2>" in page
    assert page.count("<math") == 4 and '<math display="block">' in page
    assert "<th><code>k</code></th>" in page and '<span class="language">python</span>' in page
    assert "# &lt;b&gt;" in page and '<ol><li value="1">Hang the weight.<ul><li>Wait' in page
    assert "<script" not in page and "onerror" not in page


def test_pictures_of_a_lesson_come_from_its_folder_alone(serving: Serving) -> None:
    (serving.site.course.root / "secret.png").write_bytes(make_picture("PNG"))
    page = read(serving, "springs.md").text
    (target,) = re.findall(r'<img src="([^"]+)" width="40" height="20"', page)
    picture = httpx.get(serving.address + unescape(target))
    assert picture.headers["content-type"] == "image/png" and picture.content == make_picture("PNG")
    policy = picture.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';") and policy.endswith("sandbox") and "script" not in policy
    assert page.index("soft") < page.index(target) < page.index("Hang the")
    assert "Picture not shown: not fetched from https://example.org/spring.png" in page
    assert "Picture not shown: ../secret.png is not among the course" in page
    assert 'src="http' not in page and 'href="http' not in page
    for number in (1, 3, 4, 5, 0, "x"):
        assert httpx.get(f"{serving.address}/pictures/springs.md?figure={number}").status_code == 404
    assert httpx.get(f"{serving.address}/pictures/{quote('../secret.png', safe='')}?figure=1").status_code == 404


def test_nothing_can_run_there(serving: Serving) -> None:
    policy = read(serving, "springs.md").headers["content-security-policy"]
    assert policy.startswith("default-src 'none';") and "script" not in policy and "http" not in policy
    assert read(serving, "springs.md").headers["x-content-type-options"] == "nosniff"


def test_the_passage_is_marked_in_its_section(serving: Serving) -> None:
    page = read(serving, "springs.md", passage="The **restoring force** of a spring", section=0).text
    assert (
        '<p><mark id="cited">The </mark><strong><mark>restoring force</mark></strong><mark> of a spring</mark> grows'
        in page
    )
    page = read(serving, "springs.md", passage="The force of a spring").text
    assert "<mark" not in page and "does not stand in this file word for word" in page


def test_a_notebook_has_its_cells_outputs_and_pictures(serving: Serving) -> None:
    page = read(serving, "lab.ipynb", passage="An error of reading").text
    assert re.findall(r'id="(cell-\d+)"', page) == ["cell-1", "cell-2", "cell-3"]
    assert (
        '<pre class="output" tabindex="0">&lt;i&gt;</pre>' in page
        and '<mark id="cited">An error of reading</mark>' in page
    )
    sources = [unescape(source) for source in re.findall(r'<img src="([^"]+)"', page)]
    assert sources == ["/pictures/lab.ipynb?number=1", "/pictures/lab.ipynb?number=2"]
    assert page.index("scale is read") < page.index(sources[0]) < page.index("plot") < page.index(sources[1])
    kinds = [httpx.get(serving.address + source).headers["content-type"] for source in sources]
    assert kinds == ["image/png", "image/jpeg"]
    for number in ("0", "3", "x", "-1", "9" * 50):
        assert httpx.get(f"{serving.address}/pictures/lab.ipynb?number={number}").status_code == 404


def test_a_pdf_is_shown_at_its_page_with_the_passage_marked(serving: Serving) -> None:
    page = read(serving, NAME, passage=WIRE, page=1).text
    assert f'<mark id="cited">{WIRE}</mark>' in page and BULB not in page
    assert page.count("<rect") == 2 and "page 2 of 2" in page
    (target,) = re.findall(r'<image href="([^"]+)"', page)
    picture = httpx.get(serving.address + unescape(target), timeout=60)
    assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")
    assert f'href="/sources/{quote(NAME)}#page=2"' in page
    assert BULB in read(serving, NAME).text and "Next page" in read(serving, NAME).text
    assert read(serving, NAME, page=9).status_code == 404


def test_a_passage_on_the_next_page_is_marked_there(tmp_path: Path, tiny_model: Path) -> None:
    course = write_lessons(tmp_path)
    site = Site(course, RECIPE, "demo", ModelWorker(lambda: load_model(tiny_model)), lambda: ())
    (document,) = [document for document in read_documents(course) if document.source == NAME]
    # A paragraph stands at the page where it begins.
    first, second = document.sections
    (block,) = first.blocks
    joined = replace(first, blocks=(replace(block, text=f"{block.text} {second.blocks[0].text}"),))
    rows = [
        (replace(document, sections=(joined,)) if document.source == NAME else document).to_row()
        for document in read_documents(course)
    ]
    write_jsonl(course.dataset / "documents.jsonl", rows)
    # As after an update of the program: the manifest no longer fits, and the files are those that were read.
    (course.dataset / "documents.json").unlink()
    with serve_site(site) as serving:
        page = read(serving, NAME, passage=WIRE).text
        assert f'<mark id="cited">{WIRE}</mark>' in page and page.count("<image") == 2
        assert page.index("page=2") < page.index("<rect") and page.count("<rect") == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.md", "has no source"),
        ("../secret.md", "has no source"),
        ("../../../../etc/passwd", "has no source"),
        ("outside.md", "a link that leads out"),
        ("late.md", "mlx-tutor extract -c demo"),
        ("data.csv", "of a kind that is not read"),
        ("<script>.md", "&lt;script&gt;.md"),
        ("\u202egnp\x00.md", "has no source"),
        ("x" * 3000, "has no source"),
    ],
)
def test_what_cannot_be_shown_is_one_clear_page(serving: Serving, name: str, said: str) -> None:
    reply = httpx.get(f"{serving.address}/read/{quote(name, safe='')}")
    assert reply.status_code == 404 and said in reply.text.replace("&#39;", "'")
    assert "secret" not in reply.text.replace("secret.md", "") and "\u202e" not in reply.text
    assert len(reply.text) < 2000


def test_a_file_that_changed_or_went_is_shown_as_it_was_read(tmp_path: Path, tiny_model: Path) -> None:
    course = write_lessons(tmp_path)
    site = Site(course, RECIPE, "demo", ModelWorker(lambda: load_model(tiny_model)), lambda: ())
    with serve_site(site) as serving:
        (course.sources / "lab.ipynb").write_text("{}")
        page = read(serving, "lab.ipynb").text
        assert "changed since it was read" in page and "The scale is read" in page and "<img" not in page
        write_lab(course.sources / "lab.ipynb")
        (course.sources / NAME).unlink()
        page = read(serving, NAME, page=2).text
        assert "no longer among the sources" in page and WIRE in page
        write_json(course.bundle, {"manifest": {"sources": False}})
        page = read(serving, NAME, page=2).text
        assert "handed out without its files" in page and "no longer among" not in page and WIRE in page
        assert "<image" not in page and "Open the file" not in page
        shutil.rmtree(course.dataset)
        reply = read(serving, "springs.md")
        assert reply.status_code == 404 and "mlx-tutor extract -c demo" in reply.text


def test_in_an_exam_the_text_is_shown_and_no_program_started(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = write_lessons(tmp_path)
    site = Site(course, RECIPE, "demo", ModelWorker(lambda: load_model(tiny_model)), lambda: ())
    exam = Exam(Course(tmp_path, "demo"), "e", "demo", start_code="A")
    monkeypatch.setattr("mlx_tutor.study.reader.pages.subprocess.run", lambda *_, **__: pytest.fail("a program"))
    with serve_site(replace(site, exam=exam)) as serving:
        page = read(serving, NAME, passage=WIRE).text
        assert f'<mark id="cited">{WIRE}</mark>' in page and "In an exam no other program is started" in page
        assert httpx.get(f"{serving.address}/pages/{quote(NAME)}?page=1").status_code == 404
        assert "/pictures/lab.ipynb?number=1" in read(serving, "lab.ipynb").text


def test_the_password_guards_it_too(tmp_path: Path, tiny_model: Path) -> None:
    course = write_lessons(tmp_path)
    site = Site(course, RECIPE, "demo", ModelWorker(lambda: load_model(tiny_model)), lambda: ())
    with serve_site(site, "correct horse") as serving:
        for path in ("read/springs.md", "pages/x.pdf", "pictures/lab.ipynb?number=1", "reader.css"):
            assert httpx.get(f"{serving.address}/{path}").status_code == 401
        url = f"{serving.address}/read/springs.md?{urlencode({'section': 0})}"
        assert httpx.get(url, auth=("me", "correct horse")).status_code == 200
