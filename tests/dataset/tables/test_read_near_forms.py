"""Tables in forms that are near the usual ones: by their ending, their template, their columns."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.dataset.tables.formats import read_conversation
from mlx_tutor.dataset.tables.read import read_table
from mlx_tutor.dataset.tables.unwrap import unwrap_row
from mlx_tutor.errors import DatasetError

ASKED, TOLD = "What turns a bolt?", "A spanner turns a bolt by its head."
ROW = {"question": ASKED, "answer": TOLD}
WHOLE = {
    "array.jsonl": json.dumps([ROW, ROW]),
    "pretty.jsonl": f"{json.dumps(ROW, indent=1)}\n{json.dumps(ROW, indent=1)}",
    "lines.json": f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n",
    "columns.json": json.dumps({"question": [ASKED] * 2, "answer": [TOLD] * 2}),
    "split.json": json.dumps({"columns": ["question", "answer"], "index": [0, 1], "data": [[ASKED, TOLD]] * 2}),
    "viewer.json": json.dumps({"features": [], "rows": [{"row_idx": n, "row": ROW} for n in range(2)]}),
    "bars.csv": f"question|answer\n{ASKED}|{TOLD}\n{ASKED}|{TOLD}\n",
    "german.csv": f"Frage;Antwort\n{ASKED};{TOLD}\n{ASKED};{TOLD}\n",
}


@pytest.mark.parametrize("name", WHOLE)
def test_files_that_are_not_quite_what_their_name_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(WHOLE[name])
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for each in (path, packed):
        rows = [read_conversation(row, {}) for row in read_table(each)]
        assert [row and row.pair for row in rows] == [(ASKED, TOLD)] * 2


def test_tables_of_old_excel_and_what_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("question;answer\nWie groß?;Eine Größe über Null.\n".encode("cp1252"))
    assert read_table(path) == [{"question": "Wie groß?", "answer": "Eine Größe über Null."}]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_table(path)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"question,answer\n")
    with pytest.raises(DatasetError, match="gzip"):
        read_table(path)


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": f"\n\nHuman: {ASKED}\n\nAssistant: {TOLD}", "rejected": f"\n\nHuman: {ASKED}\n\nAssistant: No."},
        {"text": f"<s>[INST] {ASKED} [/INST] {TOLD} </s>"},
        {"text": f"<s>[INST] <<SYS>>\nShort.\n<</SYS>>\n\n{ASKED} [/INST] {TOLD} </s>"},
        {"text": f"<start_of_turn>user\n{ASKED}<end_of_turn>\n<start_of_turn>model\n{TOLD}<end_of_turn>\n"},
        {
            "text": f"<|start_header_id|>user<|end_header_id|>\n\n{ASKED}<|eot_id|>"
            f"<|start_header_id|>assistant<|end_header_id|>\n\n{TOLD}<|eot_id|>"
        },
        {"text": f"<|user|>\n{ASKED}<|end|>\n<|assistant|>\n{TOLD}<|end|>"},
        {"text": f"USER: {ASKED} ASSISTANT: {TOLD}</s>"},
        {"question": ASKED, "response": f"<think>\nA bolt has a head.\n</think>\n\n{TOLD}"},
        {
            "input": {"messages": [{"role": "user", "content": ASKED}]},
            "preferred_output": [{"role": "assistant", "content": TOLD}],
            "non_preferred_output": [{"role": "assistant", "content": "No."}],
        },
    ],
)
def test_templates_preferences_and_thoughts(row: dict[str, Any]) -> None:
    found = read_conversation(unwrap_row(row), {})
    assert found is not None
    assert found.pair == (ASKED, TOLD)


@pytest.mark.parametrize(
    "row",
    [
        {"question": ASKED, "A": "a saw", "B": "a spanner", "C": "a nail", "answer": "B"},
        {"question": ASKED, "option1": "a saw", "option2": "a spanner", "answer": "2"},
        {"Question": ASKED, "Option A": "a saw", "Option B": "a spanner", "Correct Answer": "Option B"},
        {"question": ASKED, "opa": "a saw", "opb": "a spanner", "cop": 1},
        {"question": ASKED, "A": "a saw", "B": "a spanner", "answer": "a spanner"},
    ],
)
def test_choices_in_columns_of_their_own(row: dict[str, Any]) -> None:
    found = read_conversation(row, {})
    assert found is not None
    asked, told = found.pair
    assert asked.startswith(f"{ASKED}\n")
    assert "a saw" in asked
    assert told.endswith(". a spanner")
    other = read_conversation({"question": ASKED, "a": "x", "b": "y", "answer": TOLD}, {})
    assert other is not None
    assert other.pair == (ASKED, TOLD)


def test_articles_of_squad_are_questions_with_their_paragraph(tmp_path: Path) -> None:
    asked = {"question": "What melts?", "answers": [{"text": "Ice", "answer_start": 0}]}
    unasked = {"question": "What burns?", "answers": [], "is_impossible": True}
    article = {"title": "Ice", "paragraphs": [{"context": "Ice melts.", "qas": [asked, unasked]}]}
    path = tmp_path / "dev.json"
    path.write_text(json.dumps({"version": "2.0", "data": [article]}))
    rows = read_table(path)
    assert [(row["context"], row["question"]) for row in rows] == [
        ("Ice melts.", "What melts?"),
        ("Ice melts.", "What burns?"),
    ]
    found = [read_conversation(row, {}) for row in rows]
    assert [one and (one.turns[1]["content"], one.context) for one in found] == [("Ice", "Ice melts."), None]
