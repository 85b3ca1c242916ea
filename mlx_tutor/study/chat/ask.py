"""Answers with citations: search the course, answer from its passages, and find what supports the answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mlx_tutor.dataset.messages import add_grounding, defuse_marks, write_passages
from mlx_tutor.errors import TutorError
from mlx_tutor.extract.extract import read_documents
from mlx_tutor.generate import Answer, PromptCache, generate_answer
from mlx_tutor.hide import CodeHider, hide_code
from mlx_tutor.models import LoadedModel, context_length, render_prompt
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Document, Message
from mlx_tutor.records import describe_place as join_place
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.study.chat.support import Source, find_support
from mlx_tutor.study.search.index import Index
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.text import strip_bold, strip_controls

# Passages looked at for a question; the best of them that fit go to the model.
SEARCHED = 8


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """An answer and what supports it.

    `passages` are those that the model was given. `supported` is None when the course was not searched; else it says
    whether at least one sentence of the answer has a source. `checked` counts the sentences that say enough to have
    one; `spans` are where they begin and end in the answer's text.
    """

    question: str
    answer: Answer
    passages: tuple[Passage, ...]
    sources: tuple[Source, ...]
    supported: bool | None
    checked: int
    search_seconds: float
    answer_seconds: float
    support_seconds: float
    spans: tuple[tuple[int, int], ...] = ()


def clean_text(text: str) -> str:
    """`text` without control characters, lone surrogates and marks that reverse the direction of writing."""
    return strip_controls(text)


def clean_question(question: str) -> str:
    """The question without control characters; raises TutorError when nothing is left of it."""
    cleaned = clean_text(question.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not any(character.isalnum() for character in cleaned):
        raise TutorError('The question is empty. Ask in words, as: mlx-tutor ask "What is a p-value?"')
    return cleaned


def answer_question(
    loaded: LoadedModel,
    index: Index | None,
    question: str,
    recipe: Recipe,
    on_passages: Callable[[Sequence[Passage], Sequence[Passage]], None] = lambda found, given: None,
    on_text: Callable[[str], None] = lambda piece: None,
) -> CitedAnswer:
    """Answer one question from the best passages of a course, and find what supports the answer.

    Args:
        index: The course's index; None: the model answers alone, and nothing is checked.
        recipe: System prompt and limits.
        on_passages: Called before the model begins, with the passages found (none: the course has no content word
            of the question) and those that the model is given (none: or none fits into its context).

    Raises:
        TutorError: an empty question.
        ModelError: the question fills the model's context.
    """
    question = clean_question(question)
    begun = time.perf_counter()
    found = index.search(question, SEARCHED) if index is not None else []
    messages, given = fit_passages(loaded, question, found, recipe)
    on_passages(found, given)
    searched = time.perf_counter() - begun
    request = Request(loaded, messages, recipe.generate, on_text, without_code=recipe.hides_code())
    return cite_answer(request, index, question, given, found, searched)


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is to answer.

    `on_text` is called with each piece of the answer, as it may be shown; `without_code`: with a note in place of
    code, in whole lines. `cache` and `is_stopped` are those of `generate_answer`.
    """

    loaded: LoadedModel
    messages: Sequence[Message]
    settings: GenerateSettings
    on_text: Callable[[str], None]
    cache: PromptCache | None = None
    is_stopped: Callable[[], bool] = lambda: False
    without_code: bool = False


# How an answer comes about: `generate_shown`, or what stands around it.
Generate = Callable[[Request], Answer]


def generate_shown(request: Request) -> Answer:
    """An answer as it may be shown: without control characters, and with a note in place of code if so wanted."""
    on_text, hider = request.on_text, CodeHider() if request.without_code else None

    def write(piece: str) -> None:
        on_text(clean_text(piece) if hider is None else hider.feed(clean_text(piece)))

    place = (request.loaded, request.messages, request.settings, write, request.cache, request.is_stopped)
    answer = generate_answer(*place)
    answer = replace(answer, text=clean_text(answer.text), thoughts=clean_text(answer.thoughts))
    if hider is None:
        return answer
    on_text(hider.finish())
    return hide_answer(answer)


