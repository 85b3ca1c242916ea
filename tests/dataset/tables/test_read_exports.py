"""What annotation tools, hubs and card programs export, each read rightly or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.dataset.tables.formats import explain_unread, read_conversation
from mlx_tutor.dataset.tables.read import read_table
from mlx_tutor.dataset.tables.unwrap import clean_card, read_cards
from mlx_tutor.errors import DatasetError

ASKED, TOLD = "Why does a boat float?", "It pushes aside as much water as it weighs."
MORE = ["And a stone?", "It weighs more than the water in its place."]


def read_file(path: Path) -> list[list[str]]:
    """The turns of each row; of a refused row the reason."""
    found = []
    for row in read_table(path):
        conversation = read_conversation(row, {})
        found.append([turn["content"] for turn in conversation.turns] if conversation else [explain_unread(row, {})])
    return found


def write_rows(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


USER, ASSISTANT = {"role": "user", "content": ASKED}, {"role": "assistant", "content": TOLD}


@pytest.mark.parametrize(
    "row",
    [
        # Kaggle: a context is what is asked where no question is.
        {"Context": ASKED, "Response": TOLD},
        # Argilla, records of both versions.
        {"id": "1", "fields": {"prompt": ASKED, "response": TOLD}, "responses": []},
        {"fields": {"question": ASKED}, "responses": [{"status": "submitted", "values": {"answer": {"value": TOLD}}}]},
        {"fields": {"question": ASKED}, "responses": {"answer": [{"value": TOLD, "user_id": "u"}]}},
        # Label Studio: a text that somebody wrote, not one that was proposed.
        {
            "id": 3,
            "data": {"question": ASKED, "answer": "No idea."},
            "annotations": [
                {"was_cancelled": True, "result": [{"from_name": "answer", "value": {"text": ["Skip."]}}]},
                {"result": [{"from_name": "answer", "type": "textarea", "value": {"text": [TOLD]}}]},
            ],
        },
        # Traces of a program.
        {"inputs": {"question": ASKED}, "outputs": {"answer": TOLD}},
        # A tree of OpenAssistant.
        {
            "message_tree_id": "a",
            "prompt": {
                "role": "prompter", "text": ASKED,
                "replies": [
                    {"role": "assistant", "text": "Magic.", "rank": 1, "replies": []},
                    {"role": "assistant", "text": TOLD, "rank": 0, "replies": []},
                ],
            },
        },
        # Pairs, texts by turns, and other words for the roles.
        {"conversation": [{"input": ASKED, "output": TOLD}]},
        {"data": [ASKED, TOLD], "id": "0"},
        {"conversations": [{"from": "user", "value": ASKED}, {"from": "assistant", "value": TOLD}]},
        {"instruction": ASKED, "input": "", "output": TOLD},
        {"instruction": ASKED, "context": "", "response": TOLD, "category": "open_qa"},
        {"instruction": ASKED, "input": "", "output": TOLD, "system": "Be kind.", "history": []},
        # LLaMA-Factory's preferences, and several answers of which one is the best.
        {
            "conversations": [{"from": "human", "value": ASKED}],
            "chosen": {"from": "gpt", "value": TOLD}, "rejected": {"from": "gpt", "value": "Magic."},
        },
        {"question": ASKED, "answers": [{"text": "Magic.", "pm_score": 1}, {"text": TOLD, "pm_score": 9}]},
        {"question": ASKED, "answer": [TOLD, "It displaces its weight."]},
        {"prompt": ASKED, "completion": TOLD, "label": True},
    ],
)  # fmt: skip
def test_a_row_of_an_export_is_the_question_and_its_answer(tmp_path: Path, row: dict[str, Any]) -> None:
    assert read_file(write_rows(tmp_path / "a.jsonl", row)) == [[ASKED, TOLD]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": ASKED, "completion": "Magic.", "label": False}, "an answer that was rated bad (label is false)"),
        (
            {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, ASSISTANT]},
            "calls of tools, which a tutor has not",
        ),
        (
            {"conversations": [{"from": "human", "value": ASKED}, {"from": "observation", "value": "{}"}]},
            "calls of tools, which a tutor has not",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, ASSISTANT]},
            "a picture or a sound in the conversation",
        ),
        ({"custom_id": "r", "response": {"status_code": 200}}, "column 'response' holds no text"),
        ({"title": "Boats", "paragraphs": [{"context": TOLD, "qas": []}]}, "no question with an answer"),
    ],
)  # fmt: skip
def test_what_must_not_be_trained_is_refused_by_name(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    assert read_file(write_rows(tmp_path / "a.jsonl", row)) == [[reason]]


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Which is a gas?", "choices": ["Iron", "Neon", "Salt"], "answer": 1, "subject": "chemistry"},
        {"question": "Which is a gas?", "options": {"A": "Iron", "B": "Neon", "C": "Salt"}, "answer": "B"},
        {
            "question": "Which is a gas?",
            "choices": {"text": ["Iron", "Neon", "Salt"], "label": ["A", "B", "C"]}, "answerKey": "B",
        },
        {"question": "Which is a gas?", "choices": "['Iron', 'Neon', 'Salt']", "answer": "Neon"},
    ],
)  # fmt: skip
def test_a_choice_is_asked_with_its_texts_and_answered_with_one(tmp_path: Path, row: dict[str, Any]) -> None:
    assert read_file(write_rows(tmp_path / "a.jsonl", row)) == [
        ["Which is a gas?\nA. Iron\nB. Neon\nC. Salt", "B. Neon"]
    ]


@pytest.mark.parametrize(
    "cell",
    [
        json.dumps([USER, ASSISTANT]),
        str([USER, ASSISTANT]),
        # As numpy writes an array of objects.
        f"[{USER}\n {ASSISTANT}]",
    ],
)
def test_messages_in_a_cell_of_csv(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "viewer.csv"
    quoted = cell.replace('"', '""')
    path.write_text(f'id,messages\n1,"{quoted}"\n')
    assert read_file(path) == [[ASKED, TOLD]]


def test_squad_in_a_cell_of_csv_and_code_as_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    cell = f"{{'text': array(['{TOLD}'], dtype=object), 'answer_start': array([4])}}"
    path.write_text(f'question,answer\n{ASKED},"{cell}"\nWrite a set in Python.,"{{\'a\': 1}}"\n')
    assert read_file(path) == [[ASKED, TOLD], ["Write a set in Python.", "{'a': 1}"]]


def test_messages_of_trees_are_joined(tmp_path: Path) -> None:
    def message(number: str, parent: str | None, role: str, text: str, rank: float | None = None) -> dict[str, Any]:
        return {"message_id": number, "parent_id": parent, "role": role, "text": text, "rank": rank, "lang": "en"}

    rows = [
        message("1", None, "prompter", ASKED),
        message("3", "1", "assistant", "Magic.", 1.0),
        message("2", "1", "assistant", TOLD, 0.0),
        message("5", "4", "assistant", MORE[1]),
        message("4", "2", "prompter", MORE[0]),
        message("9", None, "prompter", "A question that nobody answered"),
    ]
    assert read_file(write_rows(tmp_path / "oasst.jsonl", *rows)) == [
        [ASKED, TOLD, *MORE],
        ["no question with an answer"],
    ]


def test_a_tree_that_is_a_ring_comes_to_an_end(tmp_path: Path) -> None:
    ring = [{"message_id": a, "parent_id": b, "role": "prompter", "text": ASKED} for a, b in (("1", "2"), ("2", "1"))]
    root = {"message_id": "0", "parent_id": None, "role": "prompter", "text": ASKED}
    assert len(read_table(write_rows(tmp_path / "a.jsonl", *ring, root))) == 1


ANKI = """#separator:tab
#html:true
#tags column:3
Why does a boat float?\t<div>It pushes aside as much water<br>as it weighs.</div>\tphysics
"A ""quoted"" word<img src=""a.png"">\t[sound:a.mp3]&lt;b&gt; is 2&nbsp;m\t
Water boils at {{c1::100::degrees}} degrees.\tAt sea.\t
"""


def test_cards_of_anki(tmp_path: Path) -> None:
    path = tmp_path / "deck.txt"
    path.write_text(ANKI.replace('"A ""quoted"" word<img src=""a.png"">', '"A ""quoted"" word<img src=""a.png"">"'))
    assert read_file(path) == [
        [ASKED, "It pushes aside as much water\nas it weighs."],
        ['A "quoted" word', "<b> is 2\xa0m"],
        ["Water boils at [...] degrees.", "Water boils at 100 degrees."],
    ]
    path = path.rename(tmp_path / "deck.csv")
    path.write_text(f"#separator:;\n#columns:Back;Front;Note\n{TOLD};{ASKED};\n")
    assert read_file(path) == [[ASKED, TOLD]]


def test_cards_of_quizlet_have_no_header(tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_text("mitosis\tA cell divides in two.\nosmosis\tWater passes through a membrane.\n\n", encoding="utf-16")
    assert read_file(path) == [["mitosis", "A cell divides in two."], ["osmosis", "Water passes through a membrane."]]
    path.write_text("A text about cells.\nIt has no cards.\n")
    with pytest.raises(DatasetError, match=r"set.txt is no table .* flash cards \(Anki, Quizlet\)"):
        read_table(path)
    assert read_cards(["no tab\n"]) is None


def test_formulas_of_cards_stay() -> None:
    assert clean_card("<p>So [$]x &lt; 2[/$] and [latex]y[/latex]</p><ul><li>one<li>two</ul>") == (
        "So $x < 2$ and $y$\n- one\n- two"
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_that_no_parser_takes_is_named(tmp_path: Path, name: str) -> None:
    for text in ("[" * 100_000, '{"a": ' + "9" * 5000 + "}"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DatasetError, match="is not valid JSON"):
            read_table(tmp_path / name)
