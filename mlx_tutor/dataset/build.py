"""Documents to train.jsonl, valid.jsonl and test.jsonl, with a manifest that says where each row comes from."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.code import make_code_rows
from mlx_tutor.dataset.completion import make_completions
from mlx_tutor.dataset.concepts import collect_concepts
from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.definitions import find_definitions, make_definitions
from mlx_tutor.dataset.explain import make_explanations
from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.reading import make_readings, make_sentences
from mlx_tutor.dataset.relations import make_relations
from mlx_tutor.dataset.split import SPLITS, split_examples
from mlx_tutor.errors import DatasetError
from mlx_tutor.extract.extract import find_changes, read_documents
from mlx_tutor.files import disk_errors, hash_file, read_json, read_jsonl, write_json, write_jsonl
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import MIN_TRAIN_ROWS, Chunk, Document, Example, Message, Origin, describe_place
from mlx_tutor.workspace import Course

# Raise it when a maker changes what it writes: then every dataset is stale.
MAKER = 3
MAKERS = (
    make_definitions,
    make_explanations,
    make_readings,
    make_relations,
    make_sentences,
    make_completions,
    make_code_rows,
)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Rows written, by split, method and source, and rows dropped by reason.

    `kept_edited` names the folder where rows that were edited by hand were put before they were replaced.
    """

    splits: dict[str, int]
    methods: dict[str, int]
    sources: dict[str, int]
    dropped: dict[str, int]
    kept_edited: str | None


def make_examples(documents: Sequence[Document], recipe: Recipe) -> Iterator[Example]:
    """All rows that the text of a course gives, in the order of the text."""
    chunks = [chunk for document in documents for chunk in split_document(document, recipe.dataset.chunk_tokens)]
    defined = {found.term: found.article for chunk in chunks for found in find_definitions(chunk)}
    concepts = collect_concepts(documents, defined)
    metadata = {
        "subject": recipe.course.subject,
        "grade_level": recipe.course.grade_level,
        "teaching_style": recipe.course.teaching_style,
        "application": "education",
    }
    for chunk in chunks:
        for make in MAKERS:
            for qa, method, evidence in make(chunk, concepts, recipe.dataset.seed):
                origin = find_origin(chunk, method, evidence)
                # The place of a passage that wants a title must not name it.
                heading = () if qa.type == "title" else origin.heading
                place = describe_place(origin.source, origin.page, origin.cell, heading)
                yield Example(write_messages(qa, recipe.course.system_prompt, place), origin, qa, metadata)


def find_origin(chunk: Chunk, method: str, evidence: str) -> Origin:
    """Where the evidence stands; raises ValueError when it does not stand in the chunk word for word."""
    block = next((block for block in chunk.blocks if evidence in block.text), None)
    if block is None:
        raise ValueError(f"{method}: evidence is not in {chunk.source}, section {chunk.section}: {evidence!r}")
    return Origin(chunk.source, chunk.section, block.page, block.cell, chunk.heading, method, evidence)


def build_dataset(
    course: Course, recipe: Recipe, count_tokens: Callable[[Sequence[Message]], int], tokenizer_hash: str
) -> BuildReport:
    """Write the three splits, what was dropped with its reason, and, last, manifest.json.

    Args:
        course: The course, extracted.
        recipe: Its recipe.
        count_tokens: Length of a rendered row, of the model that will be trained.
        tokenizer_hash: Fingerprint of that model's tokenizer and template.

    Raises:
        CorpusError: not extracted yet.
        DatasetError: no rows, or too few sections to split.
    """
    made = list(make_examples(read_documents(course), recipe))
    kept, dropped = curate_examples(made, count_tokens, recipe.train.max_seq_length)
    splits = split_examples(kept, recipe.dataset.valid, recipe.dataset.test, recipe.dataset.seed)
    kept_edited = _keep_edited(course)
    paths = {split: course.dataset / f"{split}.jsonl" for split in SPLITS}
    (course.dataset / "manifest.json").unlink(missing_ok=True)
    for split, path in paths.items():
        write_jsonl(path, (example.to_row() for example in splits[split]))
    write_jsonl(course.dataset / "dropped.jsonl", (example.to_row() | {"dropped": why} for example, why in dropped))
    report = BuildReport(
        splits={split: len(rows) for split, rows in splits.items()},
        methods=_count(example.origin.method for example in kept),
        sources=_count(example.origin.source for example in kept),
        dropped=_count(reason for _, reason in dropped),
        kept_edited=None if kept_edited is None else str(kept_edited),
    )
    manifest = {
        "rows": asdict(report),
        "inputs": hash_inputs(course, recipe, tokenizer_hash),
        "files": {path.name: hash_file(path) for path in paths.values()},
    }
    write_json(course.dataset / "manifest.json", manifest)
    return report


