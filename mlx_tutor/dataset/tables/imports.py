"""Rows of `[[dataset.import]]`: filtered, grouped, and given the course's system prompt."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from mlx_tutor.dataset.messages import add_grounding, write_passages
from mlx_tutor.dataset.tables.formats import Conversation, explain_unread, find_column, read_conversation
from mlx_tutor.dataset.tables.read import fetch_hub_table, find_table, name_source, read_cell, stream_table
from mlx_tutor.dataset.tables.unwrap import TableRow
from mlx_tutor.errors import DatasetError, RecipeError
from mlx_tutor.languages.detect import detect_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Example, Message, Origin, QaPair
from mlx_tutor.settings import CourseSettings, ImportSettings, TemplateSettings
from mlx_tutor.workspace import Course

# As many rows tell which columns a table has.
PEEKED = 10_000
# Shorter answers, such as "Yes", belong to many questions.
LEAST_WORDS = 6
METADATA = ("subject", "grade_level", "teaching_style")


@dataclass(slots=True)
class Groups:
    """Numbers for what the split keeps together, of each source for itself."""

    numbers: dict[str, dict[int, int]] = field(default_factory=dict)

    def number(self, source: str, value: str) -> int:
        """The number of a group, from 0; a new one for a new value."""
        known = self.numbers.setdefault(source, {})
        # Keyed by a hash: the values are whole answers.
        return known.setdefault(hash(value), len(known))


@dataclass(frozen=True, slots=True)
class Imported:
    """The rows of one table that became examples, and how many did not, by reason."""

    examples: list[Example]
    dropped: Counter[str]


def import_rows(
    course: Course,
    settings: ImportSettings,
    number: int,
    recipe: Recipe,
    groups: Groups,
    keep: Callable[[Example], Example] = lambda example: example,
) -> Imported:
    """The examples of one `[[dataset.import]]`, the `number`-th of the recipe, in the order of the table.

    `keep` is given each of them, and may return one that takes less memory.

    Raises:
        DatasetError: the table is missing or broken, or none of its rows can be used.
        RecipeError: a column that the table does not have.
    """
    path = find_table(course, settings)
    if settings.hub and not path.is_file():
        raise DatasetError(
            f"Hub dataset {settings.hub} is not on this machine, or was fetched with other settings. "
            f"Fetch it once with: mlx-tutor pull --data -c {course.name}"
        )
    where = f"dataset.import[{number}]"
    rows = stream_table(path)
    # Enough to find the columns; a table may be larger than memory.
    head = list(islice(rows, PEEKED))
    check_columns(head, settings, where)
    find_group = _choose_group(head, settings, where)
    source = name_source(settings)
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    line = 0
    for line, row in enumerate(chain(head, rows), 1):
        if settings.rows and len(examples) == settings.rows:
            dropped[f"{source}: beyond {where}.rows"] += 1
            continue
        conversation = read_conversation(row, settings.columns)
        if conversation is None:
            dropped[f"{source}: {explain_unread(row, settings.columns)}"] += 1
        elif not is_wanted(row, settings, conversation):
            dropped[f"{source}: not wanted by {where}"] += 1
        else:
            group = find_group(row, conversation)
            section = groups.number(source, group or _name_answer(conversation) or f"row {line}")
            examples.append(keep(_make_example(row, conversation, settings, recipe, source, section, group, line)))
    if not examples:
        reasons = ", ".join(f"{count} {reason.removeprefix(f'{source}: ')}" for reason, count in dropped.items())
        raise DatasetError(
            f"{where}: none of the {line} rows of {path} can be used ({reasons}). Its columns are "
            f'{", ".join(map(str, head[0]))}. Name those with the rows: columns = {{question = "...", answer = "..."}}'
        )
    return Imported(examples, dropped)


def fetch_imports(course: Course, recipe: Recipe) -> dict[str, int]:
    """Fetch every Hub dataset that the recipe names; returns the rows kept of each.

    Raises:
        DatasetError: none is named, no network, or no such dataset.
        RecipeError: a column that the dataset does not have.
    """
    fetched = {}
    for number, settings in enumerate(recipe.dataset.imports, 1):
        if settings.hub:
            fetched[settings.hub] = fetch_hub_table(course, settings, _accept(settings, f"dataset.import[{number}]"))
    if not fetched:
        raise DatasetError(f'{course.recipe} names no Hub dataset: add [[dataset.import]] with hub = "owner/name".')
    return fetched


def _accept(settings: ImportSettings, where: str) -> Callable[[TableRow], bool]:
    def accept(row: TableRow) -> bool:
        check_columns([row], settings, where)
        return is_wanted(row, settings, read_conversation(row, settings.columns))

    return accept


def check_columns(rows: Sequence[TableRow], settings: ImportSettings | TemplateSettings, where: str) -> None:
    """Raise RecipeError when the recipe names columns that no row has."""
    known = list(dict.fromkeys(str(column) for row in rows for column in row))
    named = {f"columns.{name}": column for name, column in settings.columns.items()}
    if isinstance(settings, ImportSettings):
        named |= {f"{name}.{column}": column for name in ("keep", "drop") for column in getattr(settings, name)}
    missing = [f"{where}.{name}: there is no column {item!r}" for name, item in named.items() if item not in known]
    if missing:
        raise RecipeError(f"{'; '.join(missing)}. The columns are {', '.join(known)}.")


def is_wanted(row: TableRow, settings: ImportSettings, conversation: Conversation | None) -> bool:
    """Whether a row with this conversation passes `keep`, `drop` and `language`."""
    if conversation is None:
        return False
    kept = all(_has_word(read_cell(row, column), words) for column, words in settings.keep.items())
    dropped = any(_has_word(read_cell(row, column), words) for column, words in settings.drop.items())
    if dropped or not kept:
        return False
    language = detect_language("\n".join(turn["content"] for turn in conversation.turns)) if settings.language else ""
    return language in ("", settings.language)


def _has_word(text: str, words: Sequence[str]) -> bool:
    """Whether one of the words, or its plural, stands in a text, in any case."""
    pattern = "|".join(re.escape(word) for word in words)
    return re.search(rf"(?<!\w)(?:{pattern})(?:e?s)?(?!\w)", text, re.IGNORECASE) is not None


def _choose_group(
    rows: Sequence[TableRow], settings: ImportSettings, where: str
) -> Callable[[TableRow, Conversation], str]:
    """How the group of a row is found; rows of our own making keep the section that they came from."""
    if not settings.group:
        return lambda row, _: _name_own_section(row)
    if any(settings.group in row for row in rows):
        return lambda row, _: read_cell(row, settings.group)
    columns = ", ".join(dict.fromkeys(str(column) for row in rows for column in row))
    hint = f"is no column ({columns})"
    try:
        pattern = re.compile(settings.group)
    except re.error as err:
        raise RecipeError(f"{where}.group: {settings.group!r} {hint}, and no regular expression ({err}).") from err

    def search(_: TableRow, conversation: Conversation) -> str:
        match = pattern.search("\n".join(turn["content"] for turn in conversation.turns))
        return "" if match is None else next((part for part in match.groups() if part), match.group())

    read = (read_conversation(row, settings.columns) for row in rows)
    if not any(search({}, conversation) for conversation in read if conversation is not None):
        raise RecipeError(f"{where}.group: {settings.group!r} {hint}, and as a regular expression it is in no row.")
    return search


def _name_answer(conversation: Conversation) -> str:
    """The words of the first trained answer, so that wordings of one question stay together; "" for a short one."""
    words = re.findall(r"\w+", conversation.pair[1].lower())
    return " ".join(words) if len(words) >= LEAST_WORDS else ""


def _name_own_section(row: TableRow) -> str:
    origin = row.get("origin")
    return f"{origin.get('source')}, section {origin.get('section')}" if isinstance(origin, Mapping) else ""


def _make_example(
    row: TableRow,
    conversation: Conversation,
    settings: ImportSettings,
    recipe: Recipe,
    source: str,
    section: int,
    group: str,
    line: int,
) -> Example:
    first, answer = conversation.pair
    qa = _read_own_pair(row) or QaPair(
        first, (), answer, conversation.category.lower() or "imported", (), conversation.context
    )
    heading = (group,) if group else ()
    origin = Origin(source, section, None, None, heading, "import", answer, line)
    system = conversation.system if settings.keep_system and conversation.system else recipe.course.system_prompt
    messages = _write_turns(conversation, system, f"{source}, row {line}", recipe.course.language)
    metadata = write_metadata(recipe.course, _read_metadata(row, settings))
    return Example(messages, origin, qa, _share_values(tuple(metadata.items())))


# Most rows of a table have the same metadata: they share one object.
@lru_cache(maxsize=1024)
def _share_values(items: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return dict(items)


@lru_cache(maxsize=1024)
def _write_system(system: str) -> Message:
    return {"role": "system", "content": system}


def _write_turns(conversation: Conversation, system: str, place: str, language: str) -> tuple[Message, ...]:
    """The whole conversation with a system prompt; its passage stands before the first question."""
    first = conversation.turns[0]["content"]
    if conversation.context:
        first = write_passages([(place, conversation.context)], first, language)
    # Rows that mlx-tutor exported have their passages in the question already.
    system = add_grounding(system, language) if first.startswith("<passage ") else system
    begun = [_write_system(system)] if system else []
    return (*begun, {"role": "user", "content": first}, *conversation.turns[1:])


def _read_own_pair(row: TableRow) -> QaPair | None:
    """The pair of a row that mlx-tutor wrote."""
    pair = row.get("qa_pair")
    if not isinstance(pair, Mapping):
        return None
    texts = {key: pair.get(key) for key in ("question", "answer", "type")}
    lists = {key: pair.get(key) for key in ("thought_process", "related_concepts")}
    if not all(isinstance(text, str) for text in texts.values()) or not all(map(_is_texts, lists.values())):
        return None
    values: dict[str, Any] = {**texts, **{key: tuple(items or ()) for key, items in lists.items()}}
    return QaPair(**values, context=str(pair.get("context") or ""))


def _is_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _read_metadata(row: TableRow, settings: ImportSettings) -> dict[str, str]:
    """What a row says of itself, in a column or in our own metadata, before what the recipe says of the table."""
    own = row.get("metadata")
    own = own if isinstance(own, Mapping) else {}
    found = {}
    for name in METADATA:
        cell = read_cell(row, find_column(row, name, settings.columns))
        found[name] = cell or str(own.get(name) or "") or getattr(settings, name)
    return found


def write_metadata(course: CourseSettings, known: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a row: what is known of it, else what the recipe says of the course."""
    return {name: known.get(name) or getattr(course, name) for name in METADATA} | {"application": "education"}
