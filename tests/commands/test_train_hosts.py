"""One training on several hosts: here always ranks of this machine, started by the real mlx.launch."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlx_tutor.training.launch import RankReports, explain_loss
from tests.commands.conftest import Invoke, run_program
from tests.commands.trainings import start_training

TWO = ("--hosts", "127.0.0.1,127.0.0.1")
# At the recipe's rate, trainings of one machine with another BLAS are as far apart as these.
CALM = ("--set", "train.learning_rate=3e-4")
LONG = (*CALM, "--set", "train.iters=40", "--set", "train.steps_per_eval=20", "--set", "train.steps_per_save=5")


def read_curve(workspace: Path, run: str) -> list[tuple[str, int, Any]]:
    lines = (workspace / "adapters" / run / "metrics.jsonl").read_text().splitlines()
    return [(m["kind"], m["iteration"], pytest.approx(m["loss"], abs=1e-3)) for m in map(json.loads, lines)]


def find_ranks(workspace: Path) -> list[int]:
    """Process numbers of the ranks of a workspace."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    found = re.findall(rf"^ *(\d+) {re.escape(sys.executable)} -m mlx_tutor.commands.rank (.*)$", listed.stdout, re.M)
    return sorted(int(number) for number, request in found if f'"{workspace}"' in request)


def test_two_ranks_learn_what_one_learns(invoke: Invoke, built: Path) -> None:
    # 40 rows and 7 for validation: the last batch of each pass has one row, and the second rank none.
    changes = ("iters=16", "batch_size=3", "steps_per_report=1", "grad_accumulation_steps=2")
    steps = (*CALM, *(word for change in changes for word in ("--set", f"train.{change}")))
    assert invoke("train", "--run", "alone", *steps).exit_code == 0
    result = invoke("train", "--run", "two", "--json", *steps, *TWO)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)["result"]
    assert (report["run"], report["stopped"], report["iterations"]) == ("two", "finished", 16)
    curve = read_curve(built, "two")
    assert curve == read_curve(built, "alone") and len(curve) == 16 + 4
    # What was reported is shown as it comes, and nobody but the first rank wrote anything.
    assert " 16/16  validation loss" in result.stderr
    files = [{path.name for path in (built / "adapters" / run).iterdir()} for run in ("alone", "two")]
    assert files[0] == files[1] and len(list((built / "adapters").iterdir())) == 2
    # It is the same training, whoever does it.
    result = invoke("train", "--json", *steps, *TWO)
    assert json.loads(result.stdout)["up_to_date"]


def test_a_group_of_one_is_no_group(invoke: Invoke, built: Path) -> None:
    steps = ("--set", "train.iters=4", "--set", "train.dropout=0.1")
    assert invoke("train", "--run", "alone", *steps).exit_code == 0
    (built / "hosts.json").write_text('{"hosts": [{"ssh": "127.0.0.1", "ips": ["127.0.0.1"]}]}')
    result = invoke("train", "--run", "one", *steps, "--hosts", "hosts.json")
    assert result.exit_code == 0, result.stderr
    alone, one = ((built / "adapters" / run / "adapters.safetensors").read_bytes() for run in ("alone", "one"))
    assert alone == one


def test_a_rank_that_dies_ends_all_with_one_line_that_says_how_to_go_on(built: Path) -> None:
    with start_training(built, '"iteration": 8', "train", *LONG, *TWO) as process:
        ranks = find_ranks(built)
        assert len(ranks) == 2
        os.kill(ranks[-1], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err and "[ring]" not in err
    said = re.search(
        r"^Error: Rank [01] on 127\.0\.0\.1 died \(signal 9\); the other was stopped\. Go on: mlx-tutor (train .*)$",
        err,
        re.M,
    )
    assert said is not None and said[1].endswith("--hosts 127.0.0.1,127.0.0.1"), err
    assert not find_ranks(built)
    assert not (built / "adapters" / "demo" / "run.json").exists()
    code, out, err = run_program(*shlex.split(said[1]), "--json")
    assert code == 0, err
    assert re.search(r"resuming demo at step \d+ of 40", err)
    assert json.loads(out)["result"]["stopped"] == "finished"


def test_a_stop_is_saved_and_one_machine_alone_goes_on_from_it(invoke: Invoke, built: Path) -> None:
    with start_training(built, '"iteration": 8', "train", *LONG, *TWO) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Go on: mlx-tutor train -c demo --run demo --set train.learning_rate=3e-4" in err and "Traceback" not in err
    record = json.loads((built / "adapters" / "demo" / "run.json").read_text())
    assert record["result"]["stopped"] == "interrupted"
    result = invoke("train", *LONG)
    assert f"resuming demo at step {record['result']['iterations']} of 40" in result.stderr
    assert invoke("train", "--run", "alone", *LONG).exit_code == 0
    assert read_curve(built, "demo") == read_curve(built, "alone")


def test_a_host_with_other_rows_is_named(built: Path) -> None:
    request = {"workspace": str(built), "course": "demo", "run": "demo", "overrides": [], "ranks": 1}
    request |= {"inputs": {"rows": "others"}, "launcher": os.getpid()}
    command = [sys.executable, "-m", "mlx_tutor.commands.rank", json.dumps(request)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1 and not result.stderr
    refused = f"{os.uname().nodename} has other rows than this machine. Copy corpora/demo and the base model there"
    assert refused in result.stdout and not (built / "adapters").exists()


def test_ranks_end_when_nobody_waits_for_them(built: Path) -> None:
    with start_training(built, '"iteration": 4', "train", *LONG, "--set", "train.iters=100000", *TWO) as process:
        process.kill()
    begun = time.monotonic()
    while find_ranks(built) and time.monotonic() < begun + 60:
        time.sleep(0.2)
    assert not find_ranks(built)
    record = json.loads((built / "adapters" / "demo" / "run.json").read_text())
    assert record["result"]["stopped"] == "interrupted"


def test_fewer_rows_in_a_batch_than_ranks_are_refused(invoke: Invoke, built: Path) -> None:
    result = invoke("train", "--set", "train.batch_size=1", *TWO)
    assert result.exit_code == 1
    assert "train.batch_size 1 gives 2 hosts less than a row each" in result.stderr
    result = invoke("train", "--plan", *TWO)
    assert result.exit_code == 2 and "leave out --hosts" in result.stderr


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ("127.0.0.1,", "give machines as a,b, or an existing hostfile"),
        ("missing/hosts.json", "give machines as a,b, or an existing hostfile"),
        ("127.0.0.1,no host", "no machine 'no host' is known here. Give its address."),
        ("127.0.0.1,203.0.113.1", "other machines cannot reach 127.0.0.1"),
        ("203.0.113.1", "the first host must be this machine"),
        ("hosts.json", "hosts.json is no hostfile of mlx.launch"),
    ],
)
def test_hosts_that_cannot_be_are_refused(invoke: Invoke, built: Path, hosts: str, message: str) -> None:
    (built / "hosts.json").write_text('[{"name": "mac"}]')
    result = invoke("train", "--hosts", hosts)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (built / "adapters").exists()


def test_the_rank_that_died_is_named_and_not_one_that_lost_it() -> None:
    reports = RankReports(failed={0: "RuntimeError: [ring] connection to a peer was lost"}, lost=[(0, "1"), (1, "-9")])
    said = "Rank 1 on b died (signal 9); the other was stopped."
    assert explain_loss(reports, [{"ssh": "a"}, {"ssh": "b"}]) == said
