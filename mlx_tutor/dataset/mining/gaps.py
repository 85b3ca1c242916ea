"""Sections that gave few rows, and plain rows about them for courses without a teacher."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import name_topic
from mlx_tutor.dataset.mining.language import is_whole_sentence, list_sentences, rank
from mlx_tutor.records import Chunk, Document, Example, QaPair
from mlx_tutor.text import strip_bold

ASK = ("What does the course say about {}?", "What should I know about {}?", "Tell me about {}.")
LONGEST_ANSWER = 80
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
        if counts[document.source, index] < least and len(section.text.split()) >= LEAST_WORDS
    )


def make_gap_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """What a chunk says about its heading, in its own sentences, asked in several ways.

    Nothing for what stands under the title of a whole file: it is about the file.
    """
    heading = name_topic(chunk)
    if heading is None or len(chunk.heading) < 2:
        return
    for block in chunk.blocks:
        sentences = list_sentences(block)
        first = next((i for i, sentence in enumerate(sentences) if is_whole_sentence(sentence)), None)
        if first is None:
            continue
        said: list[str] = []
        for sentence in sentences[first:]:
            # What ends otherwise goes on in a formula or a list.
            if (
                not sentence.rstrip('"”’)*').endswith((".", "!", "?"))
                or len(" ".join([*said, sentence]).split()) > LONGEST_ANSWER
            ):
                break
            said.append(sentence)
        answer, related, inside = (
            strip_bold(" ".join(said)),
            concepts.relate(block.text, heading),
            concepts.lower(heading),
        )
        article = re.match(rf"(?:The|An?)(?= {re.escape(inside)}\b)", answer)
        for question in sorted(ASK, key=lambda text: rank(seed, heading, text)):
            asked = question.format(f"{article[0].lower()} {inside}" if article else concepts.refer(heading))
            yield QaPair(asked, (), answer, "about", related), "about", said[0]
        return
