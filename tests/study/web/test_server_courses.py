"""Several courses in one server: one model in memory, and nothing of one course on the page of another."""

import gc
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlx_tutor.errors import ModelError
from mlx_tutor.models import LoadedModel, load_model
from mlx_tutor.study.web.chat_view import draw_progress
from mlx_tutor.study.web.middleware import AccessRules
from mlx_tutor.study.web.model_worker import ModelWorker
from mlx_tutor.study.web.server import make_app, make_server, open_socket
from mlx_tutor.study.web.site import Site
from tests.model_factory import make_model
from tests.study.course import write_course
from tests.study.web.serving import RECIPE

CHEMISTRY = "# Chemistry\n\n## Acid\n\nAn acid is a substance that gives away protons.\n"
OPTICS = "# Optics\n\n## Lens\n\nA lens is a piece of glass that bends light.\n"


class Loads:
    """Counts what is loaded, and whether it is still in memory."""

    def __init__(self) -> None:
        self.models: list[tuple[str, weakref.ref[LoadedModel]]] = []

    def load(self, name: str, path: Path) -> LoadedModel:
        loaded = load_model(path)
        self.models.append((name, weakref.ref(loaded.model)))
        return loaded

    def names(self) -> list[str]:
        return [name for name, _ in self.models]

    def alive(self) -> list[str]:
        gc.collect()
        return [name for name, model in self.models if model() is not None]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_model(tmp_path_factory.mktemp("one")), make_model(tmp_path_factory.mktemp("two"))


def make_sites(folder: Path, first: Path, second: Path, loads: Loads, label: str = "base") -> list[Site]:
    """Two courses whose names need quoting, in one thread."""
    names = ("Chemie 1", "optics")
    courses = [write_course(folder / name, text, name) for name, text in zip(names, (CHEMISTRY, OPTICS), strict=True)]
    one = ModelWorker(lambda: loads.load("one", first), model=first)
    two = ModelWorker(lambda: loads.load("two", second), model=second, beside=one)
    return [
        Site(course, RECIPE, label, worker, tuple, courses=names)
        for course, worker in zip(courses, (one, two), strict=True)
    ]


@pytest.fixture
def sites(tmp_path: Path, models: tuple[Path, Path]) -> Iterator[tuple[list[Site], Loads]]:
    loads = Loads()
    made = make_sites(tmp_path, *models, loads)
    yield made, loads
    made[0].worker.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, models: tuple[Path, Path]) -> Iterator[str]:
    made = make_sites(tmp_path_factory.mktemp("courses"), *models, Loads())
    with open_socket("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = make_server(make_app(made, AccessRules("127.0.0.1", port)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(30)
        made[0].worker.close()


def take(site: Site) -> Any:
    """Use the model of a course."""
    return site.worker.submit(lambda task: site.take_model(task) and None).take(60)


def test_the_model_of_one_course_gives_way_to_that_of_another(sites: tuple[list[Site], Loads]) -> None:
    (one, two), loads = sites
    take(one)
    take(one)
    assert loads.names() == ["one"]
    take(two)
    assert loads.names() == ["one", "two"] and loads.alive() == ["two"]
    take(one)
    assert loads.names() == ["one", "two", "one"] and loads.alive() == ["one"]


def test_courses_of_the_same_model_share_it(tmp_path: Path, models: tuple[Path, Path]) -> None:
    loads = Loads()
    one, two = make_sites(tmp_path, models[0], models[0], loads)
    take(one)
    take(two)
    assert loads.names() == ["one"]
    one.worker.close()


def test_who_waits_sees_that_the_model_is_loaded(sites: tuple[list[Site], Loads], tmp_path: Path) -> None:
    (one, _), _ = sites
    seen = list[str]()

    def load() -> LoadedModel:
        seen.append(draw_progress(task))
        return load_model(tmp_path / "none")

    slow = replace(one, worker=ModelWorker(load, beside=one.worker))
    gate = threading.Event()
    slow.worker.submit(lambda task: gate.wait(10))
    task = slow.worker.submit(slow.take_model)
    gate.set()
    with pytest.raises(ModelError):
        task.take(60)
    assert "Loading the base model" in seen[0] and "loading" not in task.notes


def test_one_queue_counts_and_closes_for_all(sites: tuple[list[Site], Loads]) -> None:
    (one, two), _ = sites
    gate = threading.Event()
    one.worker.submit(lambda task: gate.wait(10))
    waiting = two.worker.submit(lambda task: "done")
    assert waiting.count_ahead() == 1 and one.worker.count_all() == 2
    gate.set()
    assert waiting.take(10) == "done"
    one.worker.close()
    assert two.worker.is_closed()


def test_each_course_has_its_own_page_and_files(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        assert client.get("/").headers["location"] == "/c/Chemie%201/"
        for name, other in (("Chemie%201", "optics"), ("optics", "Chemie%201")):
            page = client.get(f"/c/{name}/").text
            assert f"../{other}/" in page and "../optics/" in page
        assert "gives away protons" in client.get("/c/Chemie%201/read/notes.md").text
        assert "bends light" in client.get("/c/optics/sources/notes.md").text
        assert "protons" not in client.get("/c/optics/read/notes.md").text
        for path in (
            "/c/none/",
            "/read/notes.md",
            "/sources/notes.md",
            "/c/optics/v1/models",
            "/c/Chemie 1x/read/notes.md",
        ):
            assert client.get(path).status_code == 404, path
        assert client.post("/c/optics/gradio_api/upload", json={}).status_code == 404
        assert client.get("/favicon.ico", follow_redirects=True).status_code == 200


def test_the_reader_leads_back_to_its_own_course(address: str) -> None:
    page = httpx.get(f"{address}/c/Chemie%201/read/notes.md").text
    assert 'href="/c/Chemie%201/reader.css"' in page and 'href="/c/Chemie%201/sources/notes.md"' in page
    missing = httpx.get(f"{address}/c/Chemie%201/read/none.md").text
    assert '<a href="/c/Chemie%201/">' in missing


def test_the_api_has_a_model_for_each_course(address: str) -> None:
    listed = [model["id"] for model in httpx.get(f"{address}/v1/models").json()["data"]]
    assert listed == ["base@Chemie 1", "base@Chemie 1+course", "base@optics", "base@optics+course"]
    for name, found in (("base@Chemie 1+course", "protons"), ("base@optics+course", "bends light")):
        body = {"model": name, "messages": [{"role": "user", "content": "What is an acid or a lens?"}]}
        (choice,) = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=60).json()["choices"]
        assert found in " ".join(passage["text"] for passage in choice["passages"])
    refused = httpx.post(f"{address}/v1/chat/completions", json={"model": "base", "messages": []})
    assert refused.status_code == 404 and "'base@optics'" in refused.json()["error"]["message"]
    assert httpx.post(f"{address}/v1/chat/completions", json=[]).status_code == 400
