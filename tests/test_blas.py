"""Which BLAS MLX multiplies with, and that the products are right."""

import ctypes
import ctypes.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlx_tutor import blas
from tests.commands.conftest import run_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the BLAS of a Linux wheel")

# What a user's process does: a product that is compared with NumPy's, and what is mapped into the process.
PRODUCT = """
import json, sys
import mlx.core as mx
import numpy as np
from pathlib import Path
from mlx_tutor import blas
from tests.commands.conftest import run_program

before = mx.array(np.ones((3, 3), np.float32)) @ mx.ones((3, 3))
mx.eval(before)
blas.use_openblas()
rng = np.random.default_rng(3)
gaps = []
for shape, other in (((301, 203), (203, 107)), ((4, 65, 33), (4, 33, 17)), ((1, 700), (700, 50))):
    left, right = rng.normal(size=shape), rng.normal(size=other)
    product = mx.array(left.astype(np.float32)) @ mx.array(right.astype(np.float32))
    turned = mx.array(right.astype(np.float32).swapaxes(-1, -2)).swapaxes(-1, -2)
    gaps += [float(np.abs(np.array(found) - left @ right).max())
             for found in (product, mx.array(left.astype(np.float32)) @ turned)]
maps = Path("/proc/self/maps").read_text()
print(json.dumps({"blas": blas.find_blas(), "gap": max(gaps), "maps": maps, "hint": blas.find_slow_blas()}))
"""


def multiply(**variables: str) -> dict[str, str]:
    """The outcome of PRODUCT in a process with these variables."""
    chosen = {"LD_PRELOAD", "MLX_TUTOR_BLAS", "OPENBLAS_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in chosen}
    command = [sys.executable, "-c", PRODUCT]
    done = subprocess.run(command, env={**environment, **variables}, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    assert float(found["gap"]) < 1e-3
    return found


def test_products_go_to_the_openblas_of_the_environment() -> None:
    found = multiply()
    assert "/scipy_openblas32/" in found["blas"] and found["blas"] in found["maps"]
    assert found["hint"] == ""


def test_switched_off_mlx_keeps_its_own_and_says_what_to_install() -> None:
    found = multiply(MLX_TUTOR_BLAS="off")
    assert "/mlx_cpu.libs/" in found["blas"] and "scipy_openblas32/" not in found["maps"]
    assert f"{sys.executable} -m pip install scipy-openblas32" in found["hint"]


def test_a_preloaded_library_stays() -> None:
    library = ctypes.util.find_library("openblas")
    if library is None:
        pytest.skip("needs a system OpenBLAS")
    found = multiply(LD_PRELOAD=library)
    assert "openblas" in found["blas"] and "scipy_openblas32" not in found["blas"]


def find_packaged() -> Path:
    return next(Path(path) for path in blas.list_libraries() if "scipy" in path)


@pytest.mark.parametrize(
    ("package", "system", "expected"),
    [("whole", "whole", "package"), ("empty", "whole", "system"), ("", "whole", "system"), ("empty", "", "")],
)
def test_the_environment_comes_before_the_system(
    package: str, system: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLX_TUTOR_BLAS", raising=False)
    places = {"package": tmp_path / "scipy_fake32" / "lib" / "libscipy_openblas.so", "system": tmp_path / "libopen.so"}
    for (name, place), state in zip(places.items(), (package, system), strict=True):
        if state:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(find_packaged(), place)
            if state == "empty":
                os.truncate(place, 0)
        if name == "package" and state:
            (place.parents[1] / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(blas, "PACKAGE", "scipy_fake32")
    monkeypatch.setattr(blas, "SYSTEM", str(places["system"]))
    library = blas.load_openblas()
    assert (library._name if library else "") == (str(places[expected]) if expected else "")


@pytest.mark.parametrize(("limit", "threads"), [("100000 100000", 1), ("max 100000", 0), ("150000 100000", 2)])
def test_threads_fit_the_share_of_a_container(
    limit: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    library = ctypes.CDLL(str(find_packaged()))
    count, change = library.scipy_openblas_get_num_threads, library.scipy_openblas_set_num_threads
    before = count()
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    monkeypatch.setattr(blas, "CPU_QUOTA", tmp_path / "cpu.max")
    try:
        blas.limit_threads(library)
        assert count() == (min(threads, len(os.sched_getaffinity(0))) or before)
        change(before)
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
        blas.limit_threads(library)
        assert count() == before
    finally:
        change(before)


@pytest.mark.parametrize("command", ["train", "run"])
def test_a_slow_machine_is_told_before_anything_else(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpora" / "notes" / "sources").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    for choice, told in (("off", True), ("", False)):
        _, _, err = run_program(command, "--set", "model.base=starter", MLX_TUTOR_BLAS=choice)
        lines = " ".join(err.split())
        assert lines.startswith("Warning: MLX multiplies matrices with its own reference BLAS") == told
        assert ("pip install scipy-openblas32" in lines) == told
