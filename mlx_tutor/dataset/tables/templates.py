"""Rows of `[[dataset.template]]`: questions and answers written from the columns of a table.

The templates for a list of courses lie in `data/catalogue.toml`, which says what a template may have.
"""

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Formatter

from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.mining.language import NO_CONCEPT, rank
from mlx_tutor.dataset.tables.imports import Groups, Imported, check_columns, write_metadata
from mlx_tutor.dataset.tables.read import find_path, is_empty, name_source, read_cell, read_table
from mlx_tutor.dataset.tables.unwrap import TableRow
from mlx_tutor.errors import DatasetError, RecipeError
from mlx_tutor.languages.words import list_stopwords
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Example, Origin, QaPair
from mlx_tutor.settings import TemplateSettings
from mlx_tutor.workspace import Course

# A cell that says "none" is an answer; "N/A" and "TBA" are not.
NONE = re.compile(r"(?:none|nil|no|no \w+|not required|no restrictions?|open to all)\.?", re.IGNORECASE)
# Lines of an answer that lists, and how many rows of the table an interest may stand for.
MOST_ITEMS = 8
MOST_INTERESTED = 12
INTEREST = "interest"
_NO_TOPICS = """
introduction introductory advanced basic basics elementary intermediate fundamentals foundations principles topics
special seminar research directed studies study practicum internship project thesis dissertation workshop colloquium
honors independent readings survey selected issues methods theory practice applied contemporary modern senior junior
graduate undergraduate master masters doctoral professional capstone laboratory lecture course courses experience
perspectives approaches concepts concept world today using skills general
"""
# Words of titles that are no topics.
NO_TOPICS = NO_CONCEPT | frozenset(_NO_TOPICS.split())

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Template:
    """Wordings of a question, and sentences of its answer; for `none`, `each` and `item` see `data/catalogue.toml`."""

    questions: tuple[str, ...]
    answer: tuple[str, ...]
    type: str
    none: str = ""
    each: str = ""
    item: str = ""


def fill_templates(
    course: Course,
    settings: TemplateSettings,
    number: int,
    recipe: Recipe,
    groups: Groups,
    keep: Callable[[Example], Example] = lambda example: example,
) -> Imported:
    """The examples of one `[[dataset.template]]`, the `number`-th of the recipe, in the order of the table.

    `keep` is as in `import_rows`.

    Raises:
        DatasetError: the table is missing or broken, or no template fits it.
        RecipeError: a column or placeholder that the table does not have.
    """
    where = f"dataset.template[{number}]"
    path = find_path(course, settings.path)
    rows = read_table(path)
    check_columns(rows, settings, where)
    source = name_source(settings)
    templates, usual = _list_templates(settings)
    columns = _find_columns(rows, settings, usual)
    if not settings.use:
        _check_placeholders(templates[0], columns, where)
    table = [_read_fields(row, columns) for row in rows]
    if settings.use:
        table = _tell_apart(table)
    keys = [read_cell(row, settings.group) if settings.group else f"row {line}" for line, row in enumerate(rows, 1)]
    metadata = write_metadata(
        recipe.course, {name: getattr(settings, name) for name in ("subject", "grade_level", "teaching_style")}
    )
    examples: list[Example] = []
    seed, wordings = recipe.dataset.seed, settings.wordings
    for line, (fields, key) in enumerate(zip(table, keys, strict=True), 1):
        section = groups.number(source, key)
        for template in templates:
            answer = "" if template.each else write_answer(template, fields)
            for question in pick_wordings(template, fields, wordings, seed) if answer else ():
                qa = QaPair(question, (), answer, template.type, ())
                heading = (fields.get("title") or key,)
                origin = Origin(source, section, None, None, heading, f"template {template.type}", answer, line)
                examples.append(keep(Example(write_messages(qa, recipe.course), origin, qa, metadata)))
    for template in templates:
        for value, answer, line in _list_answers(template, table) if template.each else ():
            section = groups.number(source, f"{template.each}: {value}")
            for question in pick_wordings(template, {template.each: value}, wordings, seed):
                qa = QaPair(question, (), answer, template.type, ())
                origin = Origin(source, section, None, None, (value,), f"template {template.type}", answer, line)
                examples.append(keep(Example(write_messages(qa, recipe.course), origin, qa, metadata)))
    if not examples:
        raise DatasetError(
            f"{where}: no template could be filled from {path}. It has the columns "
            f'{", ".join(map(str, rows[0]))}. Name those wanted: columns = {{title = "...", description = "..."}}'
        )
    return Imported(examples, Counter())


def _list_templates(settings: TemplateSettings) -> tuple[list[Template], dict[str, list[str]]]:
    """The templates to fill, and the usual names of their columns."""
    if not settings.use:
        return [Template(settings.questions, settings.answer, settings.type)], {}
    shipped = tomllib.loads((files("mlx_tutor.dataset") / "data" / f"{settings.use}.toml").read_text(encoding="utf-8"))
    templates = [
        Template(**{**template, "questions": tuple(template["questions"]), "answer": tuple(template["answer"])})
        for template in shipped["template"]
    ]
    return templates, shipped["columns"]


