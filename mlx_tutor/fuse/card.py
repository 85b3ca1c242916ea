"""Files beside a fused model: a model card, and the default settings for other programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlx_tutor.files import read_json, write_json
from mlx_tutor.records import describe_bits, describe_share
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Run

GENERATION = "generation_config.json"
LEGEND = (
    "Bits: the mean over the layers with an adapter; layers: how many of them have how many. Kept: the share of the "
    "training's gain in loss. Top-1: how often the fused model and the adapter find the same token most likely. KL "
    "from the adapter, in nats."
)


def write_generation(folder: Path, settings: GenerateSettings) -> None:
    """Write a recipe's `[generate]` under the names of transformers; other settings of the base stay.

    A new file names the end tokens too: once it exists, transformers looks for them nowhere else.
    """
    path, config = folder / GENERATION, read_json(folder / "config.json")
    ends = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in config}
    before = read_json(path) if path.is_file() else None
    after = (ends if before is None else before) | {
        "do_sample": settings.temp > 0,
        "temperature": settings.temp,
        "top_p": settings.top_p,
        "repetition_penalty": settings.repetition_penalty,
        "max_new_tokens": settings.max_tokens,
    }
    if after != before:
        write_json(path, after)


def find_system(run: Run) -> str:
    """The system prompt that a run was trained with."""
    return str(run.read().get("recipe", {}).get("course", {}).get("system_prompt", ""))


def write_card(run: Run, result: Mapping[str, Any], summary: str) -> str:
    """The README of a fused model: system prompt, figures, and how to use it. `result` is its FuseReport as JSON."""
    record = run.read()
    table = Table(*list_trials(result)).to_markdown()
    share = describe_share(result["rows"], result["total_rows"])
    return f"""---
base_model: {record["base"]}
library_name: mlx
tags: [mlx, mlx-tutor]
---
# {run.name}

{record["base"]}, fine-tuned on course `{record["course"]}` and fused by mlx-tutor.
{_describe_system(find_system(run))}
Temperature, `top_p`, repetition penalty and longest answer are in `{GENERATION}`.

Answer loss on the validation split, in nats a token: base {result["loss_base"]:.3f}, adapter
{result["loss_adapter"]:.3f}, this model {result["loss_fused"]:.3f}. {summary}.

{table}
Sizes were tried on some of the validation rows and decided on {share}; the last row is this
model, as written. {LEGEND}

    mlx_lm.generate --model . --system-prompt "..." --prompt "..."
"""


def _describe_system(prompt: str) -> str:
    if not prompt:
        return "\nIt was trained without a system prompt.\n"
    quoted = "\n".join(f"    {line}" for line in prompt.splitlines())
    return f"\nIt was trained with this system prompt, and answers best with it:\n\n{quoted}\n"


def list_trials(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of all sizes tried, from fuse.json; the last row is what was written."""
    headings = ["bits", "rows", "loss", "kept", "top-1", "KL", "size", "of base", "layers"]
    rows = []
    for trial in result["tried"]:
        retention = trial["retention"]
        rows.append(
            [
                describe_bits(trial["bits"]).removesuffix("-bit"),
                str(trial["rows"]),
                f"{trial['loss']:.3f}",
                "-" if retention is None else f"{100 * retention:.1f} %",
                f"{100 * trial['top1']:.1f} %",
                f"{trial['kl']:.5f}",
                f"{trial['megabytes']:,.1f} MB",
                f"{trial['megabytes'] / result['megabytes_base']:.2f}x",
                " ".join(f"{count}x{width}" for width, count in trial.get("layers", {}).items()),
            ]
        )
    return headings, rows