def cite_answer(
    request: Request,
    index: Index | None,
    question: str,
    given: Sequence[Passage],
    found: Sequence[Passage],
    search_seconds: float,
    generate: Generate = generate_shown,
) -> CitedAnswer:
    """Answer a request, in whose messages the passages `given` stand, and look for support in those `found`."""
    begun = time.perf_counter()
    answer = generate(request)
    answered = time.perf_counter()
    sources, spans = find_support(answer.text, question, found, index.language if index else "en")
    if index is not None and sources:
        sources = keep_verbatim(sources, read_documents(index.course))
    return CitedAnswer(
        question=question,
        answer=answer,
        passages=tuple(given),
        sources=sources,
        supported=bool(sources) if index is not None else None,
        checked=len(spans),
        search_seconds=search_seconds,
        answer_seconds=answered - begun,
        support_seconds=time.perf_counter() - answered,
        spans=spans,
    )


def hide_answer(answer: Answer) -> Answer:
    """An answer with a note in place of its code."""
    return replace(answer, text=hide_code(answer.text), thoughts=hide_code(answer.thoughts))


def fit_passages(
    loaded: LoadedModel, question: str, passages: Sequence[Passage], recipe: Recipe
) -> tuple[list[Message], tuple[Passage, ...]]:
    """The prompt with as many whole passages, best first, as rows quote and leave room for an answer; and those."""
    room = context_length(loaded.config) - recipe.generate.max_tokens
    most = recipe.dataset.passages
    return pick_passages(loaded, passages, lambda given: write_prompt(question, given, recipe), room, most)


def pick_passages(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    write: Callable[[Sequence[Passage]], list[Message]],
    room: int,
    most: int,
) -> tuple[list[Message], tuple[Passage, ...]]:
    """What `write` makes of at most so many whole passages, best first, that keep it within `room` tokens; and those.

    A model answers worse from more passages than its rows quote (`dataset.passages`).
    """
    given: list[Passage] = []
    messages = write(given)
    for passage in passages:
        longer = write([*given, passage])
        if len(given) < most and len(render_prompt(loaded.tokenizer, longer)) <= room:
            messages, given = longer, [*given, passage]
    return messages, tuple(given)


def write_prompt(question: str, passages: Sequence[Passage], recipe: Recipe) -> list[Message]:
    """System prompt, and a user turn of the passages and the question; without passages, the question alone.

    Neither passages nor question can close the quotation.
    """
    course = recipe.course
    user = write_question(question, passages, course.language)
    return [*write_system(course.system_prompt, bool(passages), course.language), {"role": "user", "content": user}]


def write_system(system: str, grounded: bool, language: str) -> list[Message]:
    """The system prompt, if there is one; `grounded`: with what is to be said of passages."""
    if grounded:
        system = add_grounding(system, language)
    return [{"role": "system", "content": system}] if system else []


def write_question(question: str, passages: Sequence[Passage], language: str) -> str:
    """The user turn of `write_prompt`."""
    if not passages:
        return defuse_marks(question)
    return write_passages([quote_passage(passage) for passage in passages], question, language)


def quote_passage(passage: Passage) -> tuple[str, str]:
    """Place and text of a passage as a question quotes it, in training rows too."""
    return describe_place(passage), strip_bold(clean_text(passage.text))


def describe_place(place: Passage | Source) -> str:
    """`week3.pdf, page 4, Regression > Assumptions`."""
    page, cell = place.find_place() if isinstance(place, Passage) else (place.page, place.cell)
    return join_place(place.source, page, cell, place.heading)


def keep_verbatim(sources: Sequence[Source], documents: Sequence[Document]) -> tuple[Source, ...]:
    """Those whose quote occurs in the section they name, in the documents themselves."""
    sections = {document.source: document.sections for document in documents}
    return tuple(
        source
        for source in sources
        if source.section < len(sections.get(source.source, ()))
        and source.quote in sections[source.source][source.section].text
    )
