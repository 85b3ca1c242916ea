"""Rows as `ask` asks: several passages that search brings, the right one among near misses, or none that answers.

After RAFT (Zhang et al., 2024, arXiv 2403.10131): a model that is to answer from what a search brings is trained
beside passages that do not help, and some rows lack the one that does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mlx_tutor.dataset.messages import add_grounding, write_passages
from mlx_tutor.dataset.mining.headings import read_heading
from mlx_tutor.dataset.mining.language import list_stems, pick, rank
from mlx_tutor.hide import has_code
from mlx_tutor.languages.defining import find_term
from mlx_tutor.languages.table import read_language
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Example, Message, describe_place
from mlx_tutor.text import strip_bold

QUOTED, LACKING = " in passages", "not in the passages"
# Share of the words that an answer adds to its question from which on a passage may answer too.
ANSWERS = 0.6
# Topics that an answer names of passages that lack it.
TOPICS = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A passage of the course as `ask` quotes it, with its place; `topic` is its heading."""

    source: str
    section: int
    topic: str
    place: str
    text: str


Search = Callable[[str], Sequence[Found]]


def quote_found(
    splits: Mapping[str, Sequence[Example]],
    search: Search,
    recipe: Recipe,
    count_tokens: Callable[[Sequence[Message]], int],
) -> dict[str, list[Example]]:
    """The splits, in which rows that quote the passage of their answer quote those that a search brings.

    At most `dataset.passages`, as many as fit into `train.max_seq_length`, the right one at a place chosen by the seed.
    Of `dataset.unanswerable` of them the right one is left out, and the answer says what is missing. Rows of train
    quote no section that another split has rows of.
    """
    held = {(row.origin.source, row.origin.section) for split in ("valid", "test") for row in splits[split]}
    trained = {(row.origin.source, row.origin.section) for row in splits["train"]}
    holdout = recipe.dataset.holdout

    def is_allowed(found: Found, split: str) -> bool:
        place = (found.source, found.section)
        if found.source in holdout or (has_code(found.text) and not recipe.course.allow_code):
            return False
        # What a past exam asks may stand in sections that were kept out of training.
        return split != "train" or (place not in held and (not holdout or place in trained))

    def fits(messages: Sequence[Message]) -> bool:
        return count_tokens(messages) <= recipe.train.max_seq_length

    def rewrite(row: Example, split: str) -> Example:
        if not row.origin.method.endswith(" in passage"):
            return row
        # A term may stand in one passage alone: its near misses are those that share words with the answer.
        found = dict.fromkeys([*search(row.qa_pair.question), *search(row.qa_pair.answer)])
        return _quote(row, [passage for passage in found if is_allowed(passage, split)], recipe, fits) or row

    return {split: [rewrite(row, split) for row in rows] for split, rows in splits.items()}


def _quote(
    row: Example, found: Sequence[Found], recipe: Recipe, fits: Callable[[Sequence[Message]], bool]
) -> Example | None:
    """The row with passages that were found; None where there is no near miss that fits beside the right one."""
    qa, origin, seed = row.qa_pair, row.origin, recipe.dataset.seed
    near = [passage for passage in found if not _may_answer(passage, row)]
    key = (seed, origin.source, origin.section, qa.question)
    if rank("unanswerable", *key) % 1000 < 1000 * recipe.dataset.unanswerable:
        return _leave_unanswered(row, near, recipe, fits)
    place = describe_place(origin.source, origin.page, origin.cell, origin.heading)
    right = next((p for p in found if _holds(p, row)), None) or Found(origin.source, 0, "", place, qa.context)
    longest = list(_list_fitting(row, [right], near, recipe, fits))
    if not longest:
        return None
    passages = longest[-1]
    # The right one stands first there.
    at = rank("place", *key) % len(passages)
    passages = [*passages[1 : at + 1], right, *passages[at + 1 :]]
    told = replace(origin, method=origin.method.removesuffix(" in passage") + QUOTED)
    return replace(row, messages=_write(row, passages, recipe), origin=told, qa_pair=replace(qa, context=right.text))


