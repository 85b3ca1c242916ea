"""What a server counts of its answers, in the journal of the course: no names, and no questions unless asked for.

Thumbs are counted from the table that the page keeps them in. A count that cannot be written waits for the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from mlx_tutor.errors import CorpusError
from mlx_tutor.journal import open_journal
from mlx_tutor.study.chat import thumbs
from mlx_tutor.study.chat.ask import CitedAnswer
from mlx_tutor.tables import Table
from mlx_tutor.workspace import Course

SCHEMA = """
CREATE TABLE IF NOT EXISTS served (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, place TEXT NOT NULL, model TEXT NOT NULL,
    first_token_seconds REAL, tokens INTEGER NOT NULL, tokens_per_second REAL, supported INTEGER,
    from_cache INTEGER NOT NULL, ended TEXT NOT NULL, memory_gb REAL, error TEXT NOT NULL, question TEXT
);
"""
# Counts that wait while the journal cannot be written, and how long an answer waits for it, in seconds.
MAX_WAITING, BUSY_SECONDS = 1000, 0.2
# Upper ends of the classes of the time to the first token, in seconds, as Prometheus counts them.
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WHERE = {"page": "on the page", "API": "through the API"}
TIMED = "error = '' AND NOT from_cache AND tokens > 0"


@dataclass(frozen=True, slots=True)
class Count:
    """One question, from the page or the API, and how its answer came about.

    `first_token_seconds` includes the search. `supported` is None where the course was not searched. `error` is the
    kind of the problem where there was no answer. `question` is None unless the recipe logs questions.
    """

    time: str
    place: str
    model: str
    first_token_seconds: float | None = None
    tokens: int = 0
    tokens_per_second: float | None = None
    supported: bool | None = None
    from_cache: bool = False
    ended: str = ""
    memory_gb: float | None = None
    error: str = ""
    question: str | None = None


def count_answers(place: str, model: str, answers: Sequence[CitedAnswer], *, log: bool) -> Count:
    """The count of one question with its answers, of which there is at least one; `log` keeps the question."""
    first = answers[0]
    return Count(
        time=_now(),
        place=place,
        model=model,
        first_token_seconds=first.search_seconds + first.answer.first_token_seconds,
        tokens=sum(cited.answer.tokens for cited in answers),
        tokens_per_second=first.answer.tokens_per_second,
        supported=None if first.supported is None else any(cited.supported for cited in answers),
        from_cache=first.answer.from_cache,
        ended=first.answer.finish_reason,
        memory_gb=first.answer.peak_memory_gb,
        question=first.question if log else None,
    )


def count_error(place: str, model: str, err: Exception) -> Count:
    """The count of a question without an answer."""
    return Count(_now(), place, model, error=type(err).__name__)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def store_count(course: Course, waiting: list[Count], count: Count) -> None:
    """Write a count, and those that wait; while the journal cannot be written, it waits too."""
    waiting.append(count)
    names = [item.name for item in fields(Count)]
    query = f"INSERT INTO served ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    try:
        with open_journal(course, SCHEMA, BUSY_SECONDS) as journal:
            journal.executemany(query, [astuple(each) for each in waiting])
    except CorpusError:
        del waiting[:-MAX_WAITING]
    else:
        waiting.clear()


def read_counts(course: Course, days: int | None = None) -> dict[str, Any]:
    """What was counted, of all time or of the last `days`, as JSON.

    "questions" counts those with an answer, "errors" the others by kind. "not_found" counts answers that no sentence of
    the course supports, among those "searched". Times (median and 95th percentile) leave out answers from the cache.
    Thumbs are by model. "memory_gb" is the most that MLX had allocated.

    Raises:
        CorpusError: the journal cannot be read.
    """
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds") if days else ""
    with open_journal(course, SCHEMA + thumbs.SCHEMA) as journal:

        def query(columns: str, where: str = "error = ''", more: str = "", table: str = "served") -> list[Any]:
            text = f"SELECT {columns} FROM {table} WHERE time >= ? AND {where} {more}"
            return [tuple(row) for row in journal.execute(text, (since,)).fetchall()]

        sums = "COUNT(*), COUNT(supported), COALESCE(SUM(NOT supported), 0), "
        sums += "COALESCE(SUM(from_cache), 0), COALESCE(SUM(ended = 'stopped'), 0), COALESCE(SUM(tokens), 0)"
        totals = query(f"{sums}, MAX(memory_gb), MIN(time)")[0]
        groups = query("place, model, COUNT(*)", more="GROUP BY place, model ORDER BY place, model")
        errors = query("error, COUNT(*)", "error != ''", "GROUP BY error ORDER BY error")
        first, speed = (
            [value for (value,) in query(name, TIMED, f"ORDER BY {name}")]
            for name in ("first_token_seconds", "tokens_per_second")
        )
        judged = query("model, SUM(liked), SUM(NOT liked)", "1", "GROUP BY model ORDER BY model", "thumbs")
        logged = query("COUNT(question)")[0][0]
    names = ("questions", "searched", "not_found", "from_cache", "stopped", "tokens", "memory_gb", "since")
    return {
        **{"course": course.name, "days": days},
        **dict(zip(names, totals, strict=True)),
        "questions_logged": logged,
        "served": [{"place": place, "model": model, "questions": count} for place, model, count in groups],
        "errors": dict(errors),
        "first_token_seconds": _describe_values(first) | {"buckets": [sum(v <= end for v in first) for end in BUCKETS]},
        "tokens_per_second": _describe_values(speed),
        "thumbs": {model: {"up": up, "down": down} for model, up, down in judged},
    }


def _describe_values(values: Sequence[float]) -> dict[str, Any]:
    """Count, sum, median and 95th percentile (nearest rank) of sorted values."""
    ranks = {"median": 0.5, "p95": 0.95}
    found = (
        {name: values[max(0, -(-int(len(values) * 100 * share) // 100) - 1)] for name, share in ranks.items()}
        if values
        else {}
    )
    return {"count": len(values), "sum": sum(values), "median": None, "p95": None} | found


def read_questions(course: Course, days: int | None = None) -> list[dict[str, Any]]:
    """The questions that were logged, newest last, each with its time and whether the course supported the answer."""
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds") if days else ""
    with open_journal(course, SCHEMA) as journal:
        rows = journal.execute(
            "SELECT time, place, model, question, supported FROM served "
            "WHERE time >= ? AND question IS NOT NULL ORDER BY id",
            (since,),
        ).fetchall()
    return [dict(row) | {"supported": None if row["supported"] is None else bool(row["supported"])} for row in rows]


def tabulate_questions(found: Sequence[Mapping[str, Any]]) -> Table:
    """The questions that were kept."""
    words = {None: "not searched", True: "yes", False: "no"}
    rows = [(row["time"][:16].replace("T", " "), row["question"], words[row["supported"]]) for row in found]
    return Table(("time (UTC)", "question", "found in the course"), rows)


def tabulate_counts(found: dict[str, Any]) -> Table:
    """The counts as a table of two columns."""
    first, speed = found["first_token_seconds"], found["tokens_per_second"]
    places = ", ".join(f"{row['questions']:,} {WHERE[row['place']]} by {row['model']}" for row in found["served"])
    errors = ", ".join(f"{count:,} {kind}" for kind, count in found["errors"].items())
    judged = ", ".join(f"{model}: {of['up']:,} up, {of['down']:,} down" for model, of in found["thumbs"].items())
    share = f" ({found['not_found'] / found['searched']:.0%})" if found["searched"] else ""
    rows = [
        ("questions answered", f"{found['questions']:,}{f': {places}' if places else ''}"),
        ("not found in the course", f"{found['not_found']:,} of {found['searched']:,}{share}"),
        ("from the cache", f"{found['from_cache']:,}"),
        ("stopped by the reader", f"{found['stopped']:,}"),
        ("first token", _describe_spread(first, "{:.2f} s")),
        ("speed", _describe_spread(speed, "{:.0f} tokens a second", "median")),
        ("tokens written", f"{found['tokens']:,}"),
        ("thumbs", judged or "none"),
        ("errors", errors or "none"),
        ("most memory of MLX", "-" if found["memory_gb"] is None else f"{found['memory_gb']:.2f} GB"),
        ("questions kept", f"{found['questions_logged']:,}"),
    ]
    return Table(("counted", "value"), rows)


def _describe_spread(found: dict[str, Any], form: str, *names: str) -> str:
    if not found["count"]:
        return "-"
    words = {"median": "median", "p95": "19 of 20 within"}
    return ", ".join(f"{words[name]} {form.format(found[name])}" for name in names or words)
