"""Off the network: what the hook denies and what not, with a planted library; and inside a machine without a network.

The hook stays for the life of a process, so whatever puts it on is run in a process of its own.
"""

import errno
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.study.exam import offline
from mlx_tutor.study.exam.offline import Attempt, DeniedError, is_foreign, is_loopback, judge_error
from tests.namespaces import cut_off

# A library that somebody planted: it calls out in all the ways that Python code has. OTHER is an address of this
# machine that is no loopback address, and somebody listens there.
PLANTED = """
import _posixsubprocess, builtins, ctypes, errno, gc, importlib, ipaddress, os, socket, subprocess, sys, threading
import urllib.request
from _posixsubprocess import fork_exec as kept
from multiprocessing.util import spawnv_passfds

def send_datagram(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(b"answer?", (host, port))

def send_message(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.sendmsg([b"answer?"], [], 0, (host, port))

def connect_quietly(host, port):
    with socket.socket() as connection:
        assert connection.connect_ex((host, port)) == 0

def listen_to_all(host, port):
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))

def connect_unix(host, port):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("/run/somebody.sock")

def call_from_a_thread(host, port):
    caught = []
    def call():
        try:
            socket.create_connection((host, port), 3).close()
        except OSError as err:
            caught.append(err)
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]

class Address(tuple):
    def __getitem__(self, key):
        return "127.0.0.1" if key == 0 else super().__getitem__(key)

def connect_disguised(host, port):
    with socket.socket() as connection:
        connection.connect(Address((host, port)))

def connect_by_name(host, port):
    with socket.socket() as connection:
        connection.connect(("a-name-that-nobody-has.example.org", port))

def listen_unbound(host, port):
    with socket.socket() as listener:
        listener.listen()
        assert listener.getsockname()[0] == "0.0.0.0"

def start_program(start):
    error_read, error_write = os.pipe()
    pid = start([b"true"], [b"/bin/true"], True, (error_write,), None, None, -1, -1, -1, -1, -1, -1, error_read,
                error_write, True, False, 0, None, None, None, -1, None, subprocess._USE_VFORK)
    os.waitpid(pid, 0)

def start_copy(host, port):
    known = sys.modules.pop("_posixsubprocess")
    try:
        start_program(importlib.import_module("_posixsubprocess").fork_exec)
    finally:
        sys.modules["_posixsubprocess"] = known

WAYS = {
    "disguise": connect_disguised,
    "connect by name": connect_by_name,
    "unbound": listen_unbound,
    "fork_exec": lambda host, port: start_program(_posixsubprocess.fork_exec),
    "_fork_exec": lambda host, port: start_program(subprocess._fork_exec),
    "kept fork_exec": lambda host, port: start_program(kept),
    "copy": start_copy,
    "connect": lambda host, port: socket.create_connection((host, port), 3).close(),
    "connect_ex": connect_quietly,
    "thread": call_from_a_thread,
    "sendto": send_datagram,
    "sendmsg": send_message,
    "urllib": lambda host, port: urllib.request.urlopen(f"http://{host}:{port}/", timeout=3).close(),
    "name": lambda host, port: socket.getaddrinfo("example.org", 443),
    "old name": lambda host, port: socket.gethostbyname("example.org"),
    "reverse": lambda host, port: socket.gethostbyaddr("1.1.1.1"),
    "listen": listen_to_all,
    "unix": connect_unix,
    "subprocess": lambda host, port: subprocess.run(["true"], check=True),
    "system": lambda host, port: os.system("true"),
    "posix_spawn": lambda host, port: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    "multiprocessing": lambda host, port: os.waitpid(spawnv_passfds(b"/bin/true", [b"true"], []), 0),
    "fork": lambda host, port: os.fork() or os._exit(0),
    "dlopen": lambda host, port: ctypes.CDLL(None),
    "dlsym": lambda host, port: ctypes.pythonapi["connect"],
}

# Turns off all of the hook that it can get at: what its modules and its frame hold, and what is given to it.
def clear_hook(offline):
    for name in ("ADDRESSED", "NAMED", "BEYOND", "PATCHED"):
        getattr(getattr(offline, name, None), "clear", lambda: None)()
        setattr(offline, name, set())
    frames = []
    for provoke in (lambda: os.system("true"), lambda: sys.audit("socket.connect"), lambda: sys.audit("import")):
        try:
            provoke()
        except Exception as err:
            trace = err.__traceback__
            while trace is not None:
                frames.append(trace.tb_frame)
                trace = trace.tb_next
    for frame in frames:
        for value in [*frame.f_locals.values()]:
            for cell in getattr(value, "__closure__", None) or ():
                cell.cell_contents = lambda *_: None
            if callable(value) and hasattr(value, "__code__") and "offline" in value.__code__.co_filename:
                value.__code__ = (lambda *_: None).__code__
                value.__globals__.clear()
        if "offline" in frame.f_code.co_filename:
            frame.f_globals.update(dict.fromkeys(("is_loopback", "is_foreign", "find_foreign"), lambda *_: None))
    for name in ("is_loopback", "is_foreign", "find_foreign"):
        setattr(offline, name, lambda *_: None)
    ipaddress.ip_address = lambda text: ipaddress.IPv4Address("127.0.0.1")
    builtins.isinstance = lambda *_: True
    offline.DeniedError.__init__ = lambda *_: None
    sys.audit = lambda *_: None

def find_hook():
    return [value for value in gc.get_objects() if getattr(value, "__name__", "") == "hook"]

def call_out(host, port):
    outcomes = {}
    for name, call in WAYS.items():
        try:
            call(host, port)
        except Exception as err:
            # urllib wraps what it got.
            outcomes[name] = type(getattr(err, "reason", err)).__name__
        else:
            outcomes[name] = "done"
    return outcomes
"""
# Counts whoever comes, and tells what the planted library came to before and after the hook.
SCRIPT = """
import builtins, fcntl, json, socket, struct, threading
from dataclasses import asdict
from mlx_tutor.study.exam import offline
import planted

def call_interface(request, layout, *values):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, request, struct.pack(layout, *values))

HOST = "10.9.8.7"
# The network namespace has nothing but a loopback interface, still down: raise it, with a second address.
call_interface(0x8914, "16sh14x", b"lo", 1)
call_interface(0x8916, "16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(HOST))

def serve(listener):
    while True:
        connection, _ = listener.accept()
        came.append(connection.recv(100))
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
        connection.close()

came, port = [], 0
for host in (HOST, "127.0.0.1"):
    listener = socket.create_server((host, port))
    port = listener.getsockname()[1]
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
before, came_before = planted.call_out(HOST, port), len(came)
offline.prepare_offline()
layers, attempts = offline.deny_network()
first = len(offline.take_denials())
after, came_after = planted.call_out(HOST, port), len(came) - came_before
near = planted.call_out("127.0.0.1", port)
denied = [[denial.event, denial.target] for denial in offline.take_denials()]
attempts = [asdict(attempt) for attempt in attempts]
real = isinstance
try:
    hooks = planted.find_hook()
except PermissionError:
    hooks = "denied"
came_near = len(came)
planted.clear_hook(offline)
cleared, came_cleared = planted.call_out(HOST, port), len(came) - came_near
builtins.isinstance = real
print(json.dumps({
    "before": before, "after": after, "near": near, "came": [came_before, came_after], "first": first,
    "layers": {layer.name: layer.state for layer in layers}, "attempts": attempts, "denied": denied,
    "cleared": cleared, "came_cleared": came_cleared, "hooks": hooks,
}))
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script says in a network namespace, where it gives this machine a second address."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted.py").write_text(PLANTED)
    done = subprocess.run(
        cut_off(sys.executable, "-c", SCRIPT),
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{Path(offline.__file__).parents[3]}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_a_planted_library_reaches_nobody(result: dict[str, Any]) -> None:
    # Before the hook it gets through to the other address, so that what follows can fail.
    works = {"connect", "connect_ex", "thread", "sendto", "sendmsg", "urllib", "listen", "subprocess", "system"}
    works |= {"posix_spawn", "multiprocessing", "fork", "dlopen", "dlsym"}
    works |= {"disguise", "unbound", "fork_exec", "_fork_exec", "kept fork_exec", "copy"}
    assert {name for name, outcome in result["before"].items() if outcome == "done"} == works
    assert result["came"] == [5, 0]
    assert {name for name, outcome in result["after"].items() if outcome != "DeniedError"} == set()
    denied = {(event, target.partition(" ")[0].strip("(',)")) for event, target in result["denied"]}
    assert {("socket.connect", "10.9.8.7"), ("socket.sendto", "10.9.8.7")} <= denied
    assert {("socket.getaddrinfo", "example.org"), ("subprocess.Popen", "true")} <= denied
    events = {"os.system", "os.posix_spawn", "os.fork", "ctypes.dlopen", "ctypes.dlsym", "socket.bind"}
    assert events <= {event for event, _ in denied}
    # This machine itself is not denied: the web page needs it.
    near = {name for name, outcome in result["near"].items() if outcome == "done"}
    assert near == {"connect", "connect_ex", "thread", "sendto", "sendmsg", "urllib"}


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_code_that_clears_the_hook_reaches_nobody(result: dict[str, Any]) -> None:
    assert result["hooks"] == "denied"
    assert {name for name, outcome in result["cleared"].items() if outcome == "done"} == set()
    assert result["came_cleared"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_the_self_test_tells_no_route_from_denied(result: dict[str, Any]) -> None:
    outcomes = [attempt["outcome"] for attempt in result["attempts"]]
    assert outcomes == ["no route", "denied by us", "denied by us", "denied by us"]
    assert result["layers"] == {"offline variables": "on", "audit hook": "on", "system sandbox": "not available"}
    assert result["first"] == 0
    # And without the hook, the same attempts find no way.
    script = "from mlx_tutor.study.exam.offline import *; print(try_name().outcome, try_address().outcome, sep=', ')"
    done = subprocess.run(cut_off(sys.executable, "-c", script), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "no route, no route"


class Address(tuple[Any, ...]):
    """Shows this machine to whoever looks, and is another."""

    def __getitem__(self, key: Any) -> Any:
        return "127.0.0.1"


class Name(str):
    """The same for a host."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__

    def lower(self) -> str:
        return "localhost"


