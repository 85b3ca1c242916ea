"""Where benchmarks take their inputs: MLX_TUTOR_BENCH_DATA, or the sample course and the starter model."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>", re.DOTALL)


def find_data(name: str) -> Path | None:
    """A file or folder of MLX_TUTOR_BENCH_DATA; None, with a line that says what is used instead, where it is not."""
    folder = os.environ.get("MLX_TUTOR_BENCH_DATA")
    if folder and (Path(folder) / name).exists():
        return Path(folder) / name
    print(f"MLX_TUTOR_BENCH_DATA has no {name}: measuring on the sample course instead.", file=sys.stderr)
    return None


def read_chatml(path: Path) -> list[dict[str, Any]]:
    """Rows of one ChatML `text` each, as messages."""
    texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        {"messages": [{"role": role, "content": text.strip()} for role, text in TURN.findall(row)]} for row in texts
    ]
