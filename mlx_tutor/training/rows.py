"""Dataset rows to tokens: every assistant turn, rendered as generation would see it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_tutor.errors import DatasetError
from mlx_tutor.files import hash_file, hash_value
from mlx_tutor.models import render_prompt, render_tokens
from mlx_tutor.records import MIN_TRAIN_ROWS
from mlx_tutor.training.batches import TokenRow
from mlx_tutor.workspace import Course


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows ready to train on. `lines[i]` is the line in the dataset file that row `i` comes from.

    `total` counts the rows of the split that fit, where `rows` are some of them.
    """

    rows: tuple[TokenRow, ...]
    lines: tuple[int, ...]
    dropped: dict[str, int]
    total: int

    @property
    def supervised(self) -> int:
        """Tokens with a loss, over all rows."""
        return sum(row.supervised for row in self.rows)

    def take_batches(self, batches: int, batch_size: int) -> "TokenRows":
        """At most so many batches of rows, always the same and evenly spread over the split; below 1: all."""
        count = self.total if batches < 1 else min(batches * batch_size, self.total)
        picked = [i * self.total // count for i in range(count)]
        return replace(self, rows=tuple(self.rows[i] for i in picked), lines=tuple(self.lines[i] for i in picked))


def hash_rows(course: Course) -> str:
    """Fingerprint of the rows of a course that a training depends on."""
    return hash_value([hash_file(course.dataset / f"{split}.jsonl") for split in ("train", "valid")])


def tokenize_rows(
    dataset: Sequence[dict[str, Any]], tokenizer: Any, max_seq_length: int, *, mask_prompt: bool = True
) -> TokenRows:
    """Render each assistant turn of each dataset row; over-long turns are dropped and counted, never cut.

    A row's `context` is the chat that leads to its last turn with the passage that holds the answer.
    """
    rows: list[TokenRow] = []
    lines: list[int] = []
    dropped: Counter[str] = Counter()
    for line, row in enumerate(dataset, 1):
        messages = row["messages"]
        for i, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            if message.get("weight") == 0:
                dropped["weight 0"] += 1
                continue
            tokens, offset = render_tokens(tokenizer, messages[: i + 1])
            # The end token alone is left of an answer that is all thoughts, where they are not spoken.
            if not message["content"].strip() or len(tokens) - offset < 2:
                dropped["empty answer"] += 1
                continue
            if len(tokens) > max_seq_length:
                dropped[f"longer than {max_seq_length} tokens"] += 1
                continue
            shown = row.get("context") if mask_prompt and i == len(messages) - 1 else None
            context = tuple(render_prompt(tokenizer, shown)) if shown else ()
            rows.append(TokenRow(tuple(tokens), offset if mask_prompt else 1, context))
            lines.append(line)
    return TokenRows(tuple(rows), tuple(lines), dict(dropped), len(rows))


def check_rows(train: TokenRows, valid: TokenRows) -> None:
    """Raise DatasetError when there is too little to train on or to validate with."""
    if len(train.rows) < MIN_TRAIN_ROWS:
        reasons = ", ".join(f"{count} {reason}" for reason, count in train.dropped.items())
        raise DatasetError(
            f"{len(train.rows)} training rows are left{f' ({reasons})' if reasons else ''}; at least {MIN_TRAIN_ROWS} "
            "are needed. Add course files, or raise train.max_seq_length."
        )
    if not valid.rows:
        raise DatasetError("No validation row is left, so nothing could tell when to stop. Add course files.")
