"""Rows that quote a passage before the question, as `ask` does, and sentences to make of given words.

The tasks are those of reading comprehension in AdaptLLM (Cheng et al., ICLR 2024, arXiv 2309.09530). The answer is in
the passage word for word: what is learned is to look there and to answer in the course's form.
"""

import re
from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import name_topic
from mlx_tutor.dataset.mining.language import (
    POINTS_BACK,
    is_whole_sentence,
    list_sentences,
    pick,
    rank,
    tells_story,
)
from mlx_tutor.dataset.passage import is_passage
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import strip_bold

MOST_PER_CHUNK = 1
KEYWORDS = ("Which concepts does the passage name?", "List the key terms of the passage.")
TITLES = ("Which heading fits the passage?", "What is the topic of the passage?", "Give the passage a title.")
SUMMARIES = ("Summarize the passage in one sentence.", "What is the main point of the passage?")
CONNECT = ("Write one sentence that connects these concepts: {}.", "How does the course connect {} in one sentence?")
LEAST_KEYWORDS, MOST_KEYWORDS = 3, 8


def make_readings(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most one row a chunk: keywords, title or summary, with the passage that holds it."""
    rows = sorted(_list_readings(chunk, concepts, seed), key=lambda row: rank(seed, chunk.text, row[1], row[2]))
    yield from rows[:MOST_PER_CHUNK]


def _list_readings(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    passages = [(block, strip_bold(block.text)) for block in chunk.blocks if is_passage(block)]
    if passages:
        block, text = min(passages, key=lambda passage: rank(seed, passage[1]))
        yield from _make_keywords(block, text, concepts, seed)
        yield from _make_summary(chunk, *passages[0], seed)
        yield from _make_title(chunk, *passages[0], concepts, seed)


def _make_keywords(block: Block, text: str, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    found = concepts.find_longest(text)
    if LEAST_KEYWORDS <= len(found) <= MOST_KEYWORDS:
        answer = "\n".join(f"- {name}" for name in found)
        yield QaPair(pick(KEYWORDS, seed, text), (), answer, "keywords", (), text), "keywords", block.text


def _make_summary(chunk: Chunk, block: Block, text: str, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """The first sentence sums a passage up when it speaks of what the heading names."""
    first = list_sentences(block)[0]
    topic = _stems(name_topic(chunk) or "")
    if is_whole_sentence(first) and topic and topic <= _stems(first) and first.endswith("."):
        yield QaPair(pick(SUMMARIES, seed, text), (), strip_bold(first), "summary", (), text), "summary", first


def _make_title(
    chunk: Chunk, block: Block, text: str, concepts: Concepts, seed: int
) -> Iterator[tuple[QaPair, str, str]]:
    """The heading, when the passage under it uses its words."""
    heading = name_topic(chunk) or ""
    topic = _stems(heading)
    if topic and topic <= _stems(text):
        yield QaPair(pick(TITLES, seed, text), (), heading, "title", (), text), "title", block.text


def _stems(text: str) -> set[str]:
    """Content words, cut so that singular and plural, noun and verb mostly agree."""
    return {word[:5] for word in re.findall(r"[a-z]{4,}", text.lower()) if word not in ("with", "from", "that", "this")}


def make_sentences(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """From words to text: at most one sentence a chunk that connects two to four concepts."""
    candidates = []
    for sentence in (s for block in chunk.blocks for s in list_sentences(block)):
        plain = strip_bold(sentence)
        found = concepts.find_longest(plain)
        whole = is_whole_sentence(sentence) and plain.endswith(".")
        whole = whole and not POINTS_BACK.search(plain) and not tells_story(sentence)
        if whole and len(plain.split()) <= 35 and 2 <= len(found) <= 4:
            candidates.append((sentence, plain, found))
    for sentence, plain, found in sorted(candidates, key=lambda candidate: rank(seed, "connect", candidate[1]))[:1]:
        names = f"{', '.join(found[:-1])} and {found[-1]}"
        yield (
            QaPair(pick(CONNECT, seed, plain).format(names), (), plain, "connection", ()),
            "words to sentence",
            sentence,
        )
