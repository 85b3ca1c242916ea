"""Routes beside the page: what is typed and not sent, and a conversation as a Markdown file."""

import json
import re
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from mlx_tutor.errors import TutorError
from mlx_tutor.study.chat.conversation import write_markdown
from mlx_tutor.study.chat.saved import list_saved, save_draft
from mlx_tutor.study.web.owners import name_owner
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.talks import NAME

UNKNOWN = "You have no such conversation.\n"


def make_talk_routes(site: Site) -> APIRouter:
    """The routes; each looks whose conversation it is."""
    router = APIRouter(prefix="/conversations")

    @router.post("/draft")
    async def keep_draft(request: Request) -> Response:
        try:
            sent = json.loads(await request.body())
            name, text = str(sent["id"]), str(sent["text"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return PlainTextResponse("Send an object with id and text.\n", 400)
        if not NAME.fullmatch(name):
            return PlainTextResponse(UNKNOWN, 404)
        owner = name_owner(site, request)
        return await run_in_threadpool(_keep_draft, site, owner, name, text)

    @router.get("/{name}.md")
    def export(name: str, request: Request) -> Response:
        holder = site.name_holder(name_owner(site, request))
        try:
            titles = {entry.id: entry.title for entry in list_saved(site.course, holder, most=100_000)}
        except TutorError as err:
            return PlainTextResponse(f"{err}\n", 503)
        if name not in titles:
            return PlainTextResponse(UNKNOWN, 404)
        talk = site.find_talk(name, holder.owner)
        text = write_markdown(talk.conversation.turns, titles[name])
        plain = re.sub(r"[^\w-]+", "-", titles[name]).strip("-") or "conversation"
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(plain)}.md"}
        return Response(text.encode(), media_type="text/markdown; charset=utf-8", headers=headers)

    return router


def _keep_draft(site: Site, owner: str, name: str, text: str) -> Response:
    try:
        if not save_draft(site.course, site.name_holder(owner), name, text):
            return PlainTextResponse(UNKNOWN, 404)
    except TutorError as err:
        return PlainTextResponse(f"{err}\n", 503)
    talk = site.talks.live.get(name)
    if talk is not None and talk.holder == site.name_holder(owner):
        talk.draft = text
    return Response(status_code=204)
