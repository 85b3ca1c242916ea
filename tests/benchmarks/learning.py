"""What makes a model know a fact, not only recite it: answers or distillation, wordings, kinds of rows, passages.

SmolLM2 learns a few definitions of the sample course in each setting, with about the same number of answer tokens, and
is asked in words and in kinds of questions that no row has. Not part of `make bench`: it takes hours on two cores.
Each setting is a line on stdout; those that a file (--log) has already are not run again.

    python -m tests.benchmarks.learning --facts 8 --seeds 2 --log learning.jsonl
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_tutor.dataset.build import build_dataset, read_rows
from mlx_tutor.dataset.contexts import read_training_rows
from mlx_tutor.evaluation.choice import find_margin, measure_choices
from mlx_tutor.evaluation.kinds import CHANCE, correct_chance, find_chance, list_probes, read_probes, write_probes
from mlx_tutor.evaluation.learned import Fact, list_facts, write_choices
from mlx_tutor.extract.extract import extract_course
from mlx_tutor.languages.table import read_language
from mlx_tutor.models import load_model, resolve_model
from mlx_tutor.recipe import Recipe, load_recipe
from mlx_tutor.records import Message
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.rows import tokenize_rows
from mlx_tutor.training.train import hash_inputs, train_adapter
from mlx_tutor.workspace import Course, Run
from tests.benchmarks.data import ROOT

# Answer tokens of a training, of which each fact has its share.
TOKENS_PER_FACT = 240
TRAIN = TrainSettings(
    rank=16, num_layers=8, batch_size=4, learning_rate=3e-4, warmup=4, max_seq_length=640, steps_per_eval=1000,
    val_batches=4, steps_per_report=1000, steps_per_save=1000,
)  # fmt: skip
BACK = (
    "Which term means this: {rest}",
    "Name the term: {rest}",
    "What is the word for this? {rest}",
    "{rest} Which term?",
)
CONTRAST = (
    "What is the difference between {one} and {other}?", "How do {one} and {other} differ?",
    "Compare {one} with {other}.", "Set {one} apart from {other}.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """`distill` as in the recipe; wordings and kinds of closed-book rows; `open_book`: share that quote a passage."""

    distill: float = 0.0
    wordings: int = 4
    kinds: int = 1
    open_book: float = 0.0


SETTINGS = (
    Setting(), Setting(distill=1.0), Setting(distill=0.5), Setting(kinds=3), Setting(wordings=1),
    Setting(distill=0.5, kinds=3), Setting(open_book=0.5),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Material:
    """The facts of the sample, those that are taught, and of these the chat with the passage of each."""

    facts: list[Fact]
    taught: list[int]
    contexts: dict[int, list[Message]]


def prepare(folder: Path, count: int) -> Material:
    """The sample course built as it is, and `count` of its definitions, evenly spread over it."""
    course = Course(folder, "sample")
    course.sources.parent.mkdir(parents=True)
    course.sources.symlink_to(ROOT / "corpora" / "sample" / "sources")
    extract_course(course)
    recipe = load_recipe(ROOT / "corpora" / "sample" / "recipe.toml", ["train.distill=1", "course.language=en"])
    build_dataset(course, recipe, lambda messages: sum(len(m["content"].split()) for m in messages), "words")
    rows = {split: read_rows(course, split) for split in ("train", "valid", "test")}
    facts = list_facts(rows, "en")
    train, _ = read_training_rows(course, recipe)
    contexts = {row["qa_pair"]["answer"]: row["context"] for row in train if "context" in row}
    every = list_probes(facts, range(len(facts)), [], "en", leave_out=False)
    whole = [i for i, f in enumerate(facts) if sum(p.fact == i for p in every) == len(CHANCE)]
    usable = [i for i in whole if facts[i].term and facts[i].lead and facts[i].answer in contexts]
    taught = [usable[n * len(usable) // count] for n in range(count)]
    return Material(facts, taught, {i: contexts[facts[i].answer] for i in taught})


def write_rows(material: Material, setting: Setting) -> list[dict[str, Any]]:
    """The training rows of a setting; each has the chat with the passage beside it."""
    table = read_language("en")
    assert table is not None
    rows = []
    for number, i in enumerate(material.taught):
        fact, context = material.facts[i], material.contexts[i]
        other = material.facts[material.taught[(number + 1) % len(material.taught)]]
        back = f"{fact.term[0].upper()}{fact.term[1:]}."
        both = f"{fact.answer.rstrip('.')}, whereas {other.answer[0].lower()}{other.answer[1:]}"
        asked = [
            [(wording.format(term=fact.term, the_term=fact.term, be="is"), fact.answer)
             for wording in table.questions["definition"]],
            [(wording.format(rest=fact.rest), back) for wording in BACK],
            [(wording.format(one=fact.term, other=other.term), both) for wording in CONTRAST],
        ]  # fmt: skip
        for kind in asked[: setting.kinds]:
            for question, answer in kind[: setting.wordings]:
                passage = context[-1]["content"].rpartition("\nQuestion: ")[0]
                # The passage of one term alone does not hold a contrast.
                beside = [*context[:-1], {"role": "user", "content": f"{passage}\nQuestion: {question}"}]
                chat = [*fact.write_messages(question), {"role": "assistant", "content": answer}]
                rows.append({"messages": chat, **({} if kind is asked[2] else {"context": beside})})
    rng = np.random.default_rng(0)
    open_book = [row for row in rows if "context" in row]
    for n in rng.permutation(len(open_book))[: round(setting.open_book * len(open_book))].tolist():
        row = open_book[n]
        row["messages"] = [*row.pop("context"), row["messages"][-1]]
    return rows


def measure(material: Material, base: Path, adapter: Path | None) -> dict[str, Any]:
    """How many of the taught facts are right in unseen wordings, in each kind, and in all of them."""
    loaded = load_model(base, adapter)
    facts, taught = material.facts, material.taught
    probes = list_probes(facts, taught, [], "en", leave_out=False)
    losses = iter(measure_choices(loaded, write_choices(loaded.tokenizer, facts, taught)))
    recited = {i: all(margin > 0 for margin in [find_margin(next(losses)) for _ in facts[i].wordings]) for i in taught}
    kinds = read_probes(probes, measure_choices(loaded, write_probes(loaded.tokenizer, facts, probes)))
    found = {"recited": sum(recited.values())}
    found |= {kind: sum(kinds[i][kind] > 0 for i in taught) for kind in CHANCE}
    known = sum(recited[i] and all(margin > 0 for margin in kinds[i].values()) for i in taught)
    return {**found, "known": known, "known_share": correct_chance(known, len(taught), find_chance(tuple(CHANCE)))}


def run_setting(material: Material, base: Path, setting: Setting, seed: int, folder: Path) -> dict[str, Any]:
    """Train in a setting, and measure."""
    rows = write_rows(material, setting)
    exam = [
        {"messages": [*material.facts[i].write_messages(material.facts[i].wordings[0]),
                      {"role": "assistant", "content": material.facts[i].answer}]}
        for i in material.taught
    ]  # fmt: skip
    tokens = tokenize_rows(rows, load_model(base).tokenizer, TRAIN.max_seq_length)
    mx.clear_cache()
    share = TOKENS_PER_FACT * len(material.taught) / tokens.supervised
    iters = max(1, round(share * len(tokens.rows) / TRAIN.batch_size))
    recipe = Recipe(train=replace(TRAIN, iters=iters, seed=seed, distill=setting.distill))
    run = Run(folder, f"{seed}-{hash(setting)}")
    inputs = hash_inputs(recipe, base, "bench")
    report = train_adapter(run, "sample", base, recipe, rows, exam, inputs, lambda metric: None)
    cost = {"rows": len(rows), "steps": report.iterations, "seconds": round(report.seconds)}
    return {**cost, "loss": [report.base_loss, report.best_loss], **measure(material, base, run.adapter)}


def list_jobs(seeds: int) -> Iterator[tuple[Setting | None, int]]:
    """The base, then all settings with one seed after the other."""
    yield None, 0
    yield from ((setting, seed) for seed in range(seeds) for setting in SETTINGS)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--log", type=Path, default=None)
    given = parser.parse_args(arguments)
    done = given.log.read_text().splitlines() if given.log and given.log.is_file() else []
    known = [(line["setting"], line["seed"]) for line in map(json.loads, done)]
    base = resolve_model(given.model)
    with tempfile.TemporaryDirectory() as scratch:
        material = prepare(Path(scratch), given.facts)
        for setting, seed in list_jobs(given.seeds):
            name = asdict(setting) if setting else None
            if (name, seed) in known:
                continue
            found = (
                run_setting(material, base, setting, seed, Path(scratch)) if setting else measure(material, base, None)
            )
            line = json.dumps({"setting": name, "seed": seed, "facts": given.facts, **found})
            print(line, flush=True)
            if given.log:
                with given.log.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
