"""Making a dataset: documents to train.jsonl, valid.jsonl and test.jsonl, with a manifest."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlx_tutor.dataset.balance import Mined, settle_answers
from mlx_tutor.dataset.chunk import split_document
from mlx_tutor.dataset.curate import curate_examples
from mlx_tutor.dataset.firewall import FirewallReport, find_held
from mlx_tutor.dataset.gather import advise, deal_examples, gather_examples, hash_tables, read_once
from mlx_tutor.dataset.lessons import SparseLesson, find_sparse
from mlx_tutor.dataset.messages import part_thoughts, write_messages
from mlx_tutor.dataset.mining.arguments import make_arguments
from mlx_tutor.dataset.mining.code import make_code_rows
from mlx_tutor.dataset.mining.comparisons import make_comparisons, make_corrections
from mlx_tutor.dataset.mining.completion import make_completions
from mlx_tutor.dataset.mining.concepts import Concepts, collect_concepts
from mlx_tutor.dataset.mining.defining import collect_definitions
from mlx_tutor.dataset.mining.definitions import make_definitions
from mlx_tutor.dataset.mining.explain import make_explanations
from mlx_tutor.dataset.mining.formulas import make_formula_rows
from mlx_tutor.dataset.mining.gaps import Place, find_thin, make_gap_rows
from mlx_tutor.dataset.mining.headings import has_prose
from mlx_tutor.dataset.mining.lists import make_lists
from mlx_tutor.dataset.mining.reading import make_readings
from mlx_tutor.dataset.mining.relations import make_relations
from mlx_tutor.dataset.mining.table_rows import make_table_rows
from mlx_tutor.dataset.mining.worked import make_worked_rows
from mlx_tutor.dataset.practice import PracticeReport, Weak, pick_practice
from mlx_tutor.dataset.quotas import CODE_ABOVE, CODE_REASON, apply_quotas, holds_code, leave_code_out
from mlx_tutor.dataset.rated import hash_rated, pick_rated, read_rated
from mlx_tutor.dataset.repeats import Repeat
from mlx_tutor.dataset.retrieval import Search, quote_found
from mlx_tutor.dataset.split import SPLITS
from mlx_tutor.dataset.teacher.examples import TeacherRows
from mlx_tutor.dataset.teacher.parsing import Rejected
from mlx_tutor.dataset.teacher.subjects import join_places
from mlx_tutor.errors import DatasetError
from mlx_tutor.extract.extract import find_changes, read_documents
from mlx_tutor.files import disk_errors, hash_file, read_json, read_jsonl, write_json, write_jsonl
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import MIN_TRAIN_ROWS, Chunk, Document, Example, Message, Origin, QaPair, describe_place
from mlx_tutor.workspace import Course

# Raise it when a maker changes what it writes: then every dataset is stale.
MAKER = 53
# Of course text alone, not of what stands below exercises, solutions, objectives or references.
MAKERS = (
    make_definitions,
    make_explanations,
    make_arguments,
    make_lists,
    make_readings,
    make_relations,
    make_completions,
    make_code_rows,
    make_table_rows,
    make_formula_rows,
    make_corrections,
)
FILES = tuple(f"{split}.jsonl" for split in SPLITS)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Rows written, by split, method and source, and rows dropped by reason.

    What never became a row, as a line of a table without an answer, is counted as dropped too. `gaps` says,
    where only thin sections were filled, how many there were and how many are left. `kept_edited` names the
    folder where rows that were edited by hand were put before they were replaced. `repeats` are sections that stand
    in another place too, and gave rows only there. `sparse` are files with few rows for their length, and why.
    `code` counts the rows that hold code. `practice` is about rows for facts that a trained model did not know.
    """

    splits: dict[str, int]
    methods: dict[str, int]
    sources: dict[str, int]
    dropped: dict[str, int]
    kept_edited: str | None
    teacher: dict[str, Any] | None = None
    gaps: dict[str, int] | None = None
    firewall: FirewallReport | None = None
    repeats: tuple[Repeat, ...] = ()
    sparse: tuple[SparseLesson, ...] = ()
    code: int = 0
    practice: PracticeReport | None = None