@pytest.mark.parametrize(
    ("event", "arguments", "foreign"),
    [
        ("socket.connect", (None, ("127.0.0.1", 80)), False),
        ("socket.connect", (None, ("127.9.9.9", 80)), False),
        ("socket.connect", (None, ("::1", 80, 0, 0)), False),
        ("socket.connect", (None, ("::ffff:127.0.0.1", 80, 0, 0)), False),
        ("socket.connect", (None, ("localhost", 80)), False),
        ("socket.connect", (None, ("::ffff:8.8.8.8", 80, 0, 0)), True),
        ("socket.connect", (None, ("fe80::1%lo", 80, 0, 0)), True),
        ("socket.connect", (None, ("localhost.example.org", 80)), True),
        ("socket.connect", (None, ("127.0.0.1.example.org", 80)), True),
        ("socket.connect", (None, ("0.0.0.0", 80)), True),
        ("socket.connect", (None, ("", 80)), True),
        ("socket.connect", (None, (16, 0)), True),
        ("socket.connect", (None, "/run/x.sock"), True),
        ("socket.connect", (None, ("::1%lo", 80, 0, 0)), False),
        # The resolver takes this for a name, and asks for it.
        ("socket.connect", (None, ("127.0.0.1%.example.org", 80)), True),
        ("socket.connect", (None, ("127.0.0.1\0.example.org", 80)), True),
        ("socket.connect", (None, Address(("8.8.8.8", 80))), True),
        ("socket.connect", (None, (Name("8.8.8.8"), 80)), True),
        ("socket.getaddrinfo", (Name("example.org"), 80, 0, 0, 0), True),
        ("socket.getnameinfo", (Address(("8.8.8.8", 80)),), True),
        ("socket.listen", (None, ("0.0.0.0", 0)), True),
        ("socket.listen", (None, ("127.0.0.1", 80)), False),
        ("import", ("_posixsubprocess", None, None, None, None), True),
        ("import", ("copy._posixsubprocess", "/lib/x.so", None, None, None), True),
        ("import", ("subprocess", None, None, None, None), False),
        ("socket.bind", (None, ("", 80)), True),
        ("socket.bind", (None, ("127.0.0.1", 80)), False),
        ("socket.sendmsg", (None, None), False),
        ("socket.getaddrinfo", (None, 80, 0, 0, 0), False),
        ("socket.getaddrinfo", (b"localhost", 80, 0, 0, 0), False),
        ("socket.getaddrinfo", ("example.org", 80, 0, 0, 0), True),
        ("socket.getnameinfo", (("127.0.0.1", 80),), False),
        ("socket.getnameinfo", (("8.8.8.8", 80),), True),
        ("subprocess.Popen", ("true", ["true"], None, None), True),
        ("open", ("x", "r", 0), False),
    ],
)
def test_what_is_foreign(event: str, arguments: tuple[Any, ...], foreign: bool) -> None:
    assert is_foreign(event, arguments) == foreign


