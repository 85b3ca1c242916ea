"""rate: keys from a pipe, what is shown, going on later, the summary and the export."""

import json
import sqlite3
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mlx_tutor.cli import cli
from mlx_tutor.commands.rate import KEEP, read_keys

SETTINGS = ("--set", "generate.max_tokens=4", "--set", 'rate.criteria=["help", "tone"]')


def rate(*arguments: str, keys: str = "", rater: str = "ada") -> Result:
    return CliRunner().invoke(cli, ["rate", "--rater", rater, *SETTINGS, *arguments], input=keys)


@pytest.fixture
def prompts(finished: Path) -> str:
    path = finished / "mine.txt"
    path.write_text("\n".join(f"What is number {i}?" for i in range(3)))
    return str(path)


def test_three_pairs_are_rated_and_summed_up(prompts: str) -> None:
    result = rate("--prompts", prompts, keys="55 44\n1 1 1 1\nnonsense 3333\n")
    assert result.exit_code == 0, result.stderr
    assert "3 of 3 prompts rated by ada (3)" in result.stdout
    assert "rated 4 or more" in result.stdout and "exact sign test p = 1.000" in result.stdout
    assert "Prompts on which fused is worse:" in result.stdout
    shown = result.stdout.split("3 of 3 prompts rated")[0]
    assert shown.count("A, help:") == 4 and not any(word in shown for word in ("base", "fused", "adapter"))


def test_quit_and_go_on_later(prompts: str) -> None:
    first = rate("--prompts", prompts, keys="3 4 q\n")
    assert first.exit_code == 0 and "0 of 3 pairs rated; nothing is lost" in first.stderr
    assert "--rater ada --set generate.max_tokens=4" in first.stderr and "prompts rated by" not in first.stdout
    # The two scores are there: the pair goes on with its second answer.
    second = rate(keys="5 5\n1111\n2222\n")
    assert second.exit_code == 0, second.stderr
    assert second.stdout.index("B, help:") < second.stdout.index("A, help:")
    assert "3 of 3 prompts rated" in second.stdout


def test_back_and_skip(prompts: str, finished: Path) -> None:
    # The first pair is skipped; in the second a score is taken back, and later the whole pair is opened again.
    result = rate("--prompts", prompts, keys="skip\n1 back 5 5 5 5\nback 2\n4 4 4 4\n")
    assert result.exit_code == 0 and "1 skipped, which come again" in result.stderr
    with sqlite3.connect(finished / "corpora" / "demo" / "journal.sqlite") as connection:
        scores = [score for (score,) in connection.execute("SELECT score FROM ratings ORDER BY pair, rated")]
    connection.close()
    assert sorted(scores) == [2, 4, 4, 4, 4, 5, 5, 5]
    assert rate(keys="1 1 1 1\n").stdout.count("3 of 3 prompts rated") == 1


def test_the_end_of_the_input_is_quitting(prompts: str) -> None:
    assert "nothing is lost" in rate("--prompts", prompts, keys="5").stderr


def test_json_of_two_raters(prompts: str) -> None:
    for rater, keys in (("ada", "5511 5511 5511"), ("bob", "4422 4422 4422")):
        found = rate("--prompts", prompts, "--json", keys=keys, rater=rater)
        assert json.loads(found.stdout)["finished"]
    summary = json.loads(rate("--summary", "--json").stdout)
    assert summary["raters"] == {"ada": 3, "bob": 3} and summary["agreement"]["shared"] == 3
    assert summary["models"]["tuned"]["label"] == "fused" and len(summary["prompts"]) == 3
    assert "Krippendorff" in rate("--summary").stdout


def test_a_rater_with_other_settings_joins_the_others(prompts: str) -> None:
    rate("--prompts", prompts, keys="5511 5511 5511")
    joined = rate("--set", "generate.max_tokens=9", keys="4422 4422 q", rater=" Bob ")
    assert joined.exit_code == 0 and "You rate the answers that ada (3) rated" in joined.stderr
    assert rate(keys="4422", rater="bob").stdout.count("prompts rated by Bob (3), ada (3)") == 1
    # New answers are asked for by name, and nothing is lost without a word.
    anew = rate("--set", "generate.max_tokens=9", "--prompts", prompts, keys="q")
    assert "A new count begins: Bob (3), ada (3) rated other models or settings" in anew.stderr


def test_export_of_preference_pairs(prompts: str, finished: Path) -> None:
    rate("--prompts", prompts, keys="5511 3333 1155")
    result = rate("--export", "pairs.jsonl")
    assert result.exit_code == 0 and "2 preference pairs" in result.stderr
    rows = [json.loads(line) for line in (finished / "pairs.jsonl").read_text().splitlines()]
    assert all(row["prompt"][0] == {"role": "system", "content": "Tutor."} and row["margin"] == 4.0 for row in rows)
    assert all(row["chosen"][0]["role"] == row["rejected"][0]["role"] == "assistant" for row in rows)
    again = rate("--export", "pairs.jsonl")
    assert again.exit_code == 1 and "not overwritten" in again.stderr


def test_the_report_of_the_run_has_the_ratings(prompts: str, finished: Path) -> None:
    assert CliRunner().invoke(cli, ["evaluate"]).exit_code == 0
    page = finished / "adapters" / "demo" / "report.html"
    assert "Rated blind" not in page.read_text()
    rate("--prompts", prompts, keys="5511 5511 5511")
    text = page.read_text()
    assert "Rated blind" in text and "3 of 3 prompts rated from 1 to 5 by ada (3)" in text and "By prompt" in text
    assert CliRunner().invoke(cli, ["evaluate"]).exit_code == 0
    assert "Rated blind" in page.read_text()


def test_the_adapter_while_nothing_is_fused(prompts: str, finished: Path) -> None:
    (finished / "fused_models" / "demo" / "fuse.json").unlink()
    assert "adapter: " in rate("--prompts", prompts, keys="5511 5511 5511").stdout


def test_prompts_from_the_test_rows(finished: Path) -> None:
    result = rate("--from-test", "2", keys="5511 1155")
    assert result.exit_code == 0, result.stderr
    assert "2 of 2 prompts" in result.stdout and "test-1" in result.stdout


def test_a_prompt_that_was_trained_on_is_named(finished: Path) -> None:
    row = json.loads((finished / "corpora" / "demo" / "dataset" / "train.jsonl").read_text().splitlines()[0])
    prompt = next(turn["content"] for turn in row["messages"] if turn["role"] == "user")
    (finished / "mine.jsonl").write_text(json.dumps({"id": "known", "prompt": prompt}) + "\n")
    assert "training rows ask the same as these prompts: known" in rate("--prompts", "mine.jsonl").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--prompts", "a", "--from-test", "2"), 2, "not both"),
        (("--summary", "--from-test", "2"), 2, "rated already"),
        (("--prompts", "none.txt"), 1, "a ready set: course, formal"),
        (("--summary",), 1, "Nothing of run 'demo' is rated yet"),
        (("--run", "none"), 1, "No finished run 'none'"),
        (("--set", "rate.criteria=[]"), 1, "rate.criteria"),
    ],
)
def test_what_goes_wrong(finished: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = rate(*arguments)
    assert result.exit_code == code and message in result.stderr


def test_keys_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["45", "\x1b[A", "\r", "\n", "S", "\x04"])

    def press() -> str:
        if (found := next(typed)) == "\x04":
            raise EOFError
        return found

    monkeypatch.setattr(click, "getchar", press)
    assert list(read_keys(True)) == ["4", "5", "\x1b[a", KEEP, KEEP, "s"]
