"""Time to the first token: of the page against plain mlx-lm, and of later turns with and without the prompt cache.

`first_turn` asks the first question as the page does, through the queue, in a conversation of its own: search, fitting
into the context, prompt, first text (`page_seconds`), and until the page looks and sees it (`seen_seconds`). Against it
mlx-lm's `stream_generate` with the same model in the same thread gets the same messages (`plain_seconds`). The order
turns from round to round; `page_to_plain` and `seen_to_plain` are medians of the ratios.

The turns of a fixed dialogue about the sample course stand in the prompt with their passages, as `chat` writes them.
Every round asks both turns both ways, the order turning from round to round; the side with the cache has said the turn
before. Clocked from the question on: search, fitting into the context, prompt, first token. `ratios` are medians over
the rounds of the time without the cache divided by that with it; `model_ratios` leave out search and fitting.

    python -m tests.benchmarks.bench_chat [--layers 4] [--rounds 5]
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlx_lm.generate import stream_generate

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.generate import Answer, PromptCache, generate_answer
from mlx_tutor.models import LoadedModel, context_length
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.records import Message
from mlx_tutor.study.chat.ask import CitedAnswer
from mlx_tutor.study.chat.conversation import Turn, plan_turn
from mlx_tutor.study.search.index import Index, open_index
from mlx_tutor.study.web.model_worker import ModelWorker, Task
from mlx_tutor.study.web.site import Site, ask_site
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


def ask_page(site: Site, key: str) -> tuple[list[Message], float, float]:
    """Ask on a fresh page; the prompt, and the seconds until there is text and until the page sees it."""
    talk = site.find_talk(key)
    begun = time.perf_counter()
    task = ask_site(site, talk, DIALOGUE[0][0])
    first: list[float] = []

    def watch() -> None:
        while not task.read() and not task.future.done():
            time.sleep(0.0005)
        first.append(time.perf_counter() - begun)

    async def follow() -> float:
        watching = asyncio.create_task(asyncio.to_thread(watch))
        async for _ in task.follow():
            if task.read():
                break
        seen = time.perf_counter() - begun
        await watching
        return seen

    seen = asyncio.run(follow())
    task.stop()
    task.take()
    site.close_session(key)
    return task.notes["plan"].messages, first[0], seen


def ask_plain(task: Task, site: Site, messages: list[Message]) -> float:
    """Seconds until mlx-lm alone has text for these messages; work for the worker."""
    loaded = site.worker.take_model()
    begun = time.perf_counter()
    prompt = loaded.tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False)
    for response in stream_generate(loaded.model, loaded.tokenizer, prompt, max_tokens=site.recipe.generate.max_tokens):
        if response.text:
            break
    return time.perf_counter() - begun


def measure_page(course: Course, recipe: Recipe, layers: int, rounds: int) -> dict[str, Any]:
    """Medians of the page and of mlx-lm alone, and their ratios."""
    site = Site(course, recipe, "bench", ModelWorker(lambda: load_inputs(layers)[0]), tuple)
    messages, _, _ = ask_page(site, "first")
    runs: list[tuple[float, float, float]] = []
    # The first round compiles.
    for number in range(-1, rounds):
        plain = site.worker.submit(lambda task: ask_plain(task, site, messages)).take() if number % 2 else None
        asked, page, seen = ask_page(site, str(number))
        if asked != messages:
            raise SystemExit("The page did not ask the same twice.")
        if plain is None:
            plain = site.worker.submit(lambda task: ask_plain(task, site, messages)).take()
        if number >= 0:
            runs.append((page, seen, plain))
    site.worker.close()
    return {
        "page_seconds": statistics.median(page for page, _, _ in runs),
        "seen_seconds": statistics.median(seen for _, seen, _ in runs),
        "plain_seconds": statistics.median(plain for _, _, plain in runs),
        "page_to_plain": statistics.median(page / plain for page, _, plain in runs),
        "seen_to_plain": statistics.median(seen / plain for _, seen, plain in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    # So that the dialogue fits into the starter's context.
    recipe = load_recipe(ROOT / "corpora" / "sample" / "recipe.toml", ["generate.max_tokens=160"])
    with tempfile.TemporaryDirectory() as workspace:
        course = Course(Path(workspace), "sample")
        course.root.mkdir(parents=True)
        course.sources.symlink_to(ROOT / "corpora" / "sample" / "sources")
        extract_course(course)
        first_turn = measure_page(course, recipe, args.layers, args.rounds)
        loaded, _ = load_inputs(args.layers)
        with open_index(course) as index:
            measured = measure(loaded, index, recipe, args.rounds)
    result = {"benchmark": "chat", **vars(args), "context": context_length(loaded.config)}
    result |= {"first_turn": first_turn, **measured}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
