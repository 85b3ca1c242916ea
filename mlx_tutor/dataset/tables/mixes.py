"""Rows mixed in on request: general instructions, refusals of other topics, and teaching styles named in prompts."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import as_file, files

from mlx_tutor.dataset.messages import write_messages
from mlx_tutor.dataset.mining.concepts import collect_concepts
from mlx_tutor.dataset.mining.language import list_stems, pick, rank
from mlx_tutor.dataset.passage import is_passage
from mlx_tutor.dataset.split import mix_rows
from mlx_tutor.dataset.styles import find_style, write_system
from mlx_tutor.dataset.tables.imports import write_metadata
from mlx_tutor.dataset.tables.read import read_table
from mlx_tutor.dataset.tables.unwrap import TableRow
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Document, Example, Message, Origin, QaPair
from mlx_tutor.settings import CourseSettings
from mlx_tutor.text import strip_bold

GENERAL, REFUSAL = "general instruction", "not in the course"
# Not the tutor's prompt: under that, questions off the subject are to be refused.
GENERAL_COURSE = CourseSettings(system_prompt="You are a helpful assistant.")
# How many of the concepts that a course names most often are offered, and from how many they are taken.
OFFERED, KNOWN = 3, 24


def add_general(train: Sequence[Example], share: float, recipe: Recipe) -> list[Example]:
    """`train` with general instruction rows mixed in, `share` for each of its rows or all that there are.

    They are for training only: validation and test stay the course's own.
    """
    rows = _read_general()
    wanted = sorted(enumerate(rows, 1), key=lambda item: rank(recipe.dataset.seed, GENERAL, item[0]))
    made = []
    for line, row in wanted[: round(share * len(train))]:
        qa = QaPair(row["instruction"], (), row["response"], row["category"], ())
        origin = Origin(GENERAL, line - 1, None, None, (), GENERAL, qa.answer, line)
        metadata = {"subject": "general", "grade_level": "", "teaching_style": "", "application": "general"}
        made.append(Example(write_messages(qa, GENERAL_COURSE), origin, qa, metadata))
    return mix_rows([*train, *made], recipe.dataset.seed) if made else list(train)


def _read_general() -> list[TableRow]:
    with as_file(files("mlx_tutor.dataset") / "data" / "general.jsonl") as path:
        return read_table(path)


def make_refusals(documents: Sequence[Document], examples: Sequence[Example], recipe: Recipe) -> list[Example]:
    """Questions about something else, answered with what the tutor is for; every second one beside a passage.

    Their answers are alike on purpose, so they are made after curation.

    There are `dataset.refusals` of them for each of `examples`, or as many as there are questions that this course
    does not answer. One question is one group for the split.
    """
    seed = recipe.dataset.seed
    table = read_language(recipe.course.language or "en")
    if table is None or "refusal" not in table.questions:
        return []
    questions = find_outside_questions(table, documents, examples)
    questions.sort(key=lambda question: rank(seed, REFUSAL, question))
    passages = [
        (document.source, strip_bold(block.text))
        for document in documents
        for section in document.sections
        for block in section.blocks
        if is_passage(block)
    ]
    offered = _list_offers(documents)
    made = []
    for number, question in enumerate(questions[: round(recipe.dataset.refusals * len(examples))]):
        place, passage = passages[rank(seed, question) % len(passages)] if passages and number % 2 else ("", "")
        answer = _write_refusal(question, bool(passage), offered, recipe, table)
        qa = QaPair(question, (), answer, "refusal", (), passage)
        origin = Origin(REFUSAL, number, None, None, (), REFUSAL, answer, number + 1)
        messages = write_messages(qa, recipe.course, place)
        made.append(Example(messages, origin, qa, write_metadata(recipe.course, {})))
    return made


def find_outside_questions(table: Language, documents: Sequence[Document], examples: Sequence[Example]) -> list[str]:
    """Shipped questions with at least one word that the course never uses."""
    known: set[str] = set()
    for text in (section.text for document in documents for section in document.sections):
        known |= list_stems(text, table.code)
    for example in examples:
        known |= list_stems(f"{example.qa_pair.question} {example.qa_pair.answer}", table.code)
    return [question for question in table.questions["refusal_questions"] if list_stems(question, table.code) - known]


def _list_offers(documents: Sequence[Document]) -> list[str]:
    """The concepts that the course names most often, as they stand inside a sentence."""
    concepts = collect_concepts(documents, {})
    counts: Counter[str] = Counter()
    for document in documents:
        for section in document.sections:
            counts.update(concepts.find(section.text))
    return [concepts.lower(name) for name, count in counts.most_common(KNOWN) if count > 1]


def _write_refusal(question: str, has_passage: bool, offered: Sequence[str], recipe: Recipe, table: Language) -> str:
    seed, wordings = recipe.dataset.seed, table.questions
    names = sorted(offered, key=lambda name: rank(seed, question, name))[:OFFERED]
    offer = ""
    if len(names) == OFFERED:
        offer = pick(wordings["refusal_offer"], seed, question).format(", ".join(names))
    wording = pick(wordings["refusal_passage" if has_passage else "refusal"], seed, question, "refusal")
    return wording.format(course=recipe.course.subject or wordings["refusal_course"][0], offer=offer)


def tell_styles(
    examples: Iterable[Example], recipe: Recipe, keep: Callable[[Example], Example] = lambda example: example
) -> list[Example]:
    """Every row with its style in the metadata, and every second one with style and level in the system prompt.

    The others keep the plain prompt, which most questions will come with. `keep` is as in `import_rows`.
    """
    course = recipe.course
    told = []
    for example in examples:
        taught = example.metadata.get("teaching_style", "")
        style = find_style(example.qa_pair, "" if taught == course.teaching_style else taught)
        level = example.metadata.get("grade_level", "")
        level = "" if level == course.grade_level else level
        metadata = {**example.metadata, "teaching_style": style or taught}
        messages = example.messages
        if rank(recipe.dataset.seed, "style", example.qa_pair.question) % 2:
            prompt = write_system(course.system_prompt, style, level, course.language)
            messages = _tell_system(messages, course.system_prompt, prompt)
        told.append(keep(Example(tuple(messages), example.origin, example.qa_pair, metadata, example.language)))
    return told


def _tell_system(messages: Sequence[Message], plain: str, told: str) -> tuple[Message, ...]:
    """The same messages with another beginning of the course's system prompt; others' prompts are left alone."""
    first = messages[0]
    if first["role"] != "system" or not first["content"].startswith(plain):
        return tuple(messages)
    return ({"role": "system", "content": told + first["content"][len(plain) :]}, *messages[1:])
