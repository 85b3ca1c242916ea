"""All rows that the recipe asks for: mined, from tables and templates, mixed in; and the holdout set apart."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from mlx_tutor.dataset.chunk import find_language
from mlx_tutor.dataset.firewall import (
    FirewallReport,
    build_firewall,
    check_holdout,
    find_exam_pairs,
    find_held,
    keep_out,
)
from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.repeats import Unrepeated, drop_repeats
from mlx_tutor.dataset.spill import Spill
from mlx_tutor.dataset.split import FEW_SECTIONS, mix_rows, part_comparisons, split_examples
from mlx_tutor.dataset.tables.imports import Groups, Imported, import_rows, write_metadata
from mlx_tutor.dataset.tables.mixes import add_general, make_refusals, tell_styles
from mlx_tutor.dataset.tables.read import find_path, find_table, name_source
from mlx_tutor.dataset.tables.templates import fill_templates
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.extract.sources import list_sources
from mlx_tutor.files import hash_file
from mlx_tutor.languages.detect import name_language
from mlx_tutor.languages.table import read_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Document, Example, Origin, Place
from mlx_tutor.workspace import Course

MakeExamples = Callable[[Sequence[Document]], Iterable[Example]]


def has_tables(recipe: Recipe) -> bool:
    """Whether the recipe names tables, so that a course needs no files of its own."""
    return bool(recipe.dataset.imports or recipe.dataset.templates)


def read_course(course: Course, recipe: Recipe) -> list[Document]:
    """The documents of the last extraction; none where a course has nothing but tables.

    Raises:
        CorpusError: files that are not extracted yet.
    """
    extracted = (course.dataset / "documents.jsonl").is_file()
    return [] if has_tables(recipe) and not extracted and not list_sources(course).known else read_documents(course)


def read_once(course: Course, recipe: Recipe) -> Unrepeated:
    """The documents of the last extraction, in which what stands in several places stands once."""
    return drop_repeats(read_course(course, recipe), recipe.dataset.holdout)


def hash_tables(course: Course, recipe: Recipe) -> dict[str, str | None]:
    """Hashes of the recipe's tables, by path; None for a missing one."""
    settings = recipe.dataset
    paths = {name_source(item): find_table(course, item) for item in settings.imports}
    paths |= {name_source(item): find_path(course, item.path) for item in settings.templates}
    return {name: hash_file(path) if path.is_file() else None for name, path in sorted(paths.items())}


def gather_examples(course: Course, recipe: Recipe, documents: Sequence[Document], make: MakeExamples) -> Imported:
    """All rows of a course before curation: what `make` mines and those of tables, held-out rows first.

    Raises:
        DatasetError: a table that is missing, broken or of no use.
        RecipeError: a column or a held-out file that is not there.
    """
    settings = recipe.dataset
    groups, keep = Groups(), Spill(course.root).keep
    tables = [import_rows(course, item, i, recipe, groups, keep) for i, item in enumerate(settings.imports, 1)]
    tables += [fill_templates(course, item, i, recipe, groups, keep) for i, item in enumerate(settings.templates, 1)]
    imported = [example for table in tables for example in table.examples]
    holdout = settings.holdout
    check_holdout(holdout, [*(d.source for d in documents), *(e.origin.source for e in imported if holdout)])
    # Mined separately, so that not even the names of its concepts get into training.
    exams = [document for document in documents if document.source in holdout]
    held = find_held(documents, holdout)
    rest = [document for document in documents if document.source not in held]
    asked = [example for exam in exams for example in _make_exam_rows(exam, recipe)]
    # The questions of an exam with answers become rows; rows of other held-out files are mined as usual.
    exams = [exam for exam in exams if exam.source not in {example.origin.source for example in asked}]
    mined = [example for some in (exams, rest) if some for example in make(some)]
    examples = [*asked, *mined, *imported]
    # The first of two near duplicates is kept, and that must be the held-out one.
    examples.sort(key=lambda example: example.origin.source not in holdout)
    if settings.tell_style:
        examples = tell_styles(examples, recipe, keep)
    return Imported(examples, sum((table.dropped for table in tables), Counter()))


def _make_exam_rows(exam: Document, recipe: Recipe) -> Iterable[Example]:
    """The questions of a held-out exam that come with their answers."""
    for qa, index, block in find_exam_pairs(exam):
        heading = exam.sections[index].heading
        origin = Origin(exam.source, index, block.page, block.cell, heading, "exam", block.text)
        messages = write_messages(qa, recipe.course)
        yield Example(messages, origin, qa, write_metadata(recipe.course, {}))


def advise(documents: Sequence[Document], usual: str = FEW_SECTIONS) -> str:
    """What to do where a course gives too few rows: the usual, unless that would not help."""
    unknown = find_unknown(documents)
    if not unknown:
        return usual
    names = " and ".join(name_language(language) or "a language that cannot be told" for language in unknown)
    return (
        f"From text in {names} mlx-tutor makes no questions by itself. Name a teacher that writes them "
        "(teacher.model), or bring rows of your own ([[dataset.import]])."
    )


def find_unknown(documents: Sequence[Document]) -> dict[str, list[str]]:
    """The sources by language of which no questions are mined, as there is no table for it; "" is a language untold."""
    sources: dict[str, list[str]] = {}
    for document in documents:
        language = find_language(document)
        if read_language(language) is None:
            sources.setdefault(language, []).append(document.source)
    return sources


def deal_examples(
    examples: Sequence[Example], documents: Sequence[Document], recipe: Recipe, alike: Mapping[Place, Place]
) -> tuple[dict[str, list[Example]], list[tuple[Example, str]], FirewallReport | None]:
    """The splits, what a holdout keeps out of them with the reason, and the holdout's report.

    With a holdout its rows are the test, and the rest is training and validation. An exam without answers gives no
    rows: then the test is a share of the rest, as without one. Refusals are dealt to all splits, general instructions
    join the training rows. Sections that are `alike` go to one split.

    Raises:
        DatasetError: too few sections to split.
    """
    settings = recipe.dataset
    held = [example for example in examples if example.origin.source in settings.holdout]
    rest = [example for example in examples if example.origin.source not in settings.holdout]
    repeated: list[tuple[Example, str]] = []
    report = None
    if settings.holdout:
        firewall = build_firewall(settings.holdout, documents, held)
        rest, repeated, report = keep_out(held, rest, settings.holdout, firewall)
    if settings.refusals:
        taught = [document for document in documents if document.source not in settings.holdout]
        rest += make_refusals(taught, rest, recipe)
    splits = split_examples(
        rest, settings.valid, 0.0 if held else settings.test, settings.seed, alike, advise(documents)
    )
    repeated += part_comparisons(splits)
    if held:
        splits["test"] = mix_rows(held, settings.seed)
    splits["train"] = add_general(splits["train"], settings.general, recipe)
    return splits, repeated, report
