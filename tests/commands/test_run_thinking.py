"""model.thinking, from the rows to the answer."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.chat_templates import QWEN3
from tests.commands.conftest import Invoke, expect_problem, make_course
from tests.model_factory import make_tokenizer
from tests.thinking_model import ANSWER, THOUGHTS, make_thinker

ON = ("--set", "model.thinking=true")


@pytest.fixture
def course(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course, built, on a base with Qwen3's template; the working directory is its workspace."""
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    make_tokenizer(base, QWEN3)
    root = make_course(tmp_path, "demo", base)
    (root / "sources" / "reasons.md").write_text(
        "# Why\n\n## Outliers and spread\n\nThe spread counts large distances more because distances enter it as "
        "squares. The distance of an outlier is larger than all other distances. Therefore, a single outlier can "
        "double the spread of a small sample.\n"
    )
    monkeypatch.chdir(tmp_path)
    return root


def read_trained(invoke: Invoke, *arguments: str) -> list[str]:
    result = invoke("show", "--json", "-n", "99", *arguments)
    assert result.exit_code == 0, result.stderr
    return [turn["trained"] for row in json.loads(result.stdout) for turn in row["turns"]]


def test_steps_are_trained_as_thoughts_and_a_run_knows_that_it_thinks(invoke: Invoke, course: Path) -> None:
    assert invoke("extract").exit_code == invoke("build").exit_code == 0
    rows = (course / "dataset" / "train.jsonl").read_bytes()
    plain, thinking = read_trained(invoke), read_trained(invoke, *ON)
    assert not any("<think>" in text for text in plain) and any(text.startswith("Step by step") for text in plain)
    for before, after in zip(plain, thinking, strict=True):
        steps, _, answer = before.removeprefix("Step by step:\n").rpartition("\n\nAnswer: ")
        if before.startswith("Step by step"):
            assert after.startswith(f"<think>\n{steps}\n</think>\n\n") and after.endswith(answer)
            assert "Step by step" not in after
        else:
            assert after == f"<think>\n\n</think>\n\n{before}"
    trained = invoke("run", *ON)
    assert trained.exit_code == 0 and "build     up to date" in trained.stderr
    assert re.search(r"^Next: .* compare --prompt .* --set model\.thinking=true$", trained.stdout, re.MULTILINE)
    assert (course / "dataset" / "train.jsonl").read_bytes() == rows
    assert "up to date" in invoke("train", *ON).stderr
    for arguments in (
        ("fuse", "--set", "fuse.bits=8"),
        ("evaluate",),
        ("ask", "Why?"),
        ("compare", "--prompt", "Why?"),
    ):
        assert "model.thinking = false, but run 'demo' was trained with true" in expect_problem(invoke, *arguments)
    assert invoke("evaluate", "--generate", "--limit", "2", *ON).exit_code == 0
    assert invoke("train", "--json").exit_code == 0
    assert len(list((course.parent.parent / "adapters").glob("demo*"))) == 2


def test_a_base_without_a_thinking_mode_is_refused_by_name(invoke: Invoke, workspace: Path) -> None:
    assert invoke("extract").exit_code == invoke("build").exit_code == 0
    for command in ("show", "train", "run"):
        problem = expect_problem(invoke, command, *ON)
        assert "model.thinking = true, but the chat template of" in problem and "tiny-model" in problem
    assert not (workspace / "adapters").exists()


def test_the_user_sees_the_answer_and_with_v_the_thoughts(
    invoke: Invoke, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chat = [{"role": "system", "content": "Tutor."}, {"role": "user", "content": "Why?"}]
    thinker = make_thinker(tmp_path_factory.mktemp("thinker"), [chat])  # type: ignore[list-item]
    asked = ["ask", "Why?", "--base", "--no-search", *ON, "--set", f"model.base={thinker}"]
    long = [*asked, "--set", "generate.max_tokens=80"]
    result = invoke(*long)
    assert ANSWER in result.stdout and THOUGHTS not in result.output and "think>" not in result.output
    assert THOUGHTS in invoke(*long, "-v").stderr
    found = json.loads(invoke(*long, "--json").stdout)["answer"]
    assert (found["text"], found["thoughts"]) == (ANSWER, THOUGHTS)
    cut = invoke(*asked)
    assert cut.exit_code == 0 and "Warning: All 12 tokens went into thoughts, so there is no answer." in cut.stderr