def cut_chunks(documents: Sequence[Document], recipe: Recipe) -> list[Chunk]:
    """The pieces of a course from which rows are made."""
    return [chunk for document in documents for chunk in split_document(document, recipe.dataset.chunk_tokens)]


def make_examples(
    documents: Sequence[Document],
    recipe: Recipe,
    taught: TeacherRows | None = None,
    thin: frozenset[Place] = frozenset(),
) -> Iterator[Example]:
    """All rows that the text of a course gives, in the order of the text, and those that a teacher wrote about it.

    `thin` are sections that want more rows, where no teacher writes them.
    """
    chunks = cut_chunks(documents, recipe)
    concepts = collect_concepts(documents, collect_definitions(chunks))
    metadata = {
        "subject": recipe.course.subject,
        "grade_level": recipe.course.grade_level,
        "teaching_style": recipe.course.teaching_style,
        "application": "education",
    }
    rows = [
        Mined(chunk, *row)
        for chunk in chunks
        for row in _mine_chunk(chunk, concepts, recipe.dataset.seed, taught, thin)
    ]
    rows += [Mined(*row) for row in make_worked_rows(documents, concepts)]
    rows += [Mined(*row) for row in make_comparisons(chunks, concepts, recipe.dataset.seed)]
    for row in settle_answers(rows, concepts):
        origin = find_origin(row.chunk, row.method, row.evidence)
        # The place of a passage that wants a title must not name it.
        heading = () if row.qa.type == "title" else origin.heading
        place = describe_place(origin.source, origin.page, origin.cell, heading)
        messages = write_messages(row.qa, recipe.course, place, row.chunk.language)
        yield Example(messages, origin, row.qa, metadata, row.chunk.language)


def _mine_chunk(
    chunk: Chunk, concepts: Concepts, seed: int, taught: TeacherRows | None, thin: frozenset[Place]
) -> Iterator[tuple[QaPair, str, str]]:
    for make in MAKERS if has_prose(chunk) else (make_definitions,):
        yield from make(chunk, concepts, seed)
    if taught:
        yield from taught.make(chunk)
    elif (chunk.source, chunk.section) in thin:
        yield from make_gap_rows(chunk, concepts, seed)


def find_origin(chunk: Chunk, method: str, evidence: str) -> Origin:
    """Where the evidence stands; raises ValueError when it does not stand in the chunk word for word."""
    block = next((block for block in chunk.blocks if evidence in block.text), None)
    if block is None:
        raise ValueError(f"{method}: evidence is not in {chunk.source}, section {chunk.section}: {evidence!r}")
    return Origin(chunk.source, chunk.section, block.page, block.cell, chunk.heading, method, evidence)


