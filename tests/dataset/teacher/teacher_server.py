"""A real HTTP server on this machine that speaks like an OpenAI-compatible endpoint, and misbehaves when told to.

Run as a program, until it is killed: `python -m tests.dataset.teacher.teacher_server PORT_FILE LOG_FILE DELAY`.
"""

import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mlx_tutor.records import Block, Chunk

KEY = "sk-right-and-secret"
MODEL = "scripted-teacher"
CHUNKS = [
    Chunk(f"week{i}.md", 0, ("Week", f"Topic {i}"), (
        Block("text", f"Method number {i} divides the sum of all values by their count and gives a mean of {i}. "
              "It is quick to compute, and a single outlier can move it far away from all the other values."),
    ))
    for i in range(8)
]  # fmt: skip


@dataclass(slots=True)
class Script:
    """How the server behaves. `faults` are used up one a request; then each request is answered by `answer`.

    A fault is a status with headers and, if it says more than "not now", its message; a text to reply; or a function
    that gets the handler.
    """

    answer: Callable[[dict[str, Any]], str]
    faults: deque[Any] = field(default_factory=deque)
    key: str | None = None
    delay: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    at_a_time: int = 0
    most_at_a_time: int = 0


def read_piece(body: dict[str, Any]) -> list[str]:
    """The numbered sentences of the course in a request."""
    text, _, _ = body["messages"][-1]["content"].partition("\n\nKinds:")
    return re.findall(r"(?m)^\[\d+\]\s+(.+)$", text)


def write_items(body: dict[str, Any]) -> str:
    """What a good teacher replies: one explanation that cites the longest sentence of the piece."""
    user = body["messages"][-1]["content"]
    if "ITEM 1\n" in user:
        return "\n".join(f"ITEM {number}: 9" for number in range(1, user.count("\nA: ") + 1))
    pieces = read_piece(body)
    number, sentence = max(enumerate(pieces, 1), key=lambda pair: len(pair[1].split()))
    start = " ".join(sentence.split()[:8])
    return (
        f"KIND: explain\nQ: Why is it that “{start}”?\nQ: Who can show how and when “{start}”?\n"
        f"STEP: Look at what is given.\nSTEP: Draw the conclusion.\nA: Because {sentence[0].lower()}{sentence[1:]}\n"
        f"CONCEPTS: evidence; conclusion\nFROM: {number}"
    )


class _Handler(BaseHTTPRequestHandler):
    script: Script
    lock: threading.Lock
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def give(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.script.key is None or given == f"Bearer {self.script.key}":
            return False
        self.give(401, {"error": {"message": f"Incorrect API key provided: {given.removeprefix('Bearer ')}"}})
        return True

    def do_GET(self) -> None:
        if not self.refuse():
            self.give(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refuse():
            return
        with self.lock:
            self.script.bodies.append(body)
            fault = self.script.faults.popleft() if self.script.faults else None
            self.script.at_a_time += 1
            self.script.most_at_a_time = max(self.script.most_at_a_time, self.script.at_a_time)
        try:
            self.reply(body, fault)
        finally:
            with self.lock:
                self.script.at_a_time -= 1

    def reply(self, body: dict[str, Any], fault: Any) -> None:
        if body["model"] != MODEL:
            self.give(404, {"error": {"message": f"The model `{body['model']}` does not exist.", "code": "no_model"}})
        elif callable(fault):
            fault(self)
        elif isinstance(fault, tuple):
            status, headers, *message = fault
            self.give(status, {"error": {"message": message[0] if message else "not now"}}, headers)
        else:
            time.sleep(self.script.delay)
            text = fault if isinstance(fault, str) else self.script.answer(body)
            with self.lock:
                self.script.answered.append(json.dumps(body["messages"]))
            self.give(200, write_completion(text))


def write_completion(text: str | None, finish_reason: str = "stop") -> dict[str, Any]:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}


def drop_connection(handler: _Handler) -> None:
    """Promise a body, and hang up in the middle of it."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.close()


def give_page(handler: _Handler) -> None:
    """What a proxy says with status 200."""
    handler.give(200, b"<html>Sign in</html>")


def stay_silent(handler: _Handler) -> None:
    """Longer than the tests wait."""
    time.sleep(1.5)
    handler.close_connection = True


@contextmanager
def serve_teacher(script: Script) -> Iterator[str]:
    """Serve in threads of this process; gives the base URL."""
    handler = type("Handler", (_Handler,), {"script": script, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(port_file: str, log_file: str, delay: str) -> None:
    """Serve well-behaved replies for ever, and log each request that was answered."""
    log, lock = Path(log_file), threading.Lock()

    def answer(body: dict[str, Any]) -> str:
        with lock, log.open("a") as file:
            file.write(json.dumps(body["messages"]) + "\n")
        return write_items(body)

    with serve_teacher(Script(answer, delay=float(delay))) as url:
        Path(port_file).write_text(url)
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
