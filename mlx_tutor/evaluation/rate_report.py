"""The blind ratings of a run as a part of its report."""

from collections.abc import Mapping
from typing import Any

from mlx_tutor.evaluation.html import escape, write_name, write_table
from mlx_tutor.evaluation.rate import list_criteria, read_judgements, read_pairs
from mlx_tutor.evaluation.tally import describe_estimate, describe_share, describe_verdict, summarize_ratings
from mlx_tutor.journal import find_journal
from mlx_tutor.workspace import Course, Run


def read_summary(run: Run, course: str) -> dict[str, Any] | None:
    """What raters gave to the run's answers, as `summarize_ratings` gives it; None where nothing is rated in full."""
    home = Course(run.workspace, course)
    if not find_journal(home).is_file():
        return None
    criteria = list_criteria(home, run.name)
    judgements = read_judgements(home, run.name, criteria) if criteria else []
    return summarize_ratings(read_pairs(home, run.name), judgements, criteria) if judgements else None


def write_ratings(found: Mapping[str, Any]) -> str:
    """Means by criterion, what the wins are worth, and the table by prompt."""
    sides = (found["models"]["base"], found["models"]["tuned"])
    base, tuned = (write_name(side["label"]) for side in sides)
    rows = [
        (escape(name), *(describe_estimate(side["criteria"][name]) for side in sides)) for name in found["criteria"]
    ]
    rows.append(("mean of all", *(describe_estimate(side["mean"]) for side in sides)))
    rows.append(("rated 4 or more", *(describe_share(side["success"]) for side in sides)))
    raters = ", ".join(f"{name} ({count})" for name, count in found["raters"].items())
    caption = (
        f"{found['rated']} of {found['pairs']} prompts rated from 1 to 5 by {raters}, who did not know whose "
        "answer was which. In brackets the 95 % interval."
    )
    remarks = "".join(f"<p>{escape(line)}</p>" for line in describe_verdict(found))
    table = [
        (
            escape(row["id"]),
            escape(row["task"]),
            f"{row['tuned']:.2f}",
            f"{row['base']:.2f}",
            f'<span class="{_judge(row["difference"])}">{row["difference"]:+.2f}</span>',
        )
        for row in found["prompts"]
    ]
    return (
        f"<h2>Rated blind</h2>{write_table(('', base, tuned), rows, caption)}{remarks}"
        f"<h3>By prompt</h3>{write_table(('ID', 'task', tuned, base, 'difference'), table, numbers=False)}"
    )


def _judge(difference: float) -> str:
    return "better" if difference > 0 else "worse" if difference < 0 else "soft"
