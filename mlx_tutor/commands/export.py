"""Command: write the rows in a form that other programs read."""

from pathlib import Path

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job

# The keys of FORMATS in dataset/export.py, which is imported only when it is needed.
FORMATS = ("messages", "alpaca", "sharegpt", "hub")


@click.command()
@click.argument("format_name", metavar="FORMAT", type=click.Choice(FORMATS))
@click.option("--to", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Folder to write into.")
@click.option("--replace", is_flag=True, help="Delete what is in FOLDER first.")
@common_options("course", "json")
def command(options: Options, format_name: str, folder: Path | None, replace: bool) -> None:
    """Write the rows in a form that other programs read.

    FORMAT is messages (OpenAI, mlx-lm), alpaca, sharegpt, or hub: Parquet files with a dataset card, to upload to the
    Hugging Face Hub. `[[dataset.import]]` reads them all.

    Reads corpora/COURSE/dataset, writes corpora/COURSE/exports/FORMAT unless --to names another folder.

    Example: mlx-tutor export hub -c statistics
    """
    from mlx_tutor.dataset.tables.export import CARD, export_dataset

    job = open_job(options)
    folder = folder or job.course.root / "exports" / format_name
    splits = export_dataset(job.course, format_name, folder, replace=replace)
    if options.json:
        job.screen.give_json({"format": format_name, "folder": str(folder), "splits": splits})
        return
    job.screen.show(f"{sum(splits.values())} rows in {folder}")
    if format_name == "hub":
        job.screen.show(f"Read and complete {folder / CARD}, then: hf upload OWNER/NAME {folder} --repo-type dataset")
