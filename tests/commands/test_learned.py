"""The learned command, on a run with a result of its own."""

import json
from pathlib import Path

from tests.commands.conftest import Invoke
from tests.study.quiz.rows import LEARNED


def test_what_the_model_knows_is_listed_with_its_place(finished: Path, invoke: Invoke) -> None:
    none = invoke("learned")
    assert none.exit_code == 1 and "mlx-tutor evaluate -c demo --learned" in none.stderr
    path = finished / "adapters" / "demo" / "evaluation.json"
    measured = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**measured, "learned": LEARNED}))
    shown = invoke("learned")
    assert shown.exit_code == 0 and "2 known, 2 recited only, 1 not yet; asked 5 of 9 facts." in shown.stdout
    assert "What is a reel?" in shown.stdout and "a.md, page 3" in shown.stdout
    listed = json.loads(invoke("learned", "--level", "recited", "--json").stdout)
    assert [fact["question"] for fact in listed["facts"]] == ["What is a reel?", "What is a gaff?"]
    assert "0 known, 0 recited only, 0 not yet" in invoke("learned", "--source", "week9.md").stdout
