"""One row of somebody else's table to a conversation, from whichever of the usual forms it has.

columns      question, answer; instruction, context, response, category; Alpaca's instruction, input, output; choices
messages     [{"role": "user", "content": "..."}, ...]; also in two columns, as TRL's prompt and completion or chosen,
             written as JSON or as Python does in a cell of CSV, or as pairs of input and output
ShareGPT     conversations: [{"from": "human", "value": "..."}, ...]
text         ChatML; ### Instruction / ### Response; ### Human / ### Assistant; Student: ... Teacher: ...
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mlx_tutor.dataset.tables.read import read_answer, read_cell
from mlx_tutor.dataset.tables.unwrap import TableRow, read_literal
from mlx_tutor.records import Message

# Usual column names in lower case; the first one found is used.
NAMES = {
    "question": ("question", "questions", "instruction", "prompt", "query", "user", "input", "front", "term",
                 "problem", "question_stem", "frage", "pregunta", "domanda", "pergunta", "вопрос", "问题", "質問"),
    "answer": (
        "answer", "answers", "response", "output", "completion", "assistant", "target", "chosen", "back", "definition",
        "solution", "correct_answer", "ideal",
        "antwort", "respuesta", "réponse", "reponse", "risposta", "resposta", "ответ", "答案", "回答",
    ),
    "context": ("context", "passage"),
    "category": ("category", "type", "topic"),
    "text": ("text", "dialogue", "dialog", "conversation", "chat"),
    "messages": ("messages", "conversations", "conversation", "chat_messages", "contents", "data"),
    "system": ("system", "system_prompt", "system prompt"),
    "choices": ("choices", "options"),
    "key": (
        "answerkey", "answer_key", "answer", "correct_answer", "correct answer", "correct", "correct option",
        "correct_option", "correct answer(s)", "answer_idx", "cop", "label",
    ),
}  # fmt: skip
ROLES = {
    "system": "system",
    "user": "user", "human": "user", "student": "user", "learner": "user", "pupil": "user", "question": "user",
    "instruction": "user", "input": "user", "context": "user", "q": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "chatbot": "assistant", "ai": "assistant",
    "teacher": "assistant", "tutor": "assistant", "instructor": "assistant", "professor": "assistant",
    "response": "assistant", "output": "assistant", "answer": "assistant", "a": "assistant",
}  # fmt: skip
# Columns of a table for each choice: A, option_a, choice 1, opa.
CHOICE = re.compile(r"(?:(?:option|choice|opt|op|answer|ans)[ _-]?)?(?P<label>[a-h1-8])", re.IGNORECASE)
# What other models write around turns: ChatML has its own.
TURNS = (
    re.compile(
        r"<\|start_header_id\|>\s*(\w+)\s*<\|end_header_id\|>\s*(.*?)(?=<\|eot_id\|>|<\|start_header_id\|>|\Z)",
        re.DOTALL,
    ),
    re.compile(r"<start_of_turn>\s*(\w+)\n(.*?)(?=<end_of_turn>|<start_of_turn>|\Z)", re.DOTALL),
    re.compile(r"<｜(User|Assistant)｜>(.*?)(?=<｜|\Z)", re.DOTALL),
    re.compile(
        r"<\|(system|user|assistant)\|>\s*(.*?)(?=<\|end\|>|<\|(?:system|user|assistant)\|>|</s>|\Z)", re.DOTALL
    ),
)
LLAMA = re.compile(r"\[INST\](?:\s*<<SYS>>(.*?)<</SYS>>)?(.*?)\[/INST\](.*?)(?=</s>|<s>|\[INST\]|\Z)", re.DOTALL)
# What a model thought before it answered.
THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
CHATML = re.compile(r"<\|im_start\|>\s*(\w+)\n(.*?)(?=<\|im_end\|>|<\|im_start\|>|\Z)", re.DOTALL)
_MARKS = "System|Instruction|Input|Context|Response|Output|Human|User|Assistant|Question|Answer"
# Guanaco writes these marks inside a line.
MARKED = re.compile(rf"###\s*({_MARKS})\s*:[ \t]*|^###\s*({_MARKS})[ \t]*$", re.IGNORECASE | re.MULTILINE)
SPOKEN = re.compile(
    r"(?:^|(?<=[.!?…\"”)])[ \t]+)"
    r"(USER|ASSISTANT|Student|Learner|Pupil|Teacher|Tutor|Instructor|Professor|Human|User|Assistant|Question|Answer|Q|A)"
    r"(?:[ \t]+\d+)?[ \t]*:[ \t]*",
    re.MULTILINE,
)
PAIR = ("question", "answer")
# Roles of tools that the model calls; without their turns the conversation would be a different one.
TOOLS = frozenset({"tool", "function", "function_call", "observation", "tool_call", "tool_response", "ipython"})
# Where the name of a speaker stands: chat APIs, ShareGPT, exports of Claude.
SPEAKERS = ("role", "from", "sender")
# What keeps one turn from training: OpenAI's weight, Axolotl's train and loss.
UNTRAINED = ("weight", "train", "loss")
# What is written where there is no text; "None" may be an answer.
NOTHING = frozenset(["nan", "n/a", "#n/a", "<na>", "<noinput>", "<nooutput>", "-", "—", "tba", "tbd"])
# The steps of a calculator in GSM8K.
CALCULATED = re.compile(r"<<[\d+\-*/().,%$ ]+=[\d.,]+>>")
END_MARKS = re.compile(r"<\|(?:endoftext|im_end|eot_id)\|>|</s>")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a row says: turns of user and assistant by turns, the last of the assistant; the rest may be empty."""

    turns: tuple[Message, ...]
    system: str = ""
    context: str = ""
    category: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """The first answer that is trained, and what it answers."""
        turns = zip(self.turns[::2], self.turns[1::2], strict=True)
        return next((asked["content"], told["content"]) for asked, told in turns if told.get("weight") != 0)


