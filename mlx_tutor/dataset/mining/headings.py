"""What a heading says of the text below it: a topic, or that these are exercises, solutions or matter of the course.

The words stand in the language tables: `heading_exercise` and its like match what a heading consists of beside the
words of `heading_beside`, so that "Exercise physiology" stays a topic and "Review exercises for week 3" is none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from mlx_tutor.languages.table import Language, list_languages, read_language
from mlx_tutor.languages.words import list_stopwords, stem_words
from mlx_tutor.records import Chunk
from mlx_tutor.text import NO_BLANKS, count_words, strip_bold

Role = Literal["topic", "question", "phrase", "generic", "example", "exercise", "solution", "outside"]
ROLES: tuple[Role, ...] = ("exercise", "solution", "outside", "example", "generic")
# Below these stand tasks, and what is about the course.
NO_PROSE: frozenset[Role] = frozenset({"exercise", "solution", "outside"})
NUMBER = r"(?:[(]?(?:\d+(?:[.,]\d+)*\.?[a-z]?|[ivx]+|[a-z])[).:]?)"
IS_NUMBER = re.compile(NUMBER, re.IGNORECASE)
NUMBERED = re.compile(
    r"^(?:§\s*)?(?:[(]?\d+(?:\.\d+)*[.):]?|[IVX]+[.):]|[A-Z][.)]|[A-Z]\.\d+(?:\.\d+)*)[\s:–—-]+(?=\S)"
)
RANGE = re.compile(r"^[\d.\s]+(?:to|bis|al?|à|até|tot|-|–|—|至|到|,)[\d.,\s–—-]+$")
MARKUP = re.compile(
    r"^[\[({]*\*{1,2}|\*{1,2}[\])}]*$|[*`]|^#+|#+$|\d\ufe0f?\u20e3|[\u2600-\u27bf\U0001f000-\U0001faff\ufe0f\u200d]"
)
# What no name has in it: code, file names, sentences, lists.
NO_NAME = re.compile(r"[_=<>{}\\|;!?¿¡…\"“”„«»@#,。，？！；、]|\w\(|\(\)|\w{2}\.\w|->|::|\$[^$]{4,}\$|\d\s.*\s\d+\b")
SPLIT = re.compile(r"\s*:\s+|\s+[–—-]+\s+|—|：")
DATE = re.compile(r"^(?:\d{1,2}\.?\s+)?[^\W\d_]+\.?\s+(?:\d{1,2},?\s+)?(?:19|20)\d\d$")
# Files that come with a course and are no part of it.
ABOUT_FILES = re.compile(
    r"(?:^|[/_])(?:licen[sc]e|copying|contributing|code[-_ ]of[-_ ]conduct|changelog|security)\W", re.I
)
# What a task is worth: "(2 points)".
WORTH = re.compile(
    r"[(\[]\d+(?:[.,]\d+)?\s?(?:p|pkt|punkte?|points?|pts?|marks?|puntos?|punt[io]|pontos?|punten|分)\.?[)\]]", re.I
)
LETTERS = re.compile(r"[^\W\d_]{2}|[\u3040-\u9fff]")
MOST_WORDS, MOST_LETTERS = 8, 60
# Letters from which on a word in capitals is no abbreviation.
SHOUTED = 7
# Of the words of a heading, how many the text below has to use.
LEAST_SHARED = 0.5
WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Heading:
    """What a heading is; `name` is the topic that it names, and `whole` whether the text below is about all of that."""

    role: Role
    name: str = ""
    whole: bool = False


def name_topic(chunk: Chunk) -> str | None:
    """What a chunk may be asked about as a whole, as its heading has it; None where nothing in it says so.

    A heading such as "Overview" or "Properties" leaves that to the one above it. None for what goes on in the middle of
    a section, for exercises and examples, and for a text that does not use the words of its heading.
    """
    path = [read_heading(heading, chunk.language) for heading in chunk.heading]
    if not chunk.is_first or not has_prose(chunk):
        return None
    for heading in reversed(path):
        if heading.role != "generic":
            return heading.name if heading.whole and uses_words(chunk.text, heading.name, chunk.language) else None
    return None


def name_context(chunk: Chunk) -> str | None:
    """The nearest heading above a chunk that names a topic: what a question about a part of it may begin with."""
    path = [read_heading(heading, chunk.language) for heading in chunk.heading]
    if not has_prose(chunk):
        return None
    named = (heading for heading in reversed(path) if heading.name)
    # Before a colon there is as often a headline as a topic.
    return next((h.name for h in named if h.whole or uses_words(chunk.text, h.name, chunk.language)), None)


def name_question(chunk: Chunk) -> str | None:
    """The question that the heading of a chunk asks, where a student could ask it alone; else None."""
    text = clean_heading(chunk.heading[-1])
    asks = read_heading(chunk.heading[-1], chunk.language).role == "question" and text.endswith(("?", "？"))
    points = any(table.patterns["heading_points"].search(text) for table in _list_tables(chunk.language))
    known = asks and chunk.is_first and has_prose(chunk) and not points and not NO_NAME.search(text.strip("¿?？ "))
    return text if known and uses_words(chunk.text, text, chunk.language) else None


def has_prose(chunk: Chunk) -> bool:
    """Whether a chunk is course text: not below exercises, solutions, objectives, references and the like."""
    return not ABOUT_FILES.search(chunk.source) and has_prose_below(chunk.heading, chunk.language)


def has_prose_below(path: Sequence[str], language: str) -> bool:
    """As `has_prose`, of a path of headings."""
    return not any(read_heading(heading, language).role in NO_PROSE for heading in path)


def is_exercise(heading: str, language: str = "en") -> bool:
    """Whether tasks stand below a heading: "Review questions", "Übung 3: Zeiger", "Problem set"."""
    return read_heading(heading, language).role == "exercise"


def is_solution(heading: str, language: str = "en") -> bool:
    """Whether solutions stand below a heading: "Solution", "Lösungen zu den Aufgaben"."""
    return read_heading(heading, language).role == "solution"


def is_topic(heading: str, language: str = "en") -> bool:
    """Whether a heading names something that can be asked about."""
    return read_heading(heading, language).whole


def uses_words(text: str, name: str, language: str, least: float = LEAST_SHARED) -> bool:
    """Whether a text uses a share of the words of a name, in any form."""
    if NO_BLANKS.search(name):
        pairs = list_pairs(name, language)
        return bool(pairs) and sum(pair in text for pair in pairs) >= least * len(pairs)
    words = stem_words(set(WORD.findall(name.lower())) - list_stopwords(language), language)
    used = set(stem_words(WORD.findall(text), language))
    return bool(words) and sum(word in used for word in words) >= least * len(words)


def list_pairs(name: str, language: str) -> set[str]:
    """The neighbouring characters of a name without blanks between its words, and its words in other letters."""
    table = read_language(language)
    particle = table.patterns.get("heading_particle") if table else None
    runs = WORD.findall(particle.sub(" ", name) if particle else name)
    return {run[i : i + 2] for run in runs if NO_BLANKS.search(run) for i in range(len(run) - 1)} | {
        run for run in runs if not NO_BLANKS.search(run)
    }


@lru_cache(maxsize=1 << 14)
def clean_heading(heading: str) -> str:
    """A heading without its number, markup, signs and closing colon."""
    text = MARKUP.sub("", strip_bold(heading)).strip()
    # Set in capitals: THE LOST GENERATION.
    if text.isupper() and any(len(word) >= SHOUTED for word in text.split()):
        text = text.capitalize()
    text = text[1:-1] if re.fullmatch(r"\[[^\[\]]*\]|\([^()]*\)", text) else text
    for table in _list_tables(""):
        text = re.sub(
            rf"^(?:{table.patterns['heading_label'].pattern})(?:\s+{NUMBER}\s*[:.—–-]+\s*|(?<=[章节讲课周])[\s:：]+)",
            "",
            text,
            flags=re.IGNORECASE | re.VERBOSE,
        )
    return (text if DATE.match(text) else NUMBERED.sub("", text)).strip(" :.")


@lru_cache(maxsize=1 << 14)
def read_heading(heading: str, language: str = "en") -> Heading:
    """What a heading is in its language or in English, whose words courses of all languages have; "" tries all."""
    text = clean_heading(heading)
    tables = _list_tables(language)
    # "1. to 7.", "8."
    if not LETTERS.search(text) or RANGE.match(heading.strip(" *#")) or WORTH.search(heading):
        return Heading("exercise" if any(c.isdigit() for c in heading) else "generic")
    if any(table.patterns["heading_asks"].search(text) for table in tables) or text.endswith(("?", "？")):
        return Heading("question")
    if (role := _find_role(text, tables)) is not None:
        return Heading(role)
    goes_on = next((m for table in tables if (m := table.patterns["heading_continued"].search(text))), None)
    text = text[: goes_on.start()].strip() if goes_on else text
    first, *rest = SPLIT.split(text, maxsplit=1)
    if not rest:
        name = _name(text, tables)
        return Heading("topic" if name else "phrase", name, name != "" and goes_on is None)
    return _read_parts(first, rest[0], tables, language)


def _read_parts(first: str, rest: str, tables: tuple[Language, ...], language: str) -> Heading:
    """A heading with a colon or a dash: "Review: Sets", "Sets: exercises", "The mean: a first look"."""
    before, after = _find_role(first, tables), _find_role(rest, tables)
    if before == "generic":
        return read_heading(rest, language)
    if before is not None or after in NO_PROSE:
        return Heading(before or after or "generic")
    name = _name(first, tables)
    return Heading("topic", name, name != "" and rest[0].islower()) if name else Heading("phrase")


def _list_tables(language: str) -> tuple[Language, ...]:
    known = read_language(language)
    others = () if known else list_languages()
    codes = dict.fromkeys([language if known else "en", "en", *others])
    return tuple(table for code in codes if (table := read_language(code)) is not None)


def _find_role(text: str, tables: tuple[Language, ...]) -> Role | None:
    """What a heading consists of, when it is of such words and numbers alone or begins with one and a number."""
    spaced = re.sub(r"(?<=[\u4e00-\u9fff])(?=\d)", " ", text.lower())
    words = re.findall(r"[^\s:/,;()\[\].]+(?:\.\d+)*", spaced)
    if not words or "()" in text:
        return None
    for table in tables:
        if (role := _join_roles(list(_tile(words, table)))) is not None:
            return role
        task = table.patterns["heading_task"].pattern
        if re.search(rf"^(?:{task})(?!\w)|(?<!\w)(?:{task})$", text, re.IGNORECASE | re.VERBOSE):
            return "exercise"
        for length in (3, 2, 1):
            label, number = _match(" ".join(words[:length]), table), words[length : length + 1]
            is_number = number and number[0] not in ("a", "i") and IS_NUMBER.fullmatch(number[0])
            if label and (is_number or (words[0][-1].isdigit() and words[length:])):
                return label
    return None


def _join_roles(tiles: list[str | None]) -> Role | None:
    """The role of a whole heading from those of its parts; two of them side by side are the name of something."""
    roles: list[Role] = [role for role in ROLES if role in tiles]
    if None in tiles or any(one in ROLES and other in ROLES for one, other in pairwise(tiles)):
        return None
    first = next((tile for tile in tiles if tile in ROLES), "generic")
    for role in roles:
        # "Solutions to the exercises", "Notes and questions"; else the first says it: "Summary of the objectives".
        if (role == "solution" or (role == "exercise" and "solution" not in roles)) and first != "example":
            return role
    # "Short answers", but no "Simple models".
    return (
        None if "task" in tiles and first == "generic" and roles else next((r for r in roles if r == first), "generic")
    )


def _tile(words: list[str], table: Language) -> Iterator[str | None]:
    """The roles of the words of a heading; "" for what stands beside them, "task" beside tasks, None for others."""
    start = 0
    while start < len(words):
        for length in (4, 3, 2, 1):
            role = _match(" ".join(words[start : start + length]), table)
            # "Review" is a heading, and "review exercises" are exercises.
            if role and (length > 1 or len(words) == 1 or words[start] not in table.words["heading_tasks"]):
                yield role
                start += length
                break
        else:
            word = words[start]
            number = IS_NUMBER.fullmatch(word) or table.patterns["heading_label"].fullmatch(word)
            small = number is not None or word in table.words["heading_beside"] or not word[0].isalnum()
            tasks = table.words["heading_tasks"]
            yield "" if small else "task" if word in tasks or tasks.issuperset(word.split("-")) else None
            start += 1


def _match(words: str, table: Language) -> Role | None:
    return next((role for role in ROLES if table.patterns[f"heading_{role}"].fullmatch(words)), None)


def _name(text: str, tables: tuple[Language, ...]) -> str:
    """The topic that a heading names, "" where it is a phrase, a sentence, code or no word at all."""
    # In its own language alone: "a" is an article in English and in Portuguese.
    patterns = tables[0].patterns
    text = patterns["heading_opening"].sub("", text)
    words = text.split()
    is_phrase = patterns["heading_phrase"].search(text) or patterns["heading_points"].search(text)
    is_short = (
        max(len(words), count_words(text)) <= MOST_WORDS
        and 2 <= len(text) <= MOST_LETTERS
        and len(re.findall(r"[^\W\d_]", text)) > 1
    )
    return "" if not is_short or is_phrase or NO_NAME.search(text) or DATE.match(text) else text
