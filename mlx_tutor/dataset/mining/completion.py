"""Rows that complete a sentence of the course from its beginning."""

import re
from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import POINTS_BACK, is_whole_sentence, list_sentences, pick, rank, tells_story
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import strip_bold

WORDINGS = ("Complete this sentence from the course: “{} ...”", "How does the course finish this sentence: “{} ...”")
# After these words the rest of a sentence is what the course has to say.
TURN = re.compile(
    r"\s(?=(?:because|when|whenever|unless|so that|in order to|(?:(?:in|on|at|for|with|from|to) )?which|by \w+ing|if"
    r"|while|whereas|although)\b)"
    r"|(?<=,)\s(?=(?:and|but|so|where|whose|not|as|since)\b)|(?<=[;:])\s"
)
MOST_PER_CHUNK = 1


def make_completions(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """At most one completion a chunk: a sentence that names a concept, cut where a new clause begins."""
    candidates = []
    for block in chunk.blocks:
        for sentence in list_sentences(block):
            plain = strip_bold(sentence)
            if (
                is_whole_sentence(sentence)
                and 14 <= len(plain.split()) <= 40
                and plain.endswith(".")
                and not tells_story(sentence)
                and not POINTS_BACK.search(plain)
                and concepts.find(plain)
            ):
                candidates += [(sentence, plain, cut) for cut in _find_cuts(plain)][:1]
    candidates.sort(key=lambda candidate: rank(seed, candidate[1]))
    for sentence, plain, cut in candidates[:MOST_PER_CHUNK]:
        begin, rest = plain[:cut].rstrip(), plain[cut:].strip()
        related = concepts.relate(plain)
        yield (
            QaPair(pick(WORDINGS, seed, plain).format(begin), (), f"... {rest}", "completion", related),
            "completion",
            sentence,
        )


def _find_cuts(plain: str) -> list[int]:
    """Places between clauses that leave at least six words on either side and break no bracket or formula."""
    return [
        match.end()
        for match in TURN.finditer(plain)
        if len(plain[: match.end()].split()) >= 6
        and len(plain[match.end() :].split()) >= 6
        and all(plain[: match.end()].count(a) == plain[: match.end()].count(b) for a, b in ("()", "“”", "[]"))
        and plain[: match.end()].count("$") % 2 == 0
    ]
