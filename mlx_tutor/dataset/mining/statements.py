"""Rows that judge a statement by a passage: supported, contradicted or left open (after AdaptLLM, arXiv 2309.09530).

What is supported is a main clause of the passage, true without what follows it. What is contradicted is such a clause
with its denial taken away or put in, or with a word turned into its opposite. What is left open stands elsewhere in the
section, on a concept of which the passage says one thing only. A sentence that sets two things apart is contradicted by
itself with the two exchanged.
"""

import re
from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.explain import find_opening
from mlx_tutor.dataset.mining.language import pick, rank, tells_story
from mlx_tutor.dataset.mining.prose import (
    find_subject,
    is_clear,
    list_paragraph,
    lower_first,
    match_any,
    stands_alone,
    stem_content,
)
from mlx_tutor.dataset.passage import is_passage
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import strip_bold

# Words of a statement; words that a supported one leaves away; share of its words that an open one may share.
LEAST_WORDS, MOST_WORDS, LEAST_CUT, MOST_SHARED = 5, 25, 5, 0.34
MOST_SUBJECT, MOST_SWAPPED = 8, 30
LABELS = ("statement_supported", "statement_contradicted", "statement_open")
Judged = tuple[str, str, str, str]


def make_statements(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """One statement for each chunk, its judgement by a passage and the sentence that it rests on."""
    table = read_language(chunk.language)
    if table is None or "statement" not in table.questions:
        return
    judged = [
        (block, row)
        for block in chunk.blocks
        if is_passage(block) and list_paragraph(block, chunk.language)
        for row in _judge(block, chunk, concepts, table)
    ]
    # Each judgement comes first in a third of the chunks, so that none can be guessed.
    order = {label: rank(seed, label, chunk.text) for label in LABELS}
    first = min(LABELS, key=lambda label: order[label])
    judged = [found for found in judged if found[1][0] != "statement_contradicted" or found[1][0] == first]
    judged.sort(key=lambda found: (order[found[1][0]], rank(seed, found[1][1])))
    for block, (label, statement, sentence, concept) in judged[:1]:
        asked = pick(table.questions["statement"], seed, statement).format(statement=statement)
        answer = table.questions[label][0].format(quote=strip_bold(sentence), concept=concept)
        yield QaPair(asked, (), answer, "statement", (), strip_bold(block.text)), label.replace("_", " "), sentence


def _judge(block: Block, chunk: Chunk, concepts: Concepts, table: Language) -> Iterator[Judged]:
    for sentence in list_paragraph(block, chunk.language):
        if not stands_alone(sentence, table) or tells_story(sentence):
            continue
        plain = strip_bold(sentence)
        if swapped := _swap(plain, concepts, table):
            yield "statement_contradicted", swapped, sentence, ""
        match = table.patterns["main_clause"].match(plain)
        if match is None or not _is_claim(match["main"], concepts, table):
            continue
        main = match["main"]
        if len(plain.split()) - len(main.split()) >= LEAST_CUT:
            yield "statement_supported", f"{main}.", sentence, ""
        if turned := _turn(main, table):
            yield "statement_contradicted", f"{turned}.", sentence, ""
    yield from _find_open(block, chunk, concepts, table)


def _swap(plain: str, concepts: Concepts, table: Language) -> str:
    """A sentence that sets two things apart, with the two exchanged; empty where it does not."""
    match = table.patterns["against"].match(plain)
    if match is None or len(plain.split()) > MOST_SWAPPED:
        return ""
    one, other = find_subject(match["one"], table), find_subject(match["other"], table)
    if not one or not other or not concepts.find(one) or not concepts.find(other) or one.lower() == other.lower():
        return ""
    start = match.start("other")
    small = lower_first(one, concepts)
    return f"{other[0].upper()}{other[1:]}{plain[len(one) : start]}{small}{plain[start + len(other) :]}"


def _is_claim(main: str, concepts: Concepts, table: Language) -> bool:
    """Whether a clause says something on its own, without condition."""
    words = main.split()
    return (
        LEAST_WORDS <= len(words) <= MOST_WORDS
        and not table.patterns["depends"].search(main)
        and not table.patterns["refers"].match(main)
        and words[-1].lower() not in table.words["verbs"]
        and bool(concepts.find(find_subject(main, table, MOST_SUBJECT)))
    )


def _turn(main: str, table: Language) -> str:
    """The clause made to say the opposite; empty where there is no sure way."""
    denials = list(table.patterns["denial"].finditer(main))
    odd = table.patterns["odd_denial"].search(main)
    if denials:
        return _cut(main, denials[0]) if len(denials) == 1 and not odd else ""
    opposites = _read_pairs(table, "opposites")
    opposites = {other: one for one, other in opposites.items()} | opposites
    words = main.split()
    found = [i for i, word in enumerate(words) if word.lower() in opposites]
    if len(found) == 1:
        at = found[0]
        is_verb = at == len(find_subject(main, table, MOST_SUBJECT).split())
        is_sure = is_verb or table.patterns["compares"].search(" ".join(words[at:]))
        return " ".join([*words[:at], opposites[words[at].lower()], *words[at + 1 :]]) if is_sure else ""
    match = match_any(("deny",), main, table)
    if match is None or found or odd:
        return ""
    return f"{match['before']}{_read_pairs(table, 'denied')[match['verb'].lower()]} {match['after']}"


def _read_pairs(table: Language, name: str) -> dict[str, str]:
    """Words of a table that stand as "one=other", a low line for a blank."""
    return dict(token.replace("_", " ").split("=") for token in sorted(table.words[name]))


def _cut(main: str, denial: re.Match[str]) -> str:
    """A clause without the words of its denial."""
    for start, end in sorted((denial.span(name) for name, text in denial.groupdict().items() if text), reverse=True):
        main = main[:start] + main[end:]
    return main


def _find_open(block: Block, chunk: Chunk, concepts: Concepts, table: Language) -> Iterator[Judged]:
    """Sentences of other paragraphs about a concept of which this one says one thing only."""
    said = {
        sentence: set(stem_content(strip_bold(sentence), table.code))
        for sentence in list_paragraph(block, chunk.language)
    }
    known = set().union(*said.values())
    for sentence in (s for other in chunk.blocks if other is not block for s in list_paragraph(other, chunk.language)):
        plain = strip_bold(sentence)
        concept = find_opening(sentence, concepts, table) if len(plain.split()) <= MOST_WORDS else ""
        if not concept or not stands_alone(sentence, table) or tells_story(sentence):
            continue
        stems = set(stem_content(concept, table.code))
        about = [sentence for sentence, words in said.items() if stems <= words]
        new = set(stem_content(plain, table.code)) - stems
        if len(about) == 1 and is_clear(about[0], table) and new and len(new & known) <= MOST_SHARED * len(new):
            yield "statement_open", plain, about[0], concept