def _list_fitting(
    row: Example,
    first: Sequence[Found],
    near: Sequence[Found],
    recipe: Recipe,
    fits: Callable[[Sequence[Message]], bool],
) -> Iterator[list[Found]]:
    """`first` with one near passage, with two, and so on, while there are few enough and the row is short enough."""
    for count in range(1, recipe.dataset.passages - len(first) + 1):
        given = [*first, *near[:count]]
        if count > len(near) or not fits(_write(row, given, recipe)):
            return
        yield given


def _leave_unanswered(
    row: Example, near: Sequence[Found], recipe: Recipe, fits: Callable[[Sequence[Message]], bool]
) -> Example | None:
    """The question beside passages without its answer, and what is missing for an answer."""
    table = read_language(recipe.course.language or "en")
    if table is None or "passages_lack" not in table.questions:
        return None
    qa, wordings, seed = row.qa_pair, table.questions, recipe.dataset.seed
    # "What is the reason that ...?" asks for no term.
    term = find_term(qa.question) if row.origin.method.startswith("definition") else None
    lacks = wordings["passages_lack_term" if term else "passages_lack"]
    # The course may say in another place, in other words, what the term means.
    near = [passage for passage in near if not (term and _names(passage, term, row.language))]
    for passages in reversed(list(_list_fitting(row, [], near, recipe, lambda messages: True))):
        # "Summary" is no topic.
        headings = [read_heading(passage.topic, row.language) for passage in passages]
        topics = list(dict.fromkeys(found.name for found in headings if found.role == "topic" and found.name))[:TOPICS]
        about = wordings["passages_have"][0].format(topics=", ".join(topics)) if topics else ""
        answer = pick(lacks, seed, qa.question).format(term=term) + about
        told = replace(
            row,
            origin=replace(row.origin, method=LACKING, evidence=""),
            qa_pair=replace(
                qa, thought_process=(), answer=answer, type="unanswerable", related_concepts=(),
                context=passages[0].text,
            ),
        )  # fmt: skip
        said: Message = {"role": "assistant", "content": answer}
        told = replace(told, messages=(*_write(told, passages, recipe)[:-1], said))
        if fits(told.messages):
            return told
    return None


def _write(row: Example, passages: Sequence[Found], recipe: Recipe) -> tuple[Message, ...]:
    """The chat of a row with these passages above its question, as `ask` writes them."""
    language = recipe.course.language
    *system, _, answer = row.messages
    quoted = write_passages([(found.place, found.text) for found in passages], row.qa_pair.question, language)
    told: tuple[Message, ...] = tuple(
        {"role": turn["role"], "content": add_grounding(turn["content"], language)} for turn in system
    )
    return (*told, {"role": "user", "content": quoted}, answer)


def _holds(found: Found, row: Example) -> bool:
    """Whether a passage has the evidence of a row word for word."""
    same = (found.source, found.section) == (row.origin.source, row.origin.section)
    return same and strip_bold(row.origin.evidence) in found.text


def _names(found: Found, term: str, language: str) -> bool:
    """Whether a passage or its heading has all the words of a term: it may say what that is, in words of its own."""
    words = list_stems(term, language) or {term.lower()}
    said = f"{found.topic}\n{found.text}"
    return term.lower() in said.lower() or words <= list_stems(said, language)


def _may_answer(found: Found, row: Example) -> bool:
    """Whether a passage has the evidence, or most of the words that the answer adds to the question."""
    asked = list_stems(row.qa_pair.question, row.language)
    added = list_stems(row.qa_pair.answer, row.language) - asked
    shared = added & list_stems(found.text, row.language)
    return _holds(found, row) or len(shared) >= ANSWERS * len(added)
