"""Tokens a second of answers written several at once, against one prompt after another on the same model.

Both sides answer the same prompts at temperature 0 with the repetition penalty of the default recipe, and nothing ends
an answer but the number of tokens, so that both write the same count. The sides take turns, the order turns from round
to round, and each is clocked from outside. `ratio` is the median over the rounds of batched divided by sequential;
`same_text` the share of answers that are equal to the letter: sums over a batch may be rounded otherwise than for one
row. `ratio_without_penalty` is the same where no logits are changed row by row.

    python -m tests.benchmarks.bench_evaluate [--layers 4] [--prompts 16] [--rounds 2] [--tokens 64] [--batch 16]
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

from mlx_tutor.evaluation.answers import BATCH, Reply, generate_replies
from mlx_tutor.generate import generate_answer
from mlx_tutor.models import LoadedModel, render_prompt
from mlx_tutor.records import Message
from mlx_tutor.settings import GenerateSettings
from tests.benchmarks.data import load_inputs

TARGET = 2.0

# Seconds, tokens, and the texts.
Timing = tuple[float, int, list[str]]


def answer_one_by_one(loaded: LoadedModel, prompts: Sequence[list[Message]], settings: GenerateSettings) -> Timing:
    begun = time.perf_counter()
    answers = [generate_answer(loaded, messages, settings) for messages in prompts]
    seconds = time.perf_counter() - begun
    return seconds, sum(answer.tokens for answer in answers), [answer.text for answer in answers]


def answer_batched(
    loaded: LoadedModel, prompts: Sequence[list[Message]], settings: GenerateSettings, batch: int
) -> Timing:
    replies: dict[int, Reply] = {}
    begun = time.perf_counter()
    tokens = [render_prompt(loaded.tokenizer, messages) for messages in prompts]
    generate_replies(loaded, tokens, settings, replies.__setitem__, batch)
    seconds = time.perf_counter() - begun
    in_order = [replies[i] for i in range(len(prompts))]
    return seconds, sum(reply.tokens for reply in in_order), [reply.text for reply in in_order]


def measure(
    loaded: LoadedModel, prompts: Sequence[list[Message]], settings: GenerateSettings, rounds: int, batch: int
) -> dict[str, Any]:
    """Speeds of both sides in tokens a second, and what they have in common."""
    speeds: dict[str, list[float]] = {"batched": [], "sequential": []}
    texts: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for number in range(-1, rounds):
        order = ("batched", "sequential") if number % 2 else ("sequential", "batched")
        # The first round compiles.
        asked = prompts[:2] if number < 0 else prompts
        for name in order:
            side = answer_batched(loaded, asked, settings, batch) if name == "batched" else None
            seconds, count, found = side or answer_one_by_one(loaded, asked, settings)
            if number >= 0:
                speeds[name].append(count / seconds)
                texts[name], counts[name] = found, count
    pairs = list(zip(texts["batched"], texts["sequential"], strict=True))
    return {
        "ratio": statistics.median(a / b for a, b in zip(speeds["batched"], speeds["sequential"], strict=True)),
        **{f"{name}_tokens_per_second": statistics.median(values) for name, values in speeds.items()},
        "tokens": counts,
        "same_text": sum(a == b for a, b in pairs) / len(pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=BATCH)
    args = parser.parse_args()
    loaded, rows = load_inputs(args.layers)
    loaded.tokenizer.eos_token_ids = ()
    rows.sort(key=lambda row: len(str(row["messages"][:-1])))
    step = max(1, len(rows) // args.prompts)
    prompts = [row["messages"][:-1] for row in rows[::step][: args.prompts]]
    settings = GenerateSettings(max_tokens=args.tokens, temp=0.0)
    plain = GenerateSettings(max_tokens=args.tokens, temp=0.0, repetition_penalty=1.0)
    result = measure(loaded, prompts, settings, args.rounds, args.batch)
    result["ratio_without_penalty"] = measure(loaded, prompts, plain, args.rounds, args.batch)["ratio"]
    result |= {"target": TARGET, "meets_target": result["ratio"] >= TARGET}
    print(json.dumps({"benchmark": "evaluate", **vars(args), "layers": len(loaded.model.layers), **result}, indent=2))


if __name__ == "__main__":
    main()
