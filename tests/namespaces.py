"""Programs run in Linux namespaces: with file systems and networks of their own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# Mounts of its own; without root, in a user namespace of its own.
UNSHARE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = [*UNSHARE, "mount", "-t", "tmpfs", "none", str(folder)]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def cut_off(*command: str) -> list[str]:
    """The command in a network namespace of its own, which has no network."""
    prefix = ["unshare", "-n" if os.geteuid() == 0 else "-rn"]
    if os.geteuid() != 0 and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows a user no network namespace")
    return [*prefix, *command]
