"""One row of somebody else's table to a conversation, in whichever of the usual forms it is written.

columns      question, answer; instruction, context, response, category; Alpaca's instruction, input, output
messages     [{"role": "user", "content": "..."}, ...]
ShareGPT     conversations: [{"from": "human", "value": "..."}, ...]
text         ChatML; ### Instruction / ### Response; ### Human / ### Assistant; Student: ... Teacher: ...
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_tutor.dataset.tables.read import TableRow, read_cell
from mlx_tutor.records import Message

# Usual names of the columns, the first that is there is taken; all in lower case.
NAMES = {
    "question": ("question", "instruction", "prompt", "query", "user", "input"),
    "answer": ("answer", "response", "output", "completion", "assistant", "target"),
    "context": ("context", "passage"),
    "category": ("category", "type", "topic"),
    "text": ("text", "dialogue", "dialog", "conversation", "chat"),
    "messages": ("messages", "conversations", "conversation"),
}
ROLES = {
    "system": "system",
    "user": "user", "human": "user", "student": "user", "learner": "user", "pupil": "user", "question": "user",
    "instruction": "user", "input": "user", "context": "user", "q": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "teacher": "assistant", "tutor": "assistant", "instructor": "assistant", "professor": "assistant",
    "response": "assistant", "output": "assistant", "answer": "assistant", "a": "assistant",
}  # fmt: skip
CHATML = re.compile(r"<\|im_start\|>\s*(\w+)\n(.*?)(?=<\|im_end\|>|<\|im_start\|>|\Z)", re.DOTALL)
_MARKS = "System|Instruction|Input|Context|Response|Output|Human|User|Assistant|Question|Answer"
# Guanaco writes them inside the line.
MARKED = re.compile(rf"###\s*({_MARKS})\s*:[ \t]*|^###\s*({_MARKS})[ \t]*$", re.IGNORECASE | re.MULTILINE)
SPOKEN = re.compile(
    r"(?:^|(?<=[.!?…\"”)])[ \t]+)"
    r"(Student|Learner|Pupil|Teacher|Tutor|Instructor|Professor|Human|User|Assistant|Question|Answer|Q|A)"
    r"(?:[ \t]+\d+)?[ \t]*:[ \t]*",
    re.MULTILINE,
)
END_MARKS = re.compile(r"<\|(?:endoftext|im_end|eot_id)\|>|</s>")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a row says: turns of user and assistant by turns, the last of the assistant; the rest may be empty."""

    turns: tuple[Message, ...]
    system: str = ""
    context: str = ""
    category: str = ""


def read_conversation(row: TableRow, columns: Mapping[str, str]) -> Conversation | None:
    """The conversation of a row, or None when there is no question with an answer in it.

    Args:
        row: Values by column.
        columns: Names of columns where they are not the usual ones, as `dataset.import` has them.
    """
    context, category = (read_cell(row, find_column(row, name, columns)) for name in ("context", "category"))
    listed = row.get(find_column(row, "messages", columns))
    if isinstance(listed, str) and listed.lstrip().startswith("["):
        listed = _load_list(listed)
    if isinstance(listed, Sequence) and not isinstance(listed, str):
        said = [_read_turn(item) for item in listed]
    else:
        said = _read_columns(row, columns)
        text = read_cell(row, find_column(row, "text", columns))
        if "text" in columns or not said:
            said = split_text(text)
            # The passage of such a text stands in its question, unless the recipe says where else.
            context = context if "context" in columns else ""
    system = "\n\n".join(text for role, text in said if role == "system" and text)
    turns = _take_turns(said)
    return Conversation(turns, system, context, category) if turns else None


def find_column(row: TableRow, name: str, columns: Mapping[str, str]) -> str:
    """The column of `row` that holds `name`; "" when none does."""
    if name in columns:
        return columns[name]
    known = {str(column).strip().lower(): str(column) for column in row}
    return next((known[usual] for usual in NAMES.get(name, (name,)) if usual in known), "")


def _load_list(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _read_turn(item: Any) -> tuple[str, str]:
    """Role and text of one turn, in the words of chat APIs or of ShareGPT; no role for one that is neither."""
    if not isinstance(item, Mapping):
        return "", ""
    content = item.get("content", item.get("value"))
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    role = ROLES.get(str(item.get("role", item.get("from"))).lower(), "")
    return role, content.strip() if isinstance(content, str) else ""


def _read_columns(row: TableRow, columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Question and answer, with what Alpaca puts beside them: an input, a system prompt, earlier turns."""
    asked, answered = (find_column(row, name, columns) for name in ("question", "answer"))
    question, answer = read_cell(row, asked), read_cell(row, answered)
    if not question or not answer:
        return []
    extra = find_column(row, "input", {})
    if extra and extra not in (asked, answered, *columns.values()):
        question = "\n\n".join(part for part in (question, read_cell(row, extra)) if part)
    history = row.get("history")
    pairs = [pair for pair in history if isinstance(pair, list) and len(pair) == 2] if isinstance(history, list) else []
    earlier = [turn for user, assistant in pairs for turn in (("user", str(user)), ("assistant", str(assistant)))]
    system = read_cell(row, find_column(row, "system", {}))
    return [("system", system), *earlier, ("user", question), ("assistant", answer)]


def split_text(text: str) -> list[tuple[str, str]]:
    """Roles and texts of a conversation that is written as one text; empty when it is none."""
    if "<|im_start|>" in text:
        return [(ROLES.get(role.lower(), ""), said.strip()) for role, said in CHATML.findall(text)]
    for pattern in (MARKED, SPOKEN):
        marks = list(pattern.finditer(text))
        if len(marks) >= 2:
            ends = [*(mark.start() for mark in marks[1:]), len(text)]
            names = [next(name for name in mark.groups() if name) for mark in marks]
            said = [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
            return [(ROLES[name.lower()], part.strip()) for name, part in zip(names, said, strict=True)]
    return []


def _clean(text: str) -> str:
    return END_MARKS.sub("", text).strip()


def _take_turns(said: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    """User and assistant by turns; neighbours of one role become one, and what has no question or answer goes."""
    turns: list[Message] = []
    for role, text in ((role, _clean(text)) for role, text in said):
        if role not in ("user", "assistant") or not text or (not turns and role == "assistant"):
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1] = {"role": role, "content": f"{turns[-1]['content']}\n\n{text}"}
        else:
            turns.append({"role": role, "content": text})
    return tuple(turns[: len(turns) - (bool(turns) and turns[-1]["role"] == "user")])