def read_conversation(row: TableRow, columns: Mapping[str, str]) -> Conversation | None:
    """The conversation of a row, or None when there is no question with an answer in it.

    Args:
        columns: Names of columns where they are not the usual ones, as `dataset.import` has them.
    """
    if find_refusal(row, columns):
        return None
    context, category = (read_cell(row, find_column(row, name, columns)) for name in ("context", "category"))
    messages = row.get(find_column(row, "messages", columns))
    said = _read_list(messages) or _read_texts(messages)
    if said and said[-1]["role"] == "user":
        # The answer to learn may be in a column beside the messages.
        said += _read_list(row.get(find_column(row, "answer", columns)))
    if not said:
        said = _read_columns(row, columns, context)
        if context and said and not find_column(row, "question", columns):
            context = ""
        text = read_cell(row, find_column(row, "text", columns))
        if "text" in columns or not said:
            said = [{"role": role, "content": said} for role, said in split_text(text)]
            # Such a text has its passage in the question, unless the recipe names another column.
            context = context if "context" in columns else ""
    system = "\n\n".join(turn["content"] for turn in said if turn["role"] == "system" and turn["content"])
    turns = _take_turns(said)
    return Conversation(turns, system, context, category) if turns else None


def find_column(row: Mapping[str, Any], name: str, columns: Mapping[str, str]) -> str:
    """The column of `row` that holds `name`; "" when none does: no reader hands on a column without a name."""
    if name in columns:
        return columns[name]
    return _find_usual(tuple(map(str, row)), name)


# The rows of a table mostly have the same columns.
@lru_cache(maxsize=1024)
def _find_usual(columns: tuple[str, ...], name: str) -> str:
    known = {column.strip().lower(): column for column in columns}
    return next((known[usual] for usual in NAMES.get(name, (name,)) if usual in known), "")


def explain_unread(row: TableRow, columns: Mapping[str, str]) -> str:
    """Why `read_conversation` found none in a row."""
    if reason := find_refusal(row, columns):
        return reason
    for name in ("question", "answer", "messages"):
        column = find_column(row, name, columns)
        if row.get(column) and not read_cell(row, column):
            return f"column {column!r} holds no text"
    return "no question with an answer"


