"""build --from-learned: rows for what the trained model does not know, and the next run trains them."""

import json
from pathlib import Path
from typing import Any

from tests.commands.conftest import Invoke


def read_rows(workspace: Path, split: str = "train") -> list[dict[str, Any]]:
    path = workspace / "corpora" / "demo" / "dataset" / f"{split}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def change_learned(workspace: Path, change: Any) -> None:
    """Change each entry of what the first run was found to know."""
    path = workspace / "adapters" / "demo" / "evaluation.json"
    evaluation = json.loads(path.read_text(encoding="utf-8"))
    for entries in evaluation["learned"]["lists"].values():
        for entry in entries:
            change(entry)
    path.write_text(json.dumps(evaluation), encoding="utf-8")


def forget(entry: dict[str, Any]) -> None:
    entry["tuned"].update(margins=[-1.0, -1.0], said=0.0)


def know(entry: dict[str, Any]) -> None:
    entry["tuned"].update(margins=[1.0, 1.0], kinds=dict.fromkeys(entry["tuned"]["kinds"], 1.0))


def test_what_is_not_known_gets_rows_that_are_trained_until_a_plain_build(invoke: Invoke, finished: Path) -> None:
    none = invoke("build", "--from-learned")
    assert none.exit_code == 1 and "mlx-tutor evaluate -c demo --learned" in none.stderr
    held_out = {split: read_rows(finished, split) for split in ("valid", "test")}
    before = read_rows(finished)
    assert invoke("evaluate", "--learned").exit_code == 0
    change_learned(finished, forget)
    result = invoke("build", "--from-learned", "--json")
    assert result.exit_code == 0, result.stderr
    practice = json.loads(result.stdout)["result"]["practice"]
    facts = {row["qa_pair"]["answer"] for row in before}
    rows = [row for row in read_rows(finished) if row["origin"]["method"].startswith("practice")]
    assert len(rows) == practice["rows"] > len(facts) / 2 and len(read_rows(finished)) == len(before) + len(rows)
    assert practice["facts"] >= practice["practised"] + practice["held_out"] and practice["held_out"] > 0
    assert f"{practice['rows']} more rows for {practice['practised']} of them" in result.stderr
    assert {split: read_rows(finished, split) for split in held_out} == held_out
    again = invoke("build", "--from-learned", "--json")
    assert json.loads(again.stdout)["up_to_date"] and "0 known" not in again.stderr
    trained = invoke("run")
    assert trained.exit_code == 0 and (finished / "adapters" / "demo-2" / "run.json").is_file(), trained.output
    assert len(read_rows(finished)) == len(before) + len(rows)
    # All is known now: by rows that it still needs.
    change_learned(finished, know)
    known = invoke("build", "--from-learned", "--json")
    assert json.loads(known.stdout)["up_to_date"] and "0 not known" in known.stderr
    assert [row for row in read_rows(finished) if row not in before] == rows
    plain = invoke("build")
    assert plain.exit_code == 0 and "--from-learned adds them again" in plain.stderr
    assert read_rows(finished) == before
    nothing = invoke("build", "--from-learned", "--json")
    assert json.loads(nothing.stdout)["result"]["practice"]["rows"] == 0 and read_rows(finished) == before


def test_a_record_of_an_older_version_is_asked_for_again(invoke: Invoke, finished: Path) -> None:
    assert invoke("evaluate", "--learned", "--limit", "4").exit_code == 0
    change_learned(finished, lambda entry: entry.pop("left_out"))
    result = invoke("build", "--from-learned")
    assert result.exit_code == 1 and "evaluate -c demo --run demo --learned" in result.stderr
