"""Keeping this process off the network, in three layers, and testing which of them hold.

Variables that Python's model libraries obey; an audit hook, which sees what Python code does and not what compiled
code does by itself; on macOS a sandbox of the system around the whole process. The hook cannot be removed, and works on
copies of its own, since other Python code can change whatever a module holds.
"""

import _posixsubprocess
import _socket
import builtins
import ctypes
import errno
import os
import socket
import subprocess
import sys
from _socket import AF_INET, AF_INET6, inet_pton
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType
from typing import Any, Literal, NoReturn

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
# A local proxy would pass on what must not leave the machine.
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "ws_proxy", "wss_proxy")
ADDRESSED = frozenset("socket.connect socket.bind socket.listen socket.sendto socket.sendmsg".split())
NAMED = frozenset("socket.getaddrinfo socket.gethostbyname socket.gethostbyaddr socket.getnameinfo".split())
# New programs and newly opened compiled libraries are beyond the hook, so they are not started. `ctypes` itself stays.
# The last line finds the hook's own objects.
BEYOND = frozenset(
    "subprocess.Popen os.system os.exec os.posix_spawn os.spawn os.fork os.forkpty "
    "pty.spawn _posixsubprocess.fork_exec ctypes.dlopen ctypes.dlsym ctypes.dlsym/handle "
    "sqlite3.enable_load_extension sqlite3.load_extension "
    "gc.get_objects gc.get_referrers gc.get_referents sys._current_frames".split()
)
# Methods of a socket that no audit event tells of (`listen`), or only after a name was looked up; and where among
# their arguments the address is.
PATCHED = {"connect": 0, "connect_ex": 0, "bind": 0, "sendto": -1, "sendmsg": 3}
# Endless retries must not fill the record.
MAX_DENIALS = 200
# What the self-test tries to reach; nothing is sent while the denial holds.
NAME, ADDRESS, PORT = "example.org", "1.1.1.1", 443
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.ETIMEDOUT)
SANDBOX = Path("/usr/bin/sandbox-exec")
SANDBOXED = "MLX_TUTOR_SANDBOX"
PROFILE = """(version 1)
(allow default)
(deny network*)
(allow network-bind (local ip "localhost:*"))
(allow network-inbound (local ip "localhost:*"))
(allow network-outbound (remote ip "localhost:*"))
"""

