"""An OpenAI-compatible API for the one loaded model: /v1/models and /v1/chat/completions, in the worker's queue.

It is the bare model with the recipe's settings, without the course's passages. What it does not offer (tools, images,
several answers) is refused, so that no client takes it for done.
"""

import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from mlx_tutor.errors import ServeError, TutorError, UnknownModelError
from mlx_tutor.generate import Answer
from mlx_tutor.records import Message
from mlx_tutor.settings import GenerateSettings
from mlx_tutor.study.chat.ask import clean_text, generate_shown
from mlx_tutor.study.web.model_worker import Task
from mlx_tutor.study.web.site import Site

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# Asked for, and at other values than these, they would change the answer in ways that are not offered.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "stop": ([], ""),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}
# Name there, name in the recipe, type, least and most.
NUMBERS = (
    ("max_tokens", "max_tokens", int, 1, 1_000_000),
    ("max_completion_tokens", "max_tokens", int, 1, 1_000_000),
    ("temperature", "temp", float, 0.0, 2.0),
    ("top_p", "top_p", float, 0.0, 1.0),
    ("seed", "seed", int, -(2**63), 2**63 - 1),
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that was understood."""

    messages: list[Message]
    settings: GenerateSettings
    stream: bool
    include_usage: bool


def make_api(site: Site) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1")
    begun = int(time.time())
    model = {"id": site.label, "object": "model", "created": begun, "owned_by": "mlx-tutor"}

    @router.get("/models")
    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @router.get("/models/{name:path}")
    def show_model(name: str) -> Response:
        return JSONResponse(model) if name == site.label else refuse(_describe_unknown(site, name), 404, "model")

    @router.post("/chat/completions")
    async def complete(request: Request) -> Response:
        try:
            wanted = read_chat(json.loads(await request.body()), site)
        except ServeError as err:
            return refuse(str(err), 404 if isinstance(err, UnknownModelError) else 400)
        # Also for numbers of too many digits, and for lists in lists in lists.
        except (ValueError, RecursionError) as err:
            return refuse(f"The request is not valid JSON ({err}).")
        try:
            task = site.worker.submit(lambda task: answer_chat(site, wanted, task))
        except ServeError as err:
            return refuse(str(err), 503)
        if wanted.stream:
            stream = stream_chunks(site.label, wanted, task)
            return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return await wait_for_completion(site.label, request, task)

    return router


def answer_chat(site: Site, wanted: ChatRequest, task: Task) -> Answer:
    """Answer in the model thread."""
    loaded, cache = site.worker.take_model(), site.worker.take_cache("api")
    hidden = site.recipe.hides_code()
    return generate_shown(loaded, wanted.messages, wanted.settings, task.write, cache, task.is_stopped, hidden)


def read_chat(body: Any, site: Site) -> ChatRequest:
    """Understand a request; raises ServeError that says what is not offered or wrong."""
    if not isinstance(body, dict):
        raise ServeError("The request has to be an object.")
    if body.get("model") != site.label:
        raise UnknownModelError(_describe_unknown(site, str(body.get("model"))))
    for name, neutral in NEUTRAL.items():
        if body.get(name) is not None and body[name] not in neutral:
            raise ServeError(f"{name} is not supported here.")
    settings = replace(site.recipe.generate, **read_numbers(body))
    options = body.get("stream_options") or {}
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    messages = read_messages(body.get("messages"))
    system = site.recipe.course.system_prompt
    if system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    return ChatRequest(messages, settings, body.get("stream") is True, include_usage)


def read_numbers(body: dict[str, Any]) -> dict[str, Any]:
    """The settings that a request changes."""
    values = {}
    for name, setting, kind, low, high in NUMBERS:
        value = body.get(name)
        if value is None:
            continue
        fits = isinstance(value, int | float if kind is float else int) and not isinstance(value, bool)
        if not fits or not low <= value <= high:
            raise ServeError(f"{name} has to be a number between {low} and {high}.")
        values[setting] = kind(value)
    if "seed" in values:
        # What mlx takes.
        values["seed"] %= 2**63
    return values


def read_messages(value: Any) -> list[Message]:
    """The conversation; raises ServeError when it is none, or not of text."""
    if not isinstance(value, list) or not value:
        raise ServeError("messages has to be a list of at least one message.")
    messages: list[Message] = []
    for number, item in enumerate(value):
        role = ROLES.get(str(item.get("role"))) if isinstance(item, dict) else None
        if role is None:
            raise ServeError(f"messages[{number}]: role has to be one of {', '.join(ROLES)}.")
        messages.append({"role": role, "content": read_content(item.get("content"), number)})
    if messages[-1]["role"] == "assistant" or all(m["role"] == "system" for m in messages):
        raise ServeError("The last message has to be the user's.")
    return messages


def read_content(content: Any, number: int) -> str:
    """Text, or the texts of a list of parts."""
    if isinstance(content, list):
        parts = [p.get("text") if isinstance(p, dict) and p.get("type") == "text" else None for p in content]
        content = "\n".join(parts) if all(isinstance(part, str) for part in parts) else None  # type: ignore[arg-type]
    if not isinstance(content, str):
        raise ServeError(f"messages[{number}]: content has to be text; nothing else is supported here.")
    return clean_text(content)


def _describe_unknown(site: Site, name: str) -> str:
    return f"No model {clean_text(name)[:80]!r}; loaded is {site.label!r}."


def refuse(message: str, status: int = 400, kind: str = "") -> JSONResponse:
    """An error as OpenAI's clients read it."""
    named = "model_not_found" if status == 404 else kind or None
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": named}
    return JSONResponse({"error": error}, status)


async def wait_for_completion(label: str, request: Request, task: Task) -> Response:
    """One answer at its end; a client that leaves frees its turn."""
    async for _ in task.follow():
        if await request.is_disconnected():
            break
    if not task.future.done():
        return Response(status_code=499)
    try:
        answer: Answer | None = task.take()
    except TutorError as err:
        return refuse(str(err))
    if answer is None:
        return refuse("The server is closing.", 503)
    message = {"role": "assistant", "content": clean_text(answer.text), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": name_reason(answer)}
    return JSONResponse(begin_reply(label, "chat.completion") | {"choices": [choice], "usage": count_usage(answer)})


async def stream_chunks(label: str, wanted: ChatRequest, task: Task) -> AsyncIterator[str]:
    """The answer as server-sent events."""
    head = begin_reply(label, "chat.completion.chunk")

    def write(delta: dict[str, str], reason: str | None = None, **more: Any) -> str:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        usage = {"usage": None} if wanted.include_usage else {}
        return f"data: {json.dumps(head | {'choices': choices} | usage | more)}\n\n"

    try:
        yield write({"role": "assistant", "content": ""})
        sent = 0
        async for _ in task.follow():
            text = task.read()
            if len(text) > sent:
                yield write({"content": text[sent:]})
                sent = len(text)
        answer: Answer | None = task.take()
        if answer is not None:
            yield write({}, name_reason(answer))
            if wanted.include_usage:
                yield f"data: {json.dumps(head | {'choices': [], 'usage': count_usage(answer)})}\n\n"
    except TutorError as err:
        yield f"data: {json.dumps({'error': {'message': str(err), 'type': 'invalid_request_error'}})}\n\n"
        return
    finally:
        # Wherever a client left it.
        task.stop()
    yield "data: [DONE]\n\n"


def begin_reply(label: str, kind: str) -> dict[str, Any]:
    """The fields that begin every reply and chunk."""
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": label}


def name_reason(answer: Answer) -> str:
    """OpenAI's word for why an answer ended."""
    return "length" if answer.finish_reason == "length" else "stop"


def count_usage(answer: Answer) -> dict[str, Any]:
    """Tokens in and out."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.tokens,
        "total_tokens": answer.prompt_tokens + answer.tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
    }
