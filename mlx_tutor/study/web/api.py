"""An OpenAI-compatible API for the model of each course: /v1/models and /v1/chat/completions, in the worker's queue.

It is the bare model with the recipe's settings; under a second name, or with `"course": true`, it answers from the
course, and each choice of the reply has `supported`, `sources` and `passages`.
"""

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from mlx_tutor.errors import ServeError, TutorError, UnknownModelError
from mlx_tutor.generate import Answer
from mlx_tutor.study.chat.ask import CitedAnswer, clean_text
from mlx_tutor.study.web.api_answers import answer_request, count_usage, describe_support
from mlx_tutor.study.web.api_request import ChatRequest, describe_unknown, find_site, list_names, read_chat
from mlx_tutor.study.web.model_worker import Task
from mlx_tutor.study.web.site import Site


def make_api(sites: Sequence[Site]) -> APIRouter:
    """The routes, for all courses that are served."""
    router = APIRouter(prefix="/v1")
    begun = int(time.time())
    models = {
        name: {"id": name, "object": "model", "created": begun, "owned_by": "mlx-tutor"}
        for site in sites
        for name in list_names(site)
    }

    @router.get("/models")
    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": list(models.values())}

    @router.get("/models/{name:path}")
    def show_model(name: str) -> Response:
        return JSONResponse(models[name]) if name in models else refuse(describe_unknown(sites, name), 404)

    @router.post("/chat/completions")
    async def complete(request: Request) -> Response:
        try:
            body = json.loads(await request.body())
            site = find_site(body, sites) if isinstance(body, dict) else sites[0]
            wanted = read_chat(body, site)
        except ServeError as err:
            return refuse(str(err), 404 if isinstance(err, UnknownModelError) else 400)
        # Also for numbers of too many digits, and for lists in lists in lists.
        except (ValueError, RecursionError) as err:
            return refuse(f"The request is not valid JSON ({err}).")
        try:
            task = site.submit("API", lambda task: answer_request(site, wanted, task))
        except ServeError as err:
            return refuse(str(err), 503)
        if wanted.stream:
            stream = stream_chunks(wanted, task)
            return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return await wait_for_completion(wanted, request, task)

    return router


def refuse(message: str, status: int = 400) -> JSONResponse:
    """An error as OpenAI's clients read it."""
    named = "model_not_found" if status == 404 else None
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": named}
    return JSONResponse({"error": error}, status)


async def wait_for_completion(wanted: ChatRequest, request: Request, task: Task) -> Response:
    """The answers at their end; a client that leaves frees its turn."""
    async for _ in task.follow():
        if await request.is_disconnected():
            break
    if not task.future.done():
        return Response(status_code=499)
    try:
        answers: list[CitedAnswer] | None = task.take()
    except TutorError as err:
        return refuse(str(err))
    if answers is None:
        return refuse("The server is closing.", 503)
    choices = []
    for number, cited in enumerate(answers):
        message = {"role": "assistant", "content": clean_text(cited.answer.text), "refusal": None}
        end = {"logprobs": None, "finish_reason": name_reason(cited.answer)}
        choices.append({"index": number, "message": message} | end | describe_support(cited))
    usage = count_usage([cited.answer for cited in answers])
    return JSONResponse(begin_reply(wanted.model, "chat.completion") | {"choices": choices, "usage": usage})


async def stream_chunks(wanted: ChatRequest, task: Task) -> AsyncIterator[str]:
    """The answers as server-sent events; what supports one stands in its last chunk."""
    head = begin_reply(wanted.model, "chat.completion.chunk")

    def write(number: int, delta: dict[str, str], reason: str | None = None, **more: Any) -> str:
        choice = {"index": number, "delta": delta, "logprobs": None, "finish_reason": reason} | more
        usage = {"usage": None} if wanted.include_usage else {}
        return f"data: {json.dumps(head | {'choices': [choice]} | usage)}\n\n"

    try:
        for number in range(wanted.count):
            yield write(number, {"role": "assistant", "content": ""})
        sent = [0] * wanted.count
        async for _ in task.follow():
            for number in range(wanted.count):
                text = task.read(str(number))
                if len(text) > sent[number]:
                    yield write(number, {"content": text[sent[number] :]})
                    sent[number] = len(text)
        answers: list[CitedAnswer] = task.take() or []
        for number, cited in enumerate(answers):
            yield write(number, {}, name_reason(cited.answer), **describe_support(cited))
        if answers and wanted.include_usage:
            usage = count_usage([cited.answer for cited in answers])
            yield f"data: {json.dumps(head | {'choices': [], 'usage': usage})}\n\n"
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
