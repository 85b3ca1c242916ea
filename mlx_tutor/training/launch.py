"""Training on several machines: `mlx.launch` starts a rank on each host, and their output is passed on.

Rank 0 is on this machine: it keeps the run, and stops all ranks when it is stopped.
"""

import json
import os
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from signal import SIGINT, SIGKILL
from subprocess import PIPE, STDOUT, Popen
from tempfile import TemporaryDirectory
from typing import Any

from mlx_tutor.errors import RecipeError, TrainingError
from mlx_tutor.files import read_json, write_json
from mlx_tutor.recipe import Recipe
from mlx_tutor.settings import TrainSettings
from mlx_tutor.training.monitor import OnMetric
from mlx_tutor.training.process import stop_cleanly
from mlx_tutor.workspace import Course, Run

# The module that each host runs; above this room, because it reads rows.
RANK = "mlx_tutor.commands.rank"
HERE = "127.0.0.1"
FIRST_PORT = 32323
# Seconds between two looks whether the other is still there.
BEAT = 5.0
# What a rank on another host would not have; that of this machine comes by itself.
PASSED_ON = (
    *("MLX_TUTOR_BLAS", "OPENBLAS_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT", "PYTHONPATH"),
    *("HF_HOME", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_VERBOSITY"),
)
LOST_PEER = "connection to a peer was lost"
LOST_RANK = re.compile(r"Node with rank (\d+) (?:was killed|exited with code (-?\d+))")


class RankLostError(TrainingError):
    """A rank ended before the training did; the same training may go on."""


@dataclass(slots=True)
class RankReports:
    """What the ranks reported: `refused` is a problem that the user can solve, `failed` any other, by rank.

    `process` is that of rank 0.
    """

    process: int = 0
    refused: str = ""
    failed: dict[int, str] = field(default_factory=dict)
    lost: list[tuple[int, str]] = field(default_factory=list)


def read_hosts(value: str) -> dict[str, Any]:
    """A hostfile of mlx.launch as it is, or one for `a,b`: names or addresses of machines, the first is this one.

    Raises:
        TrainingError: no such host, no hostfile, or hosts that cannot reach each other.
    """
    if Path(value).is_file():
        content = read_json(Path(value))
        found = content if isinstance(content, dict) else {"hosts": content}
        hosts = found.get("hosts")
        if not hosts or not isinstance(hosts, list) or not all(isinstance(h, dict) and h.get("ssh") for h in hosts):
            raise TrainingError(
                f'{value} is no hostfile of mlx.launch. It is like {{"hosts": [{{"ssh": "name", "ips": ["address"]}}]}}'
            )
    else:
        names = [name.strip() for name in value.split(",")]
        found = {"hosts": [{"ssh": name, "ips": [find_address(name, value)]} for name in names]}
        for host in found["hosts"]:
            if is_here(host["ips"][0]):
                # What mlx.launch starts without ssh.
                host["ssh"] = HERE
        addresses = [host["ips"][0] for host in found["hosts"]]
        if HERE in addresses and not all(map(is_here, addresses)):
            raise TrainingError(
                f"--hosts {value}: other machines cannot reach {HERE}. Give the address that this one has for them."
            )
    first = found["hosts"][0]
    if first["ssh"] != HERE and not is_here(find_address(first["ssh"], value)):
        raise TrainingError(f"--hosts {value}: the first host must be this machine, which keeps the run.")
    return {"backend": "ring", "envs": [], **found}


def find_address(name: str, value: str) -> str:
    """The address of a host; `value` is what --hosts was given."""
    # A login may stand before it, as ssh takes it.
    host = name.rpartition("@")[2]
    if not host or "/" in host:
        raise TrainingError(f"--hosts {value}: give machines as a,b, or an existing hostfile of mlx.launch.")
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError) as err:
        raise TrainingError(f"--hosts {value}: no machine {host!r} is known here. Give its address.") from err