def test_a_host_that_is_no_text_is_not_this_machine() -> None:
    assert not is_loopback(None) and not is_loopback(7) and not is_loopback(b"\xff")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DeniedError(errno.EACCES, "x"), "denied by us"),
        (PermissionError(errno.EPERM, "x"), "denied by the system"),
        (OSError(errno.ENETUNREACH, "x"), "no route"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "no route"),
        (TimeoutError("x"), "no route"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "reached"),
        (OSError(errno.EMFILE, "x"), "failed"),
    ],
)
def test_who_said_no(error: OSError, outcome: str) -> None:
    assert judge_error(error) == outcome


def test_on_a_mac_the_program_is_started_again_in_the_sandbox(tmp_path: Path) -> None:
    sandbox = tmp_path / "sandbox-exec"
    sandbox.write_text('#!/bin/sh\nprintf "%s|" "$1" "$2" > profile\nshift 2\nexec "$@"\n')
    sandbox.chmod(sandbox.stat().st_mode | stat.S_IXUSR)
    script = f"""
import os, sys
from pathlib import Path
from mlx_tutor.study.exam import offline
sys.platform = "darwin"
offline.SANDBOX = Path({str(sandbox)!r})
offline.prepare_offline()
print(os.environ.get(offline.SANDBOXED), os.environ["HF_HUB_OFFLINE"], os.environ.get("HTTPS_PROXY"), sys.argv[1:])
"""
    environment = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:1"}
    command = [sys.executable, "-c", script, "chat", "--exam"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["1 1 None ['chat', '--exam']"]
    profile = (tmp_path / "profile").read_text()
    assert profile.startswith("-p|(version 1)") and "(deny network*)" in profile


@pytest.mark.parametrize(
    ("inside", "outcome", "state"),
    [(True, "denied by the system", "on"), (True, "there is a route", "off"), (False, "there is a route", "off")],
)
def test_the_sandbox_is_on_only_when_the_system_denies(
    monkeypatch: pytest.MonkeyPatch, inside: bool, outcome: offline.Outcome, state: str
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(offline, "SANDBOX", Path(sys.executable))
    monkeypatch.delenv(offline.SANDBOXED, raising=False)
    if inside:
        monkeypatch.setenv(offline.SANDBOXED, "1")
    assert offline._describe_sandbox(Attempt("x", outcome)).state == state


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("HF_HUB_DISABLE_TELEMETRY", "True", "on"),
        ("HF_HUB_OFFLINE", "0", "off"),
        ("GRADIO_ANALYTICS_ENABLED", "1", "off"),
        ("TRANSFORMERS_OFFLINE", None, "off"),
    ],
)
def test_variables_count_as_they_are_read(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, state: str
) -> None:
    for key, meant in (offline.OFFLINE | {name: value or ""}).items():
        monkeypatch.setenv(key, meant)
    if value is None:
        monkeypatch.delenv(name)
    # Whether the library had been imported before is another matter.
    monkeypatch.delitem(sys.modules, "huggingface_hub.constants", raising=False)
    layer = offline._describe_variables()
    assert layer.state == state and (state == "on" or layer.detail == name)
