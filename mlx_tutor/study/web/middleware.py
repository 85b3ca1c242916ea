"""Which requests the local server answers: checks of host, origin, password and route.

A web page elsewhere can make a browser send requests to this machine, under any name that it points here (DNS
rebinding). So the Host has to be ours, and so has the Origin. Of Gradio, only the routes that the page needs are
there: it has others that take uploads, serve files or fetch addresses.
"""

import base64
import binascii
import hmac
import ipaddress
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlx_tutor.study.web.owners import COOKIE, make_cookie

MAX_BODY = 2_000_000
# Of a file that is added to a course.
MAX_UPLOAD = 200_000_000
# Where it is sent, and what reads the course afterwards.
UPLOADS = {"PUT": "/files/add", "POST": "/files/read"}
# After a wrong password, no other from the same address is looked at for so many seconds.
WRONG_SECONDS = 1.0
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
READABLE = (
    *("/assets/", "/static/", "/svelte/", "/sources/", "/runs/", "/v1/models"),
    *("/read/", "/pages/", "/pictures/", "/conversations/"),
    *("/gradio_api/heartbeat/", "/gradio_api/queue/data", "/gradio_api/startup-events"),
)
READABLE_EXACTLY = (
    *("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/metrics", "/reader.css"),
    *("/gradio_api/app_id", "/gradio_api/theme.css"),
)
WRITABLE = (
    "/gradio_api/queue/join",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/conversations/draft",
    "/v1/chat/completions",
)
# The most bytes, and the kind, of what a request may send.
BODIES = {"POST": (MAX_BODY, "application/json"), "PUT": (MAX_UPLOAD, "application/octet-stream")}
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

    def is_exposed(self) -> bool:
        """Whether others than the users of this machine reach the server."""
        return not is_loopback(self.host) or bool(self.shared)

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
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
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


def is_from_here(scope: Scope) -> bool:
    """Whether a request comes from this machine and names it; one through a share link does not."""
    client, host = (scope.get("client") or ("",))[0], Headers(scope=scope).get("host", "").lower()
    return is_loopback(client) and is_loopback(_split_host(host)[0])


def _list_own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", name.removesuffix(".local")}


def _split_host(host: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").lower(), parts.port or 80
    except ValueError:
        return "", 0


class WrongGuesses:
    """Clients that gave a wrong password a moment ago, by address; the 64 bits of a network in IPv6."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def note(self, client: str) -> None:
        """Remember a wrong password."""
        now = time.monotonic()
        self._until = {name: until for name, until in self._until.items() if until > now}
        self._until[_name_network(client)] = now + WRONG_SECONDS

    def is_waiting(self, client: str) -> bool:
        """Whether passwords of this client are not checked yet."""
        return time.monotonic() < self._until.get(_name_network(client), 0.0)


def _name_network(client: str) -> str:
    address = client.partition("%")[0]
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address


class RequestChecks:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, access: AccessRules, roots: Sequence[str] = ("",), uploads: bool = False) -> None:
        self.app = app
        self.access = access
        self.roots = roots
        self.uploads = uploads
        self.guesses = WrongGuesses()

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
            headers = {"WWW-Authenticate": 'Basic realm="mlx-tutor", charset="UTF-8"'} if status == 401 else {}
            await PlainTextResponse(f"{text}\n", status, headers | HEADERS)(scope, receive, send)
            return

        # A browser that others' conversations are to be kept from is known by its cookie.
        known = f"{COOKIE}=" in Headers(scope=scope).get("cookie", "")
        is_new = self.access.is_exposed() and self.cut_root(scope["path"]) == "/" and not known

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    # A route may be stricter.
                    headers.setdefault(name, value)
                if is_new:
                    headers.append("Set-Cookie", make_cookie())
            await send(message)

        # A client that leaves in the middle is no fault.
        with suppress(ClientDisconnect):
            await self.app(scope, receive, send_with_headers)

    def cut_root(self, path: str) -> str:
        """A path below the course that it belongs to; what belongs to none is as it was."""
        root = next((root for root in self.roots if root and f"{path}/".startswith(f"{root}/")), "")
        return path[len(root) :] or "/"

    def find_problem(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text of a refusal, or None."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if not self.access.knows_host(host):
            return 421, "This server does not answer to that name."
        if origin is not None and not self.access.knows_origin(origin, host):
            return 403, "Requests from other web pages are refused."
        given, client = headers.get("authorization", ""), (scope.get("client") or ("",))[0]
        # Else many guesses at a time would be as many a second.
        if given and self.access.password is not None and self.guesses.is_waiting(client):
            return 429, "A wrong password came from your address a moment ago. Try again in a second."
        if not self.access.knows_password(given):
            if given:
                self.guesses.note(client)
            return 401, "The password is missing or wrong."
        if not is_served(method, self.cut_root(path), self.uploads):
            return 404, "There is nothing here."
        return _check_body(method, headers)


def is_served(method: str, path: str, uploads: bool = False) -> bool:
    """Whether there is such a route for us, of Gradio's or our own."""
    if uploads and path == UPLOADS.get(method):
        return True
    if method == "POST":
        return path in WRITABLE
    return method in ("GET", "HEAD") and (path in READABLE_EXACTLY or path.startswith(READABLE))


def _check_body(method: str, headers: Headers) -> tuple[int, str] | None:
    if method not in BODIES:
        return None
    most, kind = BODIES[method]
    length: Any = headers.get("content-length", "")
    if not length.isdecimal():
        return 411, "Say how long the request is (Content-Length)."
    if int(length) > most:
        return 413, f"At most {most:,} bytes."
    # What a form of another page can send without asking first, no client of ours does.
    if not headers.get("content-type", "").lower().startswith(kind):
        return 415, f"Send {kind}."
    return None
