"""The prompts of a comparison or a rating: a file, a set that ships with the package, or test rows."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_tutor.errors import DatasetError
from mlx_tutor.evaluation.measure import spread
from mlx_tutor.files import read_jsonl
from mlx_tutor.languages.defining import find_term
from mlx_tutor.records import Message

SCENARIOS = Path(__file__).parent / "scenarios"
# Enough for the ready prompts, of which two name two concepts.
CONCEPTS = 12


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to ask. `messages` end with the user's turn; the rest is "" or None where nothing is known.

    `task` says in a few words what is wanted, `reference` is the answer of a test row, and `place` the source and the
    section that the row comes from. Where passages of the course were put above a question, `question` is that alone
    and `passages` are their places.
    """

    id: str
    task: str
    messages: tuple[Message, ...]
    reference: str = ""
    place: tuple[str, int] | None = None
    question: str = ""
    passages: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was asked: the last turn of the user, or the question in it."""
        return self.question or self.messages[-1]["content"]


def make_prompt(text: str, system: str, name: str = "1", task: str = "") -> Prompt:
    """One prompt of plain text, below the recipe's system prompt."""
    begin: list[Message] = [{"role": "system", "content": system}] if system else []
    return Prompt(name, task, (*begin, {"role": "user", "content": text}))


def list_scenarios() -> list[str]:
    """Names of the ready sets."""
    return sorted(path.stem for path in SCENARIOS.glob("*.jsonl"))


def read_prompts(name: str, system: str, concepts: Sequence[str] = ()) -> list[Prompt]:
    """The prompts of a ready set or a file.

    A .jsonl file holds one object a line: `prompt`, and if wanted `id` and `task`. Any other file is text: one prompt
    a line, empty lines and lines that begin with # left out.

    Args:
        name: A ready set, or a path; a file of that name goes first.
        system: The system prompt above each, or "".
        concepts: Names for `{concept}` and `{other}` in the ready sets, taken in turn.

    Raises:
        DatasetError: no such file or set, nothing in it, or a line that is no prompt.
    """
    path = Path(name).expanduser()
    ready = not path.is_file() and name in list_scenarios()
    path = SCENARIOS / f"{name}.jsonl" if ready else path
    if not path.is_file():
        raise DatasetError(f"No file {name}. Name a file of prompts, or a ready set: {', '.join(list_scenarios())}.")
    if path.suffix == ".jsonl":
        rows = [_check_row(row, path, line) for line, row in enumerate(read_jsonl(path), 1)]
    else:
        rows = [{"prompt": line.strip()} for line in _read_lines(path)]
    if not rows:
        raise DatasetError(f"{path} holds no prompts. Write one a line.")
    if ready:
        rows = _fill(rows, concepts)
    names = [str(row.get("id", number)) for number, row in enumerate(rows, 1)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DatasetError(f"{path}: the id {twice[0]!r} occurs twice. Give each prompt its own.")
    return [
        make_prompt(str(row["prompt"]), system, name, str(row.get("task", "")))
        for name, row in zip(names, rows, strict=True)
    ]


def _read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as err:
        raise DatasetError(f"{path} is not UTF-8 text ({err}). Save it as UTF-8.") from err
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _check_row(row: Any, path: Path, line: int) -> dict[str, Any]:
    text = row.get("prompt") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        example = json.dumps({"id": "1", "task": "define", "prompt": "What is a mean?"})
        raise DatasetError(f"{path}, row {line}: no prompt found. A row looks like this: {example}")
    found: dict[str, Any] = row
    return found


def _fill(rows: Sequence[dict[str, Any]], concepts: Sequence[str]) -> list[dict[str, Any]]:
    """Put concepts into the prompts that name one, each its own while there are enough."""
    filled, used = [], 0
    for row in rows:
        names = [name for name in ("concept", "other") if f"{{{name}}}" in row["prompt"]]
        if names and len(concepts) < 2:
            raise DatasetError(
                "These prompts are about concepts, and the rows of the course name fewer than two. Ask something else "
                "with --prompts FILE or --from-test N."
            )
        text = row["prompt"]
        for name in names:
            text = text.replace(f"{{{name}}}", concepts[used % len(concepts)])
            used += 1
        filled.append({**row, "prompt": text})
    return filled


def list_concepts(rows: Sequence[dict[str, Any]], count: int = CONCEPTS) -> list[str]:
    """The concepts that rows name most often as related ones, most frequent first, then the terms that they define."""
    related: Counter[str] = Counter()
    defined: Counter[str] = Counter()
    for row in rows:
        qa = row.get("qa_pair") or {}
        related.update(sorted(set(qa.get("related_concepts", ()))))
        if qa.get("type") == "concept" and (term := find_term(str(qa.get("question", "")))):
            defined[term] += 1
    names = [name for found in (related, defined) for name, _ in found.most_common()]
    return list(dict.fromkeys(names))[:count]


def pick_test_prompts(rows: Sequence[dict[str, Any]], count: int, split: str = "test") -> list[Prompt]:
    """At most `count` rows of a split as prompts, spread over the file; named by their line in it."""
    prompts = []
    for index in spread(len(rows), count) if rows else []:
        row = rows[index]
        origin = row.get("origin") or {}
        place = (str(origin["source"]), int(origin["section"])) if "section" in origin else None
        # The last turn is the assistant's, as `read_rows` has checked.
        messages = tuple({"role": turn["role"], "content": turn["content"]} for turn in row["messages"])
        task = str((row.get("qa_pair") or {}).get("type", ""))
        prompts.append(Prompt(f"{split}-{index + 1}", task, messages[:-1], messages[-1]["content"], place))  # type: ignore[arg-type]
    if not prompts:
        raise DatasetError(f"The {split} split has no rows. Build the dataset again: mlx-tutor build")
    return prompts
