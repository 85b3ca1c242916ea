"""Prompts of files, of the ready sets and of test rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.errors import DatasetError, TutorError
from mlx_tutor.evaluation.prompts import list_concepts, list_scenarios, pick_test_prompts, read_prompts
from mlx_tutor.files import write_jsonl

CONCEPTS = ["mean", "median", "variance"]


@pytest.mark.parametrize("name", ["course", "formal"])
def test_ten_ready_prompts_of_each_set(name: str) -> None:
    assert name in list_scenarios()
    prompts = read_prompts(name, "Tutor.", CONCEPTS)
    assert len(prompts) == len({prompt.id for prompt in prompts}) == len({prompt.text for prompt in prompts}) == 10
    assert all(prompt.task and "{" not in prompt.text for prompt in prompts)
    assert all(prompt.messages[0] == {"role": "system", "content": "Tutor."} for prompt in prompts)


def test_concepts_are_dealt_out_in_turn() -> None:
    texts = [prompt.text for prompt in read_prompts("course", "", CONCEPTS)]
    assert "mean" in texts[0] and "median" in texts[1]
    assert "difference between variance and mean" in texts[2]
    with pytest.raises(DatasetError, match="fewer than two"):
        read_prompts("course", "", ["mean"])


def test_a_text_file_has_one_prompt_a_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("# my prompts\n\nWhat is a mean?\n  What is {concept}?  \n")
    prompts = read_prompts(str(path), "")
    assert [(prompt.id, prompt.text) for prompt in prompts] == [("1", "What is a mean?"), ("2", "What is {concept}?")]
    assert prompts[0].messages == ({"role": "user", "content": "What is a mean?"},)


def test_a_jsonl_file_may_name_its_prompts(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [{"id": "a", "task": "define", "prompt": "What is a mean?"}, {"prompt": "And a mode?"}])
    assert [(p.id, p.task) for p in read_prompts(str(path), "")] == [("a", "define"), ("2", "")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.txt", None, "a ready set: course, formal"),
        ("empty.txt", "# only a remark\n", "holds no prompts"),
        ("bytes.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("broken.jsonl", "{", "line 1"),
        ("number.jsonl", "3\n", "row 1: no prompt"),
        ("blank.jsonl", '{"prompt": "x"}\n{"prompt": " "}\n', "row 2: no prompt"),
        ("twice.jsonl", '{"id": 1, "prompt": "x"}\n{"id": 1, "prompt": "y"}\n', "occurs twice"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, name: str, text: str | bytes | None, message: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TutorError, match=message):
        read_prompts(str(path), "")


def make_row(number: int, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": f"answer {number}"}]
    return {"messages": messages, **more}


def test_test_rows_are_spread_and_keep_their_place() -> None:
    rows = [make_row(i, origin={"source": "a.md", "section": i // 2}, qa_pair={"type": "fact"}) for i in range(9)]
    prompts = pick_test_prompts(rows, 3)
    assert [prompt.id for prompt in prompts] == ["test-1", "test-5", "test-9"]
    assert [prompt.place for prompt in prompts] == [("a.md", 0), ("a.md", 2), ("a.md", 4)]
    assert (prompts[1].text, prompts[1].reference, prompts[1].task) == ("question 4", "answer 4", "fact")
    assert json.dumps(prompts[0].messages) == '[{"role": "user", "content": "question 0"}]'
    assert len(pick_test_prompts(rows, 100)) == 9
    assert pick_test_prompts([make_row(0)], 2)[0].place is None
    with pytest.raises(DatasetError, match="no rows"):
        pick_test_prompts([], 2)


def test_the_concepts_that_rows_name_most() -> None:
    rows = [make_row(i, qa_pair={"related_concepts": names}) for i, names in enumerate((["a", "b", "b"], ["a"], ["c"]))]
    assert list_concepts([*rows, make_row(9)]) == ["a", "b", "c"]
    assert list_concepts(rows, 1) == ["a"]


def test_a_small_course_has_the_concepts_that_it_defines() -> None:
    asked = ["What is a bilge?", "Define the keel.", "What is meant by the keel?"]
    rows = [make_row(i, qa_pair={"type": "concept", "question": question}) for i, question in enumerate(asked)]
    related = make_row(3, qa_pair={"type": "fact", "question": "What is a mast?", "related_concepts": ["sail"]})
    assert list_concepts([*rows, related]) == ["sail", "keel", "bilge"]
