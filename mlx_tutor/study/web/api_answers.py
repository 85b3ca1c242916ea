"""Answers to requests of the API, in the model thread: of the model alone, or from the course with their sources."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlx_tutor.generate import Answer
from mlx_tutor.models import LoadedModel, context_length
from mlx_tutor.recipe import Recipe
from mlx_tutor.records import Message
from mlx_tutor.study.chat.ask import (
    SEARCHED,
    CitedAnswer,
    Request,
    cite_answer,
    clean_question,
    generate_shown,
    pick_passages,
    write_question,
    write_system,
)
from mlx_tutor.study.chat.conversation import refers_back
from mlx_tutor.study.search.index import Index
from mlx_tutor.study.search.passages import Passage
from mlx_tutor.study.web.api_request import ChatRequest
from mlx_tutor.study.web.model_worker import Task
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.stops import stop_at


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is asked: `given` are the passages in `messages`, `found` those that may support the answer."""

    question: str
    messages: list[Message]
    given: tuple[Passage, ...] = ()
    found: tuple[Passage, ...] = ()
    seconds: float = 0.0


def answer_request(site: Site, wanted: ChatRequest, task: Task) -> list[CitedAnswer]:
    """The answers, one after the other, each written under its number; fewer where the client has left.

    Each takes the next seed, so that they differ at a temperature above 0.
    """
    with ExitStack() as stack:
        index = stack.enter_context(site.open_index()) if wanted.from_course else None
        loaded, cache = site.take_model(task), site.worker.take_cache("api")
        prompt = plan_request(loaded, index, wanted, site.recipe)
        generate = site.answers.remember(stop_at(wanted.stops, generate_shown), site.worker.loads, wanted.stops)
        cited: list[CitedAnswer] = []
        for number in range(wanted.count):
            if task.is_stopped() and cited:
                break
            request = Request(
                loaded,
                prompt.messages,
                replace(wanted.settings, seed=(wanted.settings.seed + number) % 2**63),
                lambda piece, label=str(number): task.write(piece, label),  # type: ignore[misc]
                cache,
                task.is_stopped,
                site.recipe.hides_code(),
            )
            place = (prompt.question, prompt.given, prompt.found, prompt.seconds)
            cited.append(cite_answer(request, index, *place, generate))
    return cited


def plan_request(loaded: LoadedModel, index: Index | None, wanted: ChatRequest, recipe: Recipe) -> Prompt:
    """The messages; with the course, the best passages that fit stand in the newest question of the user.

    Raises:
        TutorError: that question is empty, and the course was to be searched.
    """
    messages, language = wanted.messages, recipe.course.language
    last = max(place for place, message in enumerate(messages) if message["role"] == "user")
    if index is None:
        return Prompt(messages[last]["content"], messages)
    begun = time.perf_counter()
    question = clean_question(messages[last]["content"])
    found = tuple(index.search(write_query([m["content"] for m in messages if m["role"] == "user"], index), SEARCHED))

    def write(given: Sequence[Passage]) -> list[Message]:
        asked: Message = {"role": "user", "content": write_question(question, given, language)}
        begin = 1 if messages[0]["role"] == "system" else 0
        system = write_system(messages[0]["content"] if begin else "", bool(given), language)
        return [*system, *messages[begin:last], asked, *messages[last + 1 :]]

    room = context_length(loaded.config) - wanted.settings.max_tokens
    planned, given = pick_passages(loaded, found, write, room, recipe.dataset.passages)
    return Prompt(question, planned, given, found, time.perf_counter() - begun)


def write_query(questions: Sequence[str], index: Index) -> str:
    """What to search for: the last question, behind the one that it refers back to."""
    topic = ""
    for question in questions:
        topic = topic if topic and refers_back(question, index.language) else question
    return topic if topic == questions[-1] else f"{topic} {questions[-1]}"


def describe_support(cited: CitedAnswer) -> dict[str, Any]:
    """Sources and passages of one answer as JSON, where the course was searched, and whether it was given before."""
    from_cache = {"from_cache": True} if cited.answer.from_cache else {}
    if cited.supported is None:
        return from_cache
    sources = [asdict(source) | {"heading": list(source.heading)} for source in cited.sources]
    passages = []
    for passage in cited.passages:
        page, cell = passage.find_place()
        place = {"source": passage.source, "section": passage.section, "heading": list(passage.heading)}
        passages.append(place | {"page": page, "cell": cell, "text": passage.text})
    return {"supported": cited.supported, "sources": sources, "passages": passages} | from_cache


def count_usage(answers: Sequence[Answer]) -> dict[str, Any]:
    """Tokens in, once, and out."""
    read, written = answers[0].prompt_tokens, sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": answers[0].cached_tokens},
    }
