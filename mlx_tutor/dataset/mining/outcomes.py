"""Learning outcomes that a course states: what a student will be able to do, and which rows ask about it.

They are found below a heading ("Learning objectives"), in a list after an announcement ("By the end of this section,
you will be able to"), in the rest of a sentence that announces, and in lists of "I can" statements.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_tutor.dataset.mining.headings import WORD, clean_heading, uses_words
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.languages.words import list_stopwords, stem_words
from mlx_tutor.records import Document, Section, describe_place
from mlx_tutor.text import NO_BLANKS, split_sentences, strip_bold

ITEM = re.compile(r"^\s*(?:[-*+•▪◦–]|\d{1,2}[.)]|[a-z][.)])\s+(?=\S)")
# "k3:" and the like grade a statement.
LABEL = re.compile(r"^(?:\[?[A-Za-z]{1,3}\d{1,2}(?:\.\d+)*\]?\s*[:.)]|\(\d+\))\s*")
# A heading that only says "Objectives" is about the lesson in so many of the first sections of a file.
BEGINNING = 3
LEAST_WORDS, MOST_WORDS, MOST_ITEMS = 2, 60, 15
# A row asks about an outcome when it uses this share of its words, task words ("explain") apart.
LEAST_SHARED = 0.6
# Share of the items of a list that have to be statements of what somebody can.
LEAST_STATEMENTS = 0.8
MOST_QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """A stated outcome: its text, the section that states it, and up to `MOST_QUESTIONS` questions of the rows on it.

    `rows` counts all rows that ask about it.
    """

    text: str
    source: str
    section: int
    place: str
    rows: int = 0
    questions: tuple[str, ...] = ()


def find_outcomes(documents: Sequence[Document], rows: Sequence[Mapping[str, Any]] = ()) -> list[Outcome]:
    """The outcomes of a course in the order of its files, each once, with the rows that ask about them.

    None in a language without a table.
    """
    asked = Questions([(str(pair["question"]), str(pair.get("answer", ""))) for pair in _list_pairs(rows)])
    found: dict[str, Outcome] = {}
    for document in documents:
        table = read_language(document.language if document.language is not None else "en")
        if table is None or "outcome_lead" not in table.patterns:
            continue
        for number, section in enumerate(document.sections):
            for text in _list_outcomes(section, number, table):
                place = describe_place(document.source, None, None, section.heading)
                key = re.sub(r"\W+", " ", text).casefold().strip()
                found.setdefault(key, _cover(Outcome(text, document.source, number, place), asked, table))
    return list(found.values())


def _list_pairs(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (pair for row in rows if (pair := row.get("qa_pair") or {}).get("question"))


class Questions:
    """The questions and answers of rows, whose words are stemmed once for each language."""

    def __init__(self, asked: Sequence[tuple[str, str]]) -> None:
        self._asked = asked
        self._stems: dict[str, list[frozenset[str]]] = {}

    def find(self, topic: str, language: str) -> list[str]:
        """The questions of the rows that use `LEAST_SHARED` of the words of a topic."""
        if NO_BLANKS.search(topic):
            return [asked for asked, said in self._asked if uses_words(asked + said, topic, language, LEAST_SHARED)]
        words = set(stem_words(set(WORD.findall(topic.lower())) - list_stopwords(language), language))
        if not words:
            return []
        if language not in self._stems:
            texts = (f"{asked}\n{said}" for asked, said in self._asked)
            self._stems[language] = [frozenset(stem_words(set(WORD.findall(text)), language)) for text in texts]
        stems = zip(self._asked, self._stems[language], strict=True)
        return [asked for (asked, _), used in stems if len(words & used) >= LEAST_SHARED * len(words)]


def _cover(outcome: Outcome, asked: Questions, table: Language) -> Outcome:
    verbs = table.words.get("outcome_verbs", frozenset())
    topic = " ".join(word for word in outcome.text.split() if word.lower().strip(".,;:") not in verbs)
    hits = asked.find(topic, table.code)
    return replace(outcome, rows=len(hits), questions=tuple(dict.fromkeys(hits))[:MOST_QUESTIONS])


def _list_outcomes(section: Section, number: int, table: Language) -> Iterator[str]:
    """The outcomes of one section, cleaned."""
    heading = clean_heading(section.heading[-1]) if section.heading else ""
    headed = bool(table.patterns["outcome_heading"].fullmatch(heading)) or (
        number < BEGINNING and bool(table.patterns["outcome_heading_plain"].fullmatch(heading))
    )
    announced = False
    for block in section.blocks:
        if block.kind != "text":
            announced = False
            continue
        lines = block.text.split("\n")
        items = [ITEM.sub("", line) for line in lines if ITEM.match(line)]
        prose = [line for line in lines if line.strip() and not ITEM.match(line)]
        lead = _end_lead(prose, table) if prose and (not items or ITEM.match(lines[-1])) else False
        stated = headed or lead or (announced and not prose) or _are_statements(items, table)
        if items and stated and len(items) <= MOST_ITEMS:
            yield from filter(None, map(_clean, items))
        for line in prose:
            yield from _list_inline(line, table)
        # A list may stand in a block of its own below the line that announces it.
        announced = (lead and not items) or (announced and bool(items) and not prose)


def _end_lead(prose: Sequence[str], table: Language) -> bool:
    """Whether the line above a list announces outcomes: its last sentence does, and has no end of its own."""
    last = strip_bold(prose[-1]).strip().strip("*_").rstrip()
    sentence = split_sentences(last, table.code)[-1:] or [last]
    return table.patterns["outcome_lead"].search(sentence[0]) is not None and not re.search(r"[.!?。]\W*$", sentence[0])


def _are_statements(items: Sequence[str], table: Language) -> bool:
    """Whether nearly all items say what somebody can ("I can ..."); a single one has to be graded ("k2: ...")."""
    pattern = table.patterns.get("outcome_item")
    if pattern is None or (len(items) == 1 and not LABEL.match(items[0])):
        return False
    said = [pattern.match(LABEL.sub("", strip_bold(item)).strip()) is not None for item in items]
    return bool(said) and sum(said) >= LEAST_STATEMENTS * len(said)


def _list_inline(line: str, table: Language) -> Iterator[str]:
    """What follows in the sentence that announces: "By the end of this section, you will be able to solve ..."."""
    for sentence in split_sentences(strip_bold(line), table.code):
        match = table.patterns["outcome_inline"].search(sentence)
        rest = sentence[match.end() :].strip() if match else ""
        if rest and not rest.endswith((":", "：")):
            yield from filter(None, map(_clean, re.split(r"[;；]\s*", rest)))


def _clean(item: str) -> str:
    """An item without marks, or nothing where it is too short or too long to be an outcome."""
    text = LABEL.sub("", strip_bold(item.strip())).strip().strip("*_").strip()
    text = re.sub(r"(?:[,;；，]|\s(?:and|und|et|y|e|en))+\s*$", "", text)
    size = len(re.findall(r"[^\W_]+", text)) if not re.search(r"[一-鿿]", text) else len(text) // 2
    return text[:1].upper() + text[1:] if LEAST_WORDS <= size <= MOST_WORDS and not text.endswith(":") else ""
