"""What `mlx-tutor doctor` finds out: the machine, its packages and models, and which recipe fits."""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlx_tutor.blas import find_blas, find_slow_blas, measure_gflops
from mlx_tutor.errors import CorpusError
from mlx_tutor.provenance import find_version
from mlx_tutor.study.search.vectors import describe_encoder, load_encoder
from mlx_tutor.workspace import find_workspace, list_courses

PACKAGES = ("mlx", "mlx-lm", "mlx-metal", "mlx-cpu", "mlx-cuda-13", "transformers", "huggingface-hub", "numpy")
# GiB of memory that training with a shipped recipe needs to be comfortable, the system and a browser included.
RECIPE_MEMORY = {"small": 8, "standard": 16, "large": 24}
# Firmware and kernel reserve a part of the installed memory.
MEMORY_SLACK = 0.9


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model in the Hub's cache."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found. `gflops` are of float32 products; `problems` are what to act on, each with what to do."""

    chip: str
    cores: int
    memory_gib: float
    system: str
    python: str
    backend: str
    blas: str
    gflops: float
    compiler: str | None
    packages: dict[str, str]
    recipe: str | None
    cached_models: tuple[CachedModel, ...]
    semantic_search: str
    workspace: str
    courses: tuple[str, ...]
    problems: tuple[str, ...]


def examine_machine() -> Diagnosis:
    """Look at the machine, the packages, the Hub's cache and the workspace; changes nothing."""
    import mlx.core as mx

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    backend = "CPU"
    if mx.default_device() == mx.Device(mx.gpu):
        backend = "Metal" if mx.metal.is_available() else "CUDA"
    packages = {name: found for name in PACKAGES if (found := find_version(name)) is not None}
    workspace = find_workspace()
    slow_blas = find_slow_blas()
    compiler = shutil.which("g++")
    return Diagnosis(
        chip=find_chip(),
        cores=os.cpu_count() or 1,
        memory_gib=round(memory, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        backend=backend,
        blas=find_blas(),
        gflops=round(measure_gflops(), 1),
        compiler=compiler,
        packages=packages,
        recipe=pick_recipe(memory),
        cached_models=list_cached_models(),
        semantic_search=describe_encoder(),
        workspace=str(workspace),
        courses=tuple(course.name for course in list_courses(workspace)),
        problems=tuple(find_problems(packages, backend, slow_blas, compiler, memory)),
    )


def find_problems(
    packages: dict[str, str], backend: str, slow_blas: str, compiler: str | None, memory: float
) -> list[str]:
    """What keeps mlx-tutor from running here, or from running fast."""
    problems = []
    try:
        load_encoder()
    except CorpusError as err:
        problems.append(str(err))
    if {"mlx-cpu", "mlx-cuda-13"} <= set(packages):
        problems.append(
            "mlx-cpu and mlx-cuda-13 are both installed and overwrite each other's library. Remove both, then "
            "install one: pip uninstall mlx-cpu mlx-cuda-13"
        )
    if backend == "CPU" and sys.platform.startswith("linux"):
        if slow_blas:
            problems.append(slow_blas)
        if compiler is None:
            problems.append("No g++: MLX runs uncompiled, which is slower. Install a C++ compiler.")
    if pick_recipe(memory) is None:
        problems.append(
            f"{memory:.1f} GiB of memory are less than the small recipe wants ({RECIPE_MEMORY['small']}). "
            "Use a small model: --set model.base=smollm2"
        )
    return problems


def pick_recipe(memory_gib: float) -> str | None:
    """The largest shipped recipe that fits the memory."""
    fitting = [name for name, need in RECIPE_MEMORY.items() if memory_gib >= MEMORY_SLACK * need]
    return fitting[-1] if fitting else None


def find_chip() -> str:
    """The processor's name."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "Apple silicon"
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def list_cached_models() -> tuple[CachedModel, ...]:
    """The models in the Hub's cache, largest first; none when there is no cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return ()
    models = [CachedModel(repo.repo_id, repo.size_on_disk) for repo in repos if repo.repo_type == "model"]
    return tuple(sorted(models, key=lambda model: (-model.bytes, model.name)))
