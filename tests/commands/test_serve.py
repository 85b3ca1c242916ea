"""serve: what stops it before it begins, and how it ends."""

import builtins
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlx_tutor.study.web.server import open_socket
from tests.commands.conftest import Invoke, expect_problem, make_course, start_program


def test_a_port_in_use_is_one_line(invoke: Invoke, finished: Path) -> None:
    with open_socket("127.0.0.1", 0) as other:
        port = str(other.getsockname()[1])
        problem = expect_problem(invoke, "serve", "--port", port)
    assert f"Port {port} is in use" in problem and "another mlx-tutor serve" in problem and "--port" in problem


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "Give it a password"),
        (("--share",), "Give it a password"),
        (("--host", "0.0.0.0", "--password", "short"), "at least 8"),
        (("--exam", "--share", "--password", "long enough"), "An exam stays on this machine"),
        (("--exam", "--ab", "demo"), "An exam has one model"),
        (("--exam", "--allow-upload"), "An exam takes no files"),
        (("--host", "192.0.2.1", "--password", "long enough"), "Try 127.0.0.1"),
        (("-c", "other"), "Courses here: demo"),
        (("--adapter", "none"), "No finished run 'none'"),
        (("--base", "--set", "model.base=nobody/nothing"), "not on this machine"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    invoke: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    # In this process, an exam would deny the network to all later tests.
    monkeypatch.setattr("mlx_tutor.commands.serve.prepare_offline", lambda: None)
    assert said in expect_problem(invoke, "serve", "--port", "0", *options)


def test_a_broken_model_is_one_line(invoke: Invoke, finished: Path) -> None:
    (finished / "fused_models" / "demo" / "model.safetensors").write_bytes(b"broken")
    assert "cannot be loaded" in expect_problem(invoke, "serve", "--port", "0")


def test_two_models_are_wrong_usage(invoke: Invoke, finished: Path) -> None:
    assert invoke("serve", "--base", "--run", "demo").exit_code == 2


def test_a_package_that_is_not_installed_is_one_line(
    invoke: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(
        name: str,
        namespace: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if name == "mlx_tutor.study.web" and fromlist and "server" in fromlist:
            raise ModuleNotFoundError("No module named 'gradio'", name="gradio")
        return real(name, namespace, local, fromlist or (), level)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert "needs gradio. Install it with: pip install 'mlx-tutor[web]'" in expect_problem(invoke, "serve")


def test_the_program_serves_and_ends_in_peace(finished: Path) -> None:
    """Told to by SIGTERM; by Ctrl-C in the browser's tests."""
    process = start_program("serve", "--port", "0", "--base", PYTHONUNBUFFERED="1")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert [model["id"] for model in httpx.get(f"{address}/v1/models").json()["data"]] == ["base", "base+course"]
        with httpx.stream("GET", f"{address}/gradio_api/heartbeat/x") as reply:
            next(reply.iter_raw())
            process.terminate()
            _, err = process.communicate(timeout=30)
        assert "Stopped." in err and "Traceback" not in err and "Error" not in err
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_all_courses_are_served_and_a_broken_one_is_named(finished: Path, tiny_model: Path, invoke: Invoke) -> None:
    for name in ("algebra", "broken", "empty"):
        make_course(finished, name, tiny_model)
    assert invoke("extract", "-c", "algebra").exit_code == 0
    (finished / "corpora" / "broken" / "recipe.toml").write_text("[train]\nspeed = 3\n")
    for options in (("--exam",), ("--run", "demo"), ("--ab", "demo")):
        assert "Several courses" in expect_problem(invoke, "serve", "--port", "0", *options)
    process = start_program("serve", "--port", "0", PYTHONUNBUFFERED="1")
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert [line.partition(": ")[0] for line in lines] == ["base on algebra", "demo on demo"]
        algebra, demo = (line.split()[-1] for line in lines)
        assert algebra.endswith("/c/algebra/") and demo.endswith("/c/demo/")
        assert "../demo/" in httpx.get(algebra).text and "broken" not in httpx.get(algebra).text
        address = algebra.removesuffix("/c/algebra/")
        names = ["base@algebra", "base@algebra+course", "demo", "demo+course"]
        assert [model["id"] for model in httpx.get(f"{address}/v1/models").json()["data"]] == names
        process.terminate()
        _, err = process.communicate(timeout=30)
        assert "Course 'broken' is not served" in err and "speed" in err
        assert "Course 'empty' is not served" in err and "mlx-tutor extract -c empty" in err
        assert process.returncode == 0 and "Traceback" not in err
    finally:
        process.kill()
        process.communicate()


def test_where_no_course_can_be_served_it_says_so(invoke: Invoke, workspace: Path, tiny_model: Path) -> None:
    make_course(workspace, "other", tiny_model)
    result = invoke("serve", "--port", "0")
    assert result.exit_code == 1 and "No course can be served" in result.stderr
    assert "Course 'demo' is not served" in result.stderr and "Course 'other' is not served" in result.stderr


@pytest.mark.parametrize(
    ("options", "takes"),
    [
        ((), True),
        (("--exam", "--no-search"), False),
        (("--host", "0.0.0.0"), False),
        (("--host", "0.0.0.0", "--allow-upload"), True),
    ],
)
def test_only_this_machines_own_page_takes_files_unless_told(
    finished: Path, options: tuple[str, ...], takes: bool
) -> None:
    process = start_program("serve", "--port", "0", *options, PYTHONUNBUFFERED="1", MLX_TUTOR_PASSWORD="correct horse")
    try:
        assert process.stdout is not None
        while "http://" not in (line := process.stdout.readline()):
            assert line, process.communicate()
        with httpx.Client(base_url=line.split()[-1], auth=("any", "correct horse"), timeout=60) as client:
            assert ("Add to the course" in client.get("/config").text) == takes
            kind = {"Content-Type": "application/octet-stream"}
            put = client.put("/files/add", params={"name": "more.md"}, content=b"# More\n\nA word.", headers=kind)
            assert put.status_code == (201 if takes else 404)
            assert client.post("/files/read", json={}).status_code == (200 if takes else 404)
        assert (finished / "corpora" / "demo" / "sources" / "more.md").exists() == takes
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_two_runs_of_different_courses_are_not_compared(invoke: Invoke, finished: Path) -> None:
    shutil.copytree(finished / "adapters" / "demo", finished / "adapters" / "other")
    record = finished / "adapters" / "other" / "run.json"
    record.write_text(record.read_text().replace('"course": "demo"', '"course": "biology"'))
    problem = expect_problem(invoke, "serve", "--port", "0", "--ab", "other")
    assert "Run 'other' is of course 'biology', and the page of 'demo': --ab compares two runs of one course" in problem
    assert "Run 'demo' answers already" in expect_problem(invoke, "serve", "--port", "0", "--ab", "demo")
    assert "No finished run 'none'" in expect_problem(invoke, "serve", "--port", "0", "--ab", "none")
