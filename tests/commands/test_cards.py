"""`mlx-tutor cards`."""

import json
from pathlib import Path

from tests.commands.conftest import Invoke


def test_cards_beside_the_sources(built: Path, invoke: Invoke) -> None:
    for _ in range(2):
        result = invoke("cards")
        assert result.exit_code == 0, result.output
    folder = built / "corpora" / "demo"
    assert f"{folder / 'cards.apkg'}: " in result.stdout
    assert all((folder / f"cards.{suffix}").stat().st_size > 1000 for suffix in ("apkg", "csv", "xml", "txt"))
    found = json.loads(invoke("cards", "--json", "-o", "mine.csv").stdout)
    assert found["files"] == ["mine.csv"] and len(found["cards"]) >= 16
    assert all(card["source"].startswith("week") for card in found["cards"])
    (built / "other.csv").write_text("mine")
    result = invoke("cards", "-o", "other.csv")
    assert result.exit_code == 1 and "--output" in result.stderr and result.stderr.count("\n") == 1


def test_without_rows_it_says_what_to_do(workspace: Path, invoke: Invoke) -> None:
    result = invoke("cards")
    assert result.exit_code == 1 and "mlx-tutor build -c demo" in result.stderr
    assert not list(workspace.glob("corpora/demo/cards*"))
