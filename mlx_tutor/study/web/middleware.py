"""Which requests the local server answers: checks of host, origin, password and route.

A web page elsewhere can make a browser send requests to this machine, under any name that it points here (DNS
rebinding). So the Host has to be ours, and so has the Origin. Of Gradio, only the routes that the page needs are
there: it has others that take uploads, serve files or fetch addresses.
"""

import asyncio
import base64
import binascii
import hmac
import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 2_000_000
# Answer to a wrong password only after so many seconds.
WRONG_SECONDS = 1.0
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
READABLE = (
    *("/assets/", "/static/", "/svelte/", "/sources/", "/runs/", "/v1/models"),
    *("/gradio_api/heartbeat/", "/gradio_api/queue/data", "/gradio_api/startup-events"),
)
READABLE_EXACTLY = (
    *("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json"),
    *("/gradio_api/app_id", "/gradio_api/theme.css"),
)
WRITABLE = ("/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset", "/v1/chat/completions")
# Gradio's page has scripts and styles inside it, and fills its templates with eval; nothing comes from elsewhere.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(slots=True)
class AccessRules:
    """Names that the server answers to, as `name` or `name:port`, and the password when there is one."""

    host: str
    port: int
    password: str | None = None
    shared: set[str] = field(default_factory=set)

    def knows_host(self, host: str) -> bool:
        """Whether a Host header is ours."""
        if host in self.shared:
            return True
        name, port = _split_host(host)
        if port != self.port:
            return False
        if name in LOOPBACK_NAMES or name == self.host.lower():
            return True
        # Rebinding needs a name of its own: an address, or this machine's name in its network, is none.
        return not is_loopback(self.host) and (_is_address(name) or name in _list_own_names())

    def knows_origin(self, origin: str, host: str) -> bool:
        """Whether an Origin header is that of our own page, reached as `host`."""
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host

    def knows_password(self, header: str) -> bool:
        """Whether an Authorization header (Basic with any user, or Bearer) holds the password."""
        if self.password is None:
            return True
        kind, _, value = header.partition(" ")
        if kind.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        return hmac.compare_digest(value.encode(), self.password.encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server at `host`."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _list_own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", name.removesuffix(".local")}


def _split_host(host: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").lower(), parts.port or 80
    except ValueError:
        return "", 0


class RequestChecks:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, access: AccessRules) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        problem = self.find_problem(scope)
        if problem is not None:
            status, text = problem
            if status == 401 and Headers(scope=scope).get("authorization"):
                await asyncio.sleep(WRONG_SECONDS)
            headers = {"WWW-Authenticate": 'Basic realm="mlx-tutor", charset="UTF-8"'} if status == 401 else {}
            await PlainTextResponse(f"{text}\n", status, headers | HEADERS)(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    # A route may be stricter.
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_guarded)

    def find_problem(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text of a refusal, or None."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if not self.access.knows_host(host):
            return 421, "This server does not answer to that name."
        if origin is not None and not self.access.knows_origin(origin, host):
            return 403, "Requests from other web pages are refused."
        if not self.access.knows_password(headers.get("authorization", "")):
            return 401, "The password is missing or wrong."
        if not is_served(method, path):
            return 404, "There is nothing here."
        return _check_body(method, headers)


def is_served(method: str, path: str) -> bool:
    """Whether there is such a route for us, of Gradio's or our own."""
    if method == "POST":
        return path in WRITABLE
    return method in ("GET", "HEAD") and (path in READABLE_EXACTLY or path.startswith(READABLE))


def _check_body(method: str, headers: Headers) -> tuple[int, str] | None:
    if method != "POST":
        return None
    length: Any = headers.get("content-length", "")
    if not length.isdecimal():
        return 411, "Say how long the request is (Content-Length)."
    if int(length) > MAX_BODY:
        return 413, f"At most {MAX_BODY:,} bytes."
    # What a form of another page can send without asking first, no client of ours does.
    if not headers.get("content-type", "").lower().startswith("application/json"):
        return 415, "Send application/json."
    return None