def _count(values: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _keep_edited(course: Course) -> Path | None:
    """Put rows that were edited by hand, or that came from elsewhere, beside the dataset."""
    edited = find_edited_rows(course)
    foreign = [] if (course.dataset / "manifest.json").is_file() else [f"{split}.jsonl" for split in SPLITS]
    files = [course.dataset / name for name in {*edited, *foreign} if (course.dataset / name).is_file()]
    if not files:
        return None
    number = 1
    while (folder := course.root / f"dataset-{number}").exists():
        number += 1
    with disk_errors(folder):
        folder.mkdir()
        for file in files:
            file.rename(folder / file.name)
    return folder


def hash_inputs(course: Course, recipe: Recipe, tokenizer_hash: str) -> dict[str, Any]:
    """All that the rows depend on; settings in the open, so that a change can be named."""
    path = course.dataset / "documents.jsonl"
    settings = recipe.to_dict()
    return {
        "maker": MAKER,
        "documents": hash_file(path) if path.is_file() else None,
        "tokenizer": tokenizer_hash,
        "course": settings["course"],
        "dataset": settings["dataset"],
        "max_seq_length": recipe.train.max_seq_length,
    }


def explain_stale(course: Course, recipe: Recipe, tokenizer_hash: str) -> str | None:
    """One phrase that says why the rows are not what the course and the recipe would give now; None when they are."""
    path = course.dataset / "manifest.json"
    if not path.is_file():
        # Rows of somebody else's making are taken as they are.
        return None if (course.dataset / "train.jsonl").is_file() else "there is no dataset yet"
    if changed := find_changes(course):
        return f"{changed[0]}{f' and {len(changed) - 1} more' if len(changed) > 1 else ''} changed since then"
    old, new = read_json(path)["inputs"], hash_inputs(course, recipe, tokenizer_hash)
    names = {
        "maker": "mlx-tutor makes other rows now",
        "documents": "the extracted text changed",
        "tokenizer": "the model's tokenizer or template is another one",
        "max_seq_length": "recipe: train.max_seq_length changed",
    }
    for key, value in new.items():
        if old.get(key) != value:
            return names.get(key) or f"recipe: {_name_difference(key, old.get(key) or {}, value)} changed"
    return None


def _name_difference(section: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(f"{section}.{key}" for key in new if old.get(key) != new[key]) or section


def is_dataset_current(course: Course, recipe: Recipe, tokenizer_hash: str) -> bool:
    """Whether the three splits are there and are what course and recipe would give now."""
    whole = all((course.dataset / f"{split}.jsonl").is_file() for split in SPLITS)
    return whole and explain_stale(course, recipe, tokenizer_hash) is None


def find_edited_rows(course: Course) -> tuple[str, ...]:
    """Names of split files that are not as they were written."""
    path = course.dataset / "manifest.json"
    if not path.is_file():
        return ()
    files = read_json(path)["files"]
    return tuple(
        n for n, sha in files.items() if (course.dataset / n).is_file() and hash_file(course.dataset / n) != sha
    )


def read_rows(course: Course, split: str) -> list[dict[str, Any]]:
    """The rows of a split, each checked to be a chat that ends with the assistant.

    Raises:
        DatasetError: missing file, or a row that cannot be trained on, with its line.
    """
    path = course.dataset / f"{split}.jsonl"
    if not path.is_file():
        raise DatasetError(f"No {path}. Make the rows with: mlx-tutor build -c {course.name}")
    rows = read_jsonl(path)
    for line, row in enumerate(rows, 1):
        messages = row.get("messages") if isinstance(row, dict) else None
        turns = messages if isinstance(messages, list) else []
        whole = turns and all(
            isinstance(turn, dict) and isinstance(turn.get("content"), str) and isinstance(turn.get("role"), str)
            for turn in turns
        )
        if not whole or turns[-1]["role"] != "assistant" or not any(turn["role"] == "user" for turn in turns):
            raise DatasetError(
                f"{path}, line {line}: a row needs `messages` with role and content, "
                "one of the user, the last of the assistant."
            )
    return rows


def check_dataset(course: Course) -> None:
    """Raise DatasetError when there is too little to train on."""
    train, valid = len(read_rows(course, "train")), len(read_rows(course, "valid"))
    if train < MIN_TRAIN_ROWS or not valid:
        raise DatasetError(
            f"Course {course.name!r} has {train} training and {valid} validation rows; at least {MIN_TRAIN_ROWS} and 1 "
            "are needed. Add course files and run: mlx-tutor build"
        )
