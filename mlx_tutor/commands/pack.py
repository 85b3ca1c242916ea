"""Command: write a course with its model as one file to hand out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job

if TYPE_CHECKING:
    from mlx_tutor.bundle.pack import PackReport


@click.command()
@click.option("--to", "target", metavar="FILE", type=click.Path(path_type=Path), help="File to write.")
@click.option("--no-fused", is_flag=True, help="Without the fused model: a few MB, but the base is needed to open it.")
@click.option("--with-sources", is_flag=True, help="With the course files themselves.")
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help="Sign with this Ed25519 private key.")
@click.option("--replace", is_flag=True, help="Overwrite FILE.")
@common_options("course", "run", "overrides", "json")
def command(
    options: Options, target: Path | None, no_fused: bool, with_sources: bool, key: Path | None, replace: bool
) -> None:
    """Write a course with its model as one file to hand out.

    Whoever opens it with `mlx-tutor open` asks, reads and is quizzed offline. In it are the fused model, the adapter,
    the text that was read, the search index, the rows and the recipe; not in it are conversations and ratings, held-out
    exams (dataset.holdout) with their rows, teacher and tables, and paths of this machine.

    Reads the newest run, writes corpora/COURSE/exports/RUN.tutor unless --to names a file.

    Example: mlx-tutor pack -c statistics --key course-key
    """
    job = open_job(options)

    from dataclasses import asdict

    from mlx_tutor.bundle.manifest import SUFFIX
    from mlx_tutor.bundle.pack import pack_course
    from mlx_tutor.bundle.signing import read_private_key
    from mlx_tutor.files import disk_errors
    from mlx_tutor.recipe import load_recipe
    from mlx_tutor.stages.ask import warn_changes
    from mlx_tutor.stages.model import check_thinking, warn_stale_fuse
    from mlx_tutor.workspace import find_run

    run = find_run(job.course, options.run)
    check_thinking(job, run)
    signer = None if key is None else read_private_key(key)
    warn_changes(job, "Not in the bundle yet")
    if not no_fused and not run.is_fused:
        hint = f"Run {run.name!r} is not fused: whoever opens it needs the base. Fuse it first: mlx-tutor fuse"
        job.screen.warn(adapt_hints(f"{hint} --run {run.name}"))
    if run.is_fused and not no_fused:
        warn_stale_fuse(job, run)
    if target is None:
        target = job.course.root / "exports" / f"{run.name}{SUFFIX}"
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
    with job.screen.follow(f"packing {run.name}") as on_progress:
        report = pack_course(
            job.course,
            run,
            # As it stands in the file: a prompt that is settled once must not be settled again.
            load_recipe(job.course.recipe, options.overrides),
            target,
            fused=run.is_fused and not no_fused,
            sources=with_sources,
            key=signer,
            replace=replace,
            on_progress=on_progress,
        )
    if options.json:
        job.screen.give_json(asdict(report))
        return
    show_report(job, report)


def show_report(job: Job, report: "PackReport") -> None:
    """What is in the bundle, what is not, and what to do with it."""
    parts = ", ".join(f"{part} {size / 1e6:,.1f} MB" for part, size in report.parts.items())
    signed = f"signed by {report.signed_by}" if report.signed_by else "not signed"
    job.screen.show(f"{report.path}: {report.bytes / 1e6:,.1f} MB ({parts}), {signed}")
    job.screen.show(f"{report.documents} documents and {report.rows:,} rows")
    if report.documents_left_out or report.rows_left_out:
        job.screen.show(
            f"left out: {report.documents_left_out} held-out documents, {report.rows_left_out:,} rows of held-out "
            "files or rated answers"
        )
    if report.lines_with_paths:
        job.screen.warn(
            f"{report.lines_with_paths} lines of the course's own text name a folder of this machine, as outputs of "
            "notebooks do. They are in the bundle."
        )
    if not report.fused:
        job.screen.show(f"To use it, the base {report.base} is needed too.")
    check = " --key YOUR-KEY.pub" if report.signed_by else ""
    job.screen.show(f"Then, where it is to be used: mlx-tutor open {Path(report.path).name}{check}")
