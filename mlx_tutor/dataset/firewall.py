"""Past exams (`dataset.holdout`): they, and rows that repeat them, stay out of training and become the test."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from mlx_tutor.dataset.chunk import find_language
from mlx_tutor.dataset.mining.tasks import find_tasks
from mlx_tutor.dataset.mining.worked import POINTS, find_solutions, write_pieces
from mlx_tutor.errors import RecipeError
from mlx_tutor.records import Block, Document, Example, Origin, QaPair, describe_place
from mlx_tutor.text import cut_shingles, split_sentences, strip_bold

SHINGLE = 5
# A row that shares half of its runs of words with an exam, or holds half of one of its sentences, repeats it.
NEAR = 0.5
# Shorter sentences, such as "What is the mean?", occur in every course.
LEAST_WORDS = 8
LEAST_QUESTION_WORDS = 3
NUMBER = r"(?:\(?\d+(?:\.\d+)*[.):]|\(?[a-h]\)|(?:question|q|exercise|problem|task)\s*\d*[a-h]?\s*[.:)])"
ASKED = re.compile(rf"^\W*{NUMBER}\s*(?P<text>\S.*)$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class FirewallReport:
    """The result of a holdout.

    `test_rows` came from it, `dropped` rows of the rest repeated it. `highest_overlap`, 0 to 1, is that of the row at
    `where` that is most like it among those left.
    """

    files: tuple[str, ...]
    test_rows: int
    dropped: int
    highest_overlap: float
    where: str


class Firewall:
    """Measures how much of a held-out text a row repeats."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.shingles: set[tuple[str, ...]] = set()
        self.questions: set[str] = set()
        self.sentences: list[int] = []
        self.holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for text in texts:
            self.shingles |= _cut_shingles(_list_words(text))
            for sentence, is_question in _list_sentences(text):
                words = _list_words(sentence)
                if len(words) >= LEAST_QUESTION_WORDS and is_question:
                    self.questions.add(" ".join(words))
                if len(words) >= LEAST_WORDS:
                    self._add_sentence(words)

    def _add_sentence(self, words: Sequence[str]) -> None:
        shingles = _cut_shingles(words)
        for shingle in shingles:
            self.holders[shingle].append(len(self.sentences))
        self.sentences.append(len(shingles))

    def measure(self, example: Example) -> float:
        """Share of the row's runs of five words that the held-out text has, or of one held-out sentence that the row
        has, whichever is larger; 1 for a row that asks one of its questions.
        """
        qa = example.qa_pair
        if " ".join(_list_words(qa.question)) in self.questions:
            return 1.0
        turns = [message["content"] for message in example.messages if message["role"] != "system"]
        words = _list_words("\n".join([qa.context, *turns]))
        shingles = _cut_shingles(words)
        shared: dict[int, int] = defaultdict(int)
        for shingle in shingles:
            for number in self.holders.get(shingle, ()):
                shared[number] += 1
        inside = max((count / self.sentences[number] for number, count in shared.items()), default=0.0)
        return max(inside, len(shingles & self.shingles) / len(shingles))


def _list_words(text: str) -> list[str]:
    return re.findall(r"\w+", strip_bold(text).lower())


def _cut_shingles(words: Sequence[str]) -> set[tuple[str, ...]]:
    return set(cut_shingles(words, SHINGLE))


def _list_sentences(text: str) -> Iterator[tuple[str, bool]]:
    """Sentences without numbers and points, each with whether it asks something."""
    for line in text.split("\n"):
        asked = ASKED.match(line)
        sentences = split_sentences(POINTS.sub(" ", asked["text"] if asked else line))
        for number, sentence in enumerate(sentences):
            yield sentence, sentence.endswith("?") or (asked is not None and number == 0)


def find_held(documents: Sequence[Document], holdout: Collection[str]) -> frozenset[str]:
    """The files of `holdout`, and those that have the solutions of one by their name."""
    exams = [document for document in documents if document.source in holdout]
    solutions = [find_solutions(exam, documents, find_language(exam)) for exam in exams]
    return frozenset({*holdout, *(found.source for found in solutions if found is not None)})


def check_holdout(names: Sequence[str], sources: Iterable[str]) -> None:
    """Raise RecipeError when a name of `dataset.holdout` is no source of the course."""
    known = sorted(set(sources))
    missing = [name for name in names if name not in known]
    if missing:
        near = get_close_matches(missing[0], known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else f" Its files are {', '.join(known)}."
        raise RecipeError(f"dataset.holdout: the course has no {', '.join(missing)}.{hint}")


def build_firewall(names: Sequence[str], documents: Sequence[Document], held: Sequence[Example]) -> Firewall:
    """A firewall around the text of held-out documents with their solutions, and the held-out rows of tables."""
    sources = find_held(documents, names)
    exams = [document for document in documents if document.source in sources]
    texts = [section.text for document in exams for section in document.sections]
    # A question about a document is not a part of its text.
    tabled = [example for example in held if example.origin.source not in {exam.source for exam in exams}]
    turns = [message["content"] for example in tabled for message in example.messages if message["role"] != "system"]
    return Firewall([*texts, *turns])


def keep_out(
    held: Sequence[Example], others: Sequence[Example], names: Sequence[str], firewall: Firewall
) -> tuple[list[Example], list[tuple[Example, str]], FirewallReport]:
    """Of the others those that may be trained on, those that repeat the holdout with the reason, and the report."""
    rest: list[Example] = []
    dropped: list[tuple[Example, str]] = []
    highest, where = 0.0, ""
    for example in others:
        overlap = firewall.measure(example)
        if overlap >= NEAR:
            dropped.append((example, "repeats the holdout"))
            continue
        rest.append(example)
        if overlap > highest:
            highest, where = overlap, _describe_origin(example.origin)
    report = FirewallReport(tuple(names), len(held), len(dropped), round(highest, 4), where)
    return rest, dropped, report


def _describe_origin(origin: Origin) -> str:
    place = describe_place(origin.source, origin.page, origin.cell, origin.heading)
    return f"{place}, row {origin.row}" if origin.row else place


def find_exam_pairs(document: Document) -> Iterator[tuple[QaPair, int, Block]]:
    """Questions of an exam that has its answers in it: the pair, its section, and the block with the answer."""
    for task in find_tasks(document, find_language(document)):
        question = POINTS.sub(" ", write_pieces(task.question)).strip()
        if question:
            pair = QaPair(question, (), write_pieces(task.solution), "exam", (), strip_bold(task.shared))
            yield pair, task.solution[0].section, task.solution[0].block