Outcome = Literal["denied by us", "denied by the system", "no route", "there is a route", "reached", "failed"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the denial and whether it holds."""

    name: str
    state: Literal["on", "off", "not available"]
    detail: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of the self-test to reach out."""

    target: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Denial:
    """Something that this process tried and was not allowed, as Python's audit event names it; `time` is the first."""

    time: str
    event: str
    target: str
    times: int = 1


class DeniedError(PermissionError):
    """The audit hook refused; libraries treat it as a missing network."""


_denials: list[Denial] = []
_hooked: list[bool] = []


def prepare_offline() -> None:
    """The layers that must be set up before model libraries are imported: variables, and the sandbox on macOS.

    On macOS this starts the program again, inside the sandbox.
    """
    os.environ.update(OFFLINE)
    for name in PROXIES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    if sys.platform == "darwin" and SANDBOXED not in os.environ and SANDBOX.is_file():
        command = [str(SANDBOX), "-p", PROFILE, sys.executable, *sys.orig_argv[1:]]
        os.execve(SANDBOX, command, {**os.environ, SANDBOXED: "1"})


def deny_network() -> tuple[tuple[Layer, ...], tuple[Attempt, ...]]:
    """Put the audit hook on, for good and for all threads, and find out which layers hold.

    Returns:
        The layers; and what the self-test tried: by address before the hook (which asks the system for a route and
        sends nothing), then by name, by address and by a new program under it.
    """
    before = probe_route()
    # Imported now: the import opens a handle to Python itself, which would be denied later.
    assert ctypes.pythonapi is not None
    if not _hooked:
        _add_hook(_denials)
        _hooked.append(True)
    under = (try_name(), try_address(), try_program())
    _denials.clear()
    held = all(attempt.outcome == "denied by us" for attempt in under)
    detail = "connections beyond this machine, name look-ups, new programs; what Python code does, not compiled code"
    layers = (_describe_variables(), Layer("audit hook", "on" if held else "off", detail), _describe_sandbox(before))
    return layers, (before, *under)


def take_denials() -> list[Denial]:
    """What was denied since the last call, oldest first; the same again is counted. MAX_DENIALS at most."""
    taken = _denials[:]
    del _denials[: len(taken)]
    times = Counter((denial.event, denial.target) for denial in taken)
    first = {(denial.event, denial.target): denial for denial in reversed(taken)}
    return [replace(first[key], times=count) for key, count in times.items()]


def _add_hook(denials: list[Denial]) -> None:
    sealed = _seal(is_foreign, is_loopback)

    def hook(
        event: str,
        arguments: tuple[Any, ...],
        foreign: Callable[[str, tuple[Any, ...]], bool] = sealed,
        error: type[DeniedError] = DeniedError,
    ) -> None:
        try:
            denied = foreign(event, arguments)
        except:  # noqa: E722 - a traceback would lead to the sealed names, and a name for all errors can be changed
            denied = True
        if denied:
            # An exception carries this frame, and code that is called can see it.
            del foreign
            raise error(errno.EACCES, _note_denial(denials, event, arguments))

    sys.addaudithook(hook)
    _refuse_programs()
    _patch_sockets()


def _seal(first: Callable[..., bool], *others: Callable[..., bool]) -> Callable[..., bool]:
    """A copy of the first function that refers only to copies, so that nobody can change what it calls."""
    names = {**globals(), "__builtins__": {**vars(builtins)}}
    for function in (first, *others):
        assert isinstance(function, FunctionType)
        names[function.__name__] = FunctionType(function.__code__, names, function.__name__)
    sealed: Callable[..., bool] = names[first.__name__]
    return sealed


def _note_denial(denials: list[Denial], event: str, arguments: tuple[Any, ...]) -> str:
    shown = arguments[:2] if event in BEYOND else arguments[1:2] if event in ADDRESSED else arguments[:1]
    try:
        target = " ".join(map(str, shown))[:200]
    except Exception:  # noqa: BLE001 - whatever an object of somebody else does
        target = "something that cannot be shown"
    if len(denials) < MAX_DENIALS:
        denials.append(Denial(datetime.now(UTC).isoformat(timespec="milliseconds"), event, target))
    return f"exam mode of mlx-tutor denies {event}: {target}"


def _refuse_programs() -> None:
    """Remove the functions that start programs without an audit event: multiprocessing and subprocess use them."""
    start = _posixsubprocess.fork_exec

    def refuse(*arguments: Any, audit: Callable[..., None] = sys.audit) -> NoReturn:
        audit("_posixsubprocess.fork_exec", *arguments)
        raise DeniedError(errno.EACCES, "exam mode of mlx-tutor denies new programs")

    for module in [*sys.modules.values()]:
        names = getattr(module, "__dict__", {})
        for name in [name for name, value in [*names.items()] if value is start]:
            names[name] = refuse


def _patch_sockets() -> None:
    """Tell the hook of an address before the system looks its name up, and of `listen`, which may do without `bind`."""

    def patch(name: str, position: int) -> Callable[..., Any]:
        event, real = f"socket.{name.removesuffix('_ex')}", getattr(_socket.socket, name)

        def call(
            self: _socket.socket,
            *arguments: Any,
            audit: Callable[..., None] = sys.audit,
            go_on: Callable[..., Any] = real,
        ) -> Any:
            if -len(arguments) <= position < len(arguments):
                audit(event, self, arguments[position])
            return go_on(self, *arguments)

        return call

    def listen(
        self: _socket.socket,
        *backlog: int,
        audit: Callable[..., None] = sys.audit,
        find: Callable[..., Any] = _socket.socket.getsockname,
        go_on: Callable[..., None] = _socket.socket.listen,
    ) -> None:
        audit("socket.listen", self, find(self))
        go_on(self, *backlog)

    replaced: dict[str, Callable[..., Any]] = {"listen": listen} | {
        name: patch(name, position) for name, position in PATCHED.items()
    }
    for name, method in replaced.items():
        setattr(socket.socket, name, method)


def is_foreign(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event would reach beyond this process and machine.

    Only exact types count as near: an object of a subclass may show another address than the one that is taken.
    """
    if event in BEYOND:
        return True
    if event == "import":
        # A second copy of the module would restore what `_refuse_programs` removed.
        return type(arguments[0]) is not str or arguments[0].rpartition(".")[2] == "_posixsubprocess"
    if event in NAMED:
        host = arguments[0]
        if event == "socket.getnameinfo":
            return type(host) is not tuple or not is_loopback(host[0])
        # Without a name, the machine's own addresses are meant.
        return not (host is None or (type(host) in (str, bytes) and not host) or is_loopback(host))
    if event in ADDRESSED:
        address = arguments[1]
        return address is not None and not (type(address) is tuple and bool(address) and is_loopback(address[0]))
    return False


def is_loopback(host: Any) -> bool:
    """Whether a host, as given to a socket, is this machine itself."""
    text = host.decode("ascii", "replace") if type(host) in (bytes, bytearray) else host
    if type(text) is not str:
        return False
    if text.lower() == "localhost":
        return True
    try:
        return inet_pton(AF_INET, text)[0] == 127
    except (OSError, ValueError):
        pass
    try:
        packed = inet_pton(AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    # The second is an IPv4 address in IPv6 form.
    return packed == bytes(15) + b"\x01" or (packed[:12] == bytes(10) + b"\xff\xff" and packed[12] == 127)


def probe_route() -> Attempt:
    """Ask the system for a route to ADDRESS: a datagram socket that is connected and sends nothing."""
    return _attempt(f"address {ADDRESS} before the hook, nothing sent", _connect_datagram, "there is a route")


def try_name() -> Attempt:
    """Look NAME up."""
    return _attempt(f"name {NAME}", lambda: socket.getaddrinfo(NAME, PORT), "reached")


def try_address() -> Attempt:
    """Connect to ADDRESS."""
    return _attempt(f"address {ADDRESS}", _connect_stream, "reached")


def try_program() -> Attempt:
    """Start a program, this Python with nothing to do."""
    return _attempt("a new program", lambda: subprocess.run([sys.executable, "-c", ""], check=False), "reached")


def _connect_stream() -> None:
    # An address, since a look-up would be denied already.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.settimeout(3)
        stream.connect((ADDRESS, PORT))


def _connect_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.connect((ADDRESS, PORT))


def _attempt(target: str, act: Callable[[], object], done: Outcome) -> Attempt:
    try:
        act()
    except OSError as err:
        return Attempt(target, judge_error(err), f"{type(err).__name__}: {err}")
    return Attempt(target, done)


def judge_error(err: OSError) -> Outcome:
    """What kept an attempt from succeeding."""
    if isinstance(err, DeniedError):
        return "denied by us"
    if isinstance(err, PermissionError):
        return "denied by the system"
    # A name server that cannot be reached, too.
    if isinstance(err, socket.gaierror | TimeoutError) or err.errno in NO_ROUTE:
        return "no route"
    return "reached" if isinstance(err, ConnectionError) else "failed"


def _is_true(value: str | None) -> bool | None:
    return None if value is None else value.lower() in ("1", "true", "yes", "on")


def _describe_variables() -> Layer:
    # huggingface_hub looks at the variable once, when it is imported.
    constants = sys.modules.get("huggingface_hub.constants")
    # Gradio writes "True" where we write "1".
    wrong = [name for name, value in OFFLINE.items() if _is_true(os.environ.get(name)) != _is_true(value)]
    if constants is not None and not constants.HF_HUB_OFFLINE:
        wrong.append("HF_HUB_OFFLINE was read before it was set")
    detail = ", ".join(wrong) or "model libraries are told to stay offline; proxies are removed"
    return Layer("offline variables", "off" if wrong else "on", detail)


def _describe_sandbox(before: Attempt) -> Layer:
    name = "system sandbox"
    if sys.platform != "darwin":
        return Layer(name, "not available", "macOS only; on Linux run the chat inside: unshare -rn")
    if SANDBOXED not in os.environ:
        return Layer(name, "not available" if not SANDBOX.is_file() else "off", f"{SANDBOX} was not used")
    if before.outcome == "denied by the system":
        return Layer(name, "on", "compiled code and other programs too; this layer is new and little tested")
    return Layer(name, "off", f"started in it, and yet: {before.outcome}")
