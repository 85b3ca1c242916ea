"""Twenty pages asking at once for two minutes: every question is answered, and memory stays flat."""

import asyncio
import json
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlx_tutor.study.chat.saved import make_id
from mlx_tutor.study.web.chat_view import PARTS
from tests.commands.conftest import start_program

CLIENTS, SECONDS = 20, 120.0
# Growth of the server's memory over the second half, as a share of what it had then.
GROWTH = 0.1
QUESTIONS = ("What is the mode?", "Why?", "What is the median?", "What is an outlier?")


def read_memory(pid: int) -> float:
    """Resident memory of a process, in MB."""
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)])) / 1024


def find_event(config: dict[str, Any]) -> int:
    """The number of the event behind the button that asks."""
    button = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == "ask")
    return int(next(event["id"] for event in config["dependencies"] if [button, "click"] in event["targets"]))


async def keep_alive(client: httpx.AsyncClient, session: str) -> None:
    """What an open page holds."""
    async with client.stream("GET", f"/gradio_api/heartbeat/{session}") as reply:
        async for _ in reply.aiter_lines():
            pass


async def ask(client: httpx.AsyncClient, event: int, session: str, question: str, conversation: str) -> str:
    """Ask as the page does; returns all that the status line said."""
    body = {"data": [question, conversation], "fn_index": event, "session_hash": session, "trigger_id": 1}
    (await client.post("/gradio_api/queue/join", json=body)).raise_for_status()
    status = ""
    async with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as reply:
        async for line in reply.aiter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") == "process_generating":
                # The first says everything, later ones what has changed.
                status += str(message["output"]["data"][PARTS.index("status")])
            if message.get("msg") == "process_completed":
                assert message["success"], message
            if message.get("msg") == "close_stream":
                break
    return status


async def visit(address: str, event: int, end: float) -> int:
    """One page: question after question, now and then as a new one; returns how many were answered."""
    answered = 0
    async with httpx.AsyncClient(base_url=address, timeout=120) as client:
        while time.monotonic() < end:
            session, conversation = uuid.uuid4().hex[:12], make_id()
            page = asyncio.create_task(keep_alive(client, session))
            for question in QUESTIONS:
                status = await ask(client, event, session, question, conversation)
                assert "Answered by" in status, status
                answered += 1
            page.cancel()
            await asyncio.gather(page, return_exceptions=True)
    return answered


async def load_server(address: str, pid: int) -> tuple[list[int], list[float]]:
    """Answers of each client, and the memory every second."""
    async with httpx.AsyncClient(base_url=address) as client:
        event = find_event((await client.get("/config")).json())
    end = time.monotonic() + SECONDS
    visits = asyncio.gather(*(visit(address, event, end) for _ in range(CLIENTS)))
    memory = []
    while not visits.done():
        memory.append(read_memory(pid))
        await asyncio.sleep(1)
    return await visits, memory


@pytest.mark.slow
def test_twenty_pages_for_two_minutes(finished: Path) -> None:
    process = start_program("serve", "--port", "0", "--set", "serve.cached_answers=0", PYTHONUNBUFFERED="1")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        answered, memory = asyncio.run(load_server(address, process.pid))
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    middle, last = memory[len(memory) // 2], memory[-1]
    print(
        f"{sum(answered)} answers to {CLIENTS} clients, none lost; {middle:.0f} MB at half time, {last:.0f} at the end"
    )
    assert min(answered) > 0
    assert last < middle * (1 + GROWTH)
