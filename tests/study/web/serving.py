"""A real server before a tiny model, for the tests of page and API."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlx_tutor.models import load_model
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import ModelSpec
from mlx_tutor.settings import CourseSettings, GenerateSettings, ServeSettings
from mlx_tutor.study.web.middleware import AccessRules
from mlx_tutor.study.web.model_worker import ModelWorker
from mlx_tutor.study.web.server import make_app, make_server, open_socket
from mlx_tutor.study.web.site import Site
from tests.study.course import write_course

NOTES = """
# Statistics

## Mode

The **mode** is the value that occurs most often in a sample.

<script>document.title = 'run'</script>

## Median

A **median** is the value in the middle once all values are sorted.
"""
# Random weights run in loops. Without the cache, each test has its own answers.
RECIPE = Recipe(
    CourseSettings(system_prompt="Tutor."),
    generate=GenerateSettings(max_tokens=12, stop_repetition=False),
    serve=ServeSettings(cached_answers=0),
)


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server."""

    site: Site
    address: str


def make_site(folder: Path, model: Path, models: Sequence[ModelSpec] = (), recipe: Recipe = RECIPE) -> Site:
    """A site of a course of its own."""
    course = write_course(folder, NOTES)
    return Site(course, recipe, "demo", ModelWorker(lambda: load_model(model)), lambda: models)


@contextmanager
def serve_site(site: Site, password: str | None = None) -> Iterator[Serving]:
    """Answer on a free port until the end of the block."""
    with open_socket("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = make_server(make_app([site], AccessRules("127.0.0.1", port, password)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Serving(site, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            thread.join(30)
            site.worker.close()
