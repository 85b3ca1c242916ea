"""Rows that ask for the definition of a term."""

from collections.abc import Iterator
from dataclasses import replace

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.defining import Definition, find_definitions, fold_term
from mlx_tutor.dataset.mining.headings import has_prose
from mlx_tutor.dataset.mining.language import rank
from mlx_tutor.dataset.passage import find_passage
from mlx_tutor.languages.table import read_language
from mlx_tutor.records import Chunk, QaPair

WORDINGS_PER_FACT = 3


def make_definitions(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """Rows "What is X?", several wordings for each fact, since one wording teaches one wording.

    They quote the passage that holds the definition, where it stands in one, and then there is one row more that does
    not: a tutor answers from the course, and from memory only when it must. Of a term that the course defines in
    several ways, all rows quote their passage.
    """
    for definition in find_definitions(chunk):
        texts = concepts.definitions.get(fold_term(definition.term), ())
        if definition.text not in texts:
            continue
        # Exercises, below which a glossary may stand, are no passage.
        passage = find_passage(chunk, [definition.evidence]) if has_prose(chunk) else None
        from_memory = len(texts) == 1
        questions = ask_for_definition(definition, chunk.language, concepts, seed)
        related = concepts.relate(definition.text, definition.term)
        for number, question in enumerate(questions[: (WORDINGS_PER_FACT + (passage is not None)) // len(texts)]):
            qa = QaPair(question, (), definition.text, "concept", related)
            if passage is not None and (number or not from_memory):
                yield replace(qa, context=passage), "definition in passage", definition.evidence
            elif from_memory:
                yield qa, "definition", definition.evidence


def ask_for_definition(definition: Definition, language: str, concepts: Concepts, seed: int) -> list[str]:
    """All wordings of a language, in the fixed random order of this term."""
    table = read_language(language)
    wordings = table.questions.get("definition", ()) if table else ()
    text = definition.text.lower()
    bare = text.startswith(definition.term.lower()) and text[len(definition.term)] != ":"
    # Where nothing says whether the term has an article, only wordings that need none are natural; else they are twins.
    named = {wording.replace("{the_term}", "the term {term}") for wording in wordings if "{the_term}" in wording}
    if definition.article or definition.plural or bare:
        wordings = tuple(wording for wording in wordings if wording not in named)
    else:
        wordings = tuple(wording for wording in wordings if "{the_term}" not in wording)
    order = sorted(wordings, key=lambda wording: rank(seed, definition.term, wording))
    return [write_question(definition, wording, concepts.lower(definition.term)) for wording in order]


def write_question(definition: Definition, wording: str, term: str) -> str:
    """A wording for a term; only English has number and article in it."""
    be = "are" if definition.plural else "is"
    return wording.format(term=term, be=be, the_term=f"{definition.article}{term}")
