"""What strangers in the same network may send: idle connections, guesses, malformed requests."""

import json
import logging
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mlx_tutor.study.web import connections
from mlx_tutor.study.web.middleware import AccessRules, RequestChecks, WrongGuesses
from tests.study.web.serving import Serving, make_site, serve_site


def test_idle_connections_do_not_keep_others_out(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 50)
    with serve_site(make_site(tmp_path, tiny_model)) as serving, ExitStack() as stack:
        parts = urlsplit(serving.address)
        idle = [stack.enter_context(socket.create_connection((parts.hostname, parts.port), 10)) for _ in range(300)]
        for each in idle[-10:]:
            each.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: ")
        begun = time.monotonic()
        assert httpx.get(f"{serving.address}/v1/models", timeout=10).status_code == 200
        # In the end all are closed, the half requests too.
        for each in idle:
            with suppress(ConnectionResetError):
                assert each.recv(1) == b""
        assert time.monotonic() - begun < 10
        assert httpx.get(f"{serving.address}/v1/models", timeout=10).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_malformed_requests_are_refused_without_a_traceback(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    assert httpx.get(serving.address, headers={"Origin": "http://[::1"}).status_code == 403
    kind = {"Content-Type": "application/json"}
    for path in ("/v1/chat/completions", "/gradio_api/queue/join"):
        for body in ("[" * 200_000, '{"a":' * 100_000, '{"seed": ' + "1" * 9000 + "}", json.dumps(["x" * 10**6])):
            assert 400 <= httpx.post(f"{serving.address}{path}", content=body, headers=kind).status_code < 500
        parts = urlsplit(serving.address)
        with socket.create_connection((parts.hostname, parts.port), 10) as leaving:
            head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            leaving.sendall(f"{head}Content-Length: 99\r\n\r\n{{".encode())
            time.sleep(0.2)
    time.sleep(0.2)
    assert httpx.get(serving.address).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_guesses_at_a_time_gain_nothing_and_slow_nobody_else() -> None:
    checks = RequestChecks(None, AccessRules("0.0.0.0", 80, "correct horse"))  # type: ignore[arg-type]

    def guess(password: str, client: str) -> int:
        headers = [(b"host", b"127.0.0.1:80"), (b"authorization", f"Bearer {password}".encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": (client, 1)}
        problem = checks.find_problem(scope)
        return problem[0] if problem else 200

    assert guess("first", "10.0.0.9") == 401
    assert {guess(password, "10.0.0.9") for password in ("second", "correct horse")} == {429}
    assert guess("correct horse", "10.0.0.8") == 200
    guesses = WrongGuesses()
    guesses.note("fe80::1")
    assert guesses.is_waiting("fe80::2%eth0") and not guesses.is_waiting("fe81::1")