def build_dataset(
    course: Course,
    recipe: Recipe,
    count_tokens: Callable[[Sequence[Message]], int],
    tokenizer_hash: str,
    taught: TeacherRows | None = None,
    from_ratings: bool = False,
    thin: frozenset[Place] | None = None,
    search: Search | None = None,
    weak: Sequence[Weak] | None = None,
) -> BuildReport:
    """Write the three splits, what was dropped with its reason, and, last, manifest.json.

    Args:
        course: The course, extracted.
        count_tokens: Length of a rendered row, of the model that will be trained.
        tokenizer_hash: Fingerprint of that model's tokenizer and template.
        taught: What a teacher wrote about the course, where the recipe names one.
        from_ratings: Add the answers that raters found good to the training rows.
        thin: The sections that want more rows, from `find_gaps`, where only they are to be filled.
        search: Finds passages for a question as `ask` does; without it, rows quote the right one alone.
        weak: The facts that a trained model did not know, where further rows are to be made for them.

    Raises:
        CorpusError: not extracted yet.
        DatasetError: no rows, too few sections to split, or a table that cannot be used.
    """
    once = read_once(course, recipe)
    documents = once.documents
    filled = thin or frozenset()
    made = gather_examples(course, recipe, documents, lambda some: make_examples(some, recipe, taught, filled))
    kept, dropped = _choose_examples(made.examples, recipe, count_tokens)
    kept, over = apply_quotas(kept, recipe.dataset)
    dropped += [*over, *(_write_rejected(*refused, recipe) for refused in (taught.rejected if taught else ()))]
    dropped += [_write_repeat(repeat, recipe) for repeat in once.repeats]
    try:
        together = join_places(once.alike, taught.together if taught else ())
        splits, repeated, firewall = deal_examples(kept, documents, recipe, together)
    except DatasetError as err:
        if not any(reason in (CODE_REASON, CODE_ABOVE) for _, reason in dropped):
            raise
        raise DatasetError(f"{err} Rows with code are left out: see course.allow_code and dataset.code_share.") from err
    answers = read_rated(course, recipe.rate.criteria) if from_ratings else []
    rated, refused = pick_rated(answers, recipe, documents, splits, count_tokens)
    further, refused_practice, practice = pick_practice(weak or (), recipe, documents, splits, count_tokens)
    # Once more, for general instructions and what joined the mined rows.
    splits["train"], coded = leave_code_out([*splits["train"], *rated, *further], recipe.course)
    dropped += [*repeated, *refused, *refused_practice, *coded]
    if search is not None and recipe.dataset.passages > 1:
        splits = quote_found(splits, search, recipe, count_tokens)
    rows = [example for split in SPLITS for example in splits[split]]
    kept_edited = _write_splits(course, splits, dropped)
    report = BuildReport(
        splits={split: len(rows) for split, rows in splits.items()},
        methods=_count(example.origin.method for example in rows),
        sources=_count(example.origin.source for example in rows),
        dropped=dict(sorted((Counter(reason for _, reason in dropped) + made.dropped).items())),
        kept_edited=None if kept_edited is None else str(kept_edited),
        teacher=taught.to_json(recipe.teacher) if taught else None,
        firewall=firewall,
        repeats=once.repeats,
        code=sum(map(holds_code, rows)),
        practice=None if weak is None else practice,
        sparse=find_sparse(documents, cut_chunks(documents, recipe), rows, dropped),
        gaps=None
        if thin is None
        else {"thin": len(thin), "left": len(thin & find_thin(documents, rows, recipe.dataset.gap_rows))},
    )
    inputs = hash_inputs(course, recipe, tokenizer_hash) | ({"ratings": hash_rated(answers)} if from_ratings else {})
    inputs |= {} if weak is None else {"learned": [[fact.answer, fact.kind] for fact in sorted(weak)]}
    files = {name: hash_file(course.dataset / name) for name in FILES}
    write_json(course.dataset / "manifest.json", {"rows": asdict(report), "inputs": inputs, "files": files})
    return report


