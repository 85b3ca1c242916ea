"""A site of a course of its own, the same behind a server, and OpenAI's client before that."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from mlx_tutor.study.web.site import Site
from tests.study.web.serving import Serving, make_site, serve_site


@pytest.fixture
def site(tmp_path: Path, tiny_model: Path) -> Iterator[Site]:
    made = make_site(tmp_path, tiny_model)
    yield made
    made.worker.close()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Serving]:
    with serve_site(make_site(tmp_path_factory.mktemp("serving"), tiny_model)) as running:
        yield running


@pytest.fixture
def client(serving: Serving) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{serving.address}/v1", api_key="none", max_retries=0) as opened:
        yield opened
