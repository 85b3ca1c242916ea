"""Sections that gave few rows, and plain rows about them for courses without a teacher."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import dropwhile

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import name_topic, uses_words
from mlx_tutor.dataset.mining.language import (
    LABELLED,
    addresses,
    ends_subject,
    is_step,
    is_whole_sentence,
    list_sentences,
    points_back,
    rank,
)
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import Block, Chunk, Document, Example, QaPair
from mlx_tutor.text import count_words, strip_bold

LONGEST_ANSWER, LEAST_SENTENCES = 80, 2
# Characters that may stand before the topic at the beginning of an answer.
MOST_BEFORE = 20
# A section with fewer words has nothing to teach.
LEAST_WORDS = 12

Place = tuple[str, int]


def find_thin(documents: Sequence[Document], examples: Sequence[Example], least: int) -> frozenset[Place]:
    """Source and number of each section with text but fewer than `least` rows."""
    counts = Counter((example.origin.source, example.origin.section) for example in examples)
    return frozenset(
        (document.source, index)
        for document in documents
        for index, section in enumerate(document.sections)
        if counts[document.source, index] < least and count_words(section.text) >= LEAST_WORDS
    )


def make_gap_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """What a chunk says about its heading, in its own sentences, asked in several ways.

    Nothing for what stands under the title of a whole file: it is about the file.
    """
    table, topic = read_language(chunk.language), name_topic(chunk)
    if table is None or topic is None or len(chunk.heading) < 2:
        return
    for block in chunk.blocks:
        said = _take_sentences(block, topic, chunk.language)
        if not said:
            continue
        answer, related = strip_bold(" ".join(said)), concepts.relate(block.text, topic)
        inside = concepts.lower(topic)
        article = re.match(rf"(The|An?) {re.escape(inside)}\b", answer)
        is_noun = article is not None and ends_subject(answer[article.end() :], chunk.language)
        named = f"{article[1].lower()} {inside}" if article and is_noun else concepts.refer(topic)
        for question in sorted(table.questions["about"], key=lambda text: rank(seed, topic, text)):
            asked = question.format(topic=named if chunk.language == "en" else topic)
            yield QaPair(asked, (), answer, "about", related), "about", said[0]
        return


def _take_sentences(block: Block, topic: str, language: str) -> list[str]:
    """The sentences of a paragraph from the first that stands alone, where that begins with the topic."""
    sentences = list_sentences(block, language)
    said: list[str] = []
    for sentence in dropwhile(lambda sentence: not is_whole_sentence(sentence, language), sentences):
        # What ends otherwise goes on in a formula or a list.
        long = count_words(" ".join([*said, sentence])) > LONGEST_ANSWER
        if long or LABELLED.match(sentence) or not is_step(sentence, block, language) or addresses(sentence, language):
            break
        said.append(sentence)
    if len(said) < LEAST_SENTENCES or points_back(said[0], language):
        return []
    begin = said[0][: len(topic) + MOST_BEFORE]
    return said if uses_words(begin, topic, language, least=1.0) else []
