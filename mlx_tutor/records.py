"""The types that stages hand on, as they are in files: Document -> Chunk -> Example."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from mlx_tutor.languages.table import list_frames

# With fewer training rows nothing is learned.
MIN_TRAIN_ROWS = 8

# In place of a bit width: the layers that a fuse changed are not quantized, while the others are.
UNROUNDED = 16

# Between these, models with a thinking mode think.
THINK, END_THINK = "<think>", "</think>"

# A source and the index of a section in it.
Place = tuple[str, int]
# Kinds of questions about a fact besides the one for it. A row that asks one of these has the type RECALL.
REVERSE, TRUE_FALSE, GAP = "term from description", "true or false", "missing word"
RECALL = "recall"

# How an answer ended whose page or program was closed before its end.
CUT = "cut"

BlockKind = Literal["text", "code", "output", "table"]
# The role of an entry of a definition list.
ENTRY = "definition"


class Message(TypedDict):
    """One chat turn as mlx-lm reads it; `role` is system, user or assistant.

    `reasoning_content` is what an assistant thinks before it speaks, as chat templates with a thinking mode read it.
    `weight` 0, as OpenAI's fine-tuning format has it: an assistant's turn that is read, but not trained.
    """

    role: str
    content: str
    reasoning_content: NotRequired[str]
    weight: NotRequired[int]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model to ask: its folder, the folder of an adapter on top of it, and whether it thinks before it answers.

    `label` is what the user reads: base, adapter, fused, the name of a run, or what was typed.
    """

    label: str
    path: Path
    adapter: Path | None = None
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, list, table, piece of code or its output.

    `text` has no hard line wraps; code and output keep their lines and carry no fences. `page` counts from
    1 in a PDF, `cell` from 1 in a notebook. `language` is that of code, in small letters, where it is known.
    `role` is `exercise 3` or `solution 3` in what the file itself marks as the third exercise, or its solution, and
    `definition` of an entry of a definition list, whose text is the term, a colon and what it is.
    """

    kind: BlockKind
    text: str
    page: int | None = None
    cell: int | None = None
    language: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks under one heading; `heading` is the path from the outermost heading to this one."""

    heading: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """All blocks, a blank line between them."""
        return "\n\n".join(block.text for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Document:
    """One source file as read. `source` is its path below `sources/`, with forward slashes.

    `language` is ISO 639-1, "" where it cannot be told, None where nobody has looked.
    """

    source: str
    sha256: str
    title: str
    sections: tuple[Section, ...]
    language: str | None = None

    @property
    def prose(self) -> str:
        """All paragraphs and lists, without code, output and tables."""
        return "\n".join(block.text for section in self.sections for block in section.blocks if block.kind == "text")

    def to_row(self) -> dict[str, Any]:
        """The JSON form in documents.jsonl."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Document":
        """Read back what `to_row` wrote."""
        sections = tuple(
            Section(tuple(section["heading"]), tuple(Block(**block) for block in section["blocks"]))
            for section in row["sections"]
        )
        return cls(row["source"], row["sha256"], row["title"], sections, row.get("language"))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of neighbouring blocks of one section, short enough to be asked about in one row.

    `section` is the index of the section in its document; rows of one section stay in one split. `is_first`
    says whether it begins its section, `language` is that of its document (ISO 639-1), "" where it cannot be told.
    """

    source: str
    section: int
    heading: tuple[str, ...]
    blocks: tuple[Block, ...]
    is_first: bool = True
    language: str = "en"

    @property
    def text(self) -> str:
        """All blocks, a blank line between them."""
        return "\n\n".join(block.text for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an example comes from. `evidence` is in the section's text word for word.

    `row` counts from 1 in a table; there, `section` is the number of the group that the split keeps together.
    """

    source: str
    section: int
    page: int | None
    cell: int | None
    heading: tuple[str, ...]
    method: str
    evidence: str
    row: int | None = None


def split_thoughts(text: str) -> tuple[str, str]:
    """What stands in the `<think>` with which a text begins, and what follows it; a tag may be cut off at the end."""
    begun = text.lstrip()
    if not begun.startswith(THINK[: len(begun)]):
        return "", text
    thoughts, _, answer = begun.removeprefix(THINK).partition(END_THINK)
    return ("", "") if len(begun) < len(THINK) else (thoughts.strip(), answer.lstrip())


def split_question(text: str) -> tuple[str, str]:
    """The passages above the question of a user turn, "" where there are none, and the question."""
    leads = [f"\n{frame['question']}" for frame in list_frames()]
    start, lead = max((text.rfind(lead), lead) for lead in leads)
    return ("", text) if start < 0 else (text[:start].strip(), text[start + len(lead) :])


def describe_share(rows: int, total: int) -> str:
    """How much of a split a figure rests on: `64 of 186 rows`, or `all 28 rows`."""
    return f"all {total} rows" if rows == total else f"{rows} of {total} rows"


def describe_parameters(trained: int, total: int) -> str:
    """How much of a model is trained: `1.3M of 134.5M parameters (0.97 %)`."""
    return f"{write_count(trained)} of {write_count(total)} parameters ({100 * trained / total:.2g} %)"


def write_count(count: int) -> str:
    """A number of parameters, short: `1.3M`, `52k`."""
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}k"


def describe_bits(bits: float | None) -> str:
    """How the layers that a fuse changed are stored, on average; None: as all others, in full precision."""
    return "full precision" if bits is None else "unrounded" if bits == UNROUNDED else f"{bits:.3g}-bit"


def describe_end(reason: str) -> str:
    """How an answer ended, if not by the model, to be added to other figures: `, cut at the limit`."""
    ends = {"length": "cut at the limit", "stopped": "stopped", CUT: "cut off"}
    ends["repetition"] = "ended where it began to repeat itself"
    return f", {ends[reason]}" if reason in ends else ""


def describe_place(source: str, page: int | None, cell: int | None, heading: tuple[str, ...]) -> str:
    """`week3.pdf, page 4, Regression > Assumptions`."""
    parts = [source, f"page {page}" if page else "", f"cell {cell}" if cell else "", " > ".join(heading)]
    return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class QaPair:
    """A question with its worked answer, before it is written as a chat; `context` is a passage to answer it from."""

    question: str
    thought_process: tuple[str, ...]
    answer: str
    type: str
    related_concepts: tuple[str, ...]
    context: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A training row. `messages` is what mlx-lm reads; the other keys are kept beside it.

    `language` is that of the text it was mined from, for checks before it is written.
    """

    messages: tuple[Message, ...]
    origin: Origin
    qa_pair: QaPair
    metadata: dict[str, str]
    language: str = ""

    def to_row(self) -> dict[str, Any]:
        """The JSON form in train.jsonl, valid.jsonl and test.jsonl; only rows of a table have a row number."""
        # By hand: `asdict` takes twenty times as long, and a book has ten thousand rows.
        origin, qa = ({name: getattr(part, name) for name in part.__slots__} for part in (self.origin, self.qa_pair))
        if origin["row"] is None:
            del origin["row"]
        messages = tuple(dict(message) for message in self.messages)
        return {"messages": messages, "origin": origin, "qa_pair": qa, "metadata": dict(self.metadata)}
