"""The blind ratings of a run in tables, for the terminal and for its report."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlx_tutor.evaluation.html import draw
from mlx_tutor.evaluation.rate import list_criteria, read_judgements, read_pairs
from mlx_tutor.evaluation.tally import describe_estimate, describe_share, describe_verdict, summarize_ratings
from mlx_tutor.journal import find_journal
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Course, Run


def read_summary(run: Run, course: str) -> dict[str, Any] | None:
    """What raters gave to the run's answers, as `summarize_ratings` gives it; None where nothing is rated in full."""
    home = Course(run.workspace, course)
    if not find_journal(home).is_file():
        return None
    criteria = list_criteria(home, run.name)
    judgements = read_judgements(home, run.name, criteria) if criteria else []
    return summarize_ratings(read_pairs(home, run.name), judgements, criteria) if judgements else None


def tabulate_scores(found: Mapping[str, Any]) -> Table:
    """Means by criterion, and overall, of base and tuned model."""
    sides = (found["models"]["base"], found["models"]["tuned"])
    rows = [(name, *(describe_estimate(side["criteria"][name]) for side in sides)) for name in found["criteria"]]
    rows.append(("mean of all", *(describe_estimate(side["mean"]) for side in sides)))
    rows.append(("rated 4 or more", *(describe_share(side["success"]) for side in sides)))
    return Table(("", *(side["label"] for side in sides)), rows, numbers=True)


def tabulate_prompts(found: Mapping[str, Any]) -> Table:
    """Both means of each prompt, and their difference."""
    base, tuned = (found["models"][side]["label"] for side in ("base", "tuned"))
    rows = [
        (row["id"], row["task"], f"{row['tuned']:.2f}", f"{row['base']:.2f}", f"{row['difference']:+.2f}")
        for row in found["prompts"]
    ]
    return Table(("ID", "task", tuned, base, "difference"), rows)


def describe_raters(found: Mapping[str, Any]) -> str:
    """`ada (12), bob (3)`."""
    return ", ".join(f"{name} ({count})" for name, count in found["raters"].items())


def prepare_ratings(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows: means by criterion, what the wins are worth, and the table by prompt."""
    table = tabulate_prompts(found)
    judged = [
        (*cells, draw("judged", difference, _judge(row["difference"])))
        for (*cells, difference), row in zip(table.rows, found["prompts"], strict=True)
    ]
    return {
        "scores": tabulate_scores(found),
        "caption": f"{found['rated']} of {found['pairs']} prompts rated from 1 to 5 by {describe_raters(found)}, who "
        "did not know whose answer was which. In brackets the 95 % interval.",
        "verdict": list(describe_verdict(found)),
        "prompts": replace(table, rows=judged),
    }


def _judge(difference: float) -> str:
    return "better" if difference > 0 else "worse" if difference < 0 else ""
