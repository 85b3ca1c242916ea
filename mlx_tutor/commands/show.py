"""Command: show rows as the model sees them."""

import sys
from typing import Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, open_job


@click.command()
@click.option("--split", type=click.Choice(["train", "valid", "test", "dropped"]), default="train", show_default=True)
@click.option("-n", "--rows", "count", type=click.IntRange(1), default=3, show_default=True, help="Rows to show.")
@click.option("--from", "first", type=click.IntRange(1), default=1, show_default=True, help="Line to start from.")
@common_options("course", "overrides", "json")
def command(options: Options, split: str, count: int, first: int) -> None:
    """Show rows as the model sees them.

    The prompt is dim, what is trained is green, the end token is marked.

    Reads corpora/COURSE/dataset and the tokenizer of the recipe's base; writes nothing. `--split dropped` shows the
    rows that build dropped, each with the reason.

    Example: mlx-tutor show --split valid -n 5
    """
    from mlx_tutor.dataset.build import read_rows
    from mlx_tutor.errors import DatasetError
    from mlx_tutor.models import load_tokenizer, resolve_model

    job = open_job(options)
    rows = read_rows(job.course, split, thinking=job.recipe.model.thinking)
    if not rows:
        job.screen.show(f"{split}.jsonl of course {job.course.name!r} has no rows.")
        return
    if first > len(rows):
        raise DatasetError(f"{split}.jsonl of course {job.course.name!r} has {len(rows)} lines. Lower --from.")
    tokenizer = load_tokenizer(resolve_model(job.recipe.model.base), thinking=job.recipe.model.thinking)
    settings = job.recipe.train
    shown = [
        describe_row(row, line, tokenizer, settings.max_seq_length, mask_prompt=settings.mask_prompt)
        for line, row in enumerate(rows[first - 1 : first - 1 + count], first)
    ]
    if options.json:
        job.screen.give_json(shown)
        return
    from mlx_tutor.display import draw_row

    job.screen.show(*(draw_row(entry) for entry in shown))


def describe_row(
    row: dict[str, Any], line: int, tokenizer: Any, max_seq_length: int, *, mask_prompt: bool
) -> dict[str, Any]:
    """Where a dataset row comes from, and of each turn the text that is only read and the text that is trained."""
    from mlx_tutor.training.rows import tokenize_rows

    tokens = tokenize_rows([row], tokenizer, sys.maxsize, mask_prompt=mask_prompt)
    too_long = any(len(turn.tokens) > max_seq_length for turn in tokens.rows)
    reasons = [*tokens.dropped, *([f"longer than {max_seq_length} tokens"] if too_long else [])]
    origin = row.get("origin", {})
    return {
        "line": line,
        "source": origin.get("source"),
        "page": origin.get("page"),
        "cell": origin.get("cell"),
        "row": origin.get("row"),
        "method": origin.get("method"),
        "dropped": [row["dropped"]] if "dropped" in row else reasons,
        "turns": [
            {
                "prompt": tokenizer.decode(list(turn.tokens[: turn.offset])),
                "trained": tokenizer.decode(list(turn.tokens[turn.offset : -1])),
                "end": tokenizer.decode([turn.tokens[-1]]),
                "tokens": len(turn.tokens),
                "trained_tokens": turn.supervised,
            }
            for turn in tokens.rows
        ],
    }