def _find_columns(
    rows: Sequence[TableRow], settings: TemplateSettings, usual: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The column of each placeholder: as the recipe says, else the usual name, else the column's own name."""
    known = {re.sub(r"[\W_]+", " ", str(column)).strip().lower(): str(column) for row in rows for column in row}
    columns = {name.replace(" ", "_"): column for name, column in known.items()}
    for name, names in usual.items():
        columns |= next(({name: known[other]} for other in names if other in known), {})
    return columns | {str(column): str(column) for row in rows for column in row} | dict(settings.columns)


def _check_placeholders(template: Template, columns: Mapping[str, str], where: str) -> None:
    """Raise RecipeError for a placeholder that is no column, or a brace that is no placeholder."""
    texts = {"questions": template.questions, "answer": template.answer}
    problems = []
    for key, sentences in texts.items():
        for sentence in sentences:
            try:
                missing = [name for name in list_placeholders(sentence) if name not in columns]
            except ValueError as err:
                problems.append(f"{where}.{key}: {sentence!r} is no template ({err})")
                continue
            problems += [f"{where}.{key}: {{{name}}} is no column" for name in missing]
    if problems:
        raise RecipeError(f"{'; '.join(problems)}. Placeholders are {', '.join(f'{{{name}}}' for name in columns)}.")


def list_placeholders(text: str) -> list[str]:
    """Names in braces; raises ValueError for a brace without its partner."""
    return [name for _, name, _, _ in Formatter().parse(text) if name is not None]


def _read_fields(row: TableRow, columns: Mapping[str, str]) -> dict[str, str]:
    """What a row says, by placeholder; what says nothing is left out, and what says "none" stays."""
    cells = {name: " ".join(read_cell(row, column).split()) for name, column in columns.items()}
    # Lists joined without spaces.
    cells = {name: re.sub(r"(?<=[^\W\d]),(?=[^\W\d])", ", ", cell) for name, cell in cells.items()}
    # A cell may begin with its own label: "Prerequisite: MATH 101".
    cells = {name: re.sub(rf"^{re.escape(name.rstrip('s'))}(?:s|\(s\))?\s*:\s*", "", cell, flags=re.IGNORECASE)
             for name, cell in cells.items()}  # fmt: skip
    return {name: cell for name, cell in cells.items() if not is_empty(cell) or NONE.fullmatch(cell)}


def _tell_apart(table: Sequence[Fields]) -> list[dict[str, str]]:
    """The same rows, with the code behind a title that several rows have."""
    titles = Counter(fields.get("title") for fields in table)
    shared = [titles[fields.get("title")] > 1 and "title" in fields and "code" in fields for fields in table]
    return [
        {**fields, "title": f"{fields['title']} ({fields['code']})"} if is_shared else dict(fields)
        for fields, is_shared in zip(table, shared, strict=True)
    ]


def fill(text: str, fields: Fields) -> str:
    """`text` with its placeholders filled, or "" when one of them has nothing or "none" to say."""
    names = list_placeholders(text)
    if any(name not in fields or is_empty(fields[name]) or NONE.fullmatch(fields[name]) for name in names):
        return ""
    filled = re.sub(r"\{([^{}]*)\}", lambda match: fields[match[1]], text)
    # A cell may end with a full stop of its own.
    return re.sub(r"([.!?])\.$", r"\1", filled)


def write_answer(template: Template, fields: Fields) -> str:
    """The sentences that can be filled, or "" when the first one cannot."""
    sentences = [fill(sentence, fields) for sentence in template.answer]
    if sentences[0]:
        return " ".join(sentence for sentence in sentences if sentence)
    names = [name for name in list_placeholders(template.answer[0]) if NONE.fullmatch(fields.get(name, ""))]
    return fill(template.none, fields) if names and template.none else ""


def pick_wordings(template: Template, fields: Fields, wordings: int, seed: int) -> Iterator[str]:
    """Some of the wordings, others for each fact; those left over are never trained on for it."""
    filled = [question for question in (fill(text, fields) for text in template.questions) if question]
    yield from sorted(filled, key=lambda question: rank(seed, question))[:wordings]


def _list_answers(template: Template, table: Sequence[Fields]) -> Iterator[tuple[str, str, int]]:
    """For each value of the template's column: the value, an answer that lists its rows, and the line of the first."""
    listed: dict[str, dict[str, int]] = defaultdict(dict)
    interests = find_interests(table) if template.each == INTEREST else {}
    for line, fields in enumerate(table, 1):
        # A title shared by several rows already includes its code.
        item = fields.get("title", "") if "(" in fields.get("title", "") else fill(template.item, fields)
        item = item or fields.get("title", "")
        values = interests.get(line, ()) if template.each == INTEREST else [fields.get(template.each, "")]
        for value in values:
            if item and not is_empty(value) and not NONE.fullmatch(value):
                listed[value].setdefault(item, line)
    for value, items in listed.items():
        shown = sorted(items, key=lambda item: rank(value, item))[:MOST_ITEMS]
        opening = fill(template.answer[0], {template.each: value})
        more = f"\n\nThere are {len(items)} in all." if len(items) > MOST_ITEMS else ""
        answer = "\n".join([opening, *(f"- {item}" for item in sorted(shown))]) + more
        yield value, answer, min(items.values())


def find_interests(table: Sequence[Fields]) -> dict[int, list[str]]:
    """Words that titles share with few other rows, by line: what somebody interested in these rows would name."""
    lines: dict[str, set[int]] = defaultdict(set)
    for line, fields in enumerate(table, 1):
        for word in _list_topics(fields.get("title", "")):
            lines[word].add(line)
    found: dict[int, list[str]] = defaultdict(list)
    for word, where in sorted(lines.items()):
        for line in where if 2 <= len(where) <= MOST_INTERESTED else ():
            found[line].append(word)
    return found


def _list_topics(title: str) -> set[str]:
    words = re.findall(r"[^\W\d_]{5,}", title.lower())
    return {word for word in words if word not in NO_TOPICS and word not in list_stopwords("en")}
