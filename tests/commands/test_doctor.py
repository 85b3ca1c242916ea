"""doctor and pull."""

import json
import sys
from pathlib import Path

import pytest

from mlx_tutor.doctor import find_problems, list_cached_models, pick_recipe
from tests.commands.conftest import Invoke


def test_doctor_reports_machine_packages_and_courses(invoke: Invoke, workspace: Path) -> None:
    result = invoke("doctor", "--json")
    found = json.loads(result.stdout)
    assert found["memory_gib"] > 0 and found["chip"] and found["backend"] in ("CPU", "Metal", "CUDA")
    assert {"mlx", "mlx-lm"} <= set(found["packages"])
    assert found["courses"] == ["demo"]
    # Any machine does a billion operations a second, and none a quadrillion.
    assert found["blas"] and 1 < found["gflops"] < 1e6
    assert found["workspace"] == str(workspace)
    assert result.exit_code == bool(found["problems"])
    text = invoke("doctor").stdout
    assert all(word in text for word in ("chip", "memory", "BLAS", "cached models", "recipe that fits"))


def test_doctor_without_a_hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.utils._cache_manager as manager

    monkeypatch.setattr(manager, "HF_HUB_CACHE", str(tmp_path / "none"))
    assert list_cached_models() == ()
    blobs = tmp_path / "hub" / "models--owner--name" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    (blobs / "config.json").write_text("{}")
    monkeypatch.setattr(manager, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert [model.name for model in list_cached_models()] == ["owner/name"]


@pytest.mark.parametrize(
    ("memory", "recipe"), [(4, None), (7.6, "small"), (16, "standard"), (22.9, "large"), (64, "large")]
)
def test_the_largest_recipe_that_fits(memory: float, recipe: str | None) -> None:
    assert pick_recipe(memory) == recipe


def test_two_backends_are_a_problem() -> None:
    both = {"mlx-cpu": "0.32.4", "mlx-cuda-13": "0.32.4"}
    assert "overwrite each other" in find_problems(both, "CUDA", "", "/usr/bin/g++", 32)[0]
    assert find_problems({"mlx-cpu": "0.32.4"}, "CPU", "", "/usr/bin/g++", 32) == []


def test_what_makes_a_cpu_slow_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    problems = find_problems({}, "CPU", "Install OpenBLAS.", None, 2)
    assert [word for word in ("OpenBLAS", "g++", "smollm2") if any(word in text for text in problems)] == [
        "OpenBLAS",
        "g++",
        "smollm2",
    ]


def test_pull_checks_a_folder_and_tells_its_size(invoke: Invoke, tiny_model: Path) -> None:
    result = invoke("pull", str(tiny_model), "--json")
    found = json.loads(result.stdout)
    assert found["path"] == str(tiny_model)
    assert found["bytes"] == sum(file.stat().st_size for file in tiny_model.iterdir())
    assert "MB in" in invoke("pull", str(tiny_model)).stdout


def test_pull_of_something_that_is_no_model(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("pull", str(tmp_path / "nothing"))
    assert result.exit_code == 1
    assert "smollm2" in result.stderr


def test_pull_converts_a_gguf_file_under_a_name(
    invoke: Invoke, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.gguf.factory import make_gguf

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = make_gguf(tmp_path / "small.gguf", kind="Q6_K")
    result = invoke("pull", str(path), "--name", "mine")
    assert result.exit_code == 0 and result.stdout.startswith("mine: ")
    assert "small.gguf: matrices 15 Q6_K rounded again to 8 bits" in result.stderr
    found = json.loads(invoke("pull", "mine", "--json").stdout)
    assert found["path"].startswith(str(tmp_path / "cache")) and "15 Q6_K" in found["conversion"]
    # The whole line on it, by name and by file.
    quick = ("train.iters=2", "train.steps_per_eval=2", "train.num_layers=1", "fuse.bits=8")
    done = invoke("run", *(part for item in ("model.base=mine", *quick) for part in ("--set", item)))
    assert done.exit_code == 0, done.stderr
    asked = invoke("ask", "What is a mean?", "--base", "--no-search", "--set", f"model.base={path}")
    assert asked.exit_code == 0, asked.stderr
    for arguments in (("starter", "--name", "x"), (str(path), "--name", "smollm2")):
        assert invoke("pull", *arguments).exit_code == 2


def test_wherever_the_starter_answers_it_says_what_it_is(invoke: Invoke, finished: Path) -> None:
    line = "The starter is a model for tests"
    prompt, few = ("--prompt", "What is a mean?"), ("--set", "generate.max_tokens=2")
    asked = invoke("ask", "What is a mean?", "--no-search", "--base", "--set", "model.base=starter", *few)
    assert asked.stderr.count(line) == 1 and "model.base=smollm2" in asked.stderr
    assert invoke("compare", "--model", "starter", *prompt, *few).stderr.count(line) == 1
    commands = (("ask", "What is a mean?", "--no-search", *few), ("compare", *prompt, *few), ("run",))
    assert not [command for command in commands if line in invoke(*command).stderr]
    # A model that was fused from it is told by its papers.
    [paper] = (finished / "fused_models").glob("*/fuse.json")
    paper.write_text(json.dumps(json.loads(paper.read_text()) | {"base": "starter"}))
    assert [invoke(*command).stderr.count(line) for command in commands] == [1, 1, 1]
