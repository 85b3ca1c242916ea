"""`mlx-tutor build` with a teacher, as a user runs it."""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from mlx_tutor.dataset.split import SPLITS
from tests.commands.conftest import Invoke, run_program, start_program
from tests.dataset.teacher.teacher_server import KEY, MODEL, Script, serve_teacher, write_items


@pytest.fixture
def script() -> Script:
    return Script(write_items)


@pytest.fixture
def teacher(script: Script, finished: Path) -> Iterator[Path]:
    """A finished workspace whose recipe names a teacher that answers."""
    with serve_teacher(script) as url:
        add_teacher(finished, f'base_url = "{url}"\nmodel = "{MODEL}"')
        yield finished


def add_teacher(workspace: Path, lines: str) -> None:
    recipe = workspace / "corpora" / "demo" / "recipe.toml"
    recipe.write_text(
        f"{recipe.read_text()}\n[teacher]\n{lines}\nkinds = ['explain']\nprice_in = 1.0\nprice_out = 2.0\n"
    )


def read_splits(workspace: Path) -> list[bytes]:
    return [(workspace / "corpora" / "demo" / "dataset" / f"{split}.jsonl").read_bytes() for split in SPLITS]


def test_build_says_what_it_will_take_and_what_it_took(teacher: Path, script: Script, invoke: Invoke) -> None:
    result = invoke("build", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["result"]
    assert rows["methods"]["teacher explain"] == 2 * len(script.answered) - rows["dropped"].get("exact duplicate", 0)
    assert rows["teacher"]["sent"] == len(script.answered) == 16
    before, after = (line for line in result.stderr.split("\n") if line.startswith("teacher "))
    assert f"{MODEL} at http://127.0.0.1:" in before and "16 requests; about" in before and "at most" in before
    assert "16 requests sent" in after and "1,600 tokens in and 800 out, cost 0.00" in after
    lines = (teacher / "corpora" / "demo" / "dataset" / "train.jsonl").read_text().split("\n")
    taught = [row for row in map(json.loads, filter(None, lines)) if row["origin"]["method"] == "teacher explain"]
    assert taught and all(row["qa_pair"]["type"] == "explain" for row in taught)
    assert "up to date" in invoke("build").stderr


def connect(body: dict[str, Any]) -> str:
    """What connects two sections, from a sentence of each."""
    user = body["messages"][-1]["content"]
    if "- connect: " not in user:
        return write_items(body)
    sentences = [(int(number), text) for number, text in re.findall(r"(?m)^\[(\d+)\]\s+(.+)$", user)]
    (first, one), (last, other) = sentences[0], sentences[-2]
    return (
        f"KIND: connect\nQ: How do {one[:12]} and {other[:14]} hang together?\nA: {one} {other}\nFROM: {first}, {last}"
    )


def test_neighbouring_sections_are_asked_about_together_and_never_parted(
    teacher: Path, script: Script, invoke: Invoke
) -> None:
    script.answer = connect
    result = invoke("build", "--json", "--set", 'teacher.kinds=["explain", "connect"]')
    assert result.exit_code == 0, result.output
    # Of two files with eight sections each.
    assert len(script.answered) == 16 + 8
    place: dict[tuple[str, int], str] = {}
    for split, content in zip(SPLITS, read_splits(teacher), strict=True):
        rows = [json.loads(line) for line in content.splitlines()]
        place |= {(row["origin"]["source"], row["origin"]["section"]): split for row in rows}
        for row in rows:
            if row["origin"]["method"] == "teacher connect":
                assert row["origin"]["evidence"] in row["qa_pair"]["answer"]
    assert json.loads(result.stdout)["result"]["methods"]["teacher connect"] >= 6
    for source in ("week1.md", "week2.md"):
        sections = sorted(number for name, number in place if name == source)
        assert all(
            place[source, one] == place[source, other] for one, other in zip(sections[::2], sections[1::2], strict=True)
        )


def test_the_same_replies_give_the_same_bytes(teacher: Path, script: Script, invoke: Invoke) -> None:
    assert invoke("build").exit_code == 0
    first = read_splits(teacher)
    (teacher / "corpora" / "demo" / "dataset" / "manifest.json").unlink()
    assert invoke("build", "--set", "teacher.concurrency=1").exit_code == 0
    assert read_splits(teacher) == first
    assert len(script.answered) == 16


def test_what_is_wrong_is_one_line_and_the_old_rows_stay(
    teacher: Path, script: Script, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.key = KEY
    monkeypatch.setenv("TUTOR_TEST_KEY", "sk-wrong-and-secret")
    old = read_splits(teacher)
    for change in ("teacher.key_env=TUTOR_TEST_KEY", "teacher.key_env=NO_SUCH_KEY", "teacher.base_url=localhost"):
        result = invoke("build", "--set", change)
        assert result.exit_code == 1
        errors = [line for line in result.stderr.split("\n") if line.startswith("Error: ")]
        assert len(errors) == 1 and "sk-wrong" not in result.output and "Traceback" not in result.output
        assert read_splits(teacher) == old


def test_a_teacher_that_comes_or_goes_makes_the_rows_stale(teacher: Path, invoke: Invoke) -> None:
    nobody = ("--set", "teacher.model=")
    assert "recipe: teacher.model changed" in invoke("train").stderr
    assert invoke("build").exit_code == 0
    assert "recipe: teacher.model changed" in invoke("train", *nobody).stderr
    assert "recipe: teacher.judge changed" in invoke("train", "--set", "teacher.judge=5").stderr
    assert invoke("build", *nobody).exit_code == 0


def test_rejected_replies_are_shown_with_their_reason(teacher: Path, script: Script, invoke: Invoke) -> None:
    script.answer = lambda body: write_items(body).replace("FROM: ", "FROM: 9")
    assert invoke("build").exit_code == 0
    dropped = json.loads(invoke("show", "--split", "dropped", "-n", "50", "--json").stdout)
    reasons = [reason for row in dropped for reason in row["dropped"] if reason.startswith("teacher: ")]
    assert reasons == ["teacher: it cites a number that is not there"] * 16


def test_a_build_asks_again_where_a_reply_is_missing(teacher: Path, script: Script, invoke: Invoke) -> None:
    script.faults.append((418, {}))
    first = invoke("build")
    assert first.exit_code == 0
    assert "Requests that got no reply, and whose rows are missing: HTTP 418 not now (1)." in first.stderr
    assert invoke("train").exit_code == 0
    assert "1 requests sent, 15 replies kept" in invoke("build").stderr
    assert "up to date" in invoke("build").stderr


def test_gaps_are_filled_by_asking_about_thin_sections_only(teacher: Path, script: Script, invoke: Invoke) -> None:
    source = teacher / "corpora" / "demo" / "sources" / "week1.md"
    thin = "without one whole sentence there are words and words and words and many more"
    source.write_text(f"{source.read_text()}\n## Thin\n\n{thin}\n")
    assert invoke("extract").exit_code == 0
    least = ("--set", "dataset.gap_rows=1")
    estimate = json.loads(invoke("build", "--estimate", "--fill-gaps", "--json", *least).stdout)
    thin_sections = estimate["requests"]
    assert 1 <= thin_sections < 8 and estimate["known"] == 0 and script.answered == []
    filled = json.loads(invoke("build", "--fill-gaps", "--json", *least).stdout)["result"]
    assert filled["gaps"] == {"thin": thin_sections, "left": 0}
    assert filled["methods"]["teacher explain"] == 2 * thin_sections
    assert len(script.answered) == thin_sections
    # The rest of the line takes the rows as they are; a plain build asks about the whole course.
    assert "up to date" in invoke("build", "--fill-gaps", *least).stderr
    assert invoke("train", *least).exit_code == 0
    assert json.loads(invoke("build", "--json", *least).stdout)["result"]["gaps"] is None
    assert len(script.answered) == 17
    assert "names no teacher" in invoke("build", "--estimate", "--set", "teacher.model=").stderr


def test_a_build_that_is_killed_goes_on_and_pays_for_no_reply_twice(finished: Path) -> None:
    log, port = finished / "log", finished / "port"
    here = Path(__file__).parents[2]
    server = Popen([sys.executable, "-m", "tests.dataset.teacher.teacher_server", str(port), str(log), "0.3"], cwd=here)
    try:
        wait_for(lambda: port.is_file() and port.read_text() != "")
        add_teacher(finished, f'base_url = "{port.read_text()}"\nmodel = "{MODEL}"\nconcurrency = 2')
        folder = finished / "corpora" / "demo" / "teacher"
        killed = start_program("build")
        wait_for(lambda: folder.is_dir() and len(list(folder.glob("*.json"))) >= 5)
        killed.kill()
        killed.communicate()
        kept = {path.name for path in folder.glob("*.json")}
        paid = len(log.read_text().splitlines())
        assert 5 <= len(kept) < 16
        # At most what was under way when the process died is lost.
        assert paid - len(kept) <= 2
        status, _, said = run_program("build")
        assert status == 0, said
        assert f"{len(kept)} of them answered before" in said
        asked = log.read_text().splitlines()
        assert len(set(asked)) == 16 == len(list(folder.iterdir()))
        assert len(asked) - 16 <= 2
    finally:
        server.kill()
        server.wait()


def shorten(workspace: Path, tiny_model: Path, invoke: Invoke) -> Path:
    """A course of few pieces, and a model of random weights whose context holds a request."""
    large = shutil.copytree(tiny_model, workspace / "large")
    config = json.loads((large / "config.json").read_text())
    (large / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    sources = workspace / "corpora" / "demo" / "sources"
    (sources / "week2.md").unlink()
    (sources / "week1.md").write_text((sources / "week1.md").read_text().partition("## Variance")[0])
    assert invoke("extract").exit_code == 0
    return large


def test_a_model_in_this_process_can_be_the_teacher(finished: Path, tiny_model: Path, invoke: Invoke) -> None:
    large = shorten(finished, tiny_model, invoke)
    add_teacher(finished, f'model = "mlx:{large.as_posix()}"\nmax_tokens = 64')
    result = invoke("build", "--set", "dataset.chunk_tokens=64", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["result"]
    # A model of random weights writes nothing that can be used, and each reply says so.
    assert rows["teacher"]["tokens_out"] > 0
    reasons = {reason: count for reason, count in rows["dropped"].items() if reason.startswith("teacher: ")}
    assert sum(reasons.values()) >= 1
    assert "teacher   mlx:" in result.stderr and "sent to" not in result.stderr


def test_the_base_itself_can_be_the_teacher_and_its_replies_are_its_own(
    finished: Path, tiny_model: Path, invoke: Invoke
) -> None:
    large = shorten(finished, tiny_model, invoke)
    other = shutil.copytree(large, finished / "other")
    add_teacher(finished, 'model = "self"\nmax_tokens = 64')

    def build(base: Path) -> int:
        result = invoke("build", "--json", "--set", f"model.base={base.as_posix()}")
        assert result.exit_code == 0, result.output
        return int(json.loads(result.stdout)["result"]["teacher"]["sent"])

    timed = invoke("build", "--estimate", "--json", "--set", f"model.base={large.as_posix()}")
    assert json.loads(timed.stdout)["seconds"] > 0 and "on this machine" in timed.stderr, timed.output
    sent = build(large)
    # What one base said is not taken for what another says.
    assert sent >= 1 and build(other) == sent and build(large) == 0


def wait_for(happens: Callable[[], bool]) -> None:
    """Wait until a condition holds, a minute at most."""
    end = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)
