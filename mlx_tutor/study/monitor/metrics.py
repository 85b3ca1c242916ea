"""The counts in Prometheus's text form, version 0.0.4 of its exposition formats."""

from collections.abc import Iterator
from typing import Any

from mlx_tutor.study.monitor.counts import BUCKETS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def write_metrics(found: dict[str, Any], waiting: int) -> str:
    """What `read_counts` gives, and how many questions are in the queue now."""
    return "\n".join(_list_lines(found, waiting)) + "\n"


def _list_lines(found: dict[str, Any], waiting: int) -> Iterator[str]:
    yield from _write(
        "questions_total",
        "counter",
        "Questions answered.",
        [({"place": row["place"], "model": row["model"]}, row["questions"]) for row in found["served"]],
    )
    totals = {
        "searched_total": ("searched", "Answers that were looked up in the course."),
        "not_found_total": ("not_found", "Answers that no sentence of the course supports."),
        "cached_answers_total": ("from_cache", "Answers given from the cache."),
        "stopped_answers_total": ("stopped", "Answers that the reader stopped."),
        "tokens_total": ("tokens", "Tokens written."),
    }
    for name, (key, text) in totals.items():
        yield from _write(name, "counter", text, [({}, found[key])])
    errors = [({"kind": kind}, count) for kind, count in found["errors"].items()]
    yield from _write("errors_total", "counter", "Questions without an answer.", errors)
    thumbs = [(model, name, of[name]) for model, of in found["thumbs"].items() for name in ("up", "down")]
    judged = [({"model": model, "judgement": name}, count) for model, name, count in thumbs]
    # Taken back, a judgement is gone: no counter.
    yield from _write("thumbs", "gauge", "Judgements of answers.", judged)
    first = found["first_token_seconds"]
    ends = [*zip(map(str, BUCKETS), first["buckets"], strict=True), ("+Inf", first["count"])]
    buckets = [({"le": end}, count) for end, count in ends]
    about = "Seconds to the first token, search included."
    yield from _write("first_token_seconds", "histogram", about, buckets, "_bucket")
    yield f"mlx_tutor_first_token_seconds_sum {first['sum']}"
    yield f"mlx_tutor_first_token_seconds_count {first['count']}"
    if found["tokens_per_second"]["count"]:
        speed = found["tokens_per_second"]["median"]
        yield from _write("tokens_per_second", "gauge", "Median speed of answers.", [({}, speed)])
    if found["memory_gb"] is not None:
        peak = round(found["memory_gb"] * 1e9)
        yield from _write("peak_memory_bytes", "gauge", "Most memory that MLX had allocated.", [({}, peak)])
    yield from _write("waiting", "gauge", "Questions in the queue, the one being answered included.", [({}, waiting)])


def _write(
    name: str, kind: str, text: str, values: list[tuple[dict[str, str], float]], suffix: str = ""
) -> Iterator[str]:
    yield f"# HELP mlx_tutor_{name} {text}"
    yield f"# TYPE mlx_tutor_{name} {kind}"
    for labels, value in values:
        inside = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
        yield f"mlx_tutor_{name}{suffix}{f'{{{inside}}}' if inside else ''} {value}"


def _escape(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