def find_refusal(row: TableRow, columns: Mapping[str, str]) -> str:
    """Why a row whose form is known must not be trained on; "" where it may be."""
    rated = next((name for name in ("label", "kto_tag") if row.get(name) is False), "")
    if rated and not _read_choices(row, columns):
        return f"an answer that was rated bad ({rated} is false)"
    if row.get("status") == "discarded":
        return "an annotator discarded it"
    for name in ("messages", "question", "answer"):
        for item in _parse_list(row.get(find_column(row, name, columns))):
            content = item.get("content", item.get("value"))
            role = _find_speaker(item)
            if role in TOOLS or item.get("tool_calls") or item.get("function_call"):
                return "calls of tools, which a tutor has not"
            parts = content if isinstance(content, list) else ()
            if any(isinstance(part, Mapping) and not isinstance(part.get("text"), str) for part in parts):
                return "a picture or a sound in the conversation"
    return ""


def _parse_list(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, or of one that is written in a cell; none for anything else."""
    if isinstance(value, str):
        value = read_literal(value) if value.lstrip()[:1] in ("[", "{") else None
    if isinstance(value, Mapping):
        value = [value] if _find_speaker(value) else []
    return value if isinstance(value, list) and all(isinstance(item, Mapping) for item in value) else []


def _read_list(value: Any) -> list[Message]:
    """The turns of a list of messages or of pairs; none for anything else."""
    items = _parse_list(value)
    if items and not any(map(_find_speaker, items)):
        pairs = [[read_cell(dict(item), find_column(item, name, {})) for name in PAIR] for item in items]
        return [turn for pair in pairs for turn in _write_pair(*pair)] if all(map(all, pairs)) else []
    return [_read_turn(item) for item in items if _find_speaker(item)]


def _find_speaker(item: Mapping[str, Any]) -> str:
    """Who speaks in one turn, in lower case; "" for what is no turn."""
    named = next((str(item[name]).lower() for name in SPEAKERS if isinstance(item.get(name), str)), "")
    # LangChain says it by the type; that of a part of a message is another.
    kind = str(item.get("type")).lower()
    return named or (kind if kind in ROLES or kind in TOOLS else "")


def _read_texts(value: Any) -> list[Message]:
    """The turns of a list of texts by turns, as UltraChat has them; none for anything else."""
    texts = value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []
    pairs = zip(texts[::2], texts[1::2], strict=False)
    return [turn for question, answer in pairs for turn in _write_pair(question, answer)]


def _read_turn(item: Mapping[str, Any]) -> Message:
    """One turn in the words of chat APIs or of ShareGPT; no role for one that is neither."""
    content = next((item[name] for name in ("content", "value", "parts", "text") if name in item), None)
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    turn: Message = {
        "role": ROLES.get(_find_speaker(item), ""),
        "content": content.strip() if isinstance(content, str) else "",
    }
    return {**turn, "weight": 0} if any(item.get(name) == 0 for name in UNTRAINED) else turn


def _read_columns(row: TableRow, columns: Mapping[str, str], context: str) -> list[Message]:
    """Question and answer, with what Alpaca puts beside them: an input, a system prompt, earlier turns.

    Without a column for the question, the context is what is asked.
    """
    asked, answered = (find_column(row, name, columns) for name in ("question", "answer"))
    if told := _read_list(row.get(answered)):
        # A chosen answer of TRL may repeat what led to it.
        whole = any(turn["role"] == "user" for turn in told)
        return told if whole else [*(_read_list(row.get(asked)) or _write_pair(read_cell(row, asked))), *told]
    question, answer = read_cell(row, asked) if asked else context, read_answer(row.get(answered))
    if (led := _read_list(row.get(asked))) and answer:
        return [*led, {"role": "assistant", "content": answer}]
    if not question and (whole_text := split_text(answer)):
        # Anthropic's preferences: the whole conversation is what was chosen.
        return [{"role": role, "content": said} for role, said in whole_text]
    if question and (choices := _read_choices(row, columns)):
        texts = "\n".join(f"{label}. {text}" for label, text in choices.items())
        question, answer = f"{question}\n{texts}", _find_choice(row, choices)
    if not question or not answer or answer.lower() in NOTHING:
        return []
    extra = find_column(row, "input", {})
    if extra and extra not in (asked, answered, *columns.values()):
        said = read_cell(row, extra)
        question = question if said.lower() in NOTHING | {""} else f"{question}\n\n{said}"
    history = row.get("history")
    history = read_literal(history) if isinstance(history, str) else history
    pairs = [pair for pair in history if isinstance(pair, list) and len(pair) == 2] if isinstance(history, list) else []
    earlier = [turn for user, assistant in pairs for turn in _write_pair(str(user), str(assistant))]
    system: Message = {"role": "system", "content": read_cell(row, find_column(row, "system", {}))}
    return [system, *earlier, *_write_pair(question, answer)]


def _read_choices(row: TableRow, columns: Mapping[str, str]) -> dict[str, str]:
    """The choices of a question by their letters, as MMLU and ARC have them; empty where there are none."""
    if "answer" in columns:
        return {}
    value = row.get(find_column(row, "choices", {}))
    value = read_literal(value) if isinstance(value, str) else value
    if isinstance(value, Mapping) and isinstance(value.get("text"), list) and isinstance(value.get("label"), list):
        return {str(label): str(text) for label, text in zip(value["label"], value["text"], strict=False)}
    if isinstance(value, Mapping):
        return {str(label): text for label, text in value.items() if isinstance(text, str)}
    if value is None:
        return _find_choice_columns(row)
    texts = value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []
    return {chr(ord("A") + number): text for number, text in enumerate(texts[:26])} if len(texts) > 1 else {}


def _find_choice_columns(row: TableRow) -> dict[str, str]:
    """The choices that have a column each, from A or 1 on, where the answer is one of them."""
    found = {
        match["label"].upper(): read_cell(row, name) for name in row if (match := CHOICE.fullmatch(str(name).strip()))
    }
    expected = "ABCDEFGH" if "A" in found else "12345678"
    choices = {label: found[label] for label in expected if found.get(label)}
    is_whole = len(choices) > 1 and list(choices) == list(expected[: len(choices)])
    return choices if is_whole and _find_choice(row, choices) else {}


def _find_choice(row: TableRow, choices: Mapping[str, str]) -> str:
    """The right choice with its letter, from its letter, its number from 0, or its text; "" for none of these."""
    key = read_cell(row, find_column(row, "key", {}))
    labels = list(choices)
    if (named := CHOICE.fullmatch(key)) and key not in choices.values() and named["label"].upper() in choices:
        key = named["label"].upper()
    if key.isdigit() and key not in choices and int(key) < len(labels):
        key = labels[int(key)]
    label = next((label for label, text in choices.items() if key in (label, text)), None)
    return "" if label is None else f"{label}. {choices[label]}"


def _write_pair(question: str, answer: str = "") -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def split_text(text: str) -> list[tuple[str, str]]:
    """Roles and texts of a conversation that is written as one text; empty when it is none."""
    if "<|im_start|>" in text:
        return [(ROLES.get(role.lower(), ""), said.strip()) for role, said in CHATML.findall(text)]
    for form in TURNS:
        if said := form.findall(text):
            return [(ROLES.get(role.lower(), ""), part.strip()) for role, part in said]
    if said := LLAMA.findall(text):
        roles = ("system", "user", "assistant")
        return [(role, part.strip()) for turn in said for role, part in zip(roles, turn, strict=True) if part.strip()]
    for pattern in (MARKED, SPOKEN):
        marks = list(pattern.finditer(text))
        if len(marks) >= 2:
            ends = [*(mark.start() for mark in marks[1:]), len(text)]
            names = [next(name for name in mark.groups() if name) for mark in marks]
            said = [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
            return [(ROLES[name.lower()], part.strip()) for name, part in zip(names, said, strict=True)]
    return []


def _clean(text: str) -> str:
    return CALCULATED.sub("", THOUGHT.sub("", END_MARKS.sub("", text))).replace("\r\n", "\n").strip()


def _take_turns(said: Sequence[Message]) -> tuple[Message, ...]:
    """User and assistant by turns; neighbours of one role become one, and what has no question or answer goes.

    Nothing is left where no answer is to be trained.
    """
    turns: list[Message] = []
    for turn in said:
        role, text = turn["role"], _clean(turn["content"])
        if role not in ("user", "assistant") or not text or (not turns and role == "assistant"):
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1] = {**turns[-1], **turn, "content": f"{turns[-1]['content']}\n\n{text}"}
        else:
            turns.append({**turn, "content": text})
    whole = turns[: len(turns) - (bool(turns) and turns[-1]["role"] == "user")]
    trained = any(turn["role"] == "assistant" and turn.get("weight") != 0 for turn in whole)
    return tuple(whole) if trained else ()
