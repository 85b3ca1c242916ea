"""Writing a run's fused model for other programs, for the command `export`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_tutor.stages.job import Job
from mlx_tutor.stages.model import check_thinking, warn_stale_fuse
from mlx_tutor.workspace import find_run

if TYPE_CHECKING:
    from mlx_tutor.fuse.export import ExportReport


def export_model(job: Job, kind: str, target: Path | None, *, replace: bool) -> "ExportReport":
    """Write the newest fused model, or that of --run, as `ollama` folder or as GGUF file of the type `kind`.

    Raises:
        ModelError: not fused, a model that cannot be written so, a target that is there, or no room.
    """
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.fuse.export import Exporter

    run = find_run(job.course, job.options.run)
    check_thinking(job, run)
    warn_stale_fuse(job, run)
    # A run can be older than the rows, and they can be gone: any of them will do.
    split = next((name for name in ("valid", "train") if (job.course.dataset / f"{name}.jsonl").is_file()), None)
    rows = read_rows(job.course, split, thinking=job.recipe.model.thinking) if split else []
    if not rows:
        job.screen.warn(f"Course {job.course.name!r} has no rows: what is written is not compared with the model.")
    exports = job.course.root / "exports"
    with job.screen.follow(f"exporting {run.name}") as on_progress:
        exporter = Exporter(run, job.recipe, rows, on_progress)
        if kind == "ollama":
            return exporter.write_ollama(target or exports / f"{run.name}-ollama", replace=replace)
        return exporter.write_gguf(kind, target or exports / f"{run.name}-{kind}.gguf", replace=replace)


def describe_export(report: "ExportReport") -> str:
    """What was written, and what came out when it was read back."""
    text = f"{report.path}: {report.type.upper()}, {report.megabytes:,.1f} MB"
    if report.top1 is None:
        return text
    return f"{text}, read back: the same top token on {round(report.top1 * report.tokens)} of {report.tokens}"


def hint_export(report: "ExportReport") -> str:
    """What to type to use it."""
    path = shlex.quote(report.path)
    if Path(report.path).suffix != ".gguf":
        create = f"ollama create {report.run} -f {shlex.quote(str(Path(report.path) / 'Modelfile'))}"
        return f"Then: {create}   or in 4 bits: {create} --quantize q4_K_M"
    system = f" -sys {shlex.quote(report.system_prompt)}" if report.system_prompt else ""
    return f"Then: lms import {path}   or with llama.cpp: llama-cli -m {path}{system}"
