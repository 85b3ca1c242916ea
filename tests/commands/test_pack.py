"""pack and open: a lecturer hands out one file, and a student asks, reads and is quizzed from it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mlx_tutor.generate import Answer
from mlx_tutor.study.chat import ask
from tests.commands.conftest import Invoke, expect_problem

QUESTION = "Which value occurs most often?"
MODE = "The mode is the value that occurs most often in a sample."


@pytest.fixture
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder."""
    return tmp_path_factory.mktemp("student")


def make_key(folder: Path, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
    arguments = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "ada@lab", "-f", str(folder / name)]
    subprocess.run(arguments, check=True)
    return folder / name


def test_a_student_opens_what_a_lecturer_packed(
    finished: Path, student: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = invoke("pack", "--to", str(student / "stats.tutor"), "--json")
    assert result.exit_code == 0, result.output
    packed = json.loads(result.stdout)
    assert packed["fused"] and packed["documents"] == 2 and not packed["sources"] and packed["signed_by"] is None
    assert packed["bytes"] == (student / "stats.tutor").stat().st_size > sum(packed["parts"].values())
    assert "exists and is not overwritten" in expect_problem(invoke, "pack", "--to", str(student / "stats.tutor"))
    # Nothing of the lecturer's is left on this machine.
    for folder in ("corpora", "adapters", "fused_models"):
        shutil.rmtree(finished / folder)
    monkeypatch.chdir(student)
    result = invoke("open", "stats.tutor")
    assert result.exit_code == 0, result.output
    assert "all as packed" in result.stdout and "Not signed" in result.stdout
    found = invoke("ask", QUESTION, "--json")
    # Neither changed sources nor a stale model nor a missing base.
    assert found.exit_code == 0 and found.stderr == "", found.stderr
    assert json.loads(found.stdout)["model"] == "demo"
    assert json.loads(found.stdout)["passages"][0]["heading"][-1] == "Mode"
    monkeypatch.setattr(ask, "generate_answer", lambda *_: Answer(MODE, 1, 1, 1.0, 0.0, "stop", 0.0))
    shown = invoke("ask", QUESTION).stdout
    assert "[1]" in shown and "1 week1.md, Week 1 > Mode" in shown and f"“{MODE}”" in shown
    for command in (("runs",), ("explore",), ("guide",), ("cards",), ("quiz", "--json")):
        result = invoke(*command)
        assert result.exit_code == 0, f"{command}\n{result.output}"
    assert "mlx-tutor init" in expect_problem(invoke, "extract")
    assert "--replace" in expect_problem(invoke, "open", "stats.tutor")
    assert invoke("open", "stats.tutor", "--as", "mine").exit_code == 0
    assert json.loads(invoke("ask", "-c", "mine", QUESTION, "--json").stdout)["model"] == "mine"


def test_an_adapter_alone_says_which_base_it_needs(
    finished: Path, student: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    result = invoke("pack", "--no-fused", "--with-sources", "--to", str(student / "stats.tutor"))
    assert result.exit_code == 0 and f"the base {tiny_model.name} is needed" in result.stdout
    monkeypatch.chdir(student)
    opened = invoke("open", "stats.tutor")
    assert opened.exit_code == 0, opened.output
    line = next(line for line in opened.stdout.splitlines() if "The adapter alone" in line)
    assert f"its base, {tiny_model.name}, is not on this machine" in line and "--set model.base=FOLDER" in line
    asked = invoke("ask", QUESTION, "--adapter", "demo", "--set", f"model.base={tiny_model}", "--json")
    # The sources came along and are what was read, whatever time their copies have.
    assert asked.exit_code == 0 and asked.stderr == "", asked.output
    assert "up to date" in invoke("extract").stderr
    assert "No model folder" in expect_problem(invoke, "ask", QUESTION, "--adapter", "demo")


def test_keys(finished: Path, student: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    key, other = make_key(student, "one"), make_key(student, "two")
    locked, old = make_key(student, "locked", passphrase="secret"), make_key(student, "old", "rsa")
    (finished / "fused_models" / "demo" / "model.safetensors").write_bytes(b"small")
    for wrong, said in ((locked, "passphrase"), (old, "Ed25519"), (Path(f"{key}.pub"), "not a private key")):
        assert said in expect_problem(invoke, "pack", "--key", str(wrong), "--to", "x.tutor")
    result = invoke("pack", "--key", str(key))
    assert result.exit_code == 0, result.output
    # The same fingerprint as OpenSSH shows.
    shown = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True).stdout
    assert f"signed by {shown.split()[1]}" in result.stdout
    invoke("pack", "--to", str(student / "unsigned.tutor"))
    signed = shutil.copy(finished / "corpora" / "demo" / "exports" / "demo.tutor", student)
    assert b"ada@lab" not in Path(signed).read_bytes()
    monkeypatch.chdir(student)
    for file, given, said in (
        ("demo.tutor", f"{other}.pub", "was signed by SHA256:"),
        ("unsigned.tutor", f"{key}.pub", "is not signed"),
        ("demo.tutor", str(key), "is a private key"),
        ("demo.tutor", "none.pub", "cannot be read"),
        ("one", f"{key}.pub", "no bundle"),
        ("none.tutor", f"{key}.pub", "cannot be read"),
    ):
        assert said in expect_problem(invoke, "open", file, "--key", given)
    assert not (student / "corpora").exists()
    result = invoke("open", "demo.tutor", "--key", f"{key}.pub", "--json")
    assert json.loads(result.stdout)["key_checked"] and json.loads(result.stdout)["signed_by"] == shown.split()[1]
