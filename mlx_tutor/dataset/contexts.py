"""The rows as training reads them; for distillation, with the passage that a question is answered from beside it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mlx_tutor.dataset.build import cut_chunks, read_rows
from mlx_tutor.dataset.messages import add_grounding, write_passages
from mlx_tutor.dataset.passage import find_passage
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Chunk, Message, describe_place
from mlx_tutor.text import strip_bold
from mlx_tutor.workspace import Course

Rows = list[dict[str, Any]]


def read_training_rows(course: Course, recipe: Recipe) -> tuple[Rows, Rows]:
    """The rows of train and valid, as the model is to learn them.

    With `train.distill`, a row of train that is asked without a passage has a `context`: the chat that leads to its
    answer, with the passage that its evidence stands in.

    Raises:
        DatasetError: as `read_rows`.
    """
    thinking = recipe.model.thinking
    train, valid = (read_rows(course, split, thinking=thinking) for split in ("train", "valid"))
    if recipe.train.distill and (course.dataset / "documents.jsonl").is_file():
        chunks: dict[tuple[str, int], list[Chunk]] = defaultdict(list)
        for chunk in cut_chunks(read_documents(course), recipe):
            chunks[chunk.source, chunk.section].append(chunk)
        for row in train:
            origin = row.get("origin") or {}
            if context := _write_context(row, chunks[origin.get("source") or "", origin.get("section") or 0], recipe):
                row["context"] = context
    return train, valid


def _write_context(row: dict[str, Any], chunks: Sequence[Chunk], recipe: Recipe) -> list[Message] | None:
    """The turns before the answer, the question beside its passage; None where none is known or one is quoted."""
    qa, origin, language = row.get("qa_pair") or {}, row.get("origin") or {}, recipe.course.language
    *before, asked, answer = row["messages"] if len(row["messages"]) > 1 else [{}, {}]
    evidence = origin.get("evidence") or ""
    chunk = next((chunk for chunk in chunks if evidence and evidence in chunk.text), None)
    if chunk is None or qa.get("context") or asked.get("role") != "user" or answer.get("role") != "assistant":
        return None
    passage = find_passage(chunk, [evidence]) or strip_bold(chunk.text)
    place = describe_place(chunk.source, origin.get("page"), origin.get("cell"), chunk.heading)
    system = before[0]["content"] if before and before[0]["role"] == "system" else ""
    told: list[Message] = [
        {"role": "system", "content": add_grounding(system, language)},
        *(turn for turn in before if turn["role"] != "system"),
    ]
    return [*told, {"role": "user", "content": write_passages([(place, passage)], asked["content"], language)}]
