"""Answers of one model to many questions: several at once, each kept as soon as it is there."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlx_tutor.files import disk_errors, hash_value, read_jsonl, write_text
from mlx_tutor.generate import generate_batch, read_answer
from mlx_tutor.models import LoadedModel, is_thinking, render_tokens
from mlx_tutor.records import Message
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.training.batches import TokenRow

# Answers generated together. With more, their caches fill the memory of a small Mac; twice as many where prompt and
# answer are SHORT, in tokens, since each step of a batch costs about as much as one of half of it.
BATCH, SHORT = 16, 512


@dataclass(frozen=True, slots=True)
class Question:
    """An assistant turn of a test row: what leads to it, and what the row says there.

    `line` counts from 1 in test.jsonl. `tokens` are prompt and reference as training sees them, the reference from
    `tokens.offset` on.
    """

    line: int
    messages: tuple[Message, ...]
    reference: str
    tokens: TokenRow

    @property
    def prompt(self) -> tuple[int, ...]:
        """What the model reads before it answers."""
        return self.tokens.tokens[: self.tokens.offset]

    @property
    def text(self) -> str:
        """The last turn of the user."""
        return self.messages[-1]["content"] if self.messages else ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, without its thoughts. `ended` is "stop", "length" or "repetition", as in `Answer`."""

    text: str
    tokens: int
    ended: str

    @property
    def cut(self) -> bool:
        """Whether the limit of tokens ended it, not the model."""
        return self.ended == "length"


def count_unanswered(replies: Mapping[str, Sequence[Reply]]) -> dict[str, int]:
    """For each model, how often the limit of tokens was reached before an answer: in its thoughts."""
    return {label: sum(reply.cut and not reply.text for reply in found) for label, found in replies.items()}


def list_questions(
    rows: Sequence[dict[str, Any]], tokenizer: Any, longest: int
) -> tuple[list[Question], dict[str, int]]:
    """Every assistant turn of at most `longest` tokens as a question, and how many were left out, by reason."""
    questions: list[Question] = []
    dropped: Counter[str] = Counter()
    for line, row in enumerate(rows, 1):
        messages = row["messages"]
        for i, message in enumerate(messages):
            if message["role"] != "assistant" or message.get("weight") == 0:
                continue
            if not message["content"].strip():
                dropped["empty answer"] += 1
                continue
            tokens, offset = render_tokens(tokenizer, messages[: i + 1])
            if len(tokens) > longest:
                dropped[f"longer than {longest} tokens"] += 1
                continue
            token_row = TokenRow(tuple(tokens), offset)
            questions.append(Question(line, tuple(messages[:i]), message["content"], token_row))
    return questions, dict(dropped)


def generate_replies(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    settings: GenerateSettings,
    on_reply: Callable[[int, Reply], None],
    batch: int = BATCH,
) -> None:
    """Answer all prompts at temperature 0, by `generate_batch`.

    Args:
        prompts: Tokens, each shorter than the model's context.
        settings: Limit of tokens, repetition penalty and stop; sampling settings are not used.
        on_reply: Called with the index of the prompt and its answer, in the order in which they end.
    """

    is_short = [len(prompt) + settings.max_tokens <= SHORT for prompt in prompts]
    for short in (True, False):
        indices = [index for index, found in enumerate(is_short) if found == short]

        def read(place: int, tokens: Sequence[int], ended: str, indices: Sequence[int] = indices) -> None:
            index = indices[place]
            on_reply(index, _make_reply(loaded.tokenizer, prompts[index], tokens, ended))

        some = [prompts[index] for index in indices]
        generate_batch(loaded, some, replace(settings, temp=0.0), read, 2 * batch if short else batch)


def _make_reply(tokenizer: Any, prompt: Sequence[int], tokens: Sequence[int], ended: str) -> Reply:
    answer = read_answer(tokenizer, prompt, tokens)[1].strip()
    count = len(tokenizer.encode(answer, add_special_tokens=False)) if is_thinking(tokenizer) else len(tokens)
    return Reply(answer, count, ended)


def read_replies(path: Path) -> dict[str, Reply]:
    """The replies that `answer_questions` has saved, by key; an incomplete last line is removed."""
    if not path.is_file():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_text(path, whole.decode(errors="replace"))
    # Replies of older versions lack `ended` and have other keys.
    return {row["key"]: Reply(row["answer"], row["tokens"], row["ended"]) for row in read_jsonl(path) if "ended" in row}


def find_others(path: Path) -> list[Path]:
    """The files of saved replies of other runs."""
    return sorted(other for other in path.parent.parent.glob(f"*/{path.name}") if other != path)


def _read_others(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """What other runs saved, as far as it is whole: one of them may be being written."""
    for path in paths:
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            with suppress(json.JSONDecodeError):
                row = json.loads(line)
                if "ended" in row:
                    yield row


def answer_questions(
    loaded: LoadedModel,
    label: str,
    fingerprint: str,
    questions: Sequence[Question],
    settings: GenerateSettings,
    path: Path,
    on_done: Callable[[int], None],
    others: Sequence[Path] = (),
) -> list[Reply]:
    """The replies in the order of the questions; those that `path` holds are not written again.

    Those that `others` hold are copied: of two runs of a course, the base says the same.

    Each new reply is appended to `path` at once: its key (a hash of fingerprint, prompt and settings), model, line in
    test.jsonl, question, answer, tokens, and how it ended.

    Args:
        label: base, adapter or fused.
        fingerprint: Of its weights, with the adapter's.
        settings: Limit of tokens and repetition penalty.
        on_done: Called with how many replies are there.
    """
    of_settings = [settings.max_tokens, settings.repetition_penalty, settings.stop_repetition]
    keys = [hash_value([fingerprint, question.prompt, of_settings]) for question in questions]
    replies = read_replies(path)
    # The same prompt twice gets the same answer.
    missing = {key: question for key, question in zip(keys, questions, strict=True) if key not in replies}
    with disk_errors(path), path.open("a", encoding="utf-8") as file:

        def write(row: dict[str, Any]) -> None:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            replies[row["key"]] = Reply(row["answer"], row["tokens"], row["ended"])

        for row in _read_others(others if missing else ()):
            if missing.pop(row["key"], None) is not None:
                write(row)
        names = list(missing)
        on_done(sum(key in replies for key in keys))

        def keep(index: int, reply: Reply) -> None:
            key = names[index]
            question = missing[key]
            row = {"key": key, "model": label, "line": question.line, "question": question.text}
            row |= {"answer": reply.text, "tokens": reply.tokens, "ended": reply.ended}
            write(row)
            on_done(sum(key in replies for key in keys))

        generate_replies(loaded, [question.prompt for question in missing.values()], settings, keep)
    return [replies[key] for key in keys]
