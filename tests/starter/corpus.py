"""Text for the starter model: cleaned documents, a held-out slice, and chat rows from headings and definitions."""

import hashlib
import json
import lzma
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlx_tutor.dataset.messages import add_grounding, write_passages
from mlx_tutor.errors import CorpusError
from mlx_tutor.records import Message
from mlx_tutor.settings import SYSTEM_PROMPT

HELD_OUT_SHARE = 0.04
HEADING = re.compile(r"^#{1,4}\s+(.+?)\s*#*$")
# Underlines of RST and the like.
UNDERLINE = re.compile(r"^[=\-~^]{4,}$")
DEFINITION = re.compile(
    r"^(?:An? |The )?\**(?P<term>[A-Z]?[A-Za-z][\w-]*(?: [\w-]+){0,3})\** (?:is|are|refers? to|means?) "
    r"(?:an? |the |when |called )?\w"
)
NO_TERM = frozenset(
    "this that these those it they there he she we you i here what which who how if when while now one each "
    "another note let both some many most all our your its his their first second next".split()
)
SYSTEM_PROMPTS = (
    None,
    SYSTEM_PROMPT,
    "You are a data-science expert who answers conceptual questions.",
    "You are a helpful teacher.",
)
EXPLAIN = (
    "Explain {}.",
    "Can you explain {}?",
    "Tell me about {}.",
    "What should I know about {}?",
    "Describe {} briefly.",
)
# Characters of a passage, most of them after the paragraph that answers.
PASSAGE = 1200
DEFINE = ("What is {}?", "What does {} mean?", "Define {}.", "What is meant by {}?", "Explain what {} is.")


@dataclass(frozen=True, slots=True)
class Text:
    """One cleaned document."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Chat:
    """A question, its answer, and the passage that holds the answer."""

    question: str
    answer: str
    place: str
    passage: str

    def write(self, others: Sequence["Chat"] = (), *, grounded: bool = False) -> list[Message]:
        """The conversation; on demand with the passage, among those of `others`, before the question."""
        system, question = SYSTEM_PROMPTS[int(_share("system" + self.answer) * len(SYSTEM_PROMPTS))], self.question
        if grounded:
            passages = sorted(
                {(chat.place, chat.passage) for chat in (self, *others)}, key=lambda found: _share(found[1])
            )
            question = write_passages(passages, question, "en")
            system = add_grounding(system or "", "en")
        turns: list[Message] = [{"role": "user", "content": question}, {"role": "assistant", "content": self.answer}]
        return turns if system is None else [{"role": "system", "content": system}, *turns]


def read_texts(folder: Path) -> tuple[list[Text], list[Text]]:
    """The documents of `folder` for training, and those held out by a hash of their source.

    Reads `.jsonl.xz` and `.jsonl` (keys `source` and `text`), `.md` and `.txt`, recursively.

    Raises:
        CorpusError: no readable text, or one side of the split is empty.
    """
    texts = [Text(source, clean_text(text)) for source, text in _read_raw(folder)]
    texts = [text for text in texts if len(text.text) > 200]
    held_out = [text for text in texts if _share(text.source) < HELD_OUT_SHARE]
    training = [text for text in texts if _share(text.source) >= HELD_OUT_SHARE]
    if not training or not held_out:
        raise CorpusError(f"{folder} holds {len(texts)} documents: too few to train on and to hold some out.")
    return training, held_out


def _read_raw(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name.endswith((".jsonl.xz", ".jsonl")):
            opener = lzma.open if path.suffix == ".xz" else open
            with opener(path, "rt", encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    yield row["source"], row["text"]
        elif path.suffix in (".md", ".txt"):
            yield name, path.read_text(encoding="utf-8")


def _share(text: str) -> float:
    """A fixed pseudo-random number in [0, 1) for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def clean_text(text: str) -> str:
    """Remove what a tutor should not say: markup, images, bare links, long dumps of numbers."""
    text = text.replace("\r\n", "\n").replace("\xa0", " ")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"</?[A-Za-z][^<>\n]{0,300}>", "", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]\n]+)\]\([^)\s]*\)", r"\1", text)
    text = re.sub(r"https?://\S+", "", text)
    lines = [line.rstrip() for line in text.split("\n")]
    kept = [line for line in lines if len(line) < 40 or sum(c.isalpha() for c in line) > 0.3 * len(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def make_chats(text: Text) -> Iterator[Chat]:
    """Conversations mined from one document: "Explain HEADING" and "What is TERM?", answered in its own words."""
    heading = title = ""
    for i, paragraph in enumerate(paragraphs := text.text.split("\n\n")):
        lines = paragraph.strip().split("\n")
        if match := HEADING.match(lines[0]):
            heading = re.sub(r"[*_`]|\[\[.*?\]\]", "", match[1]).strip()
            lines = lines[1:]
        elif len(lines) > 1 and UNDERLINE.match(lines[1]):
            heading, lines = lines[0].strip(), lines[2:]
        title = heading or title
        prose = _join_prose(lines)
        if prose is None:
            continue
        place = ", ".join(filter(None, (text.source.rpartition("/")[2], title)))
        passage = "\n\n".join(paragraphs[max(0, i - 1) : i + 3])
        passage = (
            passage if passage.find(paragraph) + len(paragraph) > PASSAGE else passage[:PASSAGE].rpartition(" ")[0]
        )
        if heading and 2 < len(heading) < 60:
            following = _join_prose(paragraphs[i + 1].strip().split("\n")) if i + 1 < len(paragraphs) else None
            answer = prose if following is None or len(prose) > 400 else f"{prose}\n\n{following}"
            topic = heading.rstrip("?.!:")
            question = heading if heading.endswith("?") else _pick(EXPLAIN, answer).format(topic)
            yield Chat(question, answer, place, passage)
            heading = ""
        if (match := DEFINITION.match(prose)) and match["term"].lower().split()[0] not in NO_TERM:
            term = match["term"]
            question = _pick(DEFINE, prose).format(term[0].lower() + term[1:] if term[1:].islower() else term)
            yield Chat(question, prose, place, passage)


def _join_prose(lines: list[str]) -> str | None:
    """The paragraph on one line; None if it is code, a list, a table, or too short for an answer."""
    text = " ".join(line.strip() for line in lines).strip()
    marks = sum(text.count(mark) for mark in ("`", "|", "=", "_", "\\", "{"))
    whole = (text.endswith((".", "!", "?")) and text[:1].isalpha()) or text.startswith("**")
    return text if whole and 120 <= len(text) <= 900 and marks < 0.02 * len(text) else None


def _pick(templates: tuple[str, ...], key: str) -> str:
    return templates[int(_share(key) * len(templates))]
