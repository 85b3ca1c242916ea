"""One answer to each question asked from memory, and no question that gives its answer away."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.passage import find_passage, read_from
from mlx_tutor.languages.table import list_languages
from mlx_tutor.languages.words import list_stopwords
from mlx_tutor.records import Chunk, Message, QaPair

# With so many answers, a question means another thing in each place, and none of them is the one to know.
AMBIGUOUS = 3
# Words that an answer must add to its question, and the fewest words of an answer that is judged by them.
LEAST_NEW, LEAST_WORDS = 2, 4
# What these types ask for may stand in the question: code to go on with, a choice between what it names.
CHOICES = frozenset({"code", "output", "code completion", "completion", "choice", "table"})
# A passage for these would hold what they ask to write.
WRITTEN = frozenset({"completion", "code", "output", "code completion"})
SYMBOLS = re.compile(r"[\d$`=]|[\u3040-\u30ff\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Mined:
    """A row as it was mined: from which chunk, how, and by which exact piece of it."""

    chunk: Chunk
    qa: QaPair
    method: str
    evidence: str


def normalize(text: str) -> str:
    """The words of a text, in small letters."""
    return " ".join(re.findall(r"\w+", text.lower()))


def fold_question(question: str) -> str:
    """A question as it is compared: in small letters, without the marks around words; signs of formulas stay."""
    words = (word.strip("?!.,:;\"“”„«»'") for word in question.lower().split())
    return " ".join(word for word in words if word)


def settle_answers(rows: Sequence[Mined], concepts: Concepts) -> Iterable[Mined]:
    """The rows, those asked from memory with their passage where another row gives the same question another answer.

    The first answer stays one to know by heart, unless there are AMBIGUOUS of them. What has no passage to quote stays
    as it is, and curation drops it.
    """
    answers: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if not row.qa.context:
            answers[fold_question(row.qa.question)][normalize(row.qa.answer)] = None
    for row in rows:
        known = answers.get(fold_question(row.qa.question), {})
        is_first = next(iter(known), None) == normalize(row.qa.answer)
        settled = len(known) < 2 or (is_first and len(known) < AMBIGUOUS)
        if settled or row.qa.context or row.qa.type in WRITTEN:
            yield row
        else:
            yield quote_passage(row, concepts)


def quote_passage(row: Mined, concepts: Concepts) -> Mined:
    """The row with the passage that holds its evidence and its steps; as it is where no passage does."""
    passage = find_passage(row.chunk, [row.evidence, *row.qa.thought_process])
    if passage is None or passage == row.qa.answer:
        return row
    return replace(row, qa=read_from(row.qa, passage, concepts), method=f"{row.method} in passage")


def gives_answer_away(qa: QaPair, messages: Sequence[Message]) -> bool:
    """Whether who reads the question knows the answer: a title in the name of the file, a word explained by itself."""
    if qa.type in CHOICES or SYMBOLS.search(qa.answer):
        return False
    said = _list_content(" ".join([*qa.thought_process, qa.answer]))
    if qa.type == "title":
        place = messages[1]["content"].partition("\n")[0] if len(messages) > 1 else ""
        return bool(said) and said <= _list_content(place) | _list_content(qa.question)
    return len(qa.answer.split()) >= LEAST_WORDS and len(said - _list_content(qa.question)) < LEAST_NEW


def _list_content(text: str) -> set[str]:
    """Words with a meaning of their own, cut so that singular and plural, noun and verb mostly agree."""
    return {word[:5] for word in re.findall(r"[^\W\d_]{3,}", text.lower()) if word not in _list_stopwords()}


@cache
def _list_stopwords() -> frozenset[str]:
    return frozenset().union(*(list_stopwords(code) for code in list_languages()))
