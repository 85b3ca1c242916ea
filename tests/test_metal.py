"""What only a Mac can show. Extraction needs no test here: its workers are started afresh on every system."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import pytest

from mlx_tutor.models import load_model
from mlx_tutor.study.exam.offline import SANDBOX, SANDBOXED
from mlx_tutor.training.batches import TokenRow
from mlx_tutor.training.loss import measure_loss
from mlx_tutor.training.process import keep_awake

pytestmark = [pytest.mark.metal, pytest.mark.skipif(sys.platform != "darwin", reason="needs a Mac")]


@pytest.fixture
def on_cpu() -> Iterator[None]:
    """MLX computes on the CPU for the length of a test that asks for it."""
    device = mx.default_device()
    yield
    mx.set_default_device(device)


def test_metal_and_cpu_agree_on_the_loss(tiny_model: Path, on_cpu: None) -> None:
    rows = [TokenRow(tuple(range(3, 3 + length)), length // 3) for length in (9, 40, 111, 240)]
    assert mx.default_device() == mx.Device(mx.gpu)
    metal = measure_loss(load_model(tiny_model).model, rows, 2)
    mx.set_default_device(mx.Device(mx.cpu))
    assert metal == pytest.approx(measure_loss(load_model(tiny_model).model, rows, 2), abs=2e-3)


def test_the_sandbox_lets_this_machine_through_and_nothing_else() -> None:
    script = """
import os, socket, sys
from mlx_tutor.study.exam import offline
offline.prepare_offline()
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5):
    print(offline.SANDBOXED in os.environ, offline.probe_route().outcome, offline.try_address().outcome, sep=", ")
"""
    assert SANDBOX.is_file()
    environment = {name: value for name, value in os.environ.items() if name != SANDBOXED}
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", script, str(server.getsockname()[1])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "True, denied by the system, denied by the system"


def list_awake() -> set[str]:
    """Numbers of the caffeinate processes that the system stays awake for."""
    told = subprocess.run(["pmset", "-g", "assertions"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"pid (\d+)\(caffeinate\).*PreventUserIdleSystemSleep", told))


def test_a_mac_stays_awake_while_it_trains() -> None:
    before = list_awake()
    with keep_awake():
        end = time.monotonic() + 10
        while not list_awake() - before and time.monotonic() < end:
            time.sleep(0.1)
        assert list_awake() - before
    end = time.monotonic() + 10
    while list_awake() - before and time.monotonic() < end:
        time.sleep(0.1)
    assert not list_awake() - before
