"""The prompts of a comparison or a rating, and the passages that are quoted with them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlx_tutor.records import ModelSpec
from mlx_tutor.stages.job import Job

if TYPE_CHECKING:
    from mlx_tutor.evaluation.prompts import Prompt


def add_passages(job: Job, models: Sequence[ModelSpec], prompts: "Sequence[Prompt]") -> "list[Prompt]":
    """The prompts with the best passage of the course, where the smallest context has room; warns where there is none.

    Raises:
        CorpusError: nothing is extracted.
    """
    from mlx_tutor.files import read_json
    from mlx_tutor.models import LoadedModel, context_length, load_tokenizer
    from mlx_tutor.stages.ask import warn_changes, warn_passages
    from mlx_tutor.study.chat.ask import clean_question, describe_place, fit_passages
    from mlx_tutor.study.search.index import open_index

    configs = {model.path: read_json(model.path / "config.json") for model in models}
    smallest = min(configs, key=lambda path: context_length(configs[path]))
    tokenizer = load_tokenizer(smallest, thinking=job.recipe.model.thinking)
    reader, written = LoadedModel(None, tokenizer, configs[smallest], smallest), []
    with open_index(job.course, job.recipe) as index:
        warn_changes(job)
        for prompt in prompts:
            question = clean_question(prompt.text)
            found = index.search(question, 1)
            messages, given = fit_passages(reader, question, found, job.recipe)
            warn_passages(job, context_length(reader.config), found, given)
            places = tuple(map(describe_place, given))
            written.append(replace(prompt, messages=tuple(messages), question=question, passages=places))
    return written


def list_prompts(job: Job, name: str, from_test: int | None) -> "list[Prompt]":
    """Prompts of a set, a file or the test rows; says so when the model was trained on one."""
    from mlx_tutor.dataset.build import read_measured_rows, read_rows
    from mlx_tutor.evaluation.prompts import list_concepts, list_scenarios, pick_test_prompts, read_prompts

    course = job.course
    if from_test is not None:
        rows, split = read_measured_rows(course, thinking=job.recipe.model.thinking)
        return pick_test_prompts(rows, from_test, split)
    splits = ("train", "valid", "test")
    dealt = {
        split: read_rows(course, split) if (course.dataset / f"{split}.jsonl").is_file() else [] for split in splits
    }
    concepts = list_concepts([row for split in splits for row in dealt[split]]) if name in list_scenarios() else []
    found = read_prompts(name, job.recipe.course.system_prompt, concepts)
    trained = {turn["content"] for row in dealt["train"] for turn in row["messages"] if turn["role"] == "user"}
    if known := [prompt.id for prompt in found if prompt.text in trained]:
        job.screen.warn(f"The course's training rows ask the same as these prompts: {', '.join(known)}.")
    return found
