"""Tokens a second and time to the first text of our answers, against plain mlx-lm on the same loaded model.

Every round asks both sides, and ours once more with the repetition penalty of the default recipe, which the plain
side does not have. The order turns from round to round. Nothing ends an answer but the number of tokens. Both are
clocked from outside, from the messages on; `ratios` are medians over the rounds of ours divided by plain.

    python -m tests.benchmarks.bench_generate [--layers 4] [--prompts 2] [--rounds 4] [--tokens 32]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from mlx_lm.generate import stream_generate

from mlx_tutor.generate import generate_answer
from mlx_tutor.models import LoadedModel, render_prompt
from mlx_tutor.records import Message
from mlx_tutor.settings import GenerateSettings
from tests.benchmarks.data import load_inputs

# Seconds to the first text and from there to the end, tokens, and the text itself.
Timing = tuple[float, float, int, str]


def answer_plain(loaded: LoadedModel, messages: list[Message], tokens: int) -> Timing:
    """As mlx_lm.generate does it."""
    begun = time.perf_counter()
    first = 0.0
    prompt = loaded.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = loaded.tokenizer.encode(prompt, add_special_tokens=False)
    pieces = []
    for response in stream_generate(loaded.model, loaded.tokenizer, ids, max_tokens=tokens):
        if response.text:
            first = first or time.perf_counter()
            pieces.append(response.text)
    return first - begun, time.perf_counter() - first, response.generation_tokens, "".join(pieces).strip()


def answer_ours(loaded: LoadedModel, messages: list[Message], tokens: int, penalty: float = 1.0) -> Timing:
    times = []
    settings = GenerateSettings(max_tokens=tokens, temp=0.0, repetition_penalty=penalty)
    begun = time.perf_counter()
    answer = generate_answer(loaded, messages, settings, lambda piece: times.append(time.perf_counter()))
    return times[0] - begun, time.perf_counter() - times[0], answer.tokens, answer.text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    args = parser.parse_args()
    loaded, rows = load_inputs(args.layers)
    loaded.tokenizer.eos_token_ids = ()
    rows.sort(key=lambda row: len(str(row["messages"][:-1])))
    prompts = [row["messages"][:-1] for row in rows[:: len(rows) // args.prompts][: args.prompts]]
    default = GenerateSettings().repetition_penalty
    sides: dict[str, Callable[..., Timing]] = {
        "plain": answer_plain,
        "ours": answer_ours,
        "ours_with_penalty": partial(answer_ours, penalty=default),
    }
    runs: dict[str, list[Timing]] = {name: [] for name in sides}
    for number in range(-1, args.rounds):
        for messages in prompts[: 1 if number < 0 else None]:
            order = list(sides)[number % 3 :] + list(sides)[: number % 3]
            for name in order:
                timing = sides[name](loaded, messages, args.tokens)
                # The first round compiles.
                if number >= 0:
                    runs[name].append(timing)
    result: dict[str, Any] = {
        "benchmark": "generate",
        **vars(args),
        "layers": len(loaded.model.layers),
        "prompt_tokens": [len(render_prompt(loaded.tokenizer, messages)) for messages in prompts],
    }
    speeds = {name: [(count - 1) / rest for _, rest, count, _ in timings] for name, timings in runs.items()}
    for name, timings in runs.items():
        result[name] = {
            "tokens_per_second": statistics.median(speeds[name]),
            "first_text_seconds": statistics.median(timing[0] for timing in timings),
            "tokens": sum(timing[2] for timing in timings),
        }
    result["ratios"] = {
        "speed": _compare(speeds["ours"], speeds["plain"]),
        "first_text": _compare([t[0] for t in runs["ours"]], [t[0] for t in runs["plain"]]),
        "speed_with_penalty": _compare(speeds["ours_with_penalty"], speeds["plain"]),
    }
    result["same_text"] = all(a[3] == b[3] for a, b in zip(runs["ours"], runs["plain"], strict=True))
    print(json.dumps(result, indent=2))


def _compare(ours: list[float], plain: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, plain, strict=True))


if __name__ == "__main__":
    main()
