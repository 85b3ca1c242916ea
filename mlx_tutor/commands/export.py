"""Command: write the rows, or the fused model, in a form that other programs read."""

from pathlib import Path

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Job, Options, open_job

# The keys of FORMATS in dataset/tables/export.py, which is imported only when it is needed.
ROWS = ("messages", "alpaca", "sharegpt", "hub")
MODELS = ("ollama", "gguf")
TYPES = ("f16", "bf16", "q8_0")


@click.command()
@click.argument("format_name", metavar="FORMAT", type=click.Choice([*ROWS, *MODELS]))
@click.option(
    "--to", "target", metavar="PATH", type=click.Path(path_type=Path), help="Folder, or for gguf the file, to write."
)
@click.option("--type", "kind", type=click.Choice(TYPES), help="Type of the weights, for gguf.  [default: f16]")
@click.option("--replace", is_flag=True, help="Delete what is at PATH first.")
@common_options("course", "run", "overrides", "json")
def command(options: Options, format_name: str, target: Path | None, kind: str | None, replace: bool) -> None:
    """Write rows or fused model for other programs.

    FORMAT, for the rows: messages (OpenAI, mlx-lm), alpaca, sharegpt, or hub, Parquet files with a dataset card to
    upload to the Hugging Face Hub. `[[dataset.import]]` reads them all. For the fused model: ollama, a folder with
    weights in 16 bits and a Modelfile (system prompt, template and settings), or gguf, one file for llama.cpp and LM
    Studio.

    Reads corpora/COURSE/dataset or fused_models/RUN, writes into corpora/COURSE/exports unless --to names a place.

    Example: mlx-tutor export ollama -c statistics
    """
    if kind is not None and format_name != "gguf":
        raise click.UsageError("--type goes with gguf only.")
    if options.run is not None and format_name in ROWS:
        raise click.UsageError(f"--run names a fused model, and {format_name} is a form of the rows.")
    job = open_job(options)
    if format_name in ROWS:
        _export_rows(job, format_name, target or job.course.root / "exports" / format_name, replace)
    else:
        _export_model(job, "ollama" if format_name == "ollama" else kind or "f16", target, replace)


def _export_rows(job: Job, format_name: str, folder: Path, replace: bool) -> None:
    from mlx_tutor.dataset.tables.export import CARD, export_dataset

    splits = export_dataset(job.course, format_name, folder, replace=replace)
    if job.options.json:
        job.screen.give_json({"format": format_name, "folder": str(folder), "splits": splits})
        return
    job.screen.show(f"{sum(splits.values())} rows in {folder}")
    if format_name == "hub":
        job.screen.show(f"Read and complete {folder / CARD}, then: hf upload OWNER/NAME {folder} --repo-type dataset")


def _export_model(job: Job, kind: str, target: Path | None, replace: bool) -> None:
    from dataclasses import asdict

    from mlx_tutor.stages.export import describe_export, export_model, hint_export

    report = export_model(job, kind, target, replace=replace)
    if job.options.json:
        job.screen.give_json(asdict(report))
        return
    job.screen.show(describe_export(report))
    job.screen.show(hint_export(report))
