"""The guide command, on a course of its own."""

from pathlib import Path

from tests.commands.conftest import Invoke


def test_a_guide_goes_into_the_terminal_or_a_file(finished: Path, invoke: Invoke) -> None:
    shown = invoke("guide")
    assert shown.exit_code == 0 and shown.stdout.startswith("# Study guide: demo\n")
    assert "- **outlier** An outlier is a value that lies far away" in shown.stdout
    written = invoke("guide", "-o", "guide.md", "--source", "week1.md")
    assert written.exit_code == 0 and "guide.md: " in written.stdout
    text = Path("guide.md").read_text()
    assert "week1.md" in text and "week2.md" not in text


def test_a_file_without_questions_is_named_with_those_that_have_some(finished: Path, invoke: Invoke) -> None:
    refused = invoke("guide", "--source", "week9.md")
    assert refused.exit_code == 1 and "Files with questions: week1.md, week2.md." in refused.stderr
