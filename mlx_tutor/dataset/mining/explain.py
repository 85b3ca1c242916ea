"""Rows that explain a section: its sentences as steps, and what it says first as the answer."""

import re
from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import name_question, name_topic
from mlx_tutor.dataset.mining.language import is_step, is_whole_sentence, list_sentences, pick
from mlx_tutor.dataset.passage import find_passage, quote_whole, read_from
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import strip_bold

EXPLAIN = ("Explain {}.", "Can you explain {} step by step?", "Help me understand {}.", "Teach me about {}.")
SUMMARIZE = ("What are the key points about {}?", "Summarize what the course says about {}.")
MOST_STEPS = 5
# What follows a displayed formula may be the rest of a sentence.
BEGINS = re.compile(r"[\"“(*$]*[A-Z0-9]")


def make_explanations(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """ "Explain HEADING" and its key points, for chunks with enough prose under a heading that names a topic."""
    heading = name_topic(chunk) or name_question(chunk)
    if heading is None:
        return
    if (explained := explain_chunk(chunk, concepts, seed)) is not None:
        qa, evidence = explained
        passage = find_passage(chunk, [evidence, *qa.thought_process])
        if passage is None:
            yield qa, "explanation", evidence
        else:
            yield read_from(qa, passage, concepts), "explanation in passage", evidence
    for block in chunk.blocks:
        lines = block.text.split("\n") if block.kind == "text" else []
        points = [line for line in lines if line.startswith("- ")]
        if len(points) >= 2 and len(points) >= len(lines) - 1 and all(_makes_a_point(line) for line in points):
            question = pick(SUMMARIZE, seed, heading).format(concepts.refer(heading.rstrip("?")))
            answer = strip_bold("\n".join(["", *points])).rstrip()
            qa = QaPair(question, (), answer, "summary", concepts.relate(block.text, heading))
            passage = quote_whole(chunk)
            # A passage of nothing but the points would teach to repeat what is given.
            if passage is None or passage == strip_bold(block.text):
                yield qa, "key points", block.text
            else:
                yield read_from(qa, passage, concepts), "key points in passage", block.text
            return


def _makes_a_point(line: str) -> bool:
    """Whether a line of a list says something: no question, nor the rest of a sentence."""
    return len(line.split()) >= 4 and not line.endswith("?") and not line[2:3].islower()


def explain_chunk(chunk: Chunk, concepts: Concepts, seed: int) -> tuple[QaPair, str] | None:
    """The sentences of a chunk as steps, what it says first as the answer, and that sentence as it stands there.

    None when they could not stand alone, or the heading names no topic.
    """
    heading = name_topic(chunk) or name_question(chunk)
    sentences = [
        sentence
        for block in chunk.blocks
        for sentence in list_sentences(block)
        if BEGINS.match(sentence) and is_step(sentence, block)
    ]
    if heading is None or len(sentences) < 3 or not is_whole_sentence(sentences[0]):
        return None
    answer, steps = strip_bold(sentences[0]), tuple(strip_bold(s) for s in sentences[1 : 1 + MOST_STEPS])
    asked = heading if heading.endswith("?") else pick(EXPLAIN, seed, heading, answer).format(concepts.refer(heading))
    return QaPair(asked, steps, answer, "explain", concepts.relate(chunk.text, heading)), sentences[0]
