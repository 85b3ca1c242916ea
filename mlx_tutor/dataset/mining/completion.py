"""Rows that complete a sentence from the term with which it begins, for languages that nothing else is known of."""

from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import BOLD, Concepts
from mlx_tutor.dataset.mining.language import is_whole_sentence, list_sentences, rank, tells_story
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import count_words, strip_bold

MOST_PER_CHUNK = 1
LEAST_WORDS, MOST_WORDS = 6, 40


def make_completions(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most one completion a chunk: a sentence that begins with a term in bold type, cut behind it.

    Only where a language has no table: elsewhere many endings fit, and other questions ask for the same. It is asked in
    the text's own words.
    """
    if read_language(chunk.language) is not None:
        return
    found: list[tuple[str, str, str]] = []
    for block in chunk.blocks:
        for sentence in list_sentences(block, chunk.language):
            bold = BOLD.match(sentence)
            short = LEAST_WORDS <= count_words(sentence) <= MOST_WORDS
            if bold and short and is_whole_sentence(sentence, chunk.language) and not tells_story(sentence):
                found.append((sentence, bold[1].strip(), strip_bold(sentence[bold.end() :]).strip()))
    for sentence, term, rest in sorted(found, key=lambda row: rank(seed, row[0]))[:MOST_PER_CHUNK]:
        yield QaPair(f"{term} ...", (), f"{term} {rest}", "completion", ()), "completion", sentence
