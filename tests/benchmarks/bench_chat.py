"""Time to the first token of the second and third turn of a conversation, with and without the prompt cache.

The turns of a fixed dialogue about the sample course stand in the prompt with their passages, as `chat` writes them.
Every round asks both turns both ways, the order turning from round to round; the side with the cache has said the turn
before. Clocked from the question on: search, fitting into the context, prompt, first token. `ratios` are medians over
the rounds of the time without the cache divided by that with it; `model_ratios` leave out search and fitting.

    python -m tests.benchmarks.bench_chat [--layers 4] [--rounds 5]
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.generate import Answer, PromptCache, generate_answer
from mlx_tutor.models import LoadedModel, context_length
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.records import Message
from mlx_tutor.study.ask import CitedAnswer
from mlx_tutor.study.chat import Turn, plan_turn
from mlx_tutor.study.index import Index, open_index
from mlx_tutor.workspace import Course
from tests.benchmarks.data import ROOT, load_inputs

DIALOGUE = (
    (
        "What is a p-value?",
        "Step by step:\n1. Take the null hypothesis to be true.\n2. Ask how often a sample would then be as extreme as "
        "this one.\n\nAnswer: The p-value is the probability of a result at least as extreme as the observed one, "
        "computed under the null hypothesis. A small p-value means that the data fit badly to the null hypothesis.",
    ),
    (
        "What does it not say?",
        "Answer: It is not the probability that the null hypothesis is true, and it says nothing about the size of an "
        "effect, because a tiny effect becomes significant in a very large sample.",
    ),
    ("Give an example of that.", ""),
)


def make_turns(loaded: LoadedModel, index: Index, recipe: Recipe) -> tuple[list[Turn], list[list[Message]]]:
    """The turns of the dialogue, and before each the messages that a cache has seen."""
    turns: list[Turn] = []
    seen: list[list[Message]] = []
    for question, text in DIALOGUE:
        plan = plan_turn(loaded, index, turns, question, recipe)
        if plan.dropped:
            raise SystemExit("The dialogue does not fit into the model's context.")
        cited = CitedAnswer(question, Answer(text, 0, 0, 0, 0, "stop", 0), plan.given, (), None, 0, 0, 0, 0)
        turns.append(Turn(cited, plan.given, plan.topic, plan.first, 0))
        seen.append([*plan.messages, {"role": "assistant", "content": text}])
    return turns, seen


def ask_turn(
    loaded: LoadedModel, index: Index, recipe: Recipe, turns: list[Turn], question: str, cache: PromptCache | None
) -> dict[str, Any]:
    """Seconds to the first token, and how much was computed for it."""
    begun = time.perf_counter()
    plan = plan_turn(loaded, index, turns, question, recipe)
    planned = time.perf_counter()
    answer = generate_answer(loaded, plan.messages, replace(recipe.generate, max_tokens=1), cache=cache)
    return {
        "seconds": time.perf_counter() - begun,
        "model_seconds": time.perf_counter() - planned,
        "prompt_tokens": answer.prompt_tokens,
        "cached_tokens": answer.cached_tokens,
        "text": answer.text,
    }


def measure(loaded: LoadedModel, index: Index, recipe: Recipe, rounds: int) -> dict[str, Any]:
    """Medians of each turn and way, and their ratios."""
    turns, seen = make_turns(loaded, index, recipe)
    one = replace(recipe.generate, max_tokens=1)
    cache = PromptCache()
    runs: dict[str, list[dict[str, Any]]] = {}
    for number in range(-1, rounds):
        for turn in (1, 2):
            ways = ("with", "without") if number % 2 else ("without", "with")
            for way in ways:
                if way == "with":
                    generate_answer(loaded, seen[turn - 1], one, cache=cache)
                question = DIALOGUE[turn][0]
                run = ask_turn(loaded, index, recipe, turns[:turn], question, cache if way == "with" else None)
                # The first round compiles.
                if number >= 0:
                    runs.setdefault(f"turn_{turn + 1}_{way}", []).append(run)
    result: dict[str, Any] = {
        name: {
            "first_token_seconds": statistics.median(run["seconds"] for run in timed),
            "model_seconds": statistics.median(run["model_seconds"] for run in timed),
            "prompt_tokens": timed[0]["prompt_tokens"],
            "cached_tokens": timed[0]["cached_tokens"],
        }
        for name, timed in runs.items()
    }
    for name, key in (("ratios", "seconds"), ("model_ratios", "model_seconds")):
        result[name] = {
            f"turn_{turn}": statistics.median(
                without[key] / cached[key]
                for without, cached in zip(runs[f"turn_{turn}_without"], runs[f"turn_{turn}_with"], strict=True)
            )
            for turn in (2, 3)
        }
    pairs = [zip(runs[f"turn_{turn}_without"], runs[f"turn_{turn}_with"], strict=True) for turn in (2, 3)]
    result["same_text"] = all(a["text"] == b["text"] for pair in pairs for a, b in pair)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    loaded, _ = load_inputs(args.layers)
    # So that the dialogue fits into the starter's context.
    recipe = load_recipe(ROOT / "corpora" / "sample" / "recipe.toml", ["generate.max_tokens=160"])
    with tempfile.TemporaryDirectory() as workspace:
        course = Course(Path(workspace), "sample")
        course.root.mkdir(parents=True)
        course.sources.symlink_to(ROOT / "corpora" / "sample" / "sources")
        extract_course(course)
        with open_index(course) as index:
            result = measure(loaded, index, recipe, args.rounds)
    result = {"benchmark": "chat", **vars(args), "context": context_length(loaded.config), **result}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
