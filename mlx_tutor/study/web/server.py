"""The local server: pages, API and the courses' own files, with one model at a time."""

import asyncio
import errno
import logging
import os
import secrets
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

# Read by Gradio when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_SSR_MODE"] = "False"

import gradio as gr
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from mlx_tutor.errors import ServeError
from mlx_tutor.study.reader.shelf import find_source
from mlx_tutor.study.web.api import make_api
from mlx_tutor.study.web.connections import LimitedProtocol
from mlx_tutor.study.web.middleware import AccessRules, RequestChecks, is_loopback
from mlx_tutor.study.web.monitor_tab import make_metrics
from mlx_tutor.study.web.overview import find_curve
from mlx_tutor.study.web.page import build_page, make_theme, read_script, read_style
from mlx_tutor.study.web.reader import make_reader
from mlx_tutor.study.web.site import Site
from mlx_tutor.study.web.talk_routes import make_talk_routes
from mlx_tutor.study.web.uploads import make_uploads

MIN_PASSWORD = 8
# Seconds that open connections get when the server ends.
CLOSE_SECONDS = 1
# A source is shown as it is: nothing in it may run.
TEXT_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox"}
# The browser's own reader shows a PDF; it is an object to the general policy.
PDF_HEADERS = {"Content-Security-Policy": "frame-ancestors 'none'"}


def make_app(sites: Sequence[Site], access: AccessRules) -> FastAPI:
    """API, and page and files of each course, behind the request checks; with several, the first page is at `/` too."""
    # Within a loop: without one, Gradio makes several, and closes none of them.
    return asyncio.run(_build_app(sites, access))


async def _build_app(sites: Sequence[Site], access: AccessRules) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # What it answers would not be in the record of an exam.
    if all(site.exam is None for site in sites):
        app.include_router(make_api(sites))
    if sites[0].root:
        # Gradio's page asks for manifest and icon at the top, wherever it stands.
        @app.get("/")
        @app.get("/manifest.json")
        @app.get("/favicon.ico")
        def send_on(request: Request) -> Response:
            return RedirectResponse(f"{sites[0].root}{request.url.path}")

    for site in sites:
        add_course(app, site)
    roots, uploads = tuple(unquote(site.root) for site in sites), any(site.takes_files for site in sites)
    app.add_middleware(RequestChecks, access=access, roots=roots, uploads=uploads)
    return app


def add_course(app: FastAPI, site: Site) -> None:
    """Page, reader, counts and files of a course, below its root."""
    root = unquote(site.root)
    if site.exam is None:
        app.include_router(make_metrics(site), prefix=root)
    uploads = [make_uploads(site)] if site.takes_files else []
    for router in (make_reader(site), make_talk_routes(site), make_files(site), *uploads):
        app.include_router(router, prefix=root)
    gr.mount_gradio_app(
        app,
        build_page(site).queue(default_concurrency_limit=None),
        path=root or "/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        mcp_server=False,
        max_file_size=0,
        css=read_style(),
        head=read_script(),
        theme=make_theme(),
    )


def make_files(site: Site) -> APIRouter:
    """Sources as they are, and the loss curves of runs."""
    router = APIRouter()

    @router.get("/sources/{name:path}")
    def send_source(name: str) -> Response:
        path = find_source(site.course, name)
        if path is None:
            return PlainTextResponse("This course has no such source.\n", 404)
        if path.suffix.lower() == ".pdf":
            return FileResponse(path, media_type="application/pdf", headers=PDF_HEADERS)
        return FileResponse(path, media_type="text/plain; charset=utf-8", headers=TEXT_HEADERS)

    @router.get("/runs/{name}/loss.png")
    def send_curve(name: str) -> Response:
        path = find_curve(site.course, name)
        if path is None:
            return PlainTextResponse("This course has no such run.\n", 404)
        return FileResponse(path, media_type="image/png")

    return router


def open_socket(host: str, port: int) -> socket.socket:
    """Take a port before anything slow begins; 0 takes a free one.

    Raises:
        ServeError: the port is taken or not allowed, or the host is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as err:
        raise ServeError(f"{host!r} is not an address of this machine ({err.strerror}). Try 127.0.0.1.") from err
    try:
        # Without it, a port stays closed for a minute after the last server.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(128)
    except OSError as err:
        taken.close()
        raise ServeError(_explain(err, host, port)) from err
    return taken


def _explain(err: OSError, host: str, port: int) -> str:
    if err.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is in use, perhaps by another mlx-tutor serve: look at {write_address(host, port)}, "
            f"or take another with --port {port + 1}."
        )
    if err.errno == errno.EACCES:
        return f"Port {port} needs more rights than you have. Take one above 1023, as --port 7860."
    return f"{host} cannot be listened on ({err.strerror}). Try 127.0.0.1."


def write_address(host: str, port: int) -> str:
    """Where a browser finds the server."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def check_exposure(host: str, password: str | None, share: bool, exam: bool = False, uploads: bool = False) -> None:
    """Refuse to be reached from elsewhere without a password, and in an exam at all; raises ServeError."""
    if exam and (share or not is_loopback(host)):
        raise ServeError("An exam stays on this machine: start it without --host and --share.")
    if exam and uploads:
        raise ServeError("An exam takes no files: start it without --allow-upload.")
    if password is not None and len(password) < MIN_PASSWORD:
        raise ServeError(f"The password is too short: at least {MIN_PASSWORD} characters.")
    if password is None and share:
        raise ServeError("--share makes the page public. Give it a password with --password.")
    if password is None and not is_loopback(host):
        raise ServeError(f"--host {host} lets other machines in. Give it a password with --password.")


def open_tunnel(access: AccessRules) -> str:
    """A public address at Gradio's share service that leads here; raises ServeError when there is none to be had."""
    from gradio import networking

    try:
        address: str = networking.setup_tunnel("127.0.0.1", access.port, secrets.token_urlsafe(32), None, None)
    # Gradio raises RuntimeError, ValueError and its own kinds, for want of a network mostly.
    except Exception as err:
        raise ServeError(f"No share link: {str(err).splitlines()[0]} Start without --share.") from err
    access.shared.add(address.partition("://")[2].strip("/").lower())
    return address


def make_server(app: Any) -> uvicorn.Server:
    """The server; `run(sockets=[...])` serves until Ctrl-C."""
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        # So many are accepted at a time, before the limit on them can hold.
        backlog=32,
        log_level="error",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return uvicorn.Server(config)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log entry matters: open pages that are disconnected at the end do not."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and not record.getMessage().startswith("Cancel ")
