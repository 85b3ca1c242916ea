"""Rows that explain a section: its own sentences as steps, what it says first as the answer."""

from collections.abc import Iterator

from mlx_tutor.dataset.concepts import Concepts
from mlx_tutor.dataset.language import (
    clean_heading,
    is_topic,
    is_whole_sentence,
    lower_first,
    pick,
    split_sentences,
    strip_bold,
)
from mlx_tutor.records import Chunk, QaPair

EXPLAIN = ("Explain {}.", "Can you explain {} step by step?", "Help me understand {}.", "Teach me about {}.")
SUMMARIZE = ("What are the key points of {}?", "Summarize what the course says about {}.")
MOST_STEPS = 5


def make_explanations(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """ "Explain HEADING" and its key points, for chunks with enough prose under a heading that names a topic."""
    heading = clean_heading(chunk.heading[-1])
    if not is_topic(heading):
        return
    prose = [block.text for block in chunk.blocks if block.kind == "text" and "\n" not in block.text]
    sentences = [s for text in prose for s in split_sentences(text) if s.endswith(".") and 5 <= len(s.split()) <= 45]
    if len(sentences) < 3 or not is_whole_sentence(sentences[0]):
        return
    answer, steps = strip_bold(sentences[0]), tuple(strip_bold(s) for s in sentences[1 : 1 + MOST_STEPS])
    related = concepts.relate(chunk.text, heading)
    asked = heading if heading.endswith("?") else pick(EXPLAIN, seed, heading, answer).format(lower_first(heading))
    yield QaPair(asked, steps, answer, "explain", related), "explanation", sentences[0]
    points = [block for block in chunk.blocks if block.kind == "text" and block.text.count("\n- ") >= 1]
    if points:
        lines = [line for line in points[0].text.split("\n") if line.startswith("- ")]
        question = pick(SUMMARIZE, seed, heading).format(lower_first(heading.rstrip("?")))
        qa = QaPair(question, (), strip_bold("\n".join(["", *lines])).rstrip(), "summary", related)
        yield qa, "key points", points[0].text
