"""Rows that argue: the conclusion that a paragraph draws, with the sentences that lead to it as steps."""

from collections.abc import Iterator, Sequence

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import pick
from mlx_tutor.dataset.mining.prose import cut_run, is_clear, list_paragraph, lower_first, stands_alone, stem_content
from mlx_tutor.dataset.passage import find_passage, read_from
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import strip_bold

# Sentences before a conclusion: from one alone, little is concluded step by step.
LEAST_PREMISES, MOST_PREMISES = 2, 4


def make_arguments(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """ "Explain step by step why" for each "Therefore"; the steps are the text's own, in its order."""
    table = read_language(chunk.language)
    if table is None or "argument" not in table.questions:
        return
    for block in chunk.blocks:
        sentences = list_paragraph(block, chunk.language)
        for end, sentence in enumerate(sentences):
            match = table.patterns["concludes"].match(strip_bold(sentence))
            if match is None or not is_clear(sentence, table) or table.patterns["no_effect"].search(match["rest"]):
                continue
            start = _find_start(sentences, end, table)
            if start is not None and end - start >= LEAST_PREMISES and _takes_up(sentence, sentences[start:end], table):
                run = sentences[start : end + 1]
                yield from _make_argument(chunk, block, run, match["rest"], concepts, table, seed)


def _find_start(sentences: Sequence[str], end: int, table: Language) -> int | None:
    """The first sentence before a conclusion that stands alone, where all between them are clear premises."""
    found = None
    for start in range(end - 1, max(-1, end - 1 - MOST_PREMISES), -1):
        if not is_clear(sentences[start], table) or table.patterns["concludes"].match(strip_bold(sentences[start])):
            break
        if stands_alone(sentences[start], table):
            found = start
    return found


def _takes_up(conclusion: str, premises: Sequence[str], table: Language) -> bool:
    """Whether a conclusion is about something that its premises name; any "thus" may stand behind other sentences."""
    named = {stem for premise in premises for stem in stem_content(strip_bold(premise), table.code)}
    return not named.isdisjoint(stem_content(strip_bold(conclusion), table.code))


def _make_argument(
    chunk: Chunk, block: Block, run: Sequence[str], rest: str, concepts: Concepts, table: Language, seed: int
) -> Iterator[tuple[QaPair, str, str]]:
    evidence = cut_run(block, run)
    steps = tuple(strip_bold(sentence) for sentence in run)
    wording = pick(table.questions["argument"], seed, rest)
    asked = wording.format(rest=lower_first(rest, concepts), conclusion=steps[-1])
    # Where "therefore" turns the order of the words around, what follows it is no sentence by itself.
    answer = f"{rest[0].upper()}{rest[1:]}." if "{rest}" in wording else steps[-1]
    steps = steps if "{rest}" in wording else steps[:-1]
    # Without their passage the premises of an argument are those of a case that nobody else knows.
    if (passage := find_passage(chunk, list(run))) is not None:
        qa = QaPair(asked, steps, answer, "explain", ())
        yield read_from(qa, passage, concepts), "argument in passage", evidence
