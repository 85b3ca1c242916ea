"""Writing a dataset in the forms that other programs and the Hugging Face Hub read."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_tutor.dataset.build import read_rows
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.errors import DatasetError
from mlx_tutor.files import disk_errors, read_json, write_file, write_json, write_jsonl, write_text
from mlx_tutor.workspace import Course

Row = Mapping[str, Any]
SHAREGPT_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}
CARD = "README.md"


def export_dataset(course: Course, name: str, folder: Path, *, replace: bool = False) -> dict[str, int]:
    """Write the splits of a course in a format of FORMATS; returns the rows of each split.

    Args:
        course: The course, built.
        folder: Where to; its parent is made.

    Raises:
        DatasetError: no dataset, or a folder that is not empty.
    """
    rows = {split: read_rows(course, split) for split in SPLITS}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not replace:
        raise DatasetError(f"{folder} is there already. Add --replace, or pick another folder with --to.")
    # Written beside it first, so that an interrupted export leaves the old files.
    beside = folder.with_name(f".{folder.name}.new")
    with disk_errors(folder):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            for split in SPLITS:
                FORMATS[name](beside, split, rows[split])
            if name == "hub":
                write_text(beside / CARD, write_card(course, rows))
            if folder.is_dir():
                shutil.rmtree(folder)
            beside.replace(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return {split: len(found) for split, found in rows.items()}


def write_messages_file(folder: Path, split: str, rows: Sequence[Row]) -> None:
    """OpenAI's and mlx-lm's form, with where each row comes from: `{"messages": [...], ...}` a line."""
    write_jsonl(folder / f"{split}.jsonl", rows)


def write_alpaca_file(folder: Path, split: str, rows: Sequence[Row]) -> None:
    """Alpaca's list of instruction, input and output, with `system` and `history` as LLaMA-Factory reads them."""
    write_json(folder / f"{split}.json", [to_alpaca(row) for row in rows])


def write_sharegpt_file(folder: Path, split: str, rows: Sequence[Row]) -> None:
    """ShareGPT's list of conversations."""
    write_json(folder / f"{split}.json", [to_sharegpt(row, f"{split}-{i}") for i, row in enumerate(rows, 1)])


def to_alpaca(row: Row) -> dict[str, Any]:
    """One row as Alpaca has it: the last question with its passages is the instruction."""
    turns = [turn["content"] for turn in row["messages"] if turn["role"] != "system"]
    system = "\n\n".join(turn["content"] for turn in row["messages"] if turn["role"] == "system")
    history = [list(pair) for pair in zip(turns[:-2:2], turns[1:-2:2], strict=False)]
    return {"instruction": turns[-2], "input": "", "output": turns[-1], "system": system, "history": history}


def to_sharegpt(row: Row, number: str) -> dict[str, Any]:
    """One row as ShareGPT has it."""
    turns = [
        {"from": SHAREGPT_ROLES.get(turn["role"], turn["role"]), "value": turn["content"]} for turn in row["messages"]
    ]
    return {"id": number, "conversations": turns}


def write_parquet_file(folder: Path, split: str, rows: Sequence[Row]) -> None:
    """The Hub's own form; one schema for all splits, also where a column is empty in one of them."""
    import pyarrow
    import pyarrow.parquet

    text, number = pyarrow.string(), pyarrow.int64()
    texts = pyarrow.list_(text)
    origin = {"source": text, "section": number, "page": number, "cell": number, "row": number, "heading": texts}
    origin |= {"method": text, "evidence": text}
    pair = {"question": text, "thought_process": texts, "answer": text, "type": text, "related_concepts": texts}
    pair |= {"context": text}
    metadata = dict.fromkeys(("subject", "grade_level", "teaching_style", "application"), text)
    schema = pyarrow.schema(
        {
            "messages": pyarrow.list_(pyarrow.struct({"role": text, "content": text})),
            "origin": pyarrow.struct(origin),
            "qa_pair": pyarrow.struct(pair),
            "metadata": pyarrow.struct(metadata),
        }
    )
    table = pyarrow.Table.from_pylist([dict(row) for row in rows], schema=schema)
    path = folder / "data" / f"{split}-00000-of-00001.parquet"
    write_file(path, lambda temporary: pyarrow.parquet.write_table(table, temporary))


FORMATS: dict[str, Callable[[Path, str, Sequence[Row]], None]] = {
    "messages": write_messages_file,
    "alpaca": write_alpaca_file,
    "sharegpt": write_sharegpt_file,
    "hub": write_parquet_file,
}


def write_card(course: Course, rows: Mapping[str, Sequence[Row]]) -> str:
    """The dataset card: what the Hub reads of it, then what a reader must know."""
    manifest = course.dataset / "manifest.json"
    counts = read_json(manifest)["rows"] if manifest.is_file() else {"methods": {}, "sources": {}}
    subject = next((row["metadata"]["subject"] for row in rows["train"] if row.get("metadata", {}).get("subject")), "")
    total = sum(map(len, rows.values()))
    head = {
        "pretty_name": course.name,
        "task_categories": ["question-answering", "text-generation"],
        "tags": ["education", "mlx-tutor", *([subject] if subject else [])],
        "size_categories": [name_size(total)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in rows if rows[s]],
            }
        ],
    }
    # JSON values are valid YAML.
    lines = ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()), "---", ""]
    about = f" on {subject}" if subject else ""
    lines += [f"# {course.name}", "", f"Questions and answers{about}, as chats to fine-tune a tutor with. "]
    lines[-1] += "Made by mlx-tutor from course files."
    lines += ["", "| split | rows |", "|---|---|", *(f"| {split} | {len(found)} |" for split, found in rows.items())]
    lines += ["", "Rows of one section of a source are never in two splits.", "", "## Columns", ""]
    lines += [
        "- `messages`: the chat, as `tokenizer.apply_chat_template` takes it",
        "- `qa_pair`: question, thoughts, answer, kind of question, related concepts, and the passage if there is one",
        "- `origin`: source, page, cell or row, how the row was made, and the text that it rests on, word for word",
        "- `metadata`: subject, level and style of teaching",
    ]
    for title, name in (("How the rows were made", "methods"), ("Where they come from", "sources")):
        if counts[name]:
            lines += ["", f"## {title}", "", f"| {name} | rows |", "|---|---|"]
            lines += [f"| {key.replace('|', chr(92) + '|')} | {count} |" for key, count in counts[name].items()]
    lines += ["", "## Licence", "", "Not stated. The rows quote their sources: ask whoever owns those before you"]
    lines[-1] += " publish, and add `license:` to the head of this file."
    return "\n".join(lines) + "\n"


def name_size(rows: int) -> str:
    """The Hub's word for a number of rows."""
    limits = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
    return next((name for limit, name in limits.items() if rows < limit), "1M<n<10M")
