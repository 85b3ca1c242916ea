"""Runs the benchmarks one after another, each in a process of its own, and prints one JSON document.

It holds the date, machine and versions, and what each benchmark found. Progress goes to stderr. A benchmark that
fails has an "error" in its place, and the exit status is 1.

    python -m tests.benchmarks > bench.json
"""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlx_tutor.provenance import describe_environment
from tests.benchmarks.data import ROOT


def run_benchmark(name: str) -> dict[str, Any]:
    """What one benchmark prints, and how long it took."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    command = [sys.executable, "-m", f"tests.benchmarks.{name}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    result = (
        json.loads(done.stdout)
        if done.returncode == 0
        else {"benchmark": name.removeprefix("bench_"), "error": f"exit status {done.returncode}"}
    )
    seconds = time.perf_counter() - begun
    print(f"{name} {result.get('error', 'done')} in {seconds:.0f} s", file=sys.stderr)
    return {**result, "seconds": round(seconds, 1)}


def main() -> int:
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": describe_environment(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        # Above the number of benchmarks that run, one, others took part of the machine.
        "load_before": round(os.getloadavg()[0], 2),
        "data": "MLX_TUTOR_BENCH_DATA" if os.environ.get("MLX_TUTOR_BENCH_DATA") else "sample course and starter model",
        "results": [run_benchmark(path.stem) for path in sorted(Path(__file__).parent.glob("bench_*.py"))],
    }
    print(json.dumps(document, indent=2))
    return int(any("error" in result for result in document["results"]))


if __name__ == "__main__":
    sys.exit(main())
