"""The questions of a course for quiz and cards: rows with a short answer that need no passage."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_tutor.dataset.build import advise_course, read_rows
from mlx_tutor.dataset.firewall import find_held
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.dataset.tables.mixes import GENERAL, REFUSAL
from mlx_tutor.errors import DatasetError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.files import hash_value
from mlx_tutor.languages.defining import find_term
from mlx_tutor.records import describe_place
from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.search.passages import count_words
from mlx_tutor.workspace import Course, find_language

# Kinds of rows whose answer is one among many good ones: no grade of them would be fair. What a fact is practised
# with asks for what another row asks for.
OPEN_ENDED = frozenset(
    "explain|summary|title|completion|list|code|code completion|summarization"
    "|brainstorming|creative_writing|about|recall".split("|")
)
# Longer answers hold more than one point.
MAX_WORDS = 60
FENCED = re.compile(r"```[^\n]*\n(.*?)\n?```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """One answer that the course gives, and where; `row` in a table. `quote` is what it rests on, word for word."""

    answer: str
    source: str
    page: int | None
    cell: int | None
    row: int | None
    heading: tuple[str, ...]
    quote: str

    @property
    def place(self) -> str:
        """`week3.pdf, page 4, Regression > Assumptions`, or `faq.csv, row 3`."""
        source = f"{self.source}, row {self.row}" if self.row else self.source
        return describe_place(source, self.page, self.cell, self.heading)


@dataclass(frozen=True, slots=True)
class StudyQuestion:
    """A question with the answers of the course, that of the first source first.

    `key` stays the same when rows are built again, also with another seed, when answers are worded better, and when
    files are renamed. `concepts` are what the answers name beside what is asked; `is_output` marks what a program
    prints, which is right or not.
    """

    key: str
    kind: str
    text: str
    references: tuple[Reference, ...]
    concepts: tuple[str, ...]
    language: str = "en"

    @property
    def is_output(self) -> bool:
        return self.kind == "output"


def list_questions(course: Course, holdout: Collection[str] = ()) -> list[StudyQuestion]:
    """The questions of a course, in the order of its sources.

    Rows that ask for the same are one question: the wordings of a definition, and a term that several sources define.
    Past exams, `holdout`, give none: they are for the mock exam.

    Raises:
        DatasetError: not built yet, or no row can be asked.
    """
    rows = [row for split in SPLITS for row in read_rows(course, split)]
    held = _find_held(course, holdout)
    askable = [row for row in rows if is_askable(row) and row["origin"]["source"] not in held]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(askable, key=_place_row):
        groups.setdefault(_write_key(row), []).append(row)
    if not groups:
        usual = "Notes with whole sentences that define terms and give reasons make such rows."
        raise DatasetError(
            f"Course {course.name!r} has no row with a short answer to ask for. {advise_course(course, usual)}"
        )
    language = find_language(course)
    return [_make_question(key, rows, language) for key, rows in groups.items()]


def _find_held(course: Course, holdout: Collection[str]) -> Collection[str]:
    # A course of tables alone has no documents.
    is_read = holdout and (course.dataset / "documents.jsonl").is_file()
    return find_held(read_documents(course), holdout) if is_read else holdout


def is_askable(row: Mapping[str, Any]) -> bool:
    """Whether a row stands alone, names its source, and has an answer that can be checked."""
    qa, origin = row.get("qa_pair"), row.get("origin")
    if not isinstance(qa, dict) or not isinstance(origin, dict) or not origin.get("source"):
        return False
    question, answer, kind = (qa.get(name) for name in ("question", "answer", "type"))
    if not (isinstance(question, str) and isinstance(answer, str) and isinstance(kind, str)):
        return False
    return (
        bool(question.strip())
        and not qa.get("context")
        and kind not in OPEN_ENDED
        and origin.get("method") not in (GENERAL, REFUSAL)
        and 0 < count_words(answer) <= MAX_WORDS
        # What leads into a formula or a list ends before it says anything.
        and not answer.rstrip().endswith(":")
    )


def _place_row(row: Mapping[str, Any]) -> tuple[Any, ...]:
    origin = row["origin"]
    # A wording of the form "What is X?" comes before "What is meant by X?" and the others.
    question = row["qa_pair"]["question"]
    return (
        origin["source"],
        origin.get("section") or 0,
        origin.get("page") or 0,
        origin.get("cell") or 0,
        origin.get("row") or 0,
        len(question),
        question,
    )


def _write_key(row: Mapping[str, Any]) -> str:
    qa = row["qa_pair"]
    term = find_term(qa["question"]) if qa["type"] == "concept" else None
    asked = " ".join(re.findall(r"\w+", term or qa["question"])).lower()
    return hash_value([qa["type"], asked or qa["question"]])[:16]


def _make_question(key: str, rows: Sequence[Mapping[str, Any]], language: str) -> StudyQuestion:
    references: dict[str, Reference] = {}
    concepts: dict[str, None] = {}
    for row in rows:
        qa, origin = row["qa_pair"], row["origin"]
        answer = clean_text(qa["answer"]).strip()
        concepts |= dict.fromkeys(clean_text(concept) for concept in qa.get("related_concepts") or ())
        references.setdefault(answer, make_reference(answer, origin))
    first = rows[0]["qa_pair"]
    text = clean_text(first["question"]).strip()
    return StudyQuestion(key, first["type"], text, tuple(references.values()), tuple(concepts), language)


def make_reference(answer: str, origin: Mapping[str, Any]) -> Reference:
    """An answer with the place that its row names."""
    return Reference(
        clean_text(answer).strip(),
        clean_text(origin["source"]),
        origin.get("page"),
        origin.get("cell"),
        origin.get("row"),
        tuple(clean_text(part) for part in origin.get("heading") or ()),
        clean_text(origin.get("evidence") or ""),
    )


def read_output(text: str) -> str:
    """The printed output in a fenced answer; other text unchanged."""
    match = FENCED.search(text)
    return match[1] if match else text