def is_here(address: str) -> bool:
    """Whether an address is one of this machine."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def find_ports(count: int) -> int:
    """The first of so many ports in a row that are free on this machine."""
    for first in range(FIRST_PORT, 60000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("", port))
            except OSError:
                continue
            return first
    raise TrainingError(f"No {count} ports in a row are free on this machine. Close other programs, and try again.")


def check_share(settings: TrainSettings, hosts: Sequence[Any]) -> None:
    """Raise RecipeError when a batch has fewer rows than there are ranks."""
    if settings.batch_size < len(hosts):
        raise RecipeError(
            f"train.batch_size {settings.batch_size} gives {len(hosts)} hosts less than a row each. Name fewer hosts, "
            f"or: --set train.batch_size={len(hosts)}"
        )


def train_on_hosts(
    run: Run,
    course: Course,
    recipe: Recipe,
    overrides: Sequence[str],
    inputs: dict[str, str],
    given: str,
    on_event: OnMetric,
) -> dict[str, Any]:
    """`train_adapter` with a rank on each host that `given` names; returns its report as JSON.

    Raises:
        RecipeError: a batch has fewer rows than there are hosts.
        RankLostError: a rank died; the others ended too.
        TrainingError: what a rank refused, or `given` cannot be.
    """
    hosts = read_hosts(given)
    check_share(recipe.train, hosts["hosts"])
    before = run.read() if run.is_complete else None
    request: dict[str, Any] = {"workspace": str(course.workspace), "course": course.name, "run": run.name}
    request |= {"overrides": list(overrides), "inputs": inputs, "ranks": len(hosts["hosts"]), "launcher": os.getpid()}
    reports, stopping = RankReports(), False
    with TemporaryDirectory() as scratch, start_ranks(hosts, request, course.workspace, Path(scratch)) as process:

        def request_stop() -> None:
            nonlocal stopping
            stopping = True
            if not reports.process:
                raise KeyboardInterrupt
            with suppress(ProcessLookupError):
                os.kill(reports.process, SIGINT)

        try:
            with stop_cleanly(request_stop):
                for line in read_lines(process):
                    read_event(line, reports, on_event)
        finally:
            # Those on this machine are in one group with mlx.launch; others end with their ssh.
            with suppress(OSError):
                os.killpg(process.pid, SIGKILL)
    record = run.read() if run.is_complete else None
    if reports.refused:
        raise TrainingError(reports.refused)
    if record is not None and record != before:
        result: dict[str, Any] = record["result"]
        return result
    if stopping:
        raise KeyboardInterrupt
    raise RankLostError(explain_loss(reports, hosts["hosts"]))


def start_ranks(hosts: dict[str, Any], request: dict[str, Any], workspace: Path, scratch: Path) -> "Popen[bytes]":
    """Start mlx.launch with a hostfile in `scratch`."""
    envs = [f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ]
    together = max(Counter(host["ssh"] for host in hosts["hosts"]).values())
    if together > 1 and "OPENBLAS_NUM_THREADS" not in os.environ:
        # Ranks on one machine that each want all of its cores take twice as long.
        envs.append(f"OPENBLAS_NUM_THREADS={max(1, (os.cpu_count() or 1) // together)}")
    hostfile = scratch / "hosts.json"
    write_json(hostfile, {**hosts, "envs": [*envs, *hosts["envs"]]})
    ports = ("--starting-port", str(find_ports(len(hosts["hosts"]))))
    launch = (str(Path(sys.executable).with_name("mlx.launch")), "--hostfile", str(hostfile), *ports)
    rank = (sys.executable, "-m", RANK, json.dumps(request))
    try:
        return Popen(
            [*launch, "--cwd", str(workspace), "--", *rank],
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            # Ctrl-C is for this process, which tells the ranks.
            start_new_session=True,
        )
    except FileNotFoundError as err:
        raise TrainingError(f"No {launch[0]}, which comes with mlx: install mlx-tutor again.") from err


def read_lines(process: "Popen[bytes]") -> Iterator[str]:
    """What mlx.launch and the ranks write, line by line."""
    assert process.stdin is not None and process.stdout is not None
    pipe, rest = process.stdout.fileno(), b""
    while True:
        # mlx.launch finds only with words for them that the ranks do not listen, and rests.
        with suppress(BrokenPipeError):
            os.write(process.stdin.fileno(), b"\n")
        if not select([pipe], [], [], BEAT)[0]:
            continue
        if not (data := os.read(pipe, 65536)):
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="replace").strip() for line in lines)


def read_event(line: str, reports: RankReports, on_event: Callable[[Any], None]) -> None:
    """Take in one line: JSON of a rank, or what mlx.launch says of a lost one."""
    if lost := LOST_RANK.search(line):
        reports.lost.append((int(lost[1]), lost[2] or ""))
        return
    try:
        said = json.loads(line)
    except json.JSONDecodeError:
        return
    if not isinstance(said, dict):
        return
    if "process" in said:
        reports.process = said["process"]
    elif "metric" in said:
        on_event(said["metric"])
    elif "refused" in said:
        reports.refused = reports.refused or said["refused"]
    elif "failed" in said:
        reports.failed[said["rank"]] = said["failed"]


def explain_loss(reports: RankReports, hosts: Sequence[Any]) -> str:
    """Which rank died first, and of what."""
    if not reports.lost:
        return "mlx.launch ended before the training did."
    # Others fail as well, because they lost this one, and may be heard of before it.
    rank, status = min(reports.lost, key=lambda lost: LOST_PEER in reports.failed.get(lost[0], ""))
    reason = reports.failed.get(rank) or (f"signal {status[1:]}" if status.startswith("-") else f"exit status {status}")
    others = {1: "", 2: "; the other was stopped"}.get(len(hosts), "; the others were stopped")
    return f"Rank {rank} on {hosts[rank]['ssh']} died ({reason}){others}."
