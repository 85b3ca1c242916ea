"""A live comparison of two runs: each conversation gets one of them by chance, and readers do not know which.

The unit is a conversation, since what one reader thinks of several answers of it is not independent. It is good or bad
by its rating (4 or 5, 1 or 2 of 5), else by the majority of its thumbs. A good one is a vote for its own run, a bad one
a vote for the other. The run of each conversation is drawn by a fair coin, so if the runs were alike, each vote would
be for either with the same chance, whatever share is good: the exact sign test of the votes holds for any numbers.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlx_tutor.evaluation.bootstrap import compute_p_value
from mlx_tutor.evaluation.tally import LEVEL, MOST, plan_more
from mlx_tutor.journal import open_journal
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Course

SCHEMA = """
CREATE TABLE IF NOT EXISTS trial_marks (
    trial TEXT NOT NULL, conversation TEXT NOT NULL, model TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('begun', 'thumb', 'rating')), turn INTEGER NOT NULL, value INTEGER NOT NULL,
    time TEXT NOT NULL, PRIMARY KEY (trial, conversation, kind, turn)
);
"""
# A rating of so much or more is good, of so much or less bad.
GOOD, BAD = 4, 2


@dataclass(frozen=True, slots=True)
class Trial:
    """Two runs of one course that are compared."""

    first: str
    second: str

    @property
    def name(self) -> str:
        """The same whichever of the two is named first."""
        return " against ".join(sorted((self.first, self.second)))


def find_arm(course: Course, trial: Trial, conversation: str) -> str:
    """The run that answers a conversation: drawn by chance for a new one, and kept. Raises CorpusError.

    `conversation` is its name in the journal, the same after a reload; it names nobody.
    """
    drawn = secrets.choice((trial.first, trial.second))
    with open_journal(course, SCHEMA) as journal:
        _write(journal, trial, conversation, drawn, "begun", 0, 1, "IGNORE")
        return _read_arm(journal, trial, conversation)


def store_mark(
    course: Course, trial: Trial, conversation: str, kind: str, turn: int, value: int | None, answered: str = ""
) -> None:
    """Keep a thumb (1 or -1) on a turn, or a rating (1 to 5) of the conversation; None takes it back.

    `answered` names who gave the turn: one from before the comparison may be another model's, and is no part of it.

    Raises:
        CorpusError: the journal cannot be written.
    """
    key = (trial.name, conversation, kind, turn)
    with open_journal(course, SCHEMA) as journal:
        if value is None:
            journal.execute(
                "DELETE FROM trial_marks WHERE trial = ? AND conversation = ? AND kind = ? AND turn = ?", key
            )
        elif (model := _read_arm(journal, trial, conversation)) and answered in ("", model):
            _write(journal, trial, conversation, model, kind, turn, value, "REPLACE")


def read_rating(course: Course, trial: Trial, conversation: str) -> int | None:
    """How a conversation was rated, 1 to 5; None: not yet. Raises CorpusError."""
    with open_journal(course, SCHEMA) as journal:
        row = journal.execute(
            "SELECT value FROM trial_marks WHERE trial = ? AND conversation = ? AND kind = 'rating'",
            (trial.name, conversation),
        ).fetchone()
    return None if row is None else int(row["value"])


def _write(
    journal: sqlite3.Connection,
    trial: Trial,
    conversation: str,
    model: str,
    kind: str,
    turn: int,
    value: int,
    conflict: str,
) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    journal.execute(
        f"INSERT OR {conflict} INTO trial_marks (trial, conversation, model, kind, turn, value, time) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (trial.name, conversation, model, kind, turn, value, now),
    )


def _read_arm(journal: sqlite3.Connection, trial: Trial, conversation: str) -> str:
    row = journal.execute(
        "SELECT model FROM trial_marks WHERE trial = ? AND conversation = ? AND kind = 'begun'",
        (trial.name, conversation),
    ).fetchone()
    return str(row["model"]) if row is not None else ""


def read_trials(course: Course) -> list[dict[str, Any]]:
    """What the trials of a course say, the last one begun first, as JSON.

    "runs" has, of each run, its conversations, those judged good and bad, thumbs and ratings. "signs" are the votes for
    the first run of the two, undecided conversations and votes for the second, with the p-value of the exact sign test
    and how many more judged conversations it takes to be sure (None: more than 200, or the two are even).
    """
    with open_journal(course, SCHEMA) as journal:
        rows = journal.execute("SELECT * FROM trial_marks ORDER BY time, rowid").fetchall()
    by_trial: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        by_trial.setdefault(row["trial"], {}).setdefault(row["conversation"], []).append(row)
    return [_summarize(name, list(found.values())) for name, found in reversed(by_trial.items())]


def _summarize(trial: str, conversations: list[list[Any]]) -> dict[str, Any]:
    names = sorted(trial.split(" against "))
    runs: dict[str, dict[str, Any]] = {
        name: {"conversations": 0, "good": 0, "bad": 0, "up": 0, "down": 0, "ratings": []} for name in names
    }
    undecided = 0
    for marks in conversations:
        of_run = runs[marks[0]["model"]]
        thumbs = [mark["value"] for mark in marks if mark["kind"] == "thumb"]
        ratings = [mark["value"] for mark in marks if mark["kind"] == "rating"]
        verdict = judge_conversation(thumbs, ratings)
        of_run["conversations"] += 1
        of_run["up"] += thumbs.count(1)
        of_run["down"] += thumbs.count(-1)
        of_run["ratings"] += ratings
        of_run["good"] += verdict > 0
        of_run["bad"] += verdict < 0
        undecided += verdict == 0 and bool(thumbs or ratings)
    first, second = (runs[name] for name in names)
    wins, losses = first["good"] + second["bad"], second["good"] + first["bad"]
    signs = {"first": wins, "undecided": undecided, "second": losses, "p_value": compute_p_value(wins, losses)}
    return {"trial": trial, "runs": runs, "signs": signs | {"more": plan_more(wins, undecided, losses)}}


def judge_conversation(thumbs: list[int], ratings: list[int]) -> int:
    """1 for good, -1 for bad, 0 where nobody said or both were said as often."""
    if ratings:
        return int(ratings[-1] >= GOOD) - int(ratings[-1] <= BAD)
    return (sum(thumbs) > 0) - (sum(thumbs) < 0)


def tabulate_trial(found: dict[str, Any]) -> Table:
    """One line for each run."""
    rows = []
    for name, of in found["runs"].items():
        ratings = of["ratings"]
        mean = f"{sum(ratings) / len(ratings):.2f} of {len(ratings)}" if ratings else "-"
        rows.append((name, *(f"{of[key]:,}" for key in ("conversations", "good", "bad", "up", "down")), mean))
    columns = ("run", "conversations", "good", "bad", "thumbs up", "thumbs down", "rating")
    return Table(columns, rows, numbers=True, title=found["trial"])


def describe_trial(found: dict[str, Any]) -> Iterator[str]:
    """The votes with their test, and what to do next."""
    signs, (first, second) = found["signs"], found["runs"]
    p = "p < 0.001" if signs["p_value"] < 0.001 else f"p = {signs['p_value']:.3f}"
    judged = signs["first"] + signs["second"]
    if not judged:
        yield "No conversation is judged yet."
        return
    yield (
        f"{judged} judged conversations: {signs['first']} for {first}, {signs['second']} for {second}, "
        f"{signs['undecided']} undecided; exact sign test {p}."
    )
    better = first if signs["first"] > signs["second"] else second
    if signs["p_value"] < LEVEL:
        yield f"That is more than chance: {better} is judged better. It counts if you had decided to look now."
    elif signs["more"] is None:
        yield f"Chance could have made this, and {MOST} more conversations like these would not settle it."
    else:
        yield f"Chance could have made this. Wait for {signs['more']} more, and look again then, not before."
