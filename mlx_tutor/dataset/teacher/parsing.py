"""A teacher's reply read as JSON, repaired where it can be; what it says is checked in `examples`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_tutor.errors import DatasetError

EXTRA = "The teacher needs two packages more. Install them with: pip install 'mlx-tutor[teacher]'"
# Thoughts, with or without their opening tag, which some chat templates write themselves.
THOUGHTS = re.compile(r"\A.*?</think(?:ing)?>|<think(?:ing)?>.*\Z", re.DOTALL)
BEGINNING = re.compile(r"\[\s*[{\]]|\{")
FENCE = re.compile(r"```(?:json)?\s*\n(.*?)(?:\n```|\Z)", re.DOTALL)
# Backslashes of LaTeX that a model forgot to double. In JSON, \f and \b are signs that no answer has; \t, \n and \r
# are escapes unless they begin a LaTeX command.
_AFTER = {
    "t": "heta|imes|au|ext|an|ilde|op|o(?![a-z])|riangle|frac",
    "n": "eq?(?![a-z])|abla|u(?![a-z])|eg(?![a-z])|otin|ewline",
    "r": "ho|ight|angle|ceil|floor|m(?![a-z])",
}
BACKSLASH = re.compile(
    rf"\\\\|\\[\"/]|\\u[0-9a-fA-F]{{4}}|\\t(?!{_AFTER['t']})|\\n(?!{_AFTER['n']})|\\r(?!{_AFTER['r']})|(\\)"
)
# A student who asks the tutor sees no passage.
UNSEEN = re.compile(
    r"\b(?:the|this|that|given|provided|above) (?:passage|excerpt|snippet|piece of text)\b"
    r"|\b(?:this|provided|above) (?:text|paragraph|section)\b|\b(?:according to|does|as) the (?:text|section)\b"
    r"|\bthe piece (?:says|states|mentions|describes)\b|\baccording to the (?:piece|author|material)\b",
    re.IGNORECASE,
)
CUT = "reply cut at teacher.max_tokens"
BLIND = "the question is about a text that the student does not see"


@dataclass(frozen=True, slots=True)
class Rejected:
    """What a teacher wrote and nobody will be taught; `answer` is the whole reply when it could not be read."""

    type: str
    question: str
    answer: str
    evidence: str
    reason: str


@dataclass(frozen=True, slots=True)
class Item:
    """One fact as a teacher writes it, with several questions; `code`, in fences, stands below them."""

    type: str
    questions: tuple[str, ...]
    thought_process: tuple[str, ...]
    answer: str
    related_concepts: tuple[str, ...]
    evidence: str
    code: str = ""

    def reject(self, reason: str) -> Rejected:
        """This item, with the reason why it is not used."""
        return Rejected(self.type, next(iter(self.questions), ""), self.answer, self.evidence, reason)

    def ground(self, evidence: str, code: str) -> "Item":
        """This item with its evidence as it stands in the source, and the code that it is about."""
        return replace(self, evidence=evidence, code=code)


def read_object(text: str) -> Any:
    """The JSON value in a reply, mended where it is broken; None when there is none."""
    try:
        from json_repair import loads
    except ImportError as err:
        raise DatasetError(EXTRA) from err
    plain = THOUGHTS.sub("", text).strip()
    start = BEGINNING.search(plain)
    if start is None:
        return None
    # A fence may also occur inside a JSON string.
    fence = FENCE.search(plain)
    whole = fence[1] if fence and fence.start() < start.start() else plain[start.start() :]
    mended = BACKSLASH.sub(lambda match: "\\\\" if match[1] else match[0], whole)
    # A model in a loop opens brackets endlessly.
    for read in (json.loads, loads):
        try:
            value = read(mended)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict | list) else None
    return None


def read_items(
    text: str, kinds: Sequence[str], wordings: int, *, cut: bool = False
) -> tuple[list[Item], list[Rejected]]:
    """The items of a reply that are whole, and the others with the reason; `cut`: the reply ends too early."""
    value = read_object(text)
    entries = value.get("items", value.get("rows", [value])) if isinstance(value, dict) else value
    if not isinstance(entries, list):
        reason = CUT if cut else "no JSON in the reply" if text.strip() else "empty reply"
        return [], [Rejected("reply", "", text[:2000], "", reason)]
    items: list[Item] = []
    rejected: list[Rejected] = []
    for number, entry in enumerate(entries):
        item = _read_item(entry)
        last = cut and number == len(entries) - 1
        if problem := CUT if last else _find_problem(item, kinds):
            rejected.append(item.reject(problem))
            continue
        alone = tuple(question for question in item.questions if not UNSEEN.search(question))
        blind = [question for question in item.questions if question not in alone]
        rejected += [replace(item, questions=(question,)).reject(BLIND) for question in blind]
        if alone:
            items.append(replace(item, questions=alone[:wordings]))
    return items, rejected


def _read_item(entry: Any) -> Item:
    """An item as far as it is there; the form with a `qa_pair` inside is understood too."""
    fields = entry if isinstance(entry, dict) else {}
    if isinstance(inner := fields.get("qa_pair"), dict):
        fields = inner | fields
    questions = [*_read_texts(fields.get("questions")), *_read_texts(fields.get("question"))]
    return Item(
        _read_text(fields.get("type")).lower(),
        tuple(dict.fromkeys(questions)),
        tuple(re.sub(r"^(?:step )?\d+[.):]\s+", "", s, flags=re.I) for s in _read_texts(fields.get("thought_process"))),
        _read_text(fields.get("answer")),
        tuple(_read_texts(fields.get("related_concepts")))[:4],
        _read_text(fields.get("evidence")),
    )


def _read_text(value: Any) -> str:
    # Half of a surrogate pair cannot be written to a file.
    return value.encode(errors="ignore").decode().strip() if isinstance(value, str) else ""


def _read_texts(value: Any) -> list[str]:
    """A list of texts, each in one line but for code; a single text counts as one."""
    values = value if isinstance(value, list) else [value]
    texts = [_read_text(item) for item in values]
    return [text if "```" in text else " ".join(text.split()) for text in texts if text]


def _find_problem(item: Item, kinds: Sequence[str]) -> str:
    """Why an item cannot be used; empty when it can."""
    problems = {
        "a kind that was not asked for": item.type not in kinds,
        "no question": not item.questions,
        "no answer": not item.answer,
        "no evidence": not item.evidence,
        "an explanation without steps": item.type == "explain" and not item.thought_process,
        "a relation without its two concepts": item.type == "relation" and len(item.related_concepts) < 2,
    }
    return next((problem for problem, holds in problems.items() if holds), "")
