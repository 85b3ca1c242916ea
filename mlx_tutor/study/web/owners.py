"""Whose conversations, quiz and mock exams a browser sees: where others reach the page, each has a cookie."""

import hashlib
import secrets
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlx_tutor.study.web.site import Site

COOKIE = "mlx_tutor_reader"
# The longest that browsers keep one.
COOKIE_SECONDS = 400 * 24 * 3600


def name_owner(site: "Site", request: Any) -> str:
    """Who asks, by the cookie of the request (Gradio's or Starlette's); "" where the page is this machine's alone.

    The journal holds the hash of the cookie: whoever reads it cannot take the place of a browser. Without a cookie,
    what is kept belongs to the page until that is closed.
    """
    if not site.is_shared:
        return ""
    given = str(dict(getattr(request, "cookies", None) or {}).get(COOKIE, ""))
    return hash_cookie(given) if given else f"page {getattr(request, 'session_hash', None) or secrets.token_hex(8)}"


def hash_cookie(value: str) -> str:
    """The owner that a cookie stands for."""
    return hashlib.sha256(value.encode()).hexdigest()


def make_cookie() -> str:
    """A header that gives a browser its cookie; scripts and other sites cannot read it."""
    cookie: SimpleCookie = SimpleCookie({COOKIE: secrets.token_urlsafe(32)})
    for name, value in (("max-age", COOKIE_SECONDS), ("path", "/"), ("httponly", True), ("samesite", "Strict")):
        cookie[COOKIE][name] = value
    return cookie.output(header="").strip()
