"""Rows from lists: what the line above one announces, and the points of a summary."""

import re
from collections.abc import Iterator

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.headings import clean_heading, is_topic
from mlx_tutor.dataset.mining.language import BULLET, pick
from mlx_tutor.dataset.mining.prose import LONGEST_SUBJECT, find_subject, lower_first, stands_alone
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.languages.words import list_stopwords
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import strip_bold

LEAST_ITEMS, MOST_ITEMS, MOST_WORDS = 2, 9, 130
LEAST_LEAD, MOST_LEAD = 4, 25
# Code or a formula alone is no point.
SAYS = re.compile(r"[^\W\d_]{3,}")
FORMS = ("list_are", "list_include", "list_has", "list_there")


def make_lists(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """What a list names, asked in the words of the line above it; what a section of statements sums up."""
    table = read_language(chunk.language)
    if table is None or "list" not in table.questions:
        return
    for number, block in enumerate(chunk.blocks):
        lead, items = _split_list(block, chunk.blocks[number - 1] if number else None)
        if lead and _are_items(items):
            yield from _make_list(block, lead, items, concepts, table, seed)
    yield from _make_key_points(chunk, concepts, table, seed)


def _split_list(block: Block, before: Block | None) -> tuple[str, list[str]]:
    """The sentence above a list, which ends with a colon, and the lines of the list; of other blocks, nothing."""
    lines = block.text.split("\n") if block.kind == "text" else []
    lead = ""
    if lines and not BULLET.match(lines[0]):
        lead, lines = lines[0], lines[1:]
    elif before is not None and before.kind == "text" and "\n" not in before.text:
        lead = before.text
    if len(lines) < LEAST_ITEMS or not all(BULLET.match(line) for line in lines):
        return "", []
    return re.split(r"(?<=[.!?])\s", strip_bold(lead))[-1], lines


def _are_items(items: list[str]) -> bool:
    """Whether the lines of a list all say something, in few enough words, and ask nothing."""
    plain = [BULLET.sub("", strip_bold(item)) for item in items]
    says = all(SAYS.search(item) and not item.endswith(("?", ":")) and item[0] not in "`$" for item in plain)
    return says and len(items) <= MOST_ITEMS and sum(len(item.split()) for item in items) <= MOST_WORDS


def _make_list(
    block: Block, lead: str, items: list[str], concepts: Concepts, table: Language, seed: int
) -> Iterator[tuple[QaPair, str, str]]:
    if not _is_lead(lead, table) or any(table.patterns["outside"].search(item) for item in items):
        return
    asked = _ask(lead, concepts, table, seed)
    # What no concept stands in is asked about everything and nothing.
    if not asked or not concepts.find(asked):
        return
    answer = "\n".join(["", *(strip_bold(item) for item in items)])
    evidence = "\n".join(items)
    yield QaPair(asked, (), answer, "list", concepts.relate(evidence, asked)), "list", evidence


def _is_lead(lead: str, table: Language) -> bool:
    """Whether a line announces a list, and needs nothing else to be understood."""
    points = table.patterns["no_lead"].search(lead) or table.patterns["points_back"].search(lead)
    is_whole = lead.endswith(":") and lead[0].isupper() and LEAST_LEAD <= len(lead.split()) <= MOST_LEAD
    return is_whole and not points and not table.patterns["goes_on"].match(lead)


def _ask(lead: str, concepts: Concepts, table: Language, seed: int) -> str:
    """The question that a list answers; empty where the line above it is no sentence."""
    for form in FORMS:
        match = table.patterns[form].match(lead) if form in table.patterns else None
        if match:
            fields = {name: lower_first(text, concepts) for name, text in match.groupdict().items()}
            return pick(table.questions[form], seed, lead).format(**fields)
    is_sentence = bool(find_subject(lead, table, LONGEST_SUBJECT))
    return pick(table.questions["list"], seed, lead).format(lead=lead) if is_sentence and _is_open(lead, table) else ""


def _is_open(lead: str, table: Language) -> bool:
    """Whether a line promises a list: it counts what follows, or breaks off before what it says."""
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", lead)]
    ends = table.words["verbs"] | list_stopwords(table.code)
    return bool(table.words["list_numbers"] & set(words)) or words[-1] in ends


def _make_key_points(chunk: Chunk, concepts: Concepts, table: Language, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """The statements of a summary, asked about as what it sums up: the heading above it."""
    if not table.patterns["sums_up"].match(clean_heading(chunk.heading[-1])) or len(chunk.heading) < 2:
        return
    topic = clean_heading(chunk.heading[-2])
    for block in chunk.blocks if is_topic(chunk.heading[-2], chunk.language) else ():
        lines = block.text.split("\n") if block.kind == "text" else []
        is_list = len(lines) >= LEAST_ITEMS and all(BULLET.match(line) for line in lines)
        is_short = sum(len(line.split()) for line in lines) <= MOST_WORDS
        if is_list and is_short and all(stands_alone(BULLET.sub("", line), table) for line in lines):
            asked = pick(table.questions["key points"], seed, topic).format(topic=concepts.refer(topic))
            answer = strip_bold("\n".join(["", *lines]))
            yield QaPair(asked, (), answer, "summary", concepts.relate(block.text, topic)), "key points", block.text
            return