def _choose_examples(
    examples: Sequence[Example], recipe: Recipe, count_tokens: Callable[[Sequence[Message]], int]
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """Rows without forbidden code, duplicates and those that are too long; and these, each with its reason."""
    allowed, coded = leave_code_out(examples, recipe.course)
    kept, dropped = curate_examples(allowed, count_tokens, recipe.train.max_seq_length)
    return kept, [*dropped, *coded]


def _write_splits(
    course: Course, splits: dict[str, list[Example]], dropped: Sequence[tuple[Example, str]]
) -> Path | None:
    """Write the rows and what was dropped; returns the folder with rows that were edited by hand, if there were any."""
    kept_edited = _keep_edited(course)
    (course.dataset / "manifest.json").unlink(missing_ok=True)
    for name, split in zip(FILES, SPLITS, strict=True):
        write_jsonl(course.dataset / name, (example.to_row() for example in splits[split]))
    write_jsonl(course.dataset / "dropped.jsonl", (example.to_row() | {"dropped": why} for example, why in dropped))
    return kept_edited


def find_gaps(course: Course, recipe: Recipe, count_tokens: Callable[[Sequence[Message]], int]) -> frozenset[Place]:
    """The sections that give fewer than `dataset.gap_rows` rows without a teacher; none of past exams."""
    documents = read_once(course, recipe).documents
    made = gather_examples(course, recipe, documents, lambda some: make_examples(some, recipe))
    kept, _ = _choose_examples(made.examples, recipe, count_tokens)
    held = find_held(documents, recipe.dataset.holdout)
    asked = [document for document in documents if document.source not in held]
    return find_thin(asked, kept, recipe.dataset.gap_rows)


def _write_rejected(chunk: Chunk, refused: Rejected, recipe: Recipe) -> tuple[Example, str]:
    """A rejected item of the teacher in the form of a row, so that `show --split dropped` can show it."""
    block, method = chunk.blocks[0], f"teacher {refused.type}"
    origin = Origin(chunk.source, chunk.section, block.page, block.cell, chunk.heading, method, refused.evidence)
    qa = QaPair(refused.question, (), refused.answer, refused.type, ())
    return Example(write_messages(qa, recipe.course), origin, qa, {}), f"teacher: {refused.reason}"


def _write_repeat(repeat: Repeat, recipe: Recipe) -> tuple[Example, str]:
    """A section that is left out in the form of a row: its place, and the place that says the same."""
    place = describe_place(repeat.source, repeat.page, repeat.cell, repeat.heading)
    qa = QaPair(place, (), repeat.other, "repeat", ())
    origin = Origin(repeat.source, repeat.section, repeat.page, repeat.cell, repeat.heading, "repeat", "")
    return Example(write_messages(qa, recipe.course), origin, qa, {}), f"text of {repeat.other_source}"


def _count(values: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _keep_edited(course: Course) -> Path | None:
    """Move rows that were edited by hand, or that came from elsewhere, beside the dataset."""
    edited = find_edited_rows(course)
    foreign = () if (course.dataset / "manifest.json").is_file() else FILES
    files = [course.dataset / name for name in {*edited, *foreign} if (course.dataset / name).is_file()]
    if not files:
        return None
    number = 1
    while (folder := course.root / f"dataset-{number}").exists():
        number += 1
    with disk_errors(folder):
        folder.mkdir()
        for file in files:
            file.rename(folder / file.name)
    return folder


def hash_inputs(course: Course, recipe: Recipe, tokenizer_hash: str) -> dict[str, Any]:
    """All that the rows depend on; settings in the open, so that a change can be named."""
    path = course.dataset / "documents.jsonl"
    settings = recipe.to_dict()
    inputs = {
        "maker": MAKER,
        # Empty where a course has nothing but tables: as if it had not been extracted.
        "documents": hash_file(path) if path.is_file() and path.stat().st_size else None,
        "tokenizer": tokenizer_hash,
        "course": settings["course"],
        "dataset": settings["dataset"],
        "max_seq_length": recipe.train.max_seq_length,
        "tables": hash_tables(course, recipe),
        "teacher": recipe.teacher.to_inputs(),
    }
    # As JSON returns them: it has no tuples.
    as_read: dict[str, Any] = json.loads(json.dumps(inputs))
    return as_read


def explain_stale(course: Course, recipe: Recipe, tokenizer_hash: str) -> str | None:
    """One phrase that says why the rows are not what the course and the recipe would give now; None when they are."""
    path = course.dataset / "manifest.json"
    if not path.is_file():
        # Imported rows are taken as they are.
        return None if (course.dataset / "train.jsonl").is_file() else "there is no dataset yet"
    if changed := find_changes(course):
        return f"{changed[0]}{f' and {len(changed) - 1} more' if len(changed) > 1 else ''} changed since then"
    old, new = read_json(path)["inputs"], hash_inputs(course, recipe, tokenizer_hash)
    names = {
        "maker": "mlx-tutor makes other rows now",
        "documents": "the extracted text changed",
        "tokenizer": "the model's tokenizer or template is another one",
        "max_seq_length": "recipe: train.max_seq_length changed",
    }
    for key, value in new.items():
        if key == "tables" and old.get(key) != value:
            known = old.get(key) or {}
            return f"{next((n for n in value if known.get(n) != value[n]), 'a table of the recipe')} changed since then"
        if old.get(key) != value:
            return names.get(key) or f"recipe: {_name_difference(key, old.get(key) or {}, value or {})} changed"
    return None


def _name_difference(section: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    if section == "teacher" and not (old and new):
        return "teacher.model"
    return ", ".join(f"{section}.{key}" for key in new if old.get(key) != new[key]) or section


def is_dataset_current(course: Course, recipe: Recipe, tokenizer_hash: str, from_ratings: bool | None = None) -> bool:
    """Whether the three splits exist and are what course and recipe would give now.

    With `from_ratings`, True or False, also whether they have exactly the rated answers of now, or none.
    """
    whole = all((course.dataset / name).is_file() for name in FILES)
    if not whole or explain_stale(course, recipe, tokenizer_hash) is not None:
        return False
    rated = hash_rated(read_rated(course, recipe.rate.criteria)) if from_ratings else None
    return from_ratings is None or read_ratings(course) == rated


def read_ratings(course: Course) -> str | None:
    """Fingerprint of the rated answers that the rows were built with; None when with none."""
    path = course.dataset / "manifest.json"
    found: str | None = read_json(path)["inputs"].get("ratings") if path.is_file() else None
    return found


def read_weak(course: Course) -> list[Weak] | None:
    """The facts that the rows were built to practise, in order; None where they were built without."""
    path = course.dataset / "manifest.json"
    found = read_json(path)["inputs"].get("learned") if path.is_file() else None
    return None if found is None else [Weak(answer, kind) for answer, kind in found]


def find_edited_rows(course: Course) -> tuple[str, ...]:
    """Names of split files that were changed since they were written."""
    path = course.dataset / "manifest.json"
    if not path.is_file():
        return ()
    files = read_json(path)["files"]
    return tuple(
        n for n, sha in files.items() if (course.dataset / n).is_file() and hash_file(course.dataset / n) != sha
    )


def read_rows(course: Course, split: str, *, thinking: bool = False) -> list[dict[str, Any]]:
    """The rows of a split, each checked to be a chat that ends with the assistant.

    For a model that thinks, with the thoughts of the assistant apart from what it says.

    Raises:
        DatasetError: missing file, or a row that cannot be trained on, with its line.
    """
    path = course.dataset / f"{split}.jsonl"
    if not path.is_file():
        raise DatasetError(f"No {path}. Make the rows with: mlx-tutor build -c {course.name}")
    rows = read_jsonl(path)
    for line, row in enumerate(rows, 1):
        messages = row.get("messages") if isinstance(row, dict) else None
        turns = messages if isinstance(messages, list) else []
        whole = turns and all(
            isinstance(turn, dict) and isinstance(turn.get("content"), str) and isinstance(turn.get("role"), str)
            for turn in turns
        )
        if not whole or turns[-1]["role"] != "assistant" or not any(turn["role"] == "user" for turn in turns):
            raise DatasetError(
                f"{path}, line {line}: a row needs `messages` with role and content, "
                "one of the user, the last of the assistant."
            )
        if thinking:
            row["messages"] = [part_thoughts(turn) for turn in turns]
    return rows


def read_measured_rows(course: Course, *, thinking: bool = False) -> tuple[list[dict[str, Any]], str]:
    """The rows that models are measured on, and the split they are of: `valid` where the recipe keeps no test.

    Raises:
        DatasetError: as `read_rows`.
    """
    rows = read_rows(course, "test", thinking=thinking)
    return (rows, "test") if rows else (read_rows(course, "valid", thinking=thinking), "valid")


def advise_course(course: Course, usual: str) -> str:
    """What to do where an extracted course gives too few rows: the usual, unless that would not help."""
    return advise(read_documents(course), usual) if (course.dataset / "documents.jsonl").is_file() else usual


def check_dataset(course: Course) -> None:
    """Raise DatasetError when there is too little to train on."""
    train, valid = len(read_rows(course, "train")), len(read_rows(course, "valid"))
    if train < MIN_TRAIN_ROWS or not valid:
        raise DatasetError(
            f"Course {course.name!r} has {train} training and {valid} validation rows; at least {MIN_TRAIN_ROWS} and 1 "
            f"are needed. {advise_course(course, 'Add course files and run: mlx-tutor build')}"
        )
