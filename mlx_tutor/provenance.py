"""Chip, system and package versions, which manifests record beside an artefact."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mlx_tutor import __version__

PACKAGES = ("mlx", "mlx-lm", "transformers", "numpy")


def describe_environment() -> dict[str, Any]:
    """Chip, system and package versions, for the manifests."""
    import mlx.core as mx

    return {
        "mlx_tutor": __version__,
        "packages": {name: find_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "device": str(mx.default_device()),
        "device_name": mx.device_info(mx.default_device()).get("device_name", platform.processor()),
    }


def find_version(name: str) -> str | None:
    """The installed version of a package; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
