"""Rows from reasons that one sentence states (after AdaptLLM, arXiv 2309.09530)."""

from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import list_sentences, pick, tells_story
from mlx_tutor.dataset.mining.prose import LONGEST_SUBJECT, find_subject, is_clear, lower_first, match_any
from mlx_tutor.dataset.passage import find_passage, read_from
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Chunk, QaPair
from mlx_tutor.text import strip_bold

# Words of a reason.
LEAST_CAUSE = 3


def make_relations(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """Why something is so, where a sentence says it."""
    table = read_language(chunk.language)
    if table is None or "reason" not in table.questions:
        return
    for block in chunk.blocks:
        for sentence in list_sentences(block, chunk.language):
            if not is_clear(sentence, table):
                continue
            yield from _make_reason(chunk, sentence, concepts, table, seed)


def _make_reason(
    chunk: Chunk, sentence: str, concepts: Concepts, table: Language, seed: int
) -> Iterator[tuple[QaPair, str, str]]:
    plain = strip_bold(sentence)
    match = match_any(("because", "because_first"), plain, table)
    if match is None or tells_story(sentence):
        return
    effect, cause = lower_first(match["effect"], concepts), match["cause"]
    # "As" may stand before a comparison too.
    compares = match.re is table.patterns.get("because_first") and not find_subject(cause, table, LONGEST_SUBJECT)
    if compares or not _is_effect(effect, table) or not _is_cause(cause, table):
        return
    # "The pairing helps": which one, only the text around it knows.
    subject = find_subject(effect, table, LONGEST_SUBJECT)
    if not concepts.find(subject if subject.split()[0].lower() in table.words["definite"] else effect):
        return
    claim = f"{effect[0].upper()}{effect[1:]}"
    question = pick(table.questions["reason"], seed, effect).format(effect=effect, claim=claim)
    # With a pronoun at its beginning, the reason is understood only behind what it is a reason for.
    is_short = "because" in table.questions and not table.patterns["refers"].match(cause)
    answer = table.questions["because"][0].format(cause=cause) if is_short else plain
    qa = QaPair(question, (), answer, "reason", concepts.relate(sentence))
    yield _quote(qa, "reason", chunk, sentence, concepts)


def _quote(qa: QaPair, method: str, chunk: Chunk, sentence: str, concepts: Concepts) -> tuple[QaPair, str, str]:
    """A row with the passage that its sentence stands in, where that is of a good length."""
    passage = find_passage(chunk, [sentence])
    if passage is None:
        return qa, method, sentence
    return read_from(qa, passage, concepts), f"{method} in passage", sentence


def _is_effect(effect: str, table: Language) -> bool:
    """Whether a clause says something that can be asked about alone."""
    before = any(table.patterns[name].match(effect) for name in ("goes_on", "objects"))
    points = any(table.patterns[name].search(effect) for name in ("no_effect", "points_back"))
    return not before and not points and bool(find_subject(effect, table, LONGEST_SUBJECT))


def _is_cause(cause: str, table: Language) -> bool:
    """Whether a clause is a reason that holds outside its text."""
    return len(cause.split()) >= LEAST_CAUSE and not table.patterns["no_cause"].search(cause)
