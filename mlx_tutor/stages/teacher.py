"""Asking a teacher during `build`: the estimate before, and the report after."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlx_tutor.settings import LOCAL, GenerateSettings, TeacherSettings
from mlx_tutor.stages.job import Job

if TYPE_CHECKING:
    from mlx_tutor.dataset.mining.gaps import Place
    from mlx_tutor.dataset.teacher.examples import Estimate, TeacherRows
    from mlx_tutor.dataset.teacher.replies import Reply, Request, Teacher
    from mlx_tutor.models import LoadedModel
    from mlx_tutor.records import Chunk

OWN_HOSTS = ("localhost", "127.0.0.1", "::1")
# Tokens of a reply that a model is timed on.
TIMED_TOKENS = 16


def find_thin(job: Job) -> "frozenset[Place]":
    """The sections that give few rows without a teacher."""
    from mlx_tutor.dataset.build import find_gaps
    from mlx_tutor.models import load_tokenizer, render_tokens, resolve_model

    with job.screen.wait("looking for sections with few rows"):
        tokenizer = load_tokenizer(resolve_model(job.recipe.model.base))
        return find_gaps(job.course, job.recipe, lambda messages: len(render_tokens(tokenizer, messages)[0]))


def list_asked(job: Job, thin: "frozenset[Place] | None" = None) -> "list[Chunk]":
    """The pieces of the course, or of some sections, that the teacher is asked about; never those of a past exam."""
    from mlx_tutor.dataset.build import cut_chunks
    from mlx_tutor.dataset.firewall import find_held
    from mlx_tutor.dataset.gather import read_once

    documents = read_once(job.course, job.recipe).documents
    held = find_held(documents, job.recipe.dataset.holdout)
    return [
        chunk
        for chunk in cut_chunks(documents, job.recipe)
        if chunk.source not in held and (thin is None or (chunk.source, chunk.section) in thin)
    ]


def run_teacher(job: Job, chunks: "Sequence[Chunk]") -> "TeacherRows | None":
    """Have the teacher of the recipe write about the chunks; None where it names none.

    Raises:
        DatasetError: the teacher cannot be asked; what it said before is kept.
    """
    from mlx_tutor.dataset.teacher.endpoint import open_endpoint
    from mlx_tutor.dataset.teacher.examples import ask_teacher, estimate_teaching

    settings = job.recipe.teacher
    if not settings.model:
        return None
    estimate = estimate_teaching(job.course, chunks, settings)
    job.screen.say(describe_estimate(estimate, settings))
    if warning := warn_of_budget(estimate, settings):
        job.screen.warn(warning)
    opened = open_local(settings) if settings.model.startswith(LOCAL) else open_endpoint(settings)
    with opened as teacher, job.screen.follow("teacher") as on_progress:
        taught = ask_teacher(job.course, chunks, teacher, settings, on_progress)
    report = taught.to_json(settings)
    job.screen.say(describe_taught(report, settings))
    missing = dict(report["unanswered"])
    if report["unasked"]:
        missing["the budget of the recipe's [teacher] is spent"] = report["unasked"]
    if missing:
        reasons = "; ".join(f"{reason} ({count})" for reason, count in missing.items())
        job.screen.warn(f"Requests that got no reply, and whose rows are missing: {reasons}.")
    return taught


@contextmanager
def open_local(settings: TeacherSettings) -> "Iterator[Teacher]":
    """A model of this machine as the teacher, loaded when it is first asked something.

    It answers `teacher.concurrency` requests at a time.
    """
    from mlx_tutor.dataset.teacher.replies import Teacher

    @cache
    def load() -> "LoadedModel":
        from mlx_tutor.models import load_model, resolve_model

        return load_model(resolve_model(settings.model.removeprefix(LOCAL)))

    def ask_batch(requests: "Sequence[Request]", on_reply: "Callable[[int, Reply], None]") -> None:
        answer_requests(load(), requests, settings, on_reply)

    yield Teacher(settings.model, ask_batch=ask_batch)


def answer_requests(
    loaded: "LoadedModel",
    requests: "Sequence[Request]",
    settings: TeacherSettings,
    on_reply: "Callable[[int, Reply], None]",
) -> None:
    """Have a model answer requests in batches; a request that fills its context is a reply with that problem."""
    from mlx_tutor.dataset.teacher.replies import Reply
    from mlx_tutor.generate import generate_batch, read_answer
    from mlx_tutor.models import context_length, render_prompt

    prompts = [render_prompt(loaded.tokenizer, request.messages) for request in requests]
    room = context_length(loaded.config)
    for index, prompt in enumerate(prompts):
        if len(prompt) >= room:
            on_reply(index, Reply("", problem=f"{len(prompt)} tokens do not fit into the model's context of {room}"))
    fit = [index for index, prompt in enumerate(prompts) if len(prompt) < room]

    def take(place: int, tokens: "Sequence[int]", ended: str) -> None:
        prompt = prompts[fit[place]]
        text = read_answer(loaded.tokenizer, prompt, tokens)[1]
        on_reply(fit[place], Reply(text, len(prompt), len(tokens), cut=ended == "length", looped=ended == "repetition"))

    sampling = GenerateSettings(max_tokens=settings.max_tokens, temp=settings.temperature, top_p=0.95)
    generate_batch(loaded, [prompts[index] for index in fit], sampling, take, settings.concurrency)


def measure_seconds(estimate: "Estimate", settings: TeacherSettings) -> float | None:
    """About how long a model of this machine takes for the missing replies, timed on a few; None at an endpoint.

    Replies of one token tell what a request takes, those of a few more what each further token does.
    """
    from mlx_tutor.models import load_model, resolve_model

    sample = estimate.missing
    if not sample or not settings.model.startswith(LOCAL):
        return None
    loaded = load_model(resolve_model(settings.model.removeprefix(LOCAL)))

    def time_replies(tokens: int) -> tuple[float, int]:
        written: list[int] = []
        begun = time.perf_counter()
        answer_requests(
            loaded, sample, replace(settings, max_tokens=tokens), lambda index, reply: written.append(reply.tokens_out)
        )
        return time.perf_counter() - begun, sum(written)

    # What is computed for the first time takes longer.
    time_replies(1)
    (short, few), (long, more) = time_replies(1), time_replies(TIMED_TOKENS)
    per_token = max(0.0, long - short) / max(1, more - few)
    left = estimate.requests - estimate.known
    return left * short / len(sample) + max(0, estimate.tokens_out - left) * per_token


def lacks_replies(result: Mapping[str, Any]) -> bool:
    """Whether rows are missing only because the teacher did not answer: the next build asks again."""
    return bool((result.get("teacher") or {}).get("unanswered"))


def describe_estimate(estimate: "Estimate", settings: TeacherSettings) -> str:
    """What asking will take, and where the text of the course goes."""
    where = settings.model if settings.model.startswith(LOCAL) else f"{settings.model} at {settings.base_url}"
    text = f"teacher   {where}: {estimate.requests} requests"
    if estimate.known:
        text += f", {estimate.known} of them answered before"
    if estimate.tokens_in:
        text += f"; about {estimate.tokens_in:,} tokens in and {estimate.tokens_out:,} out"
        if settings.price_in or settings.price_out:
            text += f", cost about {estimate.cost:.2f}, at most {estimate.most_cost:.2f}"
        host = urlsplit(settings.base_url).hostname
        if host not in OWN_HOSTS and not settings.model.startswith(LOCAL):
            text += f". The text of the course is sent to {host}"
    if estimate.seconds is not None:
        from mlx_tutor.display import describe_seconds

        text += f"; about {describe_seconds(estimate.seconds)} on this machine"
    return f"{text}."


def warn_of_budget(estimate: "Estimate", settings: TeacherSettings) -> str:
    """One sentence when the budget may not last; empty when it will."""
    tokens = estimate.tokens_in + estimate.tokens_out
    if settings.budget_cost and estimate.cost > settings.budget_cost:
        return f"teacher.budget_cost = {settings.budget_cost:g} is less than the estimate; asking ends there."
    if settings.budget_tokens and tokens > settings.budget_tokens:
        return f"teacher.budget_tokens = {settings.budget_tokens:,} is less than the estimate; asking ends there."
    return ""


def describe_taught(report: Mapping[str, Any], settings: TeacherSettings) -> str:
    """What was asked now, and what all replies took."""
    text = f"teacher   {report['sent']} requests sent, {report['kept']} replies kept from before; "
    text += f"{report['tokens_in']:,} tokens in and {report['tokens_out']:,} out"
    return text + (f", cost {report['cost']:.2f}" if settings.price_in or settings.price_out else "")
